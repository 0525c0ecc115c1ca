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
from tests.tracking.costs.cost_instance import AFTER, DAY_START, DEFAULTS, CostInstance, body

M = 1_000_000


@pytest.fixture
def costs(tmp_path: Path) -> Iterator[CostInstance]:
    made = CostInstance(tmp_path)
    yield made
    made.close()


def undo(costs: CostInstance, entry: CostEntry) -> None:
    undo_cost(costs.context, entry.entry_id)
    costs.work()


def test_an_entry_takes_effect_and_says_how_many_clicks_bear_it(costs: CostInstance) -> None:
    costs.counted.visit(3)
    entry = costs.enter()
    assert (entry.state, costs.cost()) == (EntryState.WAITING, 0)
    costs.work()
    applied = costs.entry(entry.entry_id)
    assert (applied.state, applied.covered, applied.shared, applied.done) == (EntryState.APPLIED, 3, 3, 3)
    assert costs.cost() == 10 * M


def test_undo_takes_an_entry_back(costs: CostInstance) -> None:
    costs.counted.visit(2, cost_micros=5, cost_currency="USD")
    entry = costs.enter()
    costs.work()
    undo(costs, entry)
    undone = costs.entry(entry.entry_id)
    assert (undone.state, undone.done, undone.ended_at) == (EntryState.UNDONE, 0, AFTER)
    assert costs.cost() == 10
    undo(costs, entry)
    assert costs.entry(entry.entry_id) == undone


def test_a_key_replaces_the_entry_before_and_an_equal_one_changes_nothing(costs: CostInstance) -> None:
    costs.counted.visit(2)
    first = costs.enter("5", key="zeropark 2026-03-01")
    costs.work()
    grown = costs.enter("7.5", key="zeropark 2026-03-01")
    assert costs.cost() == 5 * M
    costs.work()
    assert costs.cost() == 7_500_000
    assert costs.enter("7.50", key="zeropark 2026-03-01").entry_id == grown.entry_id
    replaced = costs.entry(first.entry_id)
    assert (replaced.state, replaced.replaced_by) == (EntryState.REPLACED, grown.entry_id)
    undo(costs, grown)
    assert costs.cost() == 0
    assert costs.enter("7.5", key="zeropark 2026-03-01").entry_id != grown.entry_id


def test_many_syncs_before_the_worker_comes_leave_the_last_one(costs: CostInstance) -> None:
    costs.counted.visit(2)
    entries = [costs.enter(str(amount), key="k") for amount in range(1, 5)]
    costs.work()
    states = [costs.entry(entry.entry_id).state for entry in entries]
    assert states == [EntryState.REPLACED] * 3 + [EntryState.APPLIED]
    assert costs.cost() == 4 * M


def test_late_clicks_have_an_entry_spread_anew_after_its_span_ended(costs: CostInstance) -> None:
    costs.now = DAY_START + DAY_MS + HOUR_MS
    costs.counted.visit(2)
    entry = costs.enter()
    costs.work()
    late = costs.counted.visit(3, cost_micros=1, cost_currency="USD")
    assert costs.cost() == 10 * M + 3
    costs.now += working.OUTDATED_LOOK_MS
    costs.work()
    assert costs.cost() == 10 * M
    assert [part.micros for part in costs.facts.costs.parts(late.click_id)] == [2 * M]
    assert costs.entry(entry.entry_id).generation == 2
    assert len(costs.facts.costs.spreads([entry.entry_id])) == 1


def test_clicks_after_a_sync_keep_their_own_cost_until_the_day_is_over(costs: CostInstance) -> None:
    costs.now = NOON + HOUR_MS
    costs.counted.visit(2)
    costs.enter()
    costs.work()
    costs.counted.visit(cost_micros=7, cost_currency="USD", at=NOON + HOUR_MS)
    costs.now += HOUR_MS
    costs.work()
    assert costs.cost() == 10 * M + 7


def test_an_amount_without_clicks_is_unattributed_until_some_arrive(costs: CostInstance) -> None:
    entry = costs.enter()
    costs.work()
    assert costs.entry(entry.entry_id).is_unattributed
    costs.counted.visit()
    costs.now += working.OUTDATED_LOOK_MS
    costs.work()
    assert (costs.entry(entry.entry_id).is_unattributed, costs.cost()) == (False, 10 * M)


def test_manual_entries_come_before_uploads_and_the_api(costs: CostInstance) -> None:
    costs.counted.visit()
    manual = costs.enter("1", CostKind.MANUAL)
    costs.enter("2", CostKind.UPLOAD)
    costs.enter("3", CostKind.API)
    costs.work()
    assert costs.cost() == 1 * M
    undo(costs, manual)
    assert costs.cost() == 3 * M


