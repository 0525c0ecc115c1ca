"""Waiting for a click: after any outage no notice is refused whose click is still to come. Real stores, a passed-in clock."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from clickloop.click.click import Click
from clickloop.click_id import ClickIds
from clickloop.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from clickloop.conversion.attribution import WAIT_MS
from clickloop.conversion.notice import Channel, RawNotice, RefusalReason
from clickloop.conversion.notice_log import NoticeFilter, NoticeOutcome, StoredNotice
from clickloop.machine.clock_guard import ClockGuard
from clickloop.record_id import RecordIds
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.facts.facts import FactsError
from clickloop.store.journal.listing import unsettled_segments
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.writer import JournalWriter
from clickloop.store.ledger.logs.notices import notices_before
from clickloop.tracking.click_progress import ClickProgress
from clickloop.tracking.notices import Intake, rerun
from clickloop.tracking.settle import settle_clicks, settle_notices
from clickloop.tracking.waiting import MIN_REFUSALS, WaitingNotices, unknown_click_alarms
from tests.empty_stores import open_facts, open_ledger
from tests.partner import NOW

encode = msgspec.json.Encoder().encode


class Machine:
    """An edge's journal, and a core that can be restarted at will. ``now`` is both clocks until the wall clock jumps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW
        self.jumped = 0
        self.click_ids = ClickIds(b"k" * 32)
        self.new_id = RecordIds(lambda: self.now)
        self.journal = folder / "journal"
        self.clicks = JournalWriter.open(self.journal, "clicks", "edge1", lambda: self.now)
        self.notices = JournalWriter.open(self.journal, "notices", "edge1", lambda: self.now)
        self.ledger = open_ledger(folder / "ledger.sqlite")
        self.facts = open_facts(folder / "facts.duckdb")
        self.start_core()

    def start_core(self) -> None:
        """Start a core without the state of the previous one."""
        clock, monotonic = (lambda: self.now), (lambda: (self.now - self.jumped) / 1000)
        self.progress = ClickProgress(self.journal, clock=clock, monotonic=monotonic)
        self.waiting = WaitingNotices(monotonic)
        self.click_reader = JournalReader(self.journal, self.folder / "settled", clock)
        self.notice_reader = JournalReader(self.journal, self.folder / "settled", clock)
        self.intake = Intake(
            self.ledger, self.facts, self.click_ids, self.new_id, currency="USD", progress=self.progress
        )

    def jump(self, ms: int) -> None:
        """Set the wall clock."""
        self.now += ms
        self.jumped += ms

    def visit(self, *, closed: bool = True, recorded: bool = True) -> str:
        """Let a visitor click; ``closed``: close their segment."""
        click = Click(click_id=self.click_ids.new(self.now), at=self.now, campaign_id=3, source_id=5)
        if recorded:
            self.clicks.append(encode(click))
            if closed:
                self.clicks.close_segment()
        return click.click_id

    def notify(self, *click_ids: str, said: str = "") -> None:
        """Let a network report conversions of these clicks."""
        for click_id in click_ids:
            raw = RawNotice(notice_id=self.new_id(), at=self.now, channel=Channel.S2S, query=f"cid={click_id}&{said}")
            self.notices.append(encode(raw))
        self.notices.close_segment()

    def settle_clicks(self) -> None:
        """Settle every closed segment."""
        while True:
            batch = settle_clicks(self.click_reader, self.facts)
            if batch.clicks:
                self.progress.clicks_settled()
            if not batch.more:
                return

    def settle_notices(self) -> None:
        """Run one round of the core's other worker."""
        while settle_notices(self.notice_reader, self.intake, self.now).more:
            pass
        self.progress.look()
        self.waiting.step(self.intake, self.now)

    def run(self, ms: int, step_ms: int, *, clicks: bool) -> None:
        """Let time pass while the core works; ``clicks``: it can settle clicks."""
        until = self.now + ms
        while self.now < until:
            if clicks:
                self.settle_clicks()
            self.settle_notices()
            self.now += step_ms

    def stored(self) -> list[StoredNotice]:
        """Return all notices."""
        with self.ledger.read() as tx:
            return notices_before(tx, NoticeFilter(), None, 10_000)

    def outcomes(self) -> Counter[str]:
        """Count the notices by outcome."""
        return Counter(notice.reason or notice.outcome for notice in self.stored())

    def close(self) -> None:
        for store in (self.clicks, self.notices, self.facts, self.ledger):
            store.close()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.close()


