"""Parsing filters: ``country:DE``, ``Zone!:a1``, ``campaign:My campaign``, ``v3>=0.5``."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from difflib import get_close_matches
from typing import Protocol
from zoneinfo import ZoneInfo

from clickloop.click.country import country_code
from clickloop.report.key_text import WEEKDAYS
from clickloop.report.period import start_of_day
from clickloop.report.query import Dimension, DimensionFilter, FilterOperator, Grouping, Parameter
from clickloop.setup.fault import FaultCode, FieldFault

MAX_FILTERS = 50  # each becomes part of the query; a URL holds no more
MAX_FILTER_LENGTH = 1_300  # an external id of 1,024 characters and a dimension's name
FIELD = "filter"
_OPERATOR = re.compile(r"!?~?:|[<>]=?")
_DECIMAL = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,6})?")
_WORDS = {dimension.value: dimension for dimension in Dimension}
_CONTAINS = (FilterOperator.CONTAINS, FilterOperator.NOT_CONTAINS)
_LOWER = (
    Dimension.LANGUAGE,
    Dimension.DEVICE,
    Dimension.CONNECTION,
    Dimension.DOMAIN,
    Dimension.REFERRER,
    Dimension.UNIQUE,
)
_UPPER = (Dimension.COUNTRY, Dimension.REGION)


class ReportNames(Protocol):
    """The names that the user has given: to records, parameters and statuses. All are compared in any case."""

    def records(self, dimension: Dimension, name: str, *, is_part: bool) -> tuple[int, ...]:
        """Return the numbers of the records with a name, or whose name contains it. ``dimension``: one of numbers."""
        ...

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter that any source's row with that name holds, or None."""
        ...

    def parameters(self) -> tuple[str, ...]:
        """Return the names of all parameters."""
        ...

    def statuses(self) -> dict[str, str]:
        """Return the names of statuses by key, in the user's order."""
        ...


def grouping_of(word: str, names: ReportNames) -> Grouping | None:
    """Return the dimension with a name of ours, or else the parameter with the name of the user's."""
    known = _WORDS.get(word.strip().lower().replace(" ", "_"))
    return known if known is not None else names.parameter(word.strip())


def unknown_dimension(word: str, names: ReportNames) -> str:
    """Return a sentence about a word that is no dimension, with what it may have meant."""
    return f"There is no dimension or parameter “{word[:60]}”.{meant(word, (*_WORDS, *names.parameters()))}"


