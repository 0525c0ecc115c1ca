"""Parses report parameters, from a URL or a form, into a query. Shared by API and panel."""

import re
from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from clickloop.report.column import Column, FormulaColumn, figure_of, formula_column, kinds_of
from clickloop.report.condition import conditions_of
from clickloop.report.filter_input import ReportNames, filters_of, grouping_of, meant, unknown_dimension
from clickloop.report.formula.parsing import FormulaError, parse_formula
from clickloop.report.measure import Measure
from clickloop.report.period import DateRange, Preset, days_of, zone_of
from clickloop.report.query import MAX_GROUPINGS, Grouping, MomentRange, ReportQuery, SortOf, TimeBasis
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError

BY_KEY = "key"
"""Sort by group key, such as days in order."""
MAX_GROUPS = 10_000  # all of them are in memory and in one response
USUAL_LIMIT = 100
MAX_OFFSET = 10_000_000  # the engine sorts everything that it skips
MAX_COLUMNS = 60
MAX_FORMULAS = 20
MAX_TITLE_LENGTH = 60
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
            list[str],
            Meta(
                description=f"Dimensions to group by, at most {MAX_GROUPINGS}. Repeat the parameter for several. A parameter of traffic "
                "sources goes by the name that you gave it, such as Zone, or by its name in the link, in any case."
            ),
        ]
        | None
    ) = None
    within: (
        Annotated[
            list[str],
            Meta(
                description="Keys of opened rows of a tree, one for each level: with two of them, the response has the rows of the third "
                "grouping within them."
            ),
        ]
        | None
    ) = None
    filters: (
        Annotated[
            list[str],
            Meta(
                description="Filter as dimension:value, such as country:DE, campaign:7 or campaign:My campaign. Also !: (not), ~: "
                "(contains), !~: (does not contain), and <, <=, >, >= for numbers. Can be repeated: values of the same dimension are "
                "alternatives, different dimensions must all match. An empty value, or 0 for records, matches rows without one. mark: "
                "takes any (marked clicks), an empty value (clean clicks), +repeat (with this mark), or exact marks."
            ),
        ]
        | None
    ) = msgspec.field(default=None, name="filter")
    having: Annotated[
        str,
        Meta(
            max_length=1_000,
            description="Conditions on the figures of a row, such as cost >= 20 and conversions = 0. All must hold; totals are those "
            "of the remaining rows.",
        ),
    ] = ""
    columns: (
        Annotated[
            list[str],
            Meta(description="Figures to return. Defaults to all but those that take a second look at the facts."),
        ]
        | None
    ) = msgspec.field(default=None, name="column")
    formulas: (
        Annotated[
            list[str],
            Meta(
                description="A column of your own, as title = formula, such as Margin = profit / revenue. Can be repeated."
            ),
        ]
        | None
    ) = msgspec.field(default=None, name="formula")
    by: (
        Annotated[
            TimeBasis,
            Meta(
                description="When a conversion counts: at its own time, or at that of its click. Defaults to its own."
            ),
        ]
        | None
    ) = None
    compare: Annotated[
        str,
        Meta(
            max_length=24,
            description="Period to compare with: previous (as long, just before), week (the same weekdays before), or days such as "
            "2026-02-01..2026-02-28.",
        ),
    ] = ""
    sort: Annotated[
        str,
        Meta(
            max_length=100,
            description="Name of a figure or of a column of your own, or key for the groups' order. Prefix with - for descending. In a "
            "comparison, .before, .change or .change_percent may follow. Defaults to -clicks, or to key if grouped by time.",
        ),
    ] = ""
    limit: (
        Annotated[
            int,
            Meta(ge=1, le=MAX_GROUPS, description="Maximum number of rows. Defaults to 100; for CSV, to all of them."),
        ]
        | None
    ) = None
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
        unknown = (request.zone or usual_zone)[:MAX_TITLE_LENGTH]
        sentence = f"There is no time zone “{unknown}”. Enter a name such as Europe/Berlin or UTC."
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
        sentence = f"A report covers at most {MAX_DAYS:,} days. This one has {(last - first).days + 1:,}: split it."
        faults.append(FieldFault("from", FaultCode.OUT_OF_RANGE, sentence))
    if faults:
        raise InvalidInputError(tuple(faults))
    return ReportPeriod(DateRange(first, last), zone, None)