OUTAGES = [11 * MINUTE_MS, HOUR_MS, 12 * HOUR_MS, 60 * DAY_MS]


# Outages --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outage_ms", OUTAGES)
def test_after_a_core_stood_still_no_notice_is_refused_whose_click_is_in_the_journal(
    machine: Machine, outage_ms: int
) -> None:
    machine.run(3 * SECOND_MS, SECOND_MS, clicks=True)
    for _ in range(6):
        machine.notify(*[machine.visit() for _ in range(10)])
    machine.now += outage_ms
    machine.settle_notices()
    machine.settle_clicks()
    machine.run(12 * MINUTE_MS, 7 * SECOND_MS, clicks=True)
    assert machine.outcomes() == {"new": 60}


@pytest.mark.parametrize("outage_ms", OUTAGES)
def test_a_core_that_stalls_between_its_first_check_and_the_clicks_refuses_nothing(
    machine: Machine, outage_ms: int
) -> None:
    machine.run(3 * SECOND_MS, SECOND_MS, clicks=True)
    machine.notify(*[machine.visit() for _ in range(60)])
    machine.settle_notices()
    assert machine.outcomes() == {"waiting": 60}
    machine.now += outage_ms
    machine.settle_notices()
    assert machine.outcomes() == {"waiting": 60}
    machine.settle_clicks()
    machine.settle_notices()
    assert machine.outcomes() == {"new": 60}


def test_while_clicks_cannot_be_settled_no_notice_is_refused_and_then_each_is_registered_at_once(
    machine: Machine,
) -> None:
    machine.notify(*[machine.visit() for _ in range(60)])
    machine.run(2 * HOUR_MS, 20 * SECOND_MS, clicks=False)
    assert machine.outcomes() == {"waiting": 60}
    machine.settle_clicks()
    machine.settle_notices()
    assert machine.outcomes() == {"new": 60}


def test_a_core_that_dies_again_and_again_before_the_clicks_are_settled_refuses_nothing(machine: Machine) -> None:
    for _ in range(30):
        machine.notify(machine.visit())
        machine.start_core()
        machine.run(5 * SECOND_MS, SECOND_MS, clicks=False)
        machine.now += 2 * MINUTE_MS
    machine.start_core()
    machine.settle_notices()
    machine.settle_clicks()
    machine.settle_notices()
    assert machine.outcomes() == {"new": 30}


def test_a_click_in_a_segment_that_an_edge_could_not_close_is_waited_for(machine: Machine) -> None:
    machine.notify(machine.visit(closed=False))
    machine.run(HOUR_MS, 20 * SECOND_MS, clicks=True)
    assert machine.outcomes() == {"waiting": 1}
    machine.clicks.close_segment()
    machine.settle_clicks()
    machine.settle_notices()
    assert machine.outcomes() == {"new": 1}


def test_a_click_of_another_edge_is_waited_for_too(machine: Machine) -> None:
    other = JournalWriter.open(machine.journal, "clicks", "edge2", lambda: machine.now)
    click = Click(click_id=machine.click_ids.new(machine.now), at=machine.now, campaign_id=3, source_id=5)
    other.append(encode(click))
    machine.notify(click.click_id)
    machine.run(HOUR_MS, 20 * SECOND_MS, clicks=True)
    assert machine.outcomes() == {"waiting": 1}
    other.close()
    machine.settle_clicks()
    machine.settle_notices()
    assert machine.outcomes() == {"new": 1}


