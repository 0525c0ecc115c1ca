"""Parses report parameters, from a URL or a form, into a query. Shared by API and panel."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from clickloop.report.measure import Measure
from clickloop.report.period import DateRange, Preset, days_of, zone_of
from clickloop.report.query import MAX_GROUPINGS, Dimension, DimensionFilter, ReportQuery
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError

BY_KEY = "key"
"""Sort by group key, such as days in order."""
MAX_GROUPS = 10_000  # all of them are in memory and in one response
MAX_OFFSET = 10_000_000  # the engine sorts everything that it skips
MAX_FILTERS = 50  # each becomes part of the query; a URL holds no more
MAX_FILTER_LENGTH = 1_100  # an external id of 1,024 characters and its dimension
MAX_DAYS = 3_700  # ten years; grouped by day, each is a row
_EARLIEST = date(2000, 1, 1)
_LATEST = date(2100, 1, 1)


class ReportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a report, not validated yet. Empty values mean the default."""

    period: (
        Annotated[Preset, Meta(description="Named period. Defaults to the last 7 days, including today.")] | None
    ) = None
    first: Annotated[
        str, Meta(max_length=10, description="First day, such as 2026-03-01. Overrides the named period.")
    ] = msgspec.field(default="", name="from")
    last: Annotated[str, Meta(max_length=10, description="Last day, inclusive. Defaults to today.")] = msgspec.field(
        default="", name="to"
    )
    zone: Annotated[
        str, Meta(max_length=64, description="Time zone of days and hours. Defaults to the instance's.")
    ] = ""
    group_by: (
        Annotated[
            list[Dimension], Meta(description="Dimensions to group by, at most two. Repeat the parameter for two.")
        ]
        | None
    ) = None
    filters: (
        Annotated[
            list[str],
            Meta(
                description="Filter as dimension:value, such as country:DE or campaign:7. Can be repeated: values of the same "
                "dimension are alternatives, different dimensions must all match. An empty value, or 0 for records, matches rows "
                "without one. mark: takes any (marked clicks), an empty value (clean clicks), +repeat (with this mark), or exact marks."
            ),
        ]
        | None
    ) = msgspec.field(default=None, name="filter")
    sort: Annotated[
        str,
        Meta(
            max_length=40,
            description="Name of a figure, or key for the groups' order. Prefix with - for descending. Defaults to -clicks, or "
            "to key if grouped by time.",
        ),
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_GROUPS, description="Maximum number of rows.")] = 100
    offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET, description="Number of rows to skip.")] = 0


class ReportPeriod(msgspec.Struct, frozen=True):
    """The days of a report and their time zone."""

    days: DateRange
    zone: ZoneInfo
    preset: Preset | None
    """None: custom days."""

    @property
    def from_at(self) -> int:
        """Return the first moment, Unix milliseconds."""
        return self.days.from_at(self.zone)

    @property
    def until_at(self) -> int:
        """Return the first moment after the period, Unix milliseconds."""
        return self.days.until_at(self.zone)


def report_period(
    request: ReportRequest, now_ms: int, usual_zone: str, usual: Preset = Preset.LAST_7_DAYS
) -> ReportPeriod:
    """Return the requested period. Raise InvalidInputError."""
    zone = zone_of(request.zone or usual_zone)
    if zone is None:
        sentence = "Enter the name of a time zone, such as Europe/Berlin or UTC."
        raise InvalidInputError((FieldFault("zone", FaultCode.NOT_FOUND, sentence),))
    if not request.first and not request.last:
        preset = request.period or usual
        return ReportPeriod(days_of(preset, now_ms, zone), zone, preset)
    faults: list[FieldFault] = []
    today = days_of(Preset.TODAY, now_ms, zone).first
    last = _day("to", request.last, faults) if request.last else today
    first = _day("from", request.first, faults) if request.first else last
    if not faults and first > last:
        faults.append(FieldFault("to", FaultCode.OUT_OF_RANGE, "The last day is before the first day."))
    if not faults and (last - first).days >= MAX_DAYS:
        faults.append(FieldFault("from", FaultCode.OUT_OF_RANGE, f"A report covers at most {MAX_DAYS} days."))
    if faults:
        raise InvalidInputError(tuple(faults))
    return ReportPeriod(DateRange(first, last), zone, None)


def query_of(request: ReportRequest, bounds: ReportPeriod, currency: str) -> ReportQuery:
    """Return the query, without statuses to count separately. Raise InvalidInputError with all faults."""
    faults: list[FieldFault] = []
    group_by = tuple(request.group_by or ())
    if len(group_by) > MAX_GROUPINGS or len(set(group_by)) < len(group_by):
        sentence = f"Group by at most {MAX_GROUPINGS} different dimensions."
        faults.append(FieldFault("group_by", FaultCode.TOO_MANY, sentence))
    filters = _filters(request.filters or (), faults)
    sort, descending = _sort(request.sort, group_by, faults)
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
        limit=request.limit,
        offset=request.offset,
    )


def _day(field: str, text: str, faults: list[FieldFault]) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if len(text) == 10 and _EARLIEST <= day <= _LATEST:
        return day
    faults.append(FieldFault(field, FaultCode.NOT_A_MOMENT, "Enter a date since 2000, such as 2026-03-01."))
    return _EARLIEST


def _sort(text: str, group_by: Sequence[Dimension], faults: list[FieldFault]) -> tuple[Measure | None, bool]:
    """Return the measure to sort by (None: the group keys), and whether the order is descending."""
    if not text:
        by_key = bool(group_by) and group_by[0].is_time
        return (None, False) if by_key else (Measure.CLICKS, True)
    descending, word = text.startswith("-"), text.removeprefix("-")
    if word == BY_KEY:
        return None, descending
    try:
        return Measure(word), descending
    except ValueError:
        known = ", ".join((BY_KEY, *Measure))
        sentence = f"Choose one of {known}. Prefix it with - for descending order."
        faults.append(FieldFault("sort", FaultCode.NOT_ALLOWED, sentence))
        return None, False


def _filters(texts: Sequence[str], faults: list[FieldFault]) -> tuple[DimensionFilter, ...]:
    """Return the filters, with the values of each dimension combined."""
    if len(texts) > MAX_FILTERS:
        faults.append(FieldFault("filter", FaultCode.TOO_MANY, f"Use at most {MAX_FILTERS} filters."))
        return ()
    values: dict[Dimension, list[str]] = {}
    for text in texts:
        word, colon, value = text.partition(":")
        if not colon or word not in _WORDS or len(text) > MAX_FILTER_LENGTH:
            sentence = "Enter a dimension, a colon and a value, such as country:DE."
            faults.append(FieldFault("filter", FaultCode.NOT_ALLOWED, sentence))
            continue
        dimension = Dimension(word)
        if dimension in (Dimension.DAY, Dimension.HOUR):
            faults.append(
                FieldFault("filter", FaultCode.NOT_ALLOWED, "Choose days with the period, not with a filter.")
            )
            continue
        if (dimension.is_number or dimension.is_time) and not (
            value.isdecimal() and value.isascii() and len(value) < 16
        ):
            faults.append(FieldFault("filter", FaultCode.WRONG_TYPE, f"Enter a number after {word}:"))
            continue
        values.setdefault(dimension, []).append(value)
    return tuple(DimensionFilter(dimension, tuple(names)) for dimension, names in values.items())


_WORDS = frozenset(dimension.value for dimension in Dimension)
