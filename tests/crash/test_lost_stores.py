"""Lost or altered stores: visitors are redirected, notices are stored, and everything is settled when the stores are back."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clickloop.alarm.alarms import read_alarms
from clickloop.click_id import KEY_FILE
from clickloop.postback.rule import LOST_REQUEST
from clickloop.store.identity import FACTS_FILE, LEDGER_FILE
from tests.journey.running import Campaign, Receiver, Tracker, eventually

pytestmark = pytest.mark.crash


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def removed(path: Path) -> None:
    for found in path.parent.glob(path.name + "*"):
        found.unlink()


def emptied(path: Path) -> None:
    removed(path)
    path.touch()


LOST: dict[str, tuple[str, Callable[[Path], object]]] = {
    "ledger emptied": (LEDGER_FILE, emptied),
    "facts deleted": (FACTS_FILE, removed),
    "key deleted": (KEY_FILE, removed),
    "key cut": (KEY_FILE, lambda path: path.write_bytes(path.read_bytes()[:7])),
}


@pytest.mark.parametrize("name", LOST)
def test_while_a_store_is_lost_visitors_go_on_and_all_is_settled_when_it_is_back(
    tmp_path: Path, receiver: Receiver, name: str
) -> None:
    tracker = Tracker(tmp_path / "data")
    kept = tmp_path / "kept"
    try:
        tracker.start()
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}&txid={txid}")
        earlier = tracker.click(campaign.key, "external_id=earlier")
        eventually(lambda: len(tracker.all_of("clicks")) == 1, told=tracker.log_text)
        assert tracker.stop() == 0
        shutil.copytree(tracker.folder, kept)
        file, damage = LOST[name]
        damage(tracker.folder / file)
        catalog = (tracker.folder / "catalog.json").read_bytes()
        log_so_far = len(tracker.log_text())

        tracker.start(wait=False)
        meanwhile = run_without(tracker, campaign, earlier, log_so_far)
        assert (tracker.folder / "catalog.json").read_bytes() == catalog
        assert tracker.stop() == 0

        put_back(tracker.folder, kept, file)
        tracker.start()
        eventually(lambda: len(tracker.all_of("conversions")) == 2, told=tracker.log_text)
        assert sorted(row["click_id"] for row in tracker.all_of("conversions")) == sorted([earlier, meanwhile])
        assert {row["outcome"] for row in tracker.all_of("notices")} == {"new"}
        assert sorted(row["external_id"] for row in tracker.all_of("clicks")) == ["earlier", "meanwhile"]
    finally:
        tracker.close()


def run_without(tracker: Tracker, campaign: Campaign, earlier: str, log_so_far: int) -> str:
    """Send a visitor, and notices of an earlier click and this one, while the core refuses to start; return the click id."""
    eventually(tracker.takes_clicks, told=tracker.log_text)

    def told() -> str:
        return tracker.log_text()[log_so_far:]

    eventually(lambda: "the core does not start on these stores" in told(), told=tracker.log_text)
    meanwhile = tracker.click(campaign.key, "external_id=meanwhile")
    for click_id in (earlier, meanwhile):
        answer = tracker.notify(f"cid={click_id}&payout=2&txid={click_id}")
        assert (answer.status, answer.headers["x-clickloop-outcome"]) == (200, "accepted")
    assert any("the core does not start" in alarm.sentence for alarm in read_alarms(tracker.folder))
    assert "Set the owner's password" not in told()
    assert "clickloop serve --new" in told()
    return meanwhile


def put_back(folder: Path, kept: Path, name: str) -> None:
    removed_names = [path for path in folder.glob(name + "*") if "standin" not in path.name]
    for path in removed_names:
        path.unlink()
    for path in kept.glob(name + "*"):
        shutil.copy2(path, folder / path.name)


def test_serve_new_says_what_it_does_and_the_tracker_runs_again(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path / "data")
    try:
        tracker.start()
        assert tracker.stop() == 0
        removed(tracker.folder / LEDGER_FILE)
        command = tracker.command
        tracker.command = lambda: [*command(), "--new"]  # type: ignore[method-assign]
        tracker.start()
        assert "Started with an empty ledger and empty facts" in tracker.log_text()
        assert tracker.got("campaigns")["items"] == []
    finally:
        tracker.close()


def test_after_a_lost_key_serve_new_runs_and_says_which_secrets_are_to_be_entered_again(
    tmp_path: Path, receiver: Receiver
) -> None:
    tracker = Tracker(tmp_path / "data")
    try:
        tracker.start()
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}&txid={txid}")
        guarded = tracker.made("networks", {"name": "Guarded network", "token": "only-they-know"})
        earlier = tracker.click(campaign.key, "external_id=earlier")
        assert tracker.notify(f"cid={earlier}&txid=before&token=sealed-in-the-notice").status == 200
        eventually(lambda: len(tracker.all_of("notices", outcome="new")) == 1, told=tracker.log_text)
        eventually(lambda: len(tracker.all_of("postbacks", state="delivered")) == 1, told=tracker.log_text)
        assert tracker.stop() == 0
        removed(tracker.folder / KEY_FILE)
        command = tracker.command
        tracker.command = lambda: [*command(), "--new"]  # type: ignore[method-assign]
        tracker.start()

        told = tracker.log_text().rpartition("Started with a new key")[2]
        assert "Guarded network" in told
        rules = tracker.all_of("postback-rules")
        assert all(rule["name"] in told and not rule["active"] for rule in rules)
        assert tracker.got(f"networks/{guarded['id']}")["token"] != "only-they-know"
        assert tracker.notify(f"cid={earlier}&txid=after").status == 200
        eventually(lambda: len(tracker.all_of("notices", outcome="new")) == 2, told=tracker.log_text)
        eventually(lambda: len(tracker.all_of("postbacks", state="skipped")) == 1, told=tracker.log_text)
    finally:
        tracker.close()


def test_after_a_lost_key_postbacks_whose_requests_are_lost_say_so_and_are_no_alarm_for_ever(
    tmp_path: Path, receiver: Receiver
) -> None:
    tracker = Tracker(tmp_path / "data")
    try:
        tracker.start()
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}&txid={txid}&api_key=sealed-in-the-request")
        receiver.status = 503
        earlier = tracker.click(campaign.key, "external_id=earlier")
        assert tracker.notify(f"cid={earlier}&txid=before").status == 200
        eventually(lambda: len(receiver.requests) >= 1, told=tracker.log_text)
        assert tracker.stop() == 0
        removed(tracker.folder / KEY_FILE)
        command = tracker.command
        tracker.command = lambda: [*command(), "--new"]  # type: ignore[method-assign]
        receiver.status = 200
        tracker.start()

        told = tracker.log_text().rpartition("Started with a new key")[2]
        assert "1 postback has a request with a secret" in told
        assert "Not sent yet: 1." in told
        eventually(lambda: len(tracker.all_of("postbacks", state="failed")) == 1, told=tracker.log_text)
        (lost,) = tracker.all_of("postbacks", state="failed")
        assert LOST_REQUEST in lost["last_error"]
        assert LOST_REQUEST.encode() in tracker.api("GET", f"clicks/{earlier}/trace?format=text").body
        eventually(lambda: tracker.got("health")["audit"]["audited"] == 1, told=tracker.log_text)
        assert not [alarm for alarm in read_alarms(tracker.folder) if "self-audit" in alarm.sentence]
    finally:
        tracker.close()


def test_stores_put_back_from_one_older_copy_are_refused_and_serve_new_processes_again_what_came_since(
    tmp_path: Path, receiver: Receiver
) -> None:
    tracker = Tracker(tmp_path / "data")
    kept = tmp_path / "kept"
    try:
        tracker.start()
        campaign = tracker.set_up(receiver.url + "/pb?id={externalid}&txid={txid}")
        earlier = tracker.click(campaign.key, "external_id=earlier")
        tracker.notify(f"cid={earlier}&payout=1")
        eventually(lambda: len(tracker.all_of("postbacks", state="delivered")) == 1, told=tracker.log_text)
        assert tracker.stop() == 0
        shutil.copytree(tracker.folder, kept)
        tracker.start()
        later = tracker.click(campaign.key, "external_id=later")
        tracker.notify(f"cid={earlier}&payout=2&txid=rebill")
        tracker.notify(f"cid={later}&payout=3")
        eventually(lambda: len(tracker.all_of("postbacks", state="delivered")) == 3, told=tracker.log_text)
        assert tracker.stop() == 0
        for name in (LEDGER_FILE, FACTS_FILE, "installation.json", "catalog"):
            put_back(tracker.folder, kept, name)
        log_so_far = len(tracker.log_text())

        tracker.start(wait=False)
        meanwhile = run_without(tracker, campaign, earlier, log_so_far)
        assert any("ledger and facts are older" in alarm.sentence for alarm in read_alarms(tracker.folder))
        assert tracker.stop() == 0

        command = tracker.command
        tracker.command = lambda: [*command(), "--new"]  # type: ignore[method-assign]
        tracker.start()
        eventually(lambda: len(tracker.all_of("conversions")) == 5, told=tracker.log_text)
        paid = sorted((row["click_id"], row["txid"], row["payout"]["amount"]) for row in tracker.all_of("conversions"))
        assert paid == sorted(
            [
                (earlier, "", "1"),
                (earlier, "rebill", "2"),
                (later, "", "3"),
                (earlier, earlier, "2"),
                (meanwhile, meanwhile, "2"),
            ]
        )
        eventually(lambda: reported(tracker) == (3, 5), told=tracker.log_text)
        assert len(receiver.requests) == 3, "what has left before is held, with all others"
        assert tracker.got("delivery")["held"]
    finally:
        tracker.close()


def reported(tracker: Tracker) -> tuple[int, int]:
    """Return the numbers of clicks and conversions in reports."""
    total = tracker.got("reports?period=today")["totals"]
    return total["clicks"], total["conversions"]
