"""Jobs over many records whose core is killed while they run: each goes on where it was, skips nothing and doubles nothing."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journey.running import Receiver, Tracker, eventually, kill, running

pytestmark = pytest.mark.crash
CLICKS = 30
TXIDS = 40
CONVERSIONS = CLICKS * TXIDS
KILLS = 2
POSTBACK = "/pb?id={externalid}&txid={txid}&pid={postback_id}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def convert_many(tracker: Tracker, postback_url: str, folder: Path, status: str) -> None:
    """Imports conversions of a status word."""
    campaign = tracker.set_up(postback_url)
    eventually(lambda: tracker.ask("GET", f"/c/{campaign.key}").status == 302)
    clicks = [tracker.click(campaign.key, f"external_id=e{number}") for number in range(CLICKS)]
    eventually(lambda: len(tracker.all_of("clicks")) >= CLICKS)
    file = folder / "conversions.csv"
    rows = [f"{click_id},1,{turn},{status}" for turn in range(TXIDS) for click_id in clicks]
    file.write_text("\n".join(["clickid,payout,txid,status", *rows]))
    done = tracker.command_line("import", "conversions", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def kill_while_it_runs(tracker: Tracker, job: str) -> int:
    """Kills the core again and again in the middle of a job; answers how often the job was unfinished just before."""
    hits = 0
    seen = 0
    for _ in range(KILLS):
        found = tracker.got(job)
        while found["done"] <= seen and not found["finished"]:
            found = tracker.got(job)
        kill(tracker.pids()["core"])
        hits += not found["finished"]
        eventually(tracker.api_answers, told=tracker.log_text)
        seen = found["done"]
    eventually(lambda: tracker.got(job)["finished"], told=tracker.log_text)
    return hits


def nothing_unfinished(tracker: Tracker) -> bool:
    return not any(tracker.all_of("postbacks", state=state) for state in ("waiting", "sending"))


def check_received(receiver: Receiver, postbacks: list[Any]) -> None:
    """Every attempt arrived once at most, and every postback as often as it has rows at least."""
    received = Counter(request.value("pid").decode() for request in receiver.requests)
    rows = Counter(postback["original_id"] or postback["postback_id"] for postback in postbacks)
    attempts: Counter[str] = Counter()
    for postback in postbacks:
        attempts[postback["original_id"] or postback["postback_id"]] += postback["attempts"]
    assert received.keys() == rows.keys()
    assert not {key: times for key, times in received.items() if not rows[key] <= times <= attempts[key]}


def test_a_resend_of_all_that_match_goes_on_after_kills_of_the_core_and_sends_each_again_once(
    tmp_path: Path, receiver: Receiver
) -> None:
    with running(tmp_path / "data") as tracker:
        convert_many(tracker, receiver.url + POSTBACK, tmp_path, "sale")
        eventually(lambda: len(receiver.requests) >= CONVERSIONS and nothing_unfinished(tracker), told=tracker.log_text)
        answer = tracker.api("POST", "postbacks/resend", {"state": "delivered"})
        assert answer.status == 202, answer.body
        (resend_id,) = [answer.body.decode().split('"resend_id":"')[1][:26]]

        hits = kill_while_it_runs(tracker, f"postbacks/resends/{resend_id}")

        assert hits >= 1, "the job was over before anything was killed"
        job = tracker.got(f"postbacks/resends/{resend_id}")
        assert (job["matched"], job["done"], job["made"], job["left_out"]) == (CONVERSIONS,) * 3 + ({},)
        eventually(lambda: nothing_unfinished(tracker), told=tracker.log_text)
        postbacks = tracker.all_of("postbacks")
        assert Counter(postback["resend"] for postback in postbacks) == {0: CONVERSIONS, 1: CONVERSIONS}
        assert len({postback["original_id"] for postback in postbacks if postback["resend"]}) == CONVERSIONS
        assert {postback["state"] for postback in postbacks} == {"delivered"}
        check_received(receiver, postbacks)


def test_a_rerun_of_notices_goes_on_after_kills_of_the_core_and_owes_each_postback_once(
    tmp_path: Path, receiver: Receiver
) -> None:
    with running(tmp_path / "data") as tracker:
        convert_many(
            tracker, receiver.url + POSTBACK, tmp_path, "mystery"
        )  # a word of no status: such conversions stand under other
        eventually(lambda: len(receiver.requests) >= CONVERSIONS and nothing_unfinished(tracker), told=tracker.log_text)
        url = receiver.url + "/sales?pid={postback_id}"
        only_sales = {"statuses": ["sale"], "trigger": "status"}
        tracker.made("postback-rules", {"name": "Sales", "request": {"url": url}, "conditions": only_sales})
        words = next(status["words"] for status in tracker.got("statuses")["items"] if status["key"] == "sale")
        assert tracker.api("PATCH", "statuses/sale", {"words": [*words, "mystery"]}).status == 200
        answer = tracker.api("POST", "notices/rerun", {"status_word": "mystery"})
        assert answer.status == 202, answer.body
        (rerun_id,) = [answer.body.decode().split('"rerun_id":"')[1][:26]]

        hits = kill_while_it_runs(tracker, f"notices/reruns/{rerun_id}")

        assert hits >= 1, "the job was over before anything was killed"
        job = tracker.got(f"notices/reruns/{rerun_id}")
        assert (job["matched"], job["done"], job["made"]) == (CONVERSIONS, CONVERSIONS, CONVERSIONS)
        eventually(lambda: nothing_unfinished(tracker), told=tracker.log_text)
        conversions = tracker.all_of("conversions")
        assert len(conversions) == CONVERSIONS
        assert {(conversion["status"]["key"], conversion["version"]) for conversion in conversions} == {("sale", 2)}
        postbacks = tracker.all_of("postbacks")
        sales = [postback for postback in postbacks if postback["rule_name"] == "Sales"]
        assert {postback["state"] for postback in sales} == {"delivered"}
        assert Counter(postback["conversion_id"] for postback in sales) == Counter(
            conversion["conversion_id"] for conversion in conversions
        )
        check_received(receiver, [postback for postback in postbacks if postback["request"]])
