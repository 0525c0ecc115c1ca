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
from tests.tracking.costs.cost_desk import DAY_START, DEFAULTS, CostDesk

M = 1_000_000
TABLE = """date,campaign,zoneid,cost
2026-03-01,1,a,4
2026-03-01,campaign 2,b,6
2026-03-01,aaaaa1,c,5
2026-03-01,Nobody's,a,1
soon,1,a,1
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[CostDesk]:
    made = CostDesk(tmp_path)
    yield made
    made.close()


def preview(desk: CostDesk, text: str = TABLE, **options: Any) -> UploadResult:
    wanted = CostUploadOptions(**{"source_id": 2} | options)
    return preview_table(desk.ledger, desk.facts.costs, text.encode(), wanted, DEFAULTS)


def upload(desk: CostDesk, text: str = TABLE, upload_id: str = "u" * 26, **options: Any) -> UploadResult:
    wanted = CostUploadOptions(**{"source_id": 2, "partial": True} | options)
    found = enter_table(desk.context, text.encode(), wanted, DEFAULTS, upload_id)
    desk.work()
    return found


def test_a_preview_says_what_each_line_would_do(desk: CostDesk) -> None:
    desk.counted.visit(2, v3="a")
    desk.counted.visit(3, v3="b", campaign_id=2)
    other = desk.enter(filters={"zone": ["a", "z"]}, kind=CostKind.MANUAL)
    found = preview(desk)
    assert [(line.number, line.verdict, line.clicks) for line in found.lines] == [
        (2, LineVerdict.MATCHED, 2),
        (3, LineVerdict.MATCHED, 3),
        (4, LineVerdict.WITHOUT_CLICKS, 0),
        (5, LineVerdict.UNKNOWN_CAMPAIGN, 0),
        (6, LineVerdict.UNREADABLE, 0),
    ]
    assert found.lines[0].overlaps == (other.entry_id,)
    assert [line.overlaps for line in found.lines[1:]] == [()] * 4
    desk.work()
    assert desk.cost() == 10 * M


def test_lines_take_effect_and_those_without_clicks_stay_unattributed(desk: CostDesk) -> None:
    desk.counted.visit(2, v3="a")
    desk.counted.visit(3, v3="b", campaign_id=2)
    entries = upload(desk).entries
    assert desk.cost() == 10 * M
    assert [desk.entry(entry.entry_id).is_unattributed for entry in entries] == [False, False, True]


def test_an_upload_that_was_killed_in_the_middle_is_completed_by_uploading_it_again(desk: CostDesk) -> None:
    desk.counted.visit(2, v3="a")
    desk.counted.visit(3, v3="b", campaign_id=2)
    upload(desk, "\n".join(TABLE.splitlines()[:2]), upload_id="1" * 26)
    again = upload(desk, upload_id="2" * 26)
    assert upload(desk, upload_id="3" * 26).entries[0].entry_id == again.entries[0].entry_id
    assert desk.cost() == 10 * M
    assert len(undo_upload(desk.context, "3" * 26)) == 3
    desk.work()
    assert desk.cost() == 0


def test_corrected_amounts_replace_the_earlier_ones(desk: CostDesk) -> None:
    desk.counted.visit(2, v3="a")
    first = upload(desk).entries[0]
    upload(desk, TABLE.replace("a,4", "a,7"))
    assert desk.cost() == 7 * M
    assert desk.entry(first.entry_id).state is EntryState.REPLACED


def test_lines_of_the_same_segment_are_added_up(desk: CostDesk) -> None:
    desk.counted.visit(2, v3="a")
    (entry,) = upload(desk, "date,campaign,zone,cost,creative\n2026-03-01,1,a,4,x\n2026-03-01,1,a,1.5,y\n").entries
    assert entry.micros == 5_500_000
    assert desk.cost() == 5_500_000


def test_a_table_with_a_line_at_fault_is_refused_as_a_whole_unless_wanted_otherwise(desk: CostDesk) -> None:
    with pytest.raises(InvalidInputError, match="Line 6"):
        upload(desk, partial=False)
    with pytest.raises(InvalidInputError, match="Line 5"):
        upload(desk, TABLE.replace("soon", "2026-03-02"), partial=False)
    desk.work()
    with pytest.raises(InvalidInputError, match="time zone"):
        upload(desk, zone="Nowhere")


def test_a_table_in_another_zone_covers_the_days_of_that_zone(desk: CostDesk) -> None:
    (entry,) = upload(desk, "date,cost\n2026-03-01,4\n", zone="America/New_York", campaign_id=1).entries
    assert entry.segment.from_at == DAY_START + 5 * HOUR_MS


def test_the_zone_of_hours_with_clicks_is_told(desk: CostDesk) -> None:
    sizes = (3, 1, 5, 2, 8, 1, 4)
    for hour, size in enumerate(sizes):
        desk.counted.visit(size, at=NOON + hour * HOUR_MS)
    # The same clicks as someone in Berlin sees them, an hour ahead.
    lines = [f"2026-03-01 {13 + hour}:00,1,1,{size}" for hour, size in enumerate(sizes)]
    found = preview(desk, "\n".join(["time,campaign,cost,clicks", *lines]))
    assert (found.zones[0].zone, found.zones[0].offset) == ("Europe/Berlin", "UTC+1")


def test_many_entries_are_stored_in_several_transactions(desk: CostDesk) -> None:
    count = uploading.ENTRIES_PER_TRANSACTION + 1
    lines = [f"2026-03-01,1,z{number},0.000001" for number in range(count)]
    wanted = CostUploadOptions(source_id=2)
    found = enter_table(desk.context, "\n".join(["date,campaign,v3,cost", *lines]).encode(), wanted, DEFAULTS, "u" * 26)
    assert len({entry.entry_id for entry in found.entries}) == count


def test_columns_go_by_the_names_that_the_sources_of_the_lines_give_them(desk: CostDesk) -> None:
    desk.counted.visit(2, v3="a")
    found = upload(desk, "date,campaign,ZONE,cost\n2026-03-01,1,a,4\n", source_id=0)
    assert found.unused == ()
    assert [one.values for entry in found.entries for one in entry.segment.filters] == [("a",)]
    assert desk.cost() == 4 * M


def test_a_column_that_is_another_parameter_for_each_source_is_refused(desk: CostDesk) -> None:
    desk.add_source(3, zone_number=5)
    with pytest.raises(InvalidInputError, match="V3 and V5 of different traffic sources"):
        upload(desk, "date,source,zone,cost\n2026-03-01,2,a,4\n2026-03-01,3,a,4\n", source_id=0)


def test_a_segment_in_two_currencies_is_refused_since_one_would_cover_the_other(desk: CostDesk) -> None:
    desk.counted.visit(2)
    table = "date,campaign,cost,currency\n2026-03-01,1,4,USD\n2026-03-01,1,5,EUR\n2026-03-01,1,1,USD\n"
    found = preview(desk, table)
    assert [(line.number, line.verdict) for line in found.lines if line.sentence] == [(3, LineVerdict.UNREADABLE)]
    upload(desk, table)
    assert desk.cost() == 5 * M


def test_another_currency_in_a_later_table_replaces_the_amount(desk: CostDesk) -> None:
    desk.counted.visit(2)
    upload(desk, "date,campaign,cost,currency\n2026-03-01,1,4,EUR\n")
    found = upload(desk, "date,campaign,cost,currency\n2026-03-01,1,4,USD\n", "v" * 26)
    assert (found.replaced, desk.cost()) == (1, 4 * M)


def test_an_hour_that_the_clock_skips_is_named(desk: CostDesk) -> None:
    found = preview(desk, "time,campaign,cost\n2026-03-29 02:00,1,4\n2026-03-29 03:00,1,4\n", zone="Europe/Berlin")
    assert [line.sentence for line in found.lines] == ["The clock in Europe/Berlin skips this hour.", ""]


def test_the_same_table_again_says_so_and_changes_nothing(desk: CostDesk) -> None:
    desk.counted.visit(2, v3="a")
    first = upload(desk)
    assert (first.repeated, first.replaced) == (0, 0)
    assert preview(desk).repeated == 3
    again = upload(desk, upload_id="v" * 26)
    assert (again.repeated, [entry.entry_id for entry in again.entries]) == (
        3,
        [entry.entry_id for entry in first.entries],
    )
    changed = preview(desk, TABLE.replace("a,4", "a,7"))
    assert (changed.repeated, changed.replaced) == (2, 1)


def test_a_whole_table_is_spread_and_undone_in_few_steps(desk: CostDesk) -> None:
    desk.counted.visit(3, v3="z1")
    desk.work()
    lines = [f"2026-03-01,1,z{number},1" for number in range(300)]
    wanted = CostUploadOptions(source_id=2)
    enter_table(desk.context, "\n".join(["date,campaign,v3,cost", *lines]).encode(), wanted, DEFAULTS, "u" * 26)
    assert desk.work() <= 3
    assert desk.cost() == M
    undo_upload(desk.context, "u" * 26)
    assert desk.work() <= 3
    assert desk.cost() == 0
