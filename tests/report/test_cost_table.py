"""Tables of costs are read leniently, and each line that cannot be read says why; the zone of a file shows in its clicks."""

from datetime import date

import pytest

from clickloop.clock import HOUR_MS
from clickloop.report.cost.segment import QUARTER_MS
from clickloop.report.cost.span import LocalTime, read_local_time
from clickloop.report.cost.table import CostTable, read_cost_table
from clickloop.report.cost.zone_fit import zone_fits
from clickloop.report.query import Dimension
from clickloop.setup.fault import InvalidInputError

NAMES = {"zone": Dimension.V3}
M = 1_000_000


def table(text: str, **options: bool) -> CostTable:
    return read_cost_table(text.encode(), NAMES, **options)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_columns_are_found_by_their_usual_names(separator: str) -> None:
    rows = (
        ("Date", "Campaign ID", "Zone", "Spend", "Currency", "Clicks", "Colour"),
        ("2026-03-01", "7", "a", "1.5", "eur", "20", "red"),
    )
    read = table("\n".join(separator.join(row) for row in rows))
    (line,) = read.lines
    assert (line.time, line.campaign, line.values) == (LocalTime(date(2026, 3, 1), None), "7", ("a",))
    assert (line.micros, line.currency, line.clicks) == (1_500_000, "EUR", 20)
    assert (read.filters, read.unused) == ((Dimension.V3,), ("Colour",))


def test_hours_come_in_the_date_or_in_a_column_of_their_own() -> None:
    (line,) = table("hour,campaign,cost\n2026-03-01 13:00:00,7,1").lines
    assert line.time == LocalTime(date(2026, 3, 1), 13 * 60)
    (line,) = table("day,hour,campaign,cost\n01.03.2026,5,7,1").lines
    assert line.time == LocalTime(date(2026, 3, 1), 5 * 60)


@pytest.mark.parametrize(
    "line",
    [
        "yesterday,7,1",
        "03/04/2026,7,1",
        "2026-02-30,7,1",
        "2026-03-01,7,free",
        "2026-03-01,7,-1",
        '2026-03-01,7,"1',
        "2026-03-01,7,1 kr",
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_the_others_are_read(line: str) -> None:
    read = table(f"date,campaign,cost\n{line}\n2026-03-01,8,2\n")
    assert [one.number for one in read.unreadable] == [2]
    assert [one.campaign for one in read.lines] == ["8"]


@pytest.mark.parametrize(
    "text", ["", "\n", "campaign,cost\n7,1", "date,campaign\n2026-03-01,7", "date,cost\n2026-03-01,1", "PK\x03\x04"]
)
def test_a_table_without_what_it_needs_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        table(text)


def test_the_owner_may_be_chosen_for_the_whole_table() -> None:
    assert len(table("date,cost\n2026-03-01,1", needs_owner=False).lines) == 1


def test_the_zone_of_a_file_is_the_one_in_which_its_clicks_are_most_like_ours() -> None:
    start = 1_772_323_200_000  # 2026-03-01T00:00:00Z
    ours = {
        start + quarter * QUARTER_MS: (quarter * 7919) % 97 + (50 if quarter // 4 % 24 in (9, 18) else 0)
        for quarter in range(-96, 192)
    }
    for zone, ahead_quarters in (("Europe/Berlin", 4), ("America/New_York", -20), ("Asia/Kathmandu", 23)):
        in_file = {}
        for hour in range(24):
            first = start + hour * HOUR_MS - ahead_quarters * QUARTER_MS
            in_file[LocalTime(date(2026, 3, 1), hour * 60)] = sum(ours[first + n * QUARTER_MS] for n in range(4))
        best = zone_fits(in_file, ours)[0]
        assert (best.zone, best.likeness) == (zone, 1.0)


def test_too_few_hours_tell_no_zone() -> None:
    assert zone_fits({LocalTime(date(2026, 3, 1), 60): 5}, {0: 1}) == []
    assert zone_fits({LocalTime(date(2026, 3, 1), hour * 60): 5 for hour in range(9)}, {0: 1}) == []


@pytest.mark.parametrize("text", ["2026-13-01", "1999-12-31", "2026-03-01 24:00", "2026-03-01 12:60", "1.3", "now"])
def test_what_is_no_day_or_time_is_refused(text: str) -> None:
    assert read_local_time(text) is None