def query_of(request: ReportRequest, bounds: ReportPeriod, currency: str, names: ReportNames) -> ReportQuery:
    """Return the query, without statuses to count separately. Raise InvalidInputError with all faults."""
    faults: list[FieldFault] = []
    group_by = _group_by(request, names, faults)
    statuses = names.statuses()
    columns = _columns(request, statuses, faults)
    filters = filters_of(request.filters or (), names, bounds.zone, faults)
    opened = request.within or []
    if opened and len(opened) >= len(group_by):
        faults.append(
            FieldFault("within", FaultCode.TOO_MANY, "Give the keys of fewer levels than there are groupings.")
        )
    else:
        keys = [f"{one.key}:{key}" for one, key in zip(group_by, opened, strict=False)]
        parents = filters_of(keys, names, bounds.zone, faults)
        # Added as further filters: the same dimension may be filtered already, and both must match.
        filters = (*filters, *parents)
        group_by = group_by[len(opened) : len(opened) + 1] if opened else group_by
    sort, sort_of, descending = _sort(request.sort, group_by, columns or (), statuses, faults)
    conditions = _conditions(request.having, statuses, faults)
    compared = _compared(request.compare, bounds, faults)
    if faults:
        raise InvalidInputError(tuple(faults))
    return ReportQuery(
        from_at=bounds.from_at,
        until_at=bounds.until_at,
        compared=compared,
        basis=request.by or TimeBasis.CONVERSION,
        zone=bounds.zone.key,
        currency=currency,
        group_by=group_by,
        filters=filters,
        conditions=conditions,
        columns=columns,
        sort=sort,
        sort_of=sort_of if compared else SortOf.VALUE,
        descending=descending,
        limit=request.limit or USUAL_LIMIT,
        offset=request.offset,
    )


def _group_by(request: ReportRequest, names: ReportNames, faults: list[FieldFault]) -> tuple[Grouping, ...]:
    words = request.group_by or []
    found = [grouping_of(word, names) for word in words[: MAX_GROUPINGS + 1]]
    known = tuple(grouping for grouping in found if grouping is not None)
    if len(known) < len(found):
        sentence = unknown_dimension(words[found.index(None)], names)
        faults.append(FieldFault("group_by", FaultCode.NOT_FOUND, sentence))
    if len(words) > MAX_GROUPINGS:
        sentence = f"Group by at most {MAX_GROUPINGS} dimensions. There are {len(words)}."
        faults.append(FieldFault("group_by", FaultCode.TOO_MANY, sentence))
    if repeated := [one.key for place, one in enumerate(known) if one in known[:place]]:
        sentence = f"“{repeated[0]}” is there twice. Group by it once."
        faults.append(FieldFault("group_by", FaultCode.DUPLICATE, sentence))
    return known


def _columns(request: ReportRequest, statuses: Collection[str], faults: list[FieldFault]) -> tuple[Column, ...] | None:
    """Return the chosen columns and then the formulas; None if neither is given."""
    chosen, formulas = request.columns or [], request.formulas or []
    if not chosen and not formulas:
        return None
    if len(chosen) > MAX_COLUMNS or len(formulas) > MAX_FORMULAS:
        sentence = f"Choose at most {MAX_COLUMNS} figures and {MAX_FORMULAS} formulas. There are {len(chosen)} and {len(formulas)}."
        faults.append(FieldFault("column", FaultCode.TOO_MANY, sentence))
        return None
    columns: dict[str, Column] = {}
    for word in chosen:
        figure = figure_of(word, statuses)
        if figure is None:
            sentence = f"There is no figure “{word[:MAX_TITLE_LENGTH]}”.{meant(word, tuple(Measure))}"
            faults.append(FieldFault("column", FaultCode.NOT_ALLOWED, sentence))
        else:
            columns[figure.key] = figure
    for text in formulas:
        column = _formula(text, statuses, faults)
        if column is not None and column.title.casefold() in {key.casefold() for key in columns}:
            sentence = f"There are two columns called “{column.title}”."
            faults.append(FieldFault("formula", FaultCode.DUPLICATE, sentence))
        elif column is not None:
            columns[column.title] = column
    return tuple(columns.values())


