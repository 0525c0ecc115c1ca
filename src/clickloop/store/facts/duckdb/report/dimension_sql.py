"""The dimensions of reports as SQL: what rows are grouped by, the key that this makes, and the conditions of filters."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from clickloop.clock import DAY_MS, HOUR_MS
from clickloop.report.period import UtcOffset, offsets_of
from clickloop.report.query import (
    ANY_MARK,
    DELAY_CLASSES,
    WITH_MARK,
    Dimension,
    DimensionFilter,
    FilterOperator,
    Grouping,
    Parameter,
    TimeBasis,
)

Parameters = dict[str, object]
_PAIRS = {
    Dimension.OS_VERSION: ("os", "os_version"),
    Dimension.BROWSER_VERSION: ("browser", "browser_version"),
    Dimension.MODEL: ("brand", "model"),
}
"""Columns that identify a version or model. Versions alone would merge Android 14 with iOS 14."""
_NUMBER = "[+-]?[0-9]{1,12}([.][0-9]{1,6})?"
_HOST = "^[^/?#]*//([^/?#]*)"
_DAY_OF_EPOCH = datetime(1970, 1, 1).toordinal()


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a period that has facts, and what is known of them. ``name`` distinguishes it in a statement."""

    from_at: int
    until_at: int
    zone: ZoneInfo
    basis: TimeBasis = TimeBasis.CONVERSION
    name: str = ""
    later_days: int = 0
    """Days to add to its days, and milliseconds to its hours, so that they meet those of the period it is compared with."""
    later_ms: int = 0
    is_rolled_up: bool = False
    """True if it is read from the roll-ups. Of the flags below only ``has_cost_rows`` then counts."""
    has_marks: bool = True
    """True if any click has marks."""
    has_landings: bool = True
    """True if any click was sent to a landing. Otherwise the column is not read: the figures would all be alike."""
    has_corrections: bool = True
    """True if the marks of any click were corrected."""
    has_cost_rows: bool = True
    """True if any cost was entered."""

    @property
    def at(self) -> str:
        """Return the column of the time at which rows count."""
        return "click_at" if self.basis is TimeBasis.CLICK else "fact_at"

    @property
    def period(self) -> str:
        """Return the condition that a row is in the period."""
        return f"{self.at} >= {self.from_at} AND {self.at} < {self.until_at}"


def columns_of(grouping: Grouping, span: Span) -> tuple[str, ...]:
    """Return the expressions that a dimension groups rows by."""
    if isinstance(grouping, Parameter):
        return (_parameter(grouping),)
    if grouping in _PAIRS:
        return _PAIRS[grouping]
    if grouping.is_number:
        return (f"{grouping.value}_id",)
    match grouping:
        case Dimension.STATUS:
            return ("status_key",)
        case Dimension.MARK:
            return ("marks",)
        case Dimension.DELAY:
            return (_delay_class(),)
        case Dimension.UNIQUE:
            return ("CASE WHEN \"unique\" THEN 'unique' ELSE 'returning' END",)
        case Dimension.REFERRER:
            return (f"lower(regexp_extract(coalesce(referrer, ''), '{_HOST}', 1))",)
        case Dimension.DAY | Dimension.HOUR | Dimension.WEEKDAY | Dimension.HOUR_OF_DAY:
            return (_time(grouping, span),)
        case _:
            return (grouping.value,)


def key_of(place: int, grouping: Grouping) -> str:
    """Return a group's key, combined from its columns, which are called ``key_{place}_0`` and on."""
    first = f"key_{place}_0"
    if grouping in _PAIRS:
        return f"concat_ws(' ', {first}, key_{place}_1)"
    return f"coalesce({first}, {0 if grouping.is_integer else _EMPTY})"


_EMPTY = "''"


def filter_sql(filter_: DimensionFilter, span: Span, parameters: Parameters) -> str:
    """Return a filter's condition, and add its values to the parameters. An empty text and 0 also match NULL."""
    condition = _matching(filter_, span, parameters)
    if filter_.operator in (FilterOperator.NOT_IN, FilterOperator.NOT_CONTAINS):
        return f"NOT coalesce({condition}, false)"
    return f"({condition})"