@pytest.mark.parametrize("stop_after", range(1, 14))
def test_a_restart_at_any_step_ends_as_without(costs: CostInstance, stop_after: int) -> None:
    costs.restart(clicks_per_step=2)
    costs.counted.visit(5, cost_micros=3, cost_currency="USD")
    first = costs.enter("5", key="k")
    costs.work(stop_after)
    costs.restart(clicks_per_step=2)
    second = costs.enter("8", key="k")
    costs.work(stop_after)
    costs.restart(clicks_per_step=2)
    costs.work()
    assert (costs.cost(), costs.entry(first.entry_id).state) == (8 * M, EntryState.REPLACED)
    undo_cost(costs.context, second.entry_id)
    costs.work(min(stop_after, 2))
    costs.restart(clicks_per_step=2)
    costs.work()
    assert (costs.cost(), costs.entry(second.entry_id).state) == (15, EntryState.UNDONE)


def test_facts_put_back_from_an_older_copy_get_the_entries_again(costs: CostInstance, tmp_path: Path) -> None:
    costs.counted.visit(2)
    costs.facts.checkpoint()
    older = (tmp_path / "facts.duckdb").read_bytes()
    costs.enter()
    costs.work()
    costs.facts.close()
    (tmp_path / "facts.duckdb").write_bytes(older)
    costs.facts = costs.counted.facts = DuckDbFacts.open(tmp_path / "facts.duckdb")
    assert costs.cost() == 0
    costs.restart()
    costs.work()
    assert costs.cost() == 10 * M


def test_a_preview_counts_clicks_and_names_what_it_would_cover(costs: CostInstance) -> None:
    costs.counted.visit(2, v3="a")
    costs.counted.visit(3, v3="b")
    other = costs.enter(filters={"zone": ["a"]})
    costs.enter(campaign_id=2)
    found = preview_cost(costs.context, costs.facts.costs, body(filters={"ZoneId": ["a"]}), CostKind.MANUAL, DEFAULTS)
    assert found.clicks.clicks == 2
    assert [one.entry_id for one in found.overlaps] == [other.entry_id]
    assert found.entry.segment.filters == (CostFilter(Dimension.V3, ("a",)),)
    apart = preview_cost(costs.context, costs.facts.costs, body(filters={"v3": ["b"]}), CostKind.MANUAL, DEFAULTS)
    assert (apart.overlaps, apart.is_repeat) == ((), False)


def test_spans_are_days_or_hours_of_the_zone_as_the_clock_goes(costs: CostInstance) -> None:
    def span(first: str, last: str, zone: str) -> int:
        segment = costs.enter(first=first, last=last, zone=zone).segment
        return segment.until_at - segment.from_at

    assert span("2026-03-29", "", "Europe/Berlin") == 23 * HOUR_MS
    assert span("2026-10-25", "", "Europe/Berlin") == 25 * HOUR_MS
    assert span("2026-10-25 02:00", "2026-10-25 03:00", "Europe/Berlin") == 2 * HOUR_MS
    assert span("2026-03-01 13:30", "2026-03-01 14:15", "Asia/Kathmandu") == 45 * HOUR_MS // 60
    assert (
        costs.enter(first="2026-03-01", zone="Asia/Kolkata").segment.from_at == DAY_START - 5 * HOUR_MS - HOUR_MS // 2
    )


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
def test_what_is_wrong_is_named_by_its_field(costs: CostInstance, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        costs.enter(fields.pop("amount", "10"), **fields)
    assert [fault.field for fault in refused.value.faults] == [field]


def test_marks_that_are_corrected_have_clean_entries_spread_anew_old_ones_within_a_day(costs: CostInstance) -> None:
    clean, other = costs.counted.visit(), costs.counted.visit()
    entry = costs.enter(spread=SpreadOver.CLEAN)
    costs.now += 60 * DAY_MS
    costs.work()
    changes = (MarkChange(clean.click_id, gained="datacenter"),)
    batch = MarkBatch(job_id="job", number=1, last_click_id="z", judged=1, changes=changes)
    costs.facts.marks.correct(batch, costs.now)
    costs.now += DAY_MS
    costs.work()
    assert [len(costs.facts.costs.parts(click.click_id)) for click in (clean, other)] == [0, 1]
    assert (costs.cost(), costs.entry(entry.entry_id).shared, costs.entry(entry.entry_id).generation) == (10 * M, 1, 2)


def test_facts_made_anew_get_the_entries_when_the_clicks_are_there_again(costs: CostInstance, tmp_path: Path) -> None:
    costs.enter()
    costs.work()
    costs.facts.costs.withdraw_each([one.rank for one in costs.facts.costs.spreads([1])])
    costs.counted.visit(3)
    costs.restart()
    costs.work()
    assert (costs.cost(), costs.entry(1).shared) == (10 * M, 3)


def test_two_entries_with_a_key_at_once_leave_one_in_effect(costs: CostInstance) -> None:
    costs.counted.visit(2)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda amount: costs.enter(str(amount), key="same"), range(1, 9)))
    costs.work()
    with costs.ledger.read() as tx:
        live = live_entries(tx, 0, costs.now)
    assert [one.micros for one in live] == [costs.cost()]


def test_a_span_that_the_clock_skips_says_so(costs: CostInstance) -> None:
    with pytest.raises(InvalidInputError, match="The clock skips this span"):
        costs.enter(first="2026-03-29 02:00", last="2026-03-29 03:00", zone="Europe/Berlin")
