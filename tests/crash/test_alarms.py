"""Whenever settling stops or users cannot work, the processes that still run raise an alarm at once and send it off the machine.

The patience is two seconds here instead of thirty; that the default stays within a minute is shown in tests/running.
"""

import contextlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clickloop.alarm.alarms import Alarm, read_alarms
from clickloop.alarm.memory import read_alarm_memory
from tests.crash.test_faults import kept_full, mounted
from tests.journey.running import Campaign, Receiver, Tracker, eventually, kill, running

pytestmark = pytest.mark.crash

POSTBACK = "/pb?id={externalid}&txid={txid}"
ALARM = "/alarm?code={alarm.code}&state={alarm.state}&text={alarm}"
WITHIN_SECONDS = 30.0
"""Far more than the patience of these tests, for a machine that does much beside."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def with_alarm_rule(tracker: Tracker, receiver: Receiver) -> Campaign:
    """A chain that works, and a rule that sends alarms to the receiver."""
    campaign = tracker.set_up(receiver.url + POSTBACK)
    request = {"url": receiver.url + ALARM}
    tracker.made("postback-rules", {"name": "Alarms", "request": request, "conditions": {"trigger": "alarm"}})
    return campaign


def health(tracker: Tracker) -> dict[str, Any]:
    """Return the status code and body of the public /health."""
    answer = tracker.ask("GET", "/health")
    told: dict[str, Any] = json.loads(answer.body)
    return told | {"code": answer.status}


def sent(receiver: Receiver, state: str = "begun") -> set[str]:
    """The codes of the alarms that the receiver was sent."""
    requests = [request for request in tuple(receiver.requests) if request.path == "/alarm"]
    return {one.value("code").decode() for one in requests if one.value("state") == state.encode()}


def is_told(tracker: Tracker, receiver: Receiver, codes: set[str]) -> bool:
    """Return whether one of these alarms was sent, and /health is not ``ok``."""
    return bool(sent(receiver) & codes) and health(tracker)["status"] != "ok"


def told_in_files(tracker: Tracker) -> list[Alarm]:
    return list(read_alarms(tracker.folder))


def report(tracker: Tracker, receiver: Receiver) -> str:
    return f"sent: {sent(receiver)}\n{told_in_files(tracker)}\n{tracker.log_text()[-6000:]}"


@contextlib.contextmanager
def watched(folder: Path, receiver: Receiver) -> Iterator[tuple[Tracker, Campaign]]:
    with running(folder, alarm_after_seconds="2") as tracker:
        campaign = with_alarm_rule(tracker, receiver)
        eventually(partial(_is_quiet, tracker), WITHIN_SECONDS, lambda: report(tracker, receiver))
        receiver.requests.clear()
        yield tracker, campaign


class Calm(NamedTuple):
    """A tracker of which nothing is told, and the receiver of its alarms."""

    tracker: Tracker
    campaign: Campaign
    receiver: Receiver


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calm]:
    """For the tests after which it is as it was before."""
    receiver = Receiver()
    try:
        with watched(tmp_path_factory.mktemp("lasting") / "data", receiver) as (tracker, campaign):
            yield Calm(tracker, campaign, receiver)
    finally:
        receiver.close()


@pytest.fixture
def calm(lasting: Calm) -> Calm:
    """The same, when all that was told before has ended."""
    tracker, _, receiver = lasting
    eventually(partial(_is_quiet, tracker), told=lambda: report(tracker, receiver))
    receiver.requests.clear()
    return lasting


def _is_quiet(tracker: Tracker) -> bool:
    """Return whether no alarm is active or waiting to be sent. A core that starts slowly is silent for longer than two seconds."""
    memory = read_alarm_memory(tracker.folder)
    standing = [one for one in memory.tracked.values() if not one.ended_at]
    return not standing and not [one for one in memory.deliveries if one.state == "waiting"] and _is_ok(tracker)


def _is_ok(tracker: Tracker) -> bool:
    return bool(health(tracker)["status"] == "ok")


def expect(tracker: Tracker, receiver: Receiver, *codes: str, seconds: float = WITHIN_SECONDS) -> None:
    eventually(lambda: is_told(tracker, receiver, set(codes)), seconds, lambda: report(tracker, receiver))


def test_a_core_that_is_stopped_is_told_and_its_return_too(calm: Calm) -> None:
    tracker, _, receiver = calm
    core = tracker.pids()["core"]
    os.kill(core, signal.SIGSTOP)
    expect(tracker, receiver, "core_silent")
    assert health(tracker)["code"] == 200
    os.kill(core, signal.SIGCONT)
    eventually(lambda: sent(receiver, "ended") == {"core_silent"}, WITHIN_SECONDS, lambda: report(tracker, receiver))
    eventually(lambda: health(tracker)["status"] == "ok")

    def states() -> list[str]:
        return [one.state.value for one in read_alarm_memory(tracker.folder).deliveries]

    eventually(lambda: states()[-2:] == ["delivered", "delivered"], WITHIN_SECONDS, lambda: report(tracker, receiver))
    assert (tracker.folder / "run" / "alarm-rules.json").stat().st_mode & 0o777 == 0o600
    assert (tracker.folder / "run" / "alarm-messages.json").stat().st_mode & 0o777 == 0o600


def test_a_core_that_dies_again_and_again_is_told(tmp_path: Path, receiver: Receiver) -> None:
    with watched(tmp_path / "data", receiver) as (tracker, _):
        for _ in range(3):
            eventually(lambda: "core" in tracker.pids(), WITHIN_SECONDS)
            core = tracker.pids()["core"]
            kill(core)
            eventually(partial(_is_another, tracker, "core", core), WITHIN_SECONDS)
        expect(tracker, receiver, "core_crash_loop")


def _is_another(tracker: Tracker, name: str, pid: int) -> bool:
    return tracker.pids().get(name, pid) != pid


def damage_header(tracker: Tracker) -> None:
    path = tracker.folder / "facts.duckdb"
    octets = bytearray(path.read_bytes())
    octets[:12288] = bytes(reversed(octets[:12288]))
    path.write_bytes(octets)


def take_ledger_away(tracker: Tracker) -> None:
    path = tracker.folder / "ledger.sqlite"
    path.rename(path.with_suffix(".away"))
    path.mkdir()


def cut_key(tracker: Tracker) -> None:
    (tracker.folder / "click_id.key").write_bytes(b"short")


def lock_facts(tracker: Tracker) -> None:
    (tracker.folder / "facts.duckdb").chmod(0)


DAMAGES: dict[str, Callable[[Tracker], None]] = {
    "a damaged header of the facts": damage_header,
    "a ledger that cannot be opened": take_ledger_away,
    "a cut key": cut_key,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_core_that_cannot_start_is_told_while_the_edges_run(tmp_path: Path, receiver: Receiver, damage: str) -> None:
    with watched(tmp_path / "data", receiver) as (tracker, campaign):
        DAMAGES[damage](tracker)
        kill(tracker.pids()["core"])
        expect(tracker, receiver, "core_crash_loop", "core_silent", "core_cannot_start")
        assert tracker.click(campaign.key, "external_id=meanwhile")


def test_facts_without_the_right_to_read_them_are_told(tmp_path: Path, receiver: Receiver) -> None:
    """Root may read everything: the tracker is started without that right, as any other user is."""
    tracker = Unprivileged(tmp_path / "data", alarm_after_seconds="2")
    try:
        tracker.start()
        with_alarm_rule(tracker, receiver)
        lock_facts(tracker)
        kill(tracker.pids()["core"])
        expect(tracker, receiver, "core_crash_loop", "core_silent", "core_cannot_start")
    finally:
        tracker.close()


class Unprivileged(Tracker):
    """A tracker that is bound by the rights of files even where the tests run as root."""

    def command(self) -> list[str]:
        """The command line that starts it."""
        if os.geteuid():
            return super().command()
        return ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *super().command()]


def test_a_process_of_visitors_without_its_key_goes_on_and_tells_it(tmp_path: Path, receiver: Receiver) -> None:
    """The core has read the key before it was cut, and settles as usual."""
    with watched(tmp_path / "data", receiver) as (tracker, campaign):
        cut_key(tracker)
        kill(tracker.pids()["edge1"])
        expect(tracker, receiver, "key_unusable")
        assert tracker.click(campaign.key, "external_id=x")


def test_a_process_of_visitors_that_dies_again_and_again_is_told(tmp_path: Path, receiver: Receiver) -> None:
    with watched(tmp_path / "data", receiver) as (tracker, _):

        def is_told() -> bool:
            if "edge1" in (pids := tracker.pids()):
                kill(pids["edge1"])
            return bool(sent(receiver) & {"edge_crash_loop", "edge_silent"})

        eventually(is_told, WITHIN_SECONDS, lambda: report(tracker, receiver))


def test_a_process_of_visitors_that_hangs_is_told(calm: Calm) -> None:
    tracker, _, receiver = calm
    edge = tracker.pids()["edge1"]
    os.kill(edge, signal.SIGSTOP)
    try:
        eventually(lambda: "edge_silent" in sent(receiver), WITHIN_SECONDS, lambda: report(tracker, receiver))
    finally:
        os.kill(edge, signal.SIGCONT)


def test_a_ledger_that_somebody_else_keeps_locked_is_told(calm: Calm) -> None:
    tracker, campaign, receiver = calm
    click_id = tracker.click(campaign.key, "external_id=x")
    locking = sqlite3.connect(tracker.folder / "ledger.sqlite", isolation_level=None)
    locking.execute("BEGIN IMMEDIATE")
    try:
        tracker.notify(f"cid={click_id}&txid=1")
        expect(tracker, receiver, "settling_stuck", "worker_failing", "journal_lag")
    finally:
        locking.close()
    eventually(lambda: receiver.those("txid", b"1"), WITHIN_SECONDS, tracker.log_text)
    eventually(lambda: health(tracker)["status"] == "ok", WITHIN_SECONDS)


def test_a_block_of_the_facts_that_cannot_be_read_is_told(tmp_path: Path, receiver: Receiver) -> None:
    with watched(tmp_path / "data", receiver) as (tracker, campaign):
        old = tracker.click(campaign.key, "external_id=old")
        eventually(lambda: tracker.all_of("clicks"))
        assert tracker.stop() == 0
        damage_used_blocks(tracker.folder / "facts.duckdb")
        tracker.start(wait=False)
        eventually(tracker.takes_clicks, WITHIN_SECONDS, tracker.log_text)
        tracker.notify(f"cid={old}&txid=1")
        codes = (
            "worker_failing",
            "settling_stuck",
            "journal_lag",
            "core_crash_loop",
            "core_silent",
            "core_cannot_start",
        )
        expect(tracker, receiver, *codes)


def damage_used_blocks(path: Path) -> None:
    """Flips a bit in every block after the three headers, so that whatever is read of the data has a wrong checksum."""
    octets = bytearray(path.read_bytes())
    for place in range(3 * 4096 + 200, len(octets), 4096):
        octets[place] ^= 1
    path.write_bytes(octets)


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_a_full_disk_is_told_and_health_is_failing_while_it_lasts(
    tmp_path: Path, receiver: Receiver, kind: str
) -> None:
    with mounted(tmp_path / "disk", kind, 64) as disk:
        tracker = Tracker(disk / "data", reserve_mb="2", alarm_after_seconds="2")
        tracker.log_path = tmp_path / "log"
        try:
            tracker.start()
            campaign = with_alarm_rule(tracker, receiver)
            click_id = tracker.click(campaign.key, "external_id=x")
            with kept_full(disk):
                eventually(lambda: tracker.notify(f"cid={click_id}&txid=1").status == 503, WITHIN_SECONDS)
                eventually(lambda: health(tracker)["status"] == "failing", told=lambda: report(tracker, receiver))
                assert health(tracker)["code"] == 503
                assert tracker.click(campaign.key, "external_id=unrecorded")
                expect(tracker, receiver, "notices_unstored", "clicks_unrecorded", "disk_low")
            eventually(lambda: tracker.notify(f"cid={click_id}&txid=2").status == 200, WITHIN_SECONDS)
        finally:
            tracker.close()


def test_a_core_without_descriptors_is_told(calm: Calm) -> None:
    tracker, campaign, receiver = calm
    core = tracker.pids()["core"]
    used = len(os.listdir(f"/proc/{core}/fd"))
    limits = resource.prlimit(core, resource.RLIMIT_NOFILE)
    resource.prlimit(core, resource.RLIMIT_NOFILE, (used, limits[1]))
    tracker.click(campaign.key, "external_id=starved")
    expect(tracker, receiver, "descriptors", "worker_failing", "settling_stuck", "journal_lag")
    resource.prlimit(core, resource.RLIMIT_NOFILE, limits)
    eventually(lambda: tracker.all_of("clicks", external_id="starved"), WITHIN_SECONDS, tracker.log_text)


def test_a_receiver_of_alarms_at_a_refused_address_is_never_dialled(tmp_path: Path, receiver: Receiver) -> None:
    with watched(tmp_path / "data", receiver) as (tracker, _):
        core = tracker.pids()["core"]
        assert tracker.stop() == 0
        tracker.environment["CLICKLOOP_ALLOWED_ADDRESSES"] = ""
        tracker.start()
        core = tracker.pids()["core"]
        os.kill(core, signal.SIGSTOP)

        def outcome() -> list[str]:
            return [one.detail for one in read_alarm_memory(tracker.folder).deliveries if one.state == "failed"]

        eventually(outcome, WITHIN_SECONDS, lambda: report(tracker, receiver))
        assert "loopback" in outcome()[0]
        assert sent(receiver) == set()


def test_a_receiver_that_is_away_gets_the_alarm_when_it_is_back(tmp_path: Path, receiver: Receiver) -> None:
    with watched(tmp_path / "data", receiver) as (tracker, _):
        receiver.status = 503
        os.kill(tracker.pids()["core"], signal.SIGSTOP)
        expect(tracker, receiver, "core_silent")
        receiver.status = 200
        begun = len(receiver.requests)

        def delivered() -> bool:
            return any(one.state == "delivered" for one in read_alarm_memory(tracker.folder).deliveries)

        eventually(delivered, WITHIN_SECONDS, lambda: report(tracker, receiver))
        assert begun <= len(receiver.requests) <= begun + 2


def test_the_list_of_what_was_sent_outlives_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    with watched(tmp_path / "data", receiver) as (tracker, _):
        core = tracker.pids()["core"]
        os.kill(core, signal.SIGSTOP)
        expect(tracker, receiver, "core_silent")
        os.kill(core, signal.SIGCONT)
        assert tracker.stop() == 0
        tracker.start()
        messages = tracker.got("alarms")["messages"]
        assert messages[-1]["code"] == "core_silent"
        assert subprocess.run(["pgrep", "-f", str(tracker.folder) + ".*alarm_sending"], check=False).returncode == 1