def _matching(filter_: DimensionFilter, span: Span, parameters: Parameters) -> str:
    name = f"value_{len(parameters)}"
    columns = columns_of(filter_.dimension, span)
    if filter_.since:
        parameters[name], parameters[f"{name}_since"] = list(filter_.values), list(filter_.since)
        empty = "0" if filter_.dimension.is_integer else _EMPTY
        text = f"coalesce({_text_of(columns)}, {empty})::VARCHAR"
        # Joined by hash: looking a value up in a list of ten thousand for each row takes a thousand times as long.
        listed = f"SELECT unnest(${name}::VARCHAR[]) AS listed, unnest(${name}_since::BIGINT[]) AS listed_since"
        return f"{span.at} >= (SELECT min(listed_since) FROM ({listed}) WHERE listed = {text})"  # noqa: S608 - no value is part of the text
    if filter_.operator.is_numeric:
        parameters[name] = int(filter_.values[0])
        if filter_.dimension.is_integer:
            return f"{columns[0]}::HUGEINT * 1000000 {filter_.operator} ${name}::BIGINT"
        value = f"coalesce({_text_of(columns)}, '')"
        number = f"TRY_CAST(CASE WHEN regexp_full_match({value}, '{_NUMBER}') THEN {value} END AS DECIMAL(18, 6))"
        return f"{number} * 1000000 {filter_.operator} ${name}::BIGINT"
    if filter_.operator in (FilterOperator.CONTAINS, FilterOperator.NOT_CONTAINS):
        parameters[name] = [value.lower() for value in filter_.values]
        text = f"lower(coalesce({_text_of(columns)}, ''))"
        return f"len(list_filter(${name}::VARCHAR[], lambda part: contains({text}, part))) > 0"
    if filter_.dimension.is_integer:
        values = [_number(filter_.dimension, value, span.zone) for value in filter_.values]
        parameters[name] = values
        condition = f"{columns[0]} = ANY(${name}::BIGINT[])"
        return f"{condition} OR {columns[0]} IS NULL" if 0 in values else condition
    parameters[name] = list(filter_.values)
    if filter_.dimension is Dimension.MARK:
        return _marks_filter(name, filter_.values, parameters)
    condition = f"{_text_of(columns)} = ANY(${name}::VARCHAR[])"
    return f"{condition} OR {columns[0]} IS NULL" if "" in filter_.values and len(columns) == 1 else condition


def _marks_filter(name: str, values: Sequence[str], parameters: Parameters) -> str:
    """Return the condition of a filter on marks, and add its values to the parameters."""
    if ANY_MARK in values:
        del parameters[name]
        return "true" if "" in values else "marks IS NOT NULL"
    parameters[name] = [value for value in values if value and not value.startswith(WITH_MARK)]
    parameters[f"{name}_with"] = [value.removeprefix(WITH_MARK) for value in values if value.startswith(WITH_MARK)]
    clean = " OR marks IS NULL" if "" in values else ""
    return (
        f"(marks = ANY(${name}::VARCHAR[]){clean} OR list_has_any(string_split(marks, ','), ${name}_with::VARCHAR[]))"
    )


def _text_of(columns: tuple[str, ...]) -> str:
    return columns[0] if len(columns) == 1 else f"concat_ws(' ', {', '.join(columns)})"


def _number(grouping: Grouping, value: str, zone: ZoneInfo) -> int:
    """Return what a filter's value is compared with: a day is counted from 1970-01-01 in the columns."""
    if grouping is Dimension.DAY:
        return datetime.fromtimestamp(int(value) / 1000, zone).toordinal() - _DAY_OF_EPOCH
    return int(value)


def _parameter(parameter: Parameter) -> str:
    sources: dict[int, list[int]] = {}
    for source_id, number in parameter.rows:
        sources.setdefault(number, []).append(source_id)
    if not sources:
        return "NULL::VARCHAR"
    cases = "".join(
        f" WHEN source_id IN ({', '.join(map(str, ids))}) THEN v{number}" for number, ids in sorted(sources.items())
    )
    return f"CASE{cases} END"


def _delay_class() -> str:
    cases = "".join(f" WHEN {DELAY} >= {first} THEN {first}" for first in reversed(DELAY_CLASSES[1:]))
    return f"CASE{cases} ELSE 0 END"


DELAY = "greatest(fact_at - click_at, 0) // 1000"
"""Seconds from a conversion's click to the conversion."""


def _time(dimension: Dimension, span: Span) -> str:
    at = span.at
    offsets = offsets_of(span.zone, span.from_at, span.until_at)
    local = f"({at} + {_ahead(at, offsets)})"
    match dimension:
        case Dimension.DAY:
            return f"{local} // {DAY_MS}{_plus(span.later_days)}"
        case Dimension.HOUR:
            return f"{_start_of_hour(at, local, offsets)}{_plus(span.later_ms)}"
        case Dimension.WEEKDAY:
            return f"({local} // {DAY_MS} + 3) % 7 + 1"  # 1970-01-01 was a Thursday
        case _:
            return f"{local} // {HOUR_MS} % 24"


def _plus(number: int) -> str:
    return f" + {number}" if number else ""


def _start_of_hour(at: str, local: str, offsets: tuple[UtcOffset, ...]) -> str:
    """Return the first moment of a row's local hour: that of a clock change, if the clock changes within the hour."""
    begins = f"{at} - {local} % {HOUR_MS}"
    first, *later = offsets
    if all((offset.ahead_ms - first.ahead_ms) % HOUR_MS == 0 for offset in later):
        return begins
    cases = "".join(f" WHEN {at} >= {offset.from_at} THEN {offset.from_at}" for offset in reversed(later))
    return f"greatest({begins}, CASE{cases} ELSE 0 END)"


def _ahead(at: str, offsets: tuple[UtcOffset, ...]) -> str:
    """Return the offset of local time from UTC at a row's time, in milliseconds."""
    first, *later = offsets
    if not later:
        return str(first.ahead_ms)
    cases = "".join(f" WHEN {at} >= {offset.from_at} THEN {offset.ahead_ms}" for offset in reversed(later))
    return f"CASE{cases} ELSE {first.ahead_ms} END"