def _formula(text: str, statuses: Collection[str], faults: list[FieldFault]) -> FormulaColumn | None:
    """Return the column of a text such as ``Margin = profit / revenue``."""
    title, equals, formula = text.partition("=")
    title = title.strip()
    if not equals or not 0 < len(title) <= MAX_TITLE_LENGTH or any(sign in title for sign in "(<>!"):
        sentence = f"Begin with a title of at most {MAX_TITLE_LENGTH} characters, such as Margin = profit / revenue."
        faults.append(FieldFault("formula", FaultCode.NOT_ALLOWED, sentence))
        return None
    try:
        return formula_column(title, parse_formula(formula, kinds_of(statuses)), statuses)
    except FormulaError as error:
        faults.append(_formula_fault("formula", title, error))
        return None


def _formula_fault(field: str, where: str, error: FormulaError) -> FieldFault:
    return FieldFault(field, FaultCode.NOT_ALLOWED, f"{where}: {error.fault.sentence} (character {error.fault.at + 1})")


def _conditions(text: str, statuses: Collection[str], faults: list[FieldFault]) -> tuple[FormulaColumn, ...]:
    if not text.strip():
        return ()
    try:
        return conditions_of(text, statuses)
    except FormulaError as error:
        faults.append(_formula_fault("having", "Condition", error))
        return ()


def _compared(text: str, bounds: ReportPeriod, faults: list[FieldFault]) -> MomentRange | None:
    """Return the period to compare with, if any."""
    days = bounds.days
    custom = _DAYS.fullmatch(text)
    if not text:
        return None
    if text == "previous":
        days = days.before
    elif text == "week":
        weeks = timedelta(7 * -(-days.count // 7))
        days = DateRange(days.first - weeks, days.last - weeks)
    elif custom:
        known = len(faults)
        days = DateRange(_day("compare", custom[1], faults), _day("compare", custom[2], faults))
        del faults[known + 1 :]  # one sentence is enough
        if len(faults) == known and days.first > days.last:
            faults.append(FieldFault("compare", FaultCode.OUT_OF_RANGE, "The last day is before the first day."))
        elif days.count > MAX_DAYS:
            sentence = f"A period to compare with has at most {MAX_DAYS:,} days. This one has {days.count:,}."
            faults.append(FieldFault("compare", FaultCode.OUT_OF_RANGE, sentence))
    else:
        sentence = "Enter previous, week, or days such as 2026-02-01..2026-02-28."
        faults.append(FieldFault("compare", FaultCode.NOT_ALLOWED, sentence))
    return MomentRange(days.from_at(bounds.zone), days.until_at(bounds.zone))


_DAYS = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.\.([0-9]{4}-[0-9]{2}-[0-9]{2})")


def _day(field: str, text: str, faults: list[FieldFault]) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if len(text) == 10 and _EARLIEST <= day <= _LATEST:
        return day
    sentence = f"“{text}” is not a day from {_EARLIEST} to {_LATEST}. Enter a date such as 2026-03-01."
    faults.append(FieldFault(field, FaultCode.NOT_A_MOMENT, sentence))
    return _EARLIEST


def _sort(
    text: str,
    group_by: Sequence[Grouping],
    columns: Sequence[Column],
    statuses: Collection[str],
    faults: list[FieldFault],
) -> tuple[Column | None, SortOf, bool]:
    """Return the column to sort by (None: the group keys), its side, and whether the order is descending."""
    if not text:
        by_key = bool(group_by) and group_by[0].is_time
        return (None, SortOf.VALUE, False) if by_key else (Measure.CLICKS, SortOf.VALUE, True)
    descending, word = text.startswith("-"), text.removeprefix("-")
    if word == BY_KEY:
        return None, SortOf.VALUE, descending
    rest, point, last = word.rpartition(".")
    side = SortOf(last) if point and last in _SIDES else SortOf.VALUE
    name = rest if side is not SortOf.VALUE else word
    own = next((column for column in columns if column.key.casefold() == name.strip().casefold()), None)
    column = own if own is not None else figure_of(name, statuses)
    if column is None:
        known = ", ".join((BY_KEY, *Measure))
        sentence = f"Choose one of {known}, or a column of your own. Prefix it with - for descending order."
        faults.append(FieldFault("sort", FaultCode.NOT_ALLOWED, sentence))
    return column, side, descending


_SIDES = frozenset(side.value for side in SortOf if side.value)
