"""Uploaded tables of costs: previewed line by line, entered once however often, and undone as one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clickloop.clock import HOUR_MS
from clickloop.report.cost.entry import EntryState
from clickloop.report.cost.segment import CostKind
from clickloop.setup.fault import InvalidInputError
from clickloop.tracking.costs import uploading
from clickloop.tracking.costs.entering import undo_upload
from clickloop.tracking.costs.uploading import CostUploadOptions, LineVerdict, UploadResult, enter_table, preview_table
from tests.store.facts.test_reports import NOON
from tests.tracking.costs.cost_instance import DAY_START, DEFAULTS, CostInstance

M = 1_000_000
TABLE = """date,campaign,zoneid,cost
2026-03-01,1,a,4
2026-03-01,campaign 2,b,6
2026-03-01,aaaaa1,c,5
2026-03-01,Nobody's,a,1
soon,1,a,1
"""


@pytest.fixture
def costs(tmp_path: Path) -> Iterator[CostInstance]:
    made = CostInstance(tmp_path)
    yield made
    made.close()


def preview(costs: CostInstance, text: str = TABLE, **options: Any) -> UploadResult:
    wanted = CostUploadOptions(**{"source_id": 2} | options)
    return preview_table(costs.ledger, costs.facts.costs, text.encode(), wanted, DEFAULTS)


def upload(costs: CostInstance, text: str = TABLE, upload_id: str = "u" * 26, **options: Any) -> UploadResult:
    wanted = CostUploadOptions(**{"source_id": 2, "partial": True} | options)
    found = enter_table(costs.context, text.encode(), wanted, DEFAULTS, upload_id)
    costs.work()
    return found


def test_a_preview_says_what_each_line_would_do(costs: CostInstance) -> None:
    costs.counted.visit(2, v3="a")
    costs.counted.visit(3, v3="b", campaign_id=2)
    other = costs.enter(filters={"zone": ["a", "z"]}, kind=CostKind.MANUAL)
    found = preview(costs)
    assert [(line.number, line.verdict, line.clicks) for line in found.lines] == [
        (2, LineVerdict.MATCHED, 2),
        (3, LineVerdict.MATCHED, 3),
        (4, LineVerdict.WITHOUT_CLICKS, 0),
        (5, LineVerdict.UNKNOWN_CAMPAIGN, 0),
        (6, LineVerdict.UNREADABLE, 0),
    ]
    assert found.lines[0].overlaps == (other.entry_id,)
    assert [line.overlaps for line in found.lines[1:]] == [()] * 4
    costs.work()
    assert costs.cost() == 10 * M


def test_lines_take_effect_and_those_without_clicks_stay_unattributed(costs: CostInstance) -> None:
    costs.counted.visit(2, v3="a")
    costs.counted.visit(3, v3="b", campaign_id=2)
    entries = upload(costs).entries
    assert costs.cost() == 10 * M
    assert [costs.entry(entry.entry_id).is_unattributed for entry in entries] == [False, False, True]


def test_an_upload_that_was_killed_in_the_middle_is_completed_by_uploading_it_again(costs: CostInstance) -> None:
    costs.counted.visit(2, v3="a")
    costs.counted.visit(3, v3="b", campaign_id=2)
    upload(costs, "\n".join(TABLE.splitlines()[:2]), upload_id="1" * 26)
    again = upload(costs, upload_id="2" * 26)
    assert upload(costs, upload_id="3" * 26).entries[0].entry_id == again.entries[0].entry_id
    assert costs.cost() == 10 * M
    assert len(undo_upload(costs.context, "3" * 26)) == 3
    costs.work()
    assert costs.cost() == 0


def test_corrected_amounts_replace_the_earlier_ones(costs: CostInstance) -> None:
    costs.counted.visit(2, v3="a")
    first = upload(costs).entries[0]
    upload(costs, TABLE.replace("a,4", "a,7"))
    assert costs.cost() == 7 * M
    assert costs.entry(first.entry_id).state is EntryState.REPLACED


def test_lines_of_the_same_segment_are_added_up(costs: CostInstance) -> None:
    costs.counted.visit(2, v3="a")
    (entry,) = upload(costs, "date,campaign,zone,cost,creative\n2026-03-01,1,a,4,x\n2026-03-01,1,a,1.5,y\n").entries
    assert entry.micros == 5_500_000
    assert costs.cost() == 5_500_000


def test_a_table_with_a_line_at_fault_is_refused_as_a_whole_unless_wanted_otherwise(costs: CostInstance) -> None:
    with pytest.raises(InvalidInputError, match="Line 6"):
        upload(costs, partial=False)
    with pytest.raises(InvalidInputError, match="Line 5"):
        upload(costs, TABLE.replace("soon", "2026-03-02"), partial=False)
    costs.work()
    with pytest.raises(InvalidInputError, match="time zone"):
        upload(costs, zone="Nowhere")


def test_a_table_in_another_zone_covers_the_days_of_that_zone(costs: CostInstance) -> None:
    (entry,) = upload(costs, "date,cost\n2026-03-01,4\n", zone="America/New_York", campaign_id=1).entries
    assert entry.segment.from_at == DAY_START + 5 * HOUR_MS


def test_the_zone_of_hours_with_clicks_is_told(costs: CostInstance) -> None:
    sizes = (3, 1, 5, 2, 8, 1, 4)
    for hour, size in enumerate(sizes):
        costs.counted.visit(size, at=NOON + hour * HOUR_MS)
    # The same clicks as someone in Berlin sees them, an hour ahead.
    lines = [f"2026-03-01 {13 + hour}:00,1,1,{size}" for hour, size in enumerate(sizes)]
    found = preview(costs, "\n".join(["time,campaign,cost,clicks", *lines]))
    assert (found.zones[0].zone, found.zones[0].offset) == ("Europe/Berlin", "UTC+1")


def test_many_entries_are_stored_in_several_transactions(costs: CostInstance) -> None:
    count = uploading.ENTRIES_PER_TRANSACTION + 1
    lines = [f"2026-03-01,1,z{number},0.000001" for number in range(count)]
    wanted = CostUploadOptions(source_id=2)
    found = enter_table(
        costs.context, "\n".join(["date,campaign,v3,cost", *lines]).encode(), wanted, DEFAULTS, "u" * 26
    )
    assert len({entry.entry_id for entry in found.entries}) == count


def test_columns_go_by_the_names_that_the_sources_of_the_lines_give_them(costs: CostInstance) -> None:
    costs.counted.visit(2, v3="a")
    found = upload(costs, "date,campaign,ZONE,cost\n2026-03-01,1,a,4\n", source_id=0)
    assert found.unused == ()
    assert [one.values for entry in found.entries for one in entry.segment.filters] == [("a",)]
    assert costs.cost() == 4 * M


def test_a_column_that_is_another_parameter_for_each_source_is_refused(costs: CostInstance) -> None:
    costs.add_source(3, zone_number=5)
    with pytest.raises(InvalidInputError, match="V3 and V5 of different traffic sources"):
        upload(costs, "date,source,zone,cost\n2026-03-01,2,a,4\n2026-03-01,3,a,4\n", source_id=0)


def test_a_segment_in_two_currencies_is_refused_since_one_would_cover_the_other(costs: CostInstance) -> None:
    costs.counted.visit(2)
    table = "date,campaign,cost,currency\n2026-03-01,1,4,USD\n2026-03-01,1,5,EUR\n2026-03-01,1,1,USD\n"
    found = preview(costs, table)
    assert [(line.number, line.verdict) for line in found.lines if line.sentence] == [(3, LineVerdict.UNREADABLE)]
    upload(costs, table)
    assert costs.cost() == 5 * M


def test_another_currency_in_a_later_table_replaces_the_amount(costs: CostInstance) -> None:
    costs.counted.visit(2)
    upload(costs, "date,campaign,cost,currency\n2026-03-01,1,4,EUR\n")
    found = upload(costs, "date,campaign,cost,currency\n2026-03-01,1,4,USD\n", "v" * 26)
    assert (found.replaced, costs.cost()) == (1, 4 * M)


def test_an_hour_that_the_clock_skips_is_named(costs: CostInstance) -> None:
    found = preview(costs, "time,campaign,cost\n2026-03-29 02:00,1,4\n2026-03-29 03:00,1,4\n", zone="Europe/Berlin")
    assert [line.sentence for line in found.lines] == ["The clock in Europe/Berlin skips this hour.", ""]


def test_the_same_table_again_says_so_and_changes_nothing(costs: CostInstance) -> None:
    costs.counted.visit(2, v3="a")
    first = upload(costs)
    assert (first.repeated, first.replaced) == (0, 0)
    assert preview(costs).repeated == 3
    again = upload(costs, upload_id="v" * 26)
    assert (again.repeated, [entry.entry_id for entry in again.entries]) == (
        3,
        [entry.entry_id for entry in first.entries],
    )
    changed = preview(costs, TABLE.replace("a,4", "a,7"))
    assert (changed.repeated, changed.replaced) == (2, 1)


def test_a_whole_table_is_spread_and_undone_in_few_steps(costs: CostInstance) -> None:
    costs.counted.visit(3, v3="z1")
    costs.work()
    lines = [f"2026-03-01,1,z{number},1" for number in range(300)]
    wanted = CostUploadOptions(source_id=2)
    enter_table(costs.context, "\n".join(["date,campaign,v3,cost", *lines]).encode(), wanted, DEFAULTS, "u" * 26)
    assert costs.work() <= 3
    assert costs.cost() == M
    undo_upload(costs.context, "u" * 26)
    assert costs.work() <= 3
    assert costs.cost() == 0
