"""Reading what somebody asks of a report, from an address or a form, into a query. The same for API and panel."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from clickloop.report.measure import Measure
from clickloop.report.period import Days, Preset, days_of, zone_of
from clickloop.report.query import MAX_GROUPINGS, Dimension, Filter, ReportQuery
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError

BY_KEY = "key"
"""The order by the groups' keys: days one after the other."""
MAX_GROUPS = 10_000  # all of them are in memory, and in one answer
MAX_OFFSET = 10_000_000  # the engine sorts all that it skips
MAX_FILTERS = 50  # each is a part of the query; an address holds no more
MAX_FILTER_LENGTH = 1_100  # an external id of 1,024 characters and its dimension
MAX_DAYS = 3_700  # ten years: by day each is a row
_EARLIEST = date(2000, 1, 1)
_LATEST = date(2100, 1, 1)


class AskedReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, in words. Empty: the usual. The names that differ are those of the address."""

    period: Annotated[Preset, Meta(description="Days with a name; left out: the last 7 with today.")] | None = None
    first: Annotated[str, Meta(max_length=10, description="First day instead, such as 2026-03-01.")] = msgspec.field(
        default="", name="from"
    )
    last: Annotated[str, Meta(max_length=10, description="Last day, included; left out: today.")] = msgspec.field(
        default="", name="to"
    )
    zone: Annotated[str, Meta(max_length=64, description="Time zone of days and hours; left out: the instance's.")] = ""
    group_by: (
        Annotated[
            list[Dimension], Meta(description="What rows are made by: none, one or two of these (the parameter twice).")
        ]
        | None
    ) = None
    filters: (
        Annotated[
            list[str],
            Meta(
                description="Only what has this value: dimension:value, such as country:DE or campaign:7. More than once: of the same "
                "dimension any may hold, of different ones all must. An empty value, or 0 for records: none."
            ),
        ]
        | None
    ) = msgspec.field(default=None, name="filter")
    sort: Annotated[
        str,
        Meta(max_length=40, description="A figure's name or key; with - before it the largest first. Usual: -clicks."),
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_GROUPS, description="How many rows at most.")] = 100
    offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET, description="How many rows to leave out first.")] = 0


class Bounds(msgspec.Struct, frozen=True):
    """The days of a report and the time zone that they are days of."""

    days: Days
    zone: ZoneInfo
    preset: Preset | None
    """None: days of the user's choice."""

    @property
    def from_at(self) -> int:
        """Their first moment, Unix milliseconds."""
        return self.days.from_at(self.zone)

    @property
    def until_at(self) -> int:
        """The first moment after them."""
        return self.days.until_at(self.zone)


def bounds_of(asked: AskedReport, now_ms: int, usual_zone: str, usual: Preset = Preset.LAST_7_DAYS) -> Bounds:
    """The days that are asked for. Raises InvalidInputError."""
    zone = zone_of(asked.zone or usual_zone)
    if zone is None:
        sentence = "A time zone's name is expected, such as Europe/Berlin or UTC."
        raise InvalidInputError((Fault("zone", FaultCode.NOT_FOUND, sentence),))
    if not asked.first and not asked.last:
        preset = asked.period or usual
        return Bounds(days_of(preset, now_ms, zone), zone, preset)
    faults: list[Fault] = []
    today = days_of(Preset.TODAY, now_ms, zone).first
    last = _day("to", asked.last, faults) if asked.last else today
    first = _day("from", asked.first, faults) if asked.first else last
    if not faults and first > last:
        faults.append(Fault("to", FaultCode.OUT_OF_RANGE, "The last day is before the first one."))
    if not faults and (last - first).days >= MAX_DAYS:
        faults.append(Fault("from", FaultCode.OUT_OF_RANGE, f"At most {MAX_DAYS} days are taken at once."))
    if faults:
        raise InvalidInputError(tuple(faults))
    return Bounds(Days(first, last), zone, None)


def query_of(asked: AskedReport, bounds: Bounds, currency: str) -> ReportQuery:
    """The query, without the statuses to count. Raises InvalidInputError with every fault."""
    faults: list[Fault] = []
    group_by = tuple(asked.group_by or ())
    if len(group_by) > MAX_GROUPINGS or len(set(group_by)) < len(group_by):
        sentence = f"At most {MAX_GROUPINGS} different groupings are possible."
        faults.append(Fault("group_by", FaultCode.TOO_MANY, sentence))
    filters = _filters(asked.filters or (), faults)
    sort, descending = _sort(asked.sort, group_by, faults)
    if faults:
        raise InvalidInputError(tuple(faults))
    return ReportQuery(
        from_at=bounds.from_at,
        until_at=bounds.until_at,
        zone=bounds.zone.key,
        currency=currency,
        group_by=group_by,
        filters=filters,
        sort=sort,
        descending=descending,
        limit=asked.limit,
        offset=asked.offset,
    )


def _day(field: str, text: str, faults: list[Fault]) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if len(text) == 10 and _EARLIEST <= day <= _LATEST:
        return day
    faults.append(Fault(field, FaultCode.NOT_A_MOMENT, "A date from the year 2000 on is expected, such as 2026-03-01."))
    return _EARLIEST


def _sort(asked: str, group_by: Sequence[Dimension], faults: list[Fault]) -> tuple[Measure | None, bool]:
    """The measure, None for the keys, and whether the largest comes first."""
    if not asked:
        by_key = bool(group_by) and group_by[0].is_time
        return (None, False) if by_key else (Measure.CLICKS, True)
    descending, word = asked.startswith("-"), asked.removeprefix("-")
    if word == BY_KEY:
        return None, descending
    try:
        return Measure(word), descending
    except ValueError:
        known = ", ".join((BY_KEY, *Measure))
        sentence = f"One of {known} is expected, with - before it the largest first."
        faults.append(Fault("sort", FaultCode.NOT_ALLOWED, sentence))
        return None, False


def _filters(texts: Sequence[str], faults: list[Fault]) -> tuple[Filter, ...]:
    """The filters, those of one dimension put together."""
    if len(texts) > MAX_FILTERS:
        faults.append(Fault("filter", FaultCode.TOO_MANY, f"At most {MAX_FILTERS} values are taken."))
        return ()
    values: dict[Dimension, list[str]] = {}
    for text in texts:
        word, colon, value = text.partition(":")
        if not colon or word not in _WORDS or len(text) > MAX_FILTER_LENGTH:
            sentence = "A dimension, a colon and a value are expected, such as country:DE."
            faults.append(Fault("filter", FaultCode.NOT_ALLOWED, sentence))
            continue
        dimension = Dimension(word)
        if dimension in (Dimension.DAY, Dimension.HOUR):
            faults.append(Fault("filter", FaultCode.NOT_ALLOWED, "Days are chosen by the period."))
            continue
        if (dimension.is_number or dimension.is_time) and not (
            value.isdecimal() and value.isascii() and len(value) < 16
        ):
            faults.append(Fault("filter", FaultCode.WRONG_TYPE, f"A number is expected behind {word}:."))
            continue
        values.setdefault(dimension, []).append(value)
    return tuple(Filter(dimension, tuple(given)) for dimension, given in values.items())


_WORDS = frozenset(dimension.value for dimension in Dimension)