def meant(word: str, known: Sequence[str]) -> str:
    """Return the question whether a word was meant to be one of those known; empty if it resembles none."""
    by_lower = {name.casefold(): name for name in known}
    close = get_close_matches(word[:60].strip().casefold(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean {by_lower[close[0]]}?" if close else ""


def filters_of(
    texts: Sequence[str], names: ReportNames, zone: ZoneInfo, faults: list[FieldFault]
) -> tuple[DimensionFilter, ...]:
    """Return the filters. Values of the same dimension and operator are alternatives, or with ``!`` all excluded."""
    if len(texts) > MAX_FILTERS:
        faults.append(
            FieldFault(FIELD, FaultCode.TOO_MANY, f"Use at most {MAX_FILTERS} filters. There are {len(texts):,}.")
        )
        return ()
    found: dict[tuple[Grouping, FilterOperator], list[str]] = {}
    numeric: list[DimensionFilter] = []
    for text in texts:
        filter_ = _filter(text, names, zone, faults)
        if filter_ is not None and filter_.operator.is_numeric:
            numeric.append(filter_)
        elif filter_ is not None:
            found.setdefault((filter_.dimension, filter_.operator), []).extend(filter_.values)
    alternatives = (DimensionFilter(key[0], tuple(dict.fromkeys(values)), key[1]) for key, values in found.items())
    return (*alternatives, *numeric)


def _filter(text: str, names: ReportNames, zone: ZoneInfo, faults: list[FieldFault]) -> DimensionFilter | None:
    if len(text) > MAX_FILTER_LENGTH:
        sentence = f"A filter has at most {MAX_FILTER_LENGTH:,} characters. This one has {len(text):,}."
        faults.append(FieldFault(FIELD, FaultCode.OUT_OF_RANGE, sentence))
        return None
    match = _OPERATOR.search(text)
    dimension = grouping_of(text[: match.start()], names) if match else None
    if match is None or dimension is None:
        sentence = "Enter a dimension, a colon and a value, such as country:DE."
        if match is not None:
            sentence += f" {unknown_dimension(text[: match.start()].strip(), names)}"
        faults.append(FieldFault(FIELD, FaultCode.NOT_ALLOWED, sentence))
        return None
    operator, value = FilterOperator(match[0]), text[match.end() :]
    if operator.is_numeric:
        if not _DECIMAL.fullmatch(value.strip()):
            faults.append(_fault(f"Enter a decimal after {match[0]}, such as {dimension.key}{match[0]}0.5."))
            return None
        whole, _, fraction = value.strip().partition(".")
        return DimensionFilter(dimension, (str(int(whole + fraction.ljust(6, "0"))),), operator)
    values = _values(dimension, value, operator, names, zone)
    if values is None:
        faults.append(_fault(_no_value(dimension, value)))
        return None
    if operator in _CONTAINS and dimension.is_number:
        operator = FilterOperator.IN if operator is FilterOperator.CONTAINS else FilterOperator.NOT_IN
    return DimensionFilter(dimension, values, operator)


def key_of_value(dimension: Grouping, value: str, names: ReportNames, zone: ZoneInfo) -> str | None:
    """Return a value in the form of the keys of groups; None if it is no value of the dimension."""
    found = _values(dimension, value, FilterOperator.IN, names, zone)
    return found[0] if found is not None and len(found) == 1 else None


def _fault(sentence: str) -> FieldFault:
    return FieldFault(FIELD, FaultCode.WRONG_TYPE, sentence)


def _values(
    dimension: Grouping, value: str, operator: FilterOperator, names: ReportNames, zone: ZoneInfo
) -> tuple[str, ...] | None:
    """Return a value in the form of group keys; of a name that several records have, all of theirs. None if it is invalid."""
    if isinstance(dimension, Parameter):
        return (value,)
    if dimension.is_number:
        is_part = operator in _CONTAINS
        if not is_part and value.isdecimal() and value.isascii():
            return (str(int(value)),) if len(value) < 16 else None
        found = names.records(dimension, value, is_part=is_part)
        return tuple(map(str, found)) or (("-1",) if is_part else None)
    if operator in _CONTAINS:
        return (value,)
    if dimension in (Dimension.DAY, Dimension.HOUR):
        return _moment(dimension, value, zone)
    if dimension is Dimension.WEEKDAY and value.capitalize() in WEEKDAYS:
        return (str(WEEKDAYS.index(value.capitalize()) + 1),)
    if dimension.is_integer:
        return (str(int(value)),) if value.isdecimal() and value.isascii() and len(value) < 16 else None
    return (_word(dimension, value, names),)


def _word(dimension: Dimension, value: str, names: ReportNames) -> str:
    """Return a text in the case in which it is recorded, and the code of a name."""
    if dimension is Dimension.STATUS:
        by_name = {name.casefold(): key for key, name in names.statuses().items()}
        return value if value in names.statuses() else by_name.get(value.casefold(), value.lower())
    if dimension is Dimension.COUNTRY and len(value) > 2:
        return country_code(value) or value.upper()
    if dimension in _LOWER:
        return value.lower()
    return value.upper() if dimension in _UPPER else value


def _moment(dimension: Dimension, value: str, zone: ZoneInfo) -> tuple[str, ...] | None:
    """Return the first moment of a day or hour; an hour without an offset from UTC is in the report's time zone."""
    try:
        if dimension is Dimension.DAY:
            return (str(start_of_day(date.fromisoformat(value), zone)),)
        at = datetime.fromisoformat(value)
        return (str(int((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()) * 1000),)
    except (ValueError, OverflowError):
        return None


def _no_value(dimension: Grouping, value: str) -> str:
    shown = value[:60]
    if dimension is Dimension.DAY:
        return "Enter a date after day:, such as day:2026-03-01."
    if dimension is Dimension.HOUR:
        return "Enter a date and hour after hour:, such as hour:2026-03-01T14:00."
    if dimension.is_integer and not dimension.is_number:
        return f"Enter a number after {dimension.key}:"
    return f"Enter a number or the name of an existing one after {dimension.key}: – none is called “{shown}”."