def test_a_segment_out_of_reach_holds_refusals_back_and_no_other_notice(machine: Machine) -> None:
    held = machine.visit()
    (segment,) = machine.journal.glob("clicks/*/*.ndjson")
    aside = machine.folder / "aside"
    segment.rename(aside)
    segment.mkdir()  # reading it fails as on a bad sector
    machine.notify(held, machine.visit(), machine.visit(recorded=False))
    machine.run(HOUR_MS, 20 * SECOND_MS, clicks=True)
    assert machine.outcomes() == {"new": 1, "waiting": 2}
    segment.rmdir()
    aside.rename(segment)
    machine.run(6 * MINUTE_MS, 20 * SECOND_MS, clicks=True)
    assert machine.outcomes() == {"new": 2, "unknown_click": 1}


# What is refused ------------------------------------------------------------------------------------------------------


def test_a_click_that_was_never_recorded_refuses_ten_minutes_after_the_first_check(machine: Machine) -> None:
    machine.run(3 * SECOND_MS, SECOND_MS, clicks=True)
    machine.notify(machine.visit(recorded=False))
    machine.now += DAY_MS
    first_look_at = machine.now
    machine.run(WAIT_MS - SECOND_MS, SECOND_MS, clicks=True)
    assert machine.outcomes() == {"waiting": 1}
    machine.run(2 * SECOND_MS, SECOND_MS, clicks=True)
    assert machine.outcomes() == {"unknown_click": 1}
    assert machine.stored()[0].first_look_at == first_look_at


def test_under_steady_traffic_refusals_are_not_delayed(machine: Machine) -> None:
    machine.notify(machine.visit(recorded=False))
    until = machine.now + WAIT_MS + MINUTE_MS
    while machine.now < until:
        machine.visit()
        machine.settle_notices()  # the newest segment is unsettled at each look
        machine.settle_clicks()
        machine.now += 20 * SECOND_MS
    assert machine.outcomes() == {"unknown_click": 1}


def test_a_refused_notice_registers_when_its_click_came_after_all_and_it_is_run_again(machine: Machine) -> None:
    click = Click(click_id=machine.visit(recorded=False), at=machine.now, campaign_id=3, source_id=5)
    machine.notify(click.click_id)
    machine.run(WAIT_MS + 5 * SECOND_MS, SECOND_MS, clicks=True)
    notice_id = machine.stored()[0].raw.notice_id
    assert rerun(machine.intake, [notice_id], machine.now)[0].reason is RefusalReason.UNKNOWN_CLICK
    machine.clicks.append(encode(click))
    machine.clicks.close_segment()
    machine.settle_clicks()
    assert rerun(machine.intake, [notice_id], machine.now)[0].outcome is NoticeOutcome.NEW


# Clocks ---------------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_ahead_for_a_while_keeps_no_notice_waiting_for_days(machine: Machine) -> None:
    machine.now += 60 * DAY_MS
    machine.notify(machine.visit(recorded=False))
    machine.run(5 * SECOND_MS, SECOND_MS, clicks=True)
    machine.now -= 60 * DAY_MS
    machine.start_core()
    machine.run(WAIT_MS + 2 * MINUTE_MS, SECOND_MS, clicks=True)
    assert machine.outcomes() == {"unknown_click": 1}


def test_a_clock_that_is_ahead_for_a_while_makes_no_click_too_old(machine: Machine) -> None:
    click_id = machine.visit()
    machine.settle_clicks()
    guard = ClockGuard(lambda: machine.now, lambda: (machine.now - machine.jumped) / 1000, None)
    machine.intake = msgspec.structs.replace(machine.intake, is_clock_trusted=guard.is_trusted)
    machine.jump(400 * DAY_MS)
    machine.notify(click_id)
    machine.run(5 * SECOND_MS, SECOND_MS, clicks=True)
    assert machine.outcomes() == {"waiting": 1}
    machine.jump(-400 * DAY_MS)
    machine.run(2 * MINUTE_MS, SECOND_MS, clicks=True)
    assert machine.outcomes() == {"new": 1}


