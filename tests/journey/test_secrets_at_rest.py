"""A stolen ledger, without the key file, reveals no secrets of a running tracker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journey.running import Receiver, eventually, running

pytestmark = pytest.mark.journey
NETWORK_TOKEN = "token-of-the-network-7f3a"
SOURCE_KEY = "key-of-the-source-91bc"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_the_ledger_of_a_tracker_holds_no_secret_in_plain_text_and_works_with_them(
    tmp_path: Path, receiver: Receiver
) -> None:
    with running(tmp_path / "data") as tracker:
        campaign = tracker.set_up(receiver.url + f"/pb?id={{externalid}}&api_key={SOURCE_KEY}")
        path = f"networks/{campaign.network_id}"
        assert tracker.api("PATCH", path, {"token": NETWORK_TOKEN}).status == 200
        click_id = tracker.click(campaign.key, "external_id=e1")
        tracker.notify(f"cid={click_id}&txid=1")
        tracker.notify(f"cid={click_id}&txid=2&token={NETWORK_TOKEN}")
        eventually(lambda: receiver.requests, told=tracker.log_text)
        eventually(lambda: len(tracker.all_of("notices", outcome="refused")) == 1, told=tracker.log_text)
        assert [request.value("api_key") for request in receiver.requests] == [SOURCE_KEY.encode()]
        assert tracker.got(path)["token"] == NETWORK_TOKEN
        assert tracker.stop() == 0
        stored = b"".join(one.read_bytes() for one in tracker.folder.glob("ledger.sqlite*"))
        assert not [secret for secret in (NETWORK_TOKEN, SOURCE_KEY) if secret.encode() in stored]
