"""Cost entries: checked, put into effect by the worker, replaced by key, spread anew for late clicks, and undone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clickloop.click.marks.mark_correction import MarkBatch, MarkChange
from clickloop.clock import DAY_MS, HOUR_MS
from clickloop.report.cost.entry import CostEntry, EntryState
from clickloop.report.cost.segment import CostFilter, CostKind, SpreadOver
from clickloop.report.query import Dimension
from clickloop.setup.fault import InvalidInputError
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.ledger.jobs.cost_entries import live_entries
from clickloop.tracking.costs import working
from clickloop.tracking.costs.entering import preview_cost, undo_cost
from tests.store.facts.test_reports import NOON
from tests.tracking.costs.cost_desk import AFTER, DAY_START, DEFAULTS, CostDesk, body

M = 1_000_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[CostDesk]:
    made = CostDesk(tmp_path)
    yield made
    made.close()


def undo(desk: CostDesk, entry: CostEntry) -> None:
    undo_cost(desk.context, entry.entry_id)
    desk.work()


def test_an_entry_takes_effect_and_says_how_many_clicks_bear_it(desk: CostDesk) -> None:
    desk.counted.visit(3)
    entry = desk.enter()
    assert (entry.state, desk.cost()) == (EntryState.WAITING, 0)
    desk.work()
    applied = desk.entry(entry.entry_id)
    assert (applied.state, applied.covered, applied.shared, applied.done) == (EntryState.APPLIED, 3, 3, 3)
    assert desk.cost() == 10 * M


def test_undo_takes_an_entry_back(desk: CostDesk) -> None:
    desk.counted.visit(2, cost_micros=5, cost_currency="USD")
    entry = desk.enter()
    desk.work()
    undo(desk, entry)
    undone = desk.entry(entry.entry_id)
    assert (undone.state, undone.done, undone.ended_at) == (EntryState.UNDONE, 0, AFTER)
    assert desk.cost() == 10
    undo(desk, entry)
    assert desk.entry(entry.entry_id) == undone


def test_a_key_replaces_the_entry_before_and_an_equal_one_changes_nothing(desk: CostDesk) -> None:
    desk.counted.visit(2)
    first = desk.enter("5", key="zeropark 2026-03-01")
    desk.work()
    grown = desk.enter("7.5", key="zeropark 2026-03-01")
    assert desk.cost() == 5 * M
    desk.work()
    assert desk.cost() == 7_500_000
    assert desk.enter("7.50", key="zeropark 2026-03-01").entry_id == grown.entry_id
    replaced = desk.entry(first.entry_id)
    assert (replaced.state, replaced.replaced_by) == (EntryState.REPLACED, grown.entry_id)
    undo(desk, grown)
    assert desk.cost() == 0
    assert desk.enter("7.5", key="zeropark 2026-03-01").entry_id != grown.entry_id


def test_many_syncs_before_the_worker_comes_leave_the_last_one(desk: CostDesk) -> None:
    desk.counted.visit(2)
    entries = [desk.enter(str(amount), key="k") for amount in range(1, 5)]
    desk.work()
    states = [desk.entry(entry.entry_id).state for entry in entries]
    assert states == [EntryState.REPLACED] * 3 + [EntryState.APPLIED]
    assert desk.cost() == 4 * M


def test_late_clicks_have_an_entry_spread_anew_after_its_span_ended(desk: CostDesk) -> None:
    desk.now = DAY_START + DAY_MS + HOUR_MS
    desk.counted.visit(2)
    entry = desk.enter()
    desk.work()
    late = desk.counted.visit(3, cost_micros=1, cost_currency="USD")
    assert desk.cost() == 10 * M + 3
    desk.now += working.OUTDATED_LOOK_MS
    desk.work()
    assert desk.cost() == 10 * M
    assert [part.micros for part in desk.facts.costs.parts(late.click_id)] == [2 * M]
    assert desk.entry(entry.entry_id).generation == 2
    assert len(desk.facts.costs.spreads([entry.entry_id])) == 1


def test_clicks_after_a_sync_keep_their_own_cost_until_the_day_is_over(desk: CostDesk) -> None:
    desk.now = NOON + HOUR_MS
    desk.counted.visit(2)
    desk.enter()
    desk.work()
    desk.counted.visit(cost_micros=7, cost_currency="USD", at=NOON + HOUR_MS)
    desk.now += HOUR_MS
    desk.work()
    assert desk.cost() == 10 * M + 7


def test_an_amount_without_clicks_is_unattributed_until_some_arrive(desk: CostDesk) -> None:
    entry = desk.enter()
    desk.work()
    assert desk.entry(entry.entry_id).is_unattributed
    desk.counted.visit()
    desk.now += working.OUTDATED_LOOK_MS
    desk.work()
    assert (desk.entry(entry.entry_id).is_unattributed, desk.cost()) == (False, 10 * M)


def test_manual_entries_come_before_uploads_and_the_api(desk: CostDesk) -> None:
    desk.counted.visit()
    manual = desk.enter("1", CostKind.MANUAL)
    desk.enter("2", CostKind.UPLOAD)
    desk.enter("3", CostKind.API)
    desk.work()
    assert desk.cost() == 1 * M
    undo(desk, manual)
    assert desk.cost() == 3 * M


@pytest.mark.parametrize("stop_after", range(1, 14))
def test_a_restart_at_any_step_ends_as_without(desk: CostDesk, stop_after: int) -> None:
    desk.restart(clicks_per_step=2)
    desk.counted.visit(5, cost_micros=3, cost_currency="USD")
    first = desk.enter("5", key="k")
    desk.work(stop_after)
    desk.restart(clicks_per_step=2)
    second = desk.enter("8", key="k")
    desk.work(stop_after)
    desk.restart(clicks_per_step=2)
    desk.work()
    assert (desk.cost(), desk.entry(first.entry_id).state) == (8 * M, EntryState.REPLACED)
    undo_cost(desk.context, second.entry_id)
    desk.work(min(stop_after, 2))
    desk.restart(clicks_per_step=2)
    desk.work()
    assert (desk.cost(), desk.entry(second.entry_id).state) == (15, EntryState.UNDONE)


def test_facts_put_back_from_an_older_copy_get_the_entries_again(desk: CostDesk, tmp_path: Path) -> None:
    desk.counted.visit(2)
    desk.facts.checkpoint()
    older = (tmp_path / "facts.duckdb").read_bytes()
    desk.enter()
    desk.work()
    desk.facts.close()
    (tmp_path / "facts.duckdb").write_bytes(older)
    desk.facts = desk.counted.facts = DuckDbFacts.open(tmp_path / "facts.duckdb")
    assert desk.cost() == 0
    desk.restart()
    desk.work()
    assert desk.cost() == 10 * M


def test_a_preview_counts_clicks_and_names_what_it_would_cover(desk: CostDesk) -> None:
    desk.counted.visit(2, v3="a")
    desk.counted.visit(3, v3="b")
    other = desk.enter(filters={"zone": ["a"]})
    desk.enter(campaign_id=2)
    found = preview_cost(desk.context, desk.facts.costs, body(filters={"ZoneId": ["a"]}), CostKind.MANUAL, DEFAULTS)
    assert found.clicks.clicks == 2
    assert [one.entry_id for one in found.overlaps] == [other.entry_id]
    assert found.entry.segment.filters == (CostFilter(Dimension.V3, ("a",)),)
    apart = preview_cost(desk.context, desk.facts.costs, body(filters={"v3": ["b"]}), CostKind.MANUAL, DEFAULTS)
    assert (apart.overlaps, apart.is_repeat) == ((), False)


def test_spans_are_days_or_hours_of_the_zone_as_the_clock_goes(desk: CostDesk) -> None:
    def span(first: str, last: str, zone: str) -> int:
        segment = desk.enter(first=first, last=last, zone=zone).segment
        return segment.until_at - segment.from_at

    assert span("2026-03-29", "", "Europe/Berlin") == 23 * HOUR_MS
    assert span("2026-10-25", "", "Europe/Berlin") == 25 * HOUR_MS
    assert span("2026-10-25 02:00", "2026-10-25 03:00", "Europe/Berlin") == 2 * HOUR_MS
    assert span("2026-03-01 13:30", "2026-03-01 14:15", "Asia/Kathmandu") == 45 * HOUR_MS // 60
    assert desk.enter(first="2026-03-01", zone="Asia/Kolkata").segment.from_at == DAY_START - 5 * HOUR_MS - HOUR_MS // 2


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"campaign_id": None}, "campaign_id"),
        ({"campaign_id": 9}, "campaign_id"),
        ({"source_id": 9}, "source_id"),
        ({"amount": "-1"}, "amount.amount"),
        ({"amount": "a lot"}, "amount.amount"),
        ({"first": "yesterday"}, "from"),
        ({"first": "2026-03-01 13:00"}, "to"),
        ({"first": "2026-03-01 13:05", "last": "2026-03-01 14:00"}, "to"),
        ({"last": "2026-02-01"}, "to"),
        ({"first": "2001-03-01", "last": "2098-01-01"}, "to"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"filters": {"colour": ["red"]}}, "filters.colour"),
        ({"filters": {"v3": []}}, "filters.v3"),
        ({"filters": {"offer": ["x"]}}, "filters.offer"),
        ({"key": "k" * 191}, "key"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(desk: CostDesk, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        desk.enter(fields.pop("amount", "10"), **fields)
    assert [fault.field for fault in refused.value.faults] == [field]


def test_marks_that_are_corrected_have_clean_entries_spread_anew_old_ones_within_a_day(desk: CostDesk) -> None:
    clean, other = desk.counted.visit(), desk.counted.visit()
    entry = desk.enter(spread=SpreadOver.CLEAN)
    desk.now += 60 * DAY_MS
    desk.work()
    changes = (MarkChange(clean.click_id, gained="datacenter"),)
    batch = MarkBatch(job_id="job", number=1, last_click_id="z", judged=1, changes=changes)
    desk.facts.marks.correct(batch, desk.now)
    desk.now += DAY_MS
    desk.work()
    assert [len(desk.facts.costs.parts(click.click_id)) for click in (clean, other)] == [0, 1]
    assert (desk.cost(), desk.entry(entry.entry_id).shared, desk.entry(entry.entry_id).generation) == (10 * M, 1, 2)


def test_facts_made_anew_get_the_entries_when_the_clicks_are_there_again(desk: CostDesk, tmp_path: Path) -> None:
    desk.enter()
    desk.work()
    desk.facts.costs.withdraw_each([one.rank for one in desk.facts.costs.spreads([1])])
    desk.counted.visit(3)
    desk.restart()
    desk.work()
    assert (desk.cost(), desk.entry(1).shared) == (10 * M, 3)


def test_two_entries_with_a_key_at_once_leave_one_in_effect(desk: CostDesk) -> None:
    desk.counted.visit(2)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda amount: desk.enter(str(amount), key="same"), range(1, 9)))
    desk.work()
    with desk.ledger.read() as tx:
        live = live_entries(tx, 0, desk.now)
    assert [one.micros for one in live] == [desk.cost()]


def test_a_span_that_the_clock_skips_says_so(desk: CostDesk) -> None:
    with pytest.raises(InvalidInputError, match="The clock skips this span"):
        desk.enter(first="2026-03-29 02:00", last="2026-03-29 03:00", zone="Europe/Berlin")