def test_a_click_that_is_too_old_is_refused_once_the_clock_is_confirmed(machine: Machine) -> None:
    click_id = machine.visit()
    machine.settle_clicks()
    guard = ClockGuard(lambda: machine.now, lambda: (machine.now - machine.jumped) / 1000, None)
    machine.intake = msgspec.structs.replace(machine.intake, is_clock_trusted=guard.is_trusted)
    machine.jump(400 * DAY_MS)
    machine.notify(click_id)
    machine.run(5 * SECOND_MS, SECOND_MS, clicks=True)
    guard.confirm()
    machine.run(10 * MINUTE_MS, SECOND_MS, clicks=True)
    assert machine.outcomes() == {"expired_click": 1}


def test_a_notice_after_the_clock_was_set_back_changes_the_conversion(machine: Machine) -> None:
    machine.jump(HOUR_MS)
    click_id = machine.visit()
    machine.notify(click_id)
    machine.run(SECOND_MS, SECOND_MS, clicks=True)
    machine.jump(-HOUR_MS)
    machine.notify(click_id, said="status=rejected")
    machine.run(SECOND_MS, SECOND_MS, clicks=True)
    assert machine.outcomes() == {"new": 1, "changed": 1}


def test_an_old_notice_that_is_run_again_is_not_put_behind_one_of_a_clock_that_was_ahead(machine: Machine) -> None:
    click_id = machine.visit()
    machine.notify(click_id, said="status=lead")
    machine.run(SECOND_MS, SECOND_MS, clicks=True)
    machine.jump(HOUR_MS)
    machine.notify(click_id, said="status=sale")
    machine.run(SECOND_MS, SECOND_MS, clicks=True)
    machine.jump(-HOUR_MS)
    first = min(machine.stored(), key=lambda notice: notice.raw.at)
    (result,) = rerun(machine.intake, [first.raw.notice_id], machine.now)
    assert result.conversion is not None
    assert result.conversion.status.key == "sale"


def test_a_clock_that_goes_back_does_not_vouch_for_what_comes_later(tmp_path: Path) -> None:
    clock, monotonic = [NOW + HOUR_MS], [0.0]
    progress = ClickProgress(tmp_path, clock=lambda: clock[0], monotonic=lambda: monotonic[0])
    for _ in range(4):
        progress.look()
        clock[0] += 1000
        monotonic[0] += 1
    assert progress.settled_to == NOW + HOUR_MS + 2000
    clock[0] = NOW
    progress.look()
    assert progress.settled_to is None


# The journal ----------------------------------------------------------------------------------------------------------


def test_segments_with_records_count_as_unsettled_from_the_first_record_until_they_are_put_away(
    machine: Machine,
) -> None:
    assert unsettled_segments(machine.journal, "clicks") == frozenset()
    machine.visit(closed=False)
    opened = unsettled_segments(machine.journal, "clicks")
    machine.clicks.close_segment()
    assert len(opened) == 1
    assert unsettled_segments(machine.journal, "clicks") == opened
    machine.settle_clicks()
    assert unsettled_segments(machine.journal, "clicks") == frozenset()


def test_an_open_segment_without_records_holds_nothing_back(machine: Machine) -> None:
    machine.visit()
    machine.settle_clicks()
    (machine.clicks.path / "00000099.open").touch()
    assert unsettled_segments(machine.journal, "clicks") == frozenset()


# Unreadable facts -----------------------------------------------------------------------------------------------------


def _many_clicks(machine: Machine, hours: int = 6, each: int = 30_000) -> list[str]:
    """Return clicks of some hours, enough for several blocks of the facts."""
    rng = random.Random(5)
    ids = []
    for _ in range(hours):
        for _ in range(each):
            click = Click(
                click_id=machine.click_ids.new(machine.now),
                at=machine.now,
                campaign_id=3,
                source_id=5,
                referrer=f"https://example.com/{rng.getrandbits(80):x}",
            )
            machine.clicks.gather(encode(click))
            ids.append(click.click_id)
        machine.clicks.flush()
        machine.clicks.close_segment()
        machine.settle_clicks()
        machine.now += HOUR_MS
    return ids


def _damaged(content: bytes, folder: Path, click_ids: list[str]) -> bytes:
    """Flip one bit of the file where it makes some, but not all, clicks unreadable."""
    folder.mkdir()
    path = folder / "facts.duckdb"
    for percent in range(5, 100, 5):
        changed = bytearray(content)
        changed[len(content) * percent // 100] ^= 4
        path.write_bytes(changed)
        try:
            facts = DuckDbFacts.open(path)
        except FactsError:
            continue
        unreadable = 0
        for click_id in click_ids:
            try:
                facts.find_clicks([click_id])
            except FactsError:
                unreadable += 1
        facts.close()
        if 0 < unreadable < len(click_ids):
            return bytes(changed)
    raise AssertionError("no such place")


def _reopen_facts(machine: Machine, content: bytes) -> None:
    machine.facts.close()
    path = machine.folder / "facts.duckdb"
    path.write_bytes(content)
    machine.facts = DuckDbFacts.open(path)
    machine.start_core()


def test_a_damaged_block_keeps_only_the_notices_waiting_whose_clicks_are_in_it(machine: Machine) -> None:
    ids = _many_clicks(machine)
    chosen = ids[:: len(ids) // 300]
    machine.facts.close()
    good = (machine.folder / "facts.duckdb").read_bytes()
    bad = _damaged(good, machine.folder / "trial", chosen[::10])
    machine.facts = DuckDbFacts.open(machine.folder / "facts.duckdb")
    _reopen_facts(machine, bad)
    machine.notify(*chosen)
    machine.run(30 * MINUTE_MS, 30 * SECOND_MS, clicks=True)
    outcomes = machine.outcomes()
    assert set(outcomes) == {"new", "waiting"}
    assert min(outcomes.values()) > 10
    assert [text.split(";")[0] for text in machine.progress.alarms()] == [
        f"the facts are damaged: incoming postbacks wait for clicks that cannot be read: {outcomes['waiting']}"
    ]
    _reopen_facts(machine, good)
    machine.run(6 * MINUTE_MS, 30 * SECOND_MS, clicks=True)
    assert machine.outcomes() == {"new": len(chosen)}
    assert machine.progress.alarms() == ()


# Alarms ---------------------------------------------------------------------------------------------------------------


def _refuse(machine: Machine, count: int) -> None:
    machine.notify(*[machine.visit(recorded=False) for _ in range(count)])
    machine.run(WAIT_MS + 6 * MINUTE_MS, MINUTE_MS, clicks=True)


def test_refusals_above_their_usual_rate_raise_an_alarm_with_a_remedy(machine: Machine) -> None:
    _refuse(machine, MIN_REFUSALS - 1)
    assert unknown_click_alarms(machine.ledger, machine.now) == ()
    _refuse(machine, 1)
    (alarm,) = unknown_click_alarms(machine.ledger, machine.now)
    assert alarm.startswith(f"{MIN_REFUSALS} incoming postbacks were refused as unknown_click in the last 24 hours")
    assert "`clickloop rerun --reason unknown_click`" in alarm


def test_refusals_at_their_usual_rate_are_no_alarm(machine: Machine) -> None:
    for _ in range(7):
        _refuse(machine, MIN_REFUSALS)
        machine.now += DAY_MS
    _refuse(machine, 2 * MIN_REFUSALS)
    assert unknown_click_alarms(machine.ledger, machine.now) == ()
    _refuse(machine, 2 * MIN_REFUSALS)
    assert len(unknown_click_alarms(machine.ledger, machine.now)) == 1
