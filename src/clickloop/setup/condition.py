"""The condition of a rule: a field of the visitor, an operator, values, and the result for an unknown value."""

import enum
import ipaddress
import re
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from clickloop.log_filter import MAX_ID
from clickloop.pattern import PatternError, pattern_of
from clickloop.setup.fault import FaultCode, FieldFault, text_faults
from clickloop.setup.mark import Mark, MarkMoment
from clickloop.setup.source_rows import V_ROWS

MAX_VALUES = 10_000  # as long as blacklists of zones get
MAX_VALUE_LENGTH = 1_000  # as long as the external id that a click stores
MAX_MATCHES = 20  # each regular expression costs microseconds per click
MAX_CONDITIONS = 20

_QUERY_NAME = re.compile(r"[^\x00-\x20&=#\x7f]{1,100}")
_VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}")
_HOURS = re.compile(r"(mon|tue|wed|thu|fri|sat|sun) ([0-9]{1,2})-([0-9]{1,2})")
_CODES = {
    "country": (re.compile(r"[A-Z]{2}"), "Enter a two-letter country code (ISO 3166-1), such as US."),
    "continent": (re.compile(r"AF|AN|AS|EU|NA|OC|SA"), "Enter AF, AN, AS, EU, NA, OC or SA."),
    "region": (re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}"), "Enter an ISO 3166-2 code, such as US-CA."),
    "language": (
        re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*"),
        "Enter a language tag in lower case, such as pt-br.",
    ),
    "asn": (re.compile(r"[0-9]{1,10}"), "Enter the number of an autonomous system, such as 15169."),
    "visit_number": (re.compile(r"[0-9]{1,6}"), "Enter a whole number, such as 2."),
    "unique": (re.compile(r"yes|no"), "Enter yes or no."),
    "ip_version": (re.compile(r"[46]"), "Enter 4 or 6."),
}
CODED_FIELDS = frozenset(_CODES)
"""Fields whose values have a form of their own, beside that of their kind."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Operator(enum.StrEnum):
    """The comparison of a visitor's value with the values of a condition."""

    IN = "in"
    """The value is one of them."""
    NOT_IN = "not_in"
    """The value is none of them."""
    CONTAINS = "contains"
    """The value contains one of them. ``Comparison.TEXT`` is case-sensitive."""
    STARTS_WITH = "starts_with"
    """The value begins with one of them. ``Comparison.TEXT`` is case-sensitive."""
    MATCHES = "matches"
    """One of them, a regular expression (RE2), matches anywhere in the value."""
    BETWEEN = "between"
    """The value is between the first and the second, both included; an empty bound is open."""
    EMPTY = "empty"
    """The value is unknown or empty."""


class UnknownValue(enum.StrEnum):
    """The result of a condition for a visitor whose value is unknown."""

    NO_MATCH = "no_match"
    MATCH = "match"


class Comparison(enum.StrEnum):
    """The way in which the values of a field are compared."""

    CODE = "code"
    """A code of a closed or standard list. Exact."""
    WORD = "word"
    """A name from a geo base or a User-Agent. Case-insensitive."""
    TEXT = "text"
    """A text of the source. Case-sensitive."""
    LANGUAGE = "language"
    """A language tag. ``en`` includes ``en-us``."""
    VERSION = "version"
    """Numbers separated by periods. ``17`` includes 17.5."""
    NUMBER = "number"
    ADDRESS = "address"
    """IP addresses and CIDR ranges."""
    SCHEDULE = "schedule"
    """A time zone, followed by hours of weekdays: ``mon 9-17`` is 9:00 to 16:59."""
    DATE = "date"
    """Two local moments and, as a third value, their time zone; UTC without one."""
    MARKS = "marks"
    """Names of marks. ``in`` holds for a visitor with one of them, who may have others, too; ``not_in`` for one with none of them."""


_IN = (Operator.IN, Operator.NOT_IN)
_WORDS = (*_IN, Operator.CONTAINS, Operator.STARTS_WITH, Operator.MATCHES, Operator.EMPTY)
OPERATORS: dict[Comparison, tuple[Operator, ...]] = {
    Comparison.CODE: (*_IN, Operator.EMPTY),
    Comparison.WORD: _WORDS,
    Comparison.TEXT: _WORDS,
    Comparison.LANGUAGE: (*_IN, Operator.EMPTY),
    Comparison.VERSION: (*_IN, Operator.BETWEEN, Operator.EMPTY),
    Comparison.NUMBER: (*_IN, Operator.BETWEEN, Operator.EMPTY),
    Comparison.ADDRESS: _IN,
    Comparison.SCHEDULE: _IN,
    Comparison.DATE: (Operator.BETWEEN,),
    Comparison.MARKS: _IN,
}
"""The operators of each comparison, the usual one first."""

FIELDS: dict[str, Comparison] = {
    **dict.fromkeys(
        ("country", "continent", "region", "connection", "device", "unique", "ip_version"), Comparison.CODE
    ),
    **dict.fromkeys(("city", "isp", "brand", "model", "os", "browser", "referrer", "useragent"), Comparison.WORD),
    **dict.fromkeys(("os_version", "browser_version"), Comparison.VERSION),
    **dict.fromkeys(("asn", "visit_number"), Comparison.NUMBER),
    "language": Comparison.LANGUAGE,
    "ip": Comparison.ADDRESS,
    "schedule": Comparison.SCHEDULE,
    "date": Comparison.DATE,
    "mark": Comparison.MARKS,
    "external_id": Comparison.TEXT,
    **{f"v{number}": Comparison.TEXT for number in V_ROWS},
}
"""The fields with a fixed name. ``query.NAME`` is any parameter of the link, compared as ``Comparison.TEXT``."""

_WITHOUT_LIST = {Comparison.SCHEDULE: "A schedule", Comparison.MARKS: "A condition on marks"}

QUERY_PREFIX = "query."


def comparison_of(field: str) -> Comparison | None:
    """Return how the values of a field are compared; None if there is no such field."""
    found = FIELDS.get(field)
    if found is None and field.startswith(QUERY_PREFIX) and _QUERY_NAME.fullmatch(field[len(QUERY_PREFIX) :]):
        return Comparison.TEXT
    return found


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A condition of a rule. One of its values has to fit."""

    field: Annotated[
        str, Meta(description="Field of the visitor, or query.NAME for a parameter.", examples=["country"])
    ]
    op: Annotated[Operator, Meta(description="How the values are compared.")] = Operator.IN
    values: Annotated[
        tuple[str, ...],
        Meta(
            description="Values, as texts. between: the lowest and the highest; leave one empty for no limit. schedule: the time zone, "
            "then hours such as mon 9-17 (until 16:59). date: two local moments and, if it is not UTC, their time zone.",
            examples=[["US", "CA"]],
        ),
    ] = ()
    list_id: (
        Annotated[int, Meta(ge=1, le=MAX_ID, description="Named list whose entries are added to the values.")] | None
    ) = None
    unknown: Annotated[
        UnknownValue | None,
        Meta(
            description="Result for visitors whose value is unknown. null: match for not_in, no_match for all other operators."
        ),
    ] = None

    @property
    def holds_for_unknown(self) -> bool:
        """Return whether the condition holds for a visitor whose value is unknown."""
        if self.op is Operator.EMPTY:
            return True
        if self.unknown is not None:
            return self.unknown is UnknownValue.MATCH
        return self.op is Operator.NOT_IN


def condition_faults(at: str, condition: Condition) -> list[FieldFault]:
    """Return everything wrong with a condition. ``at``: its field in the flow, such as ``rules[0].conditions[1]``."""
    comparison = comparison_of(condition.field)
    if comparison is None:
        sentence = f"There is no field {condition.field[:100]!r}. Use a field such as country, or query.NAME."
        return [FieldFault(f"{at}.field", FaultCode.NOT_FOUND, sentence)]
    if condition.op not in OPERATORS[comparison]:
        possible = ", ".join(OPERATORS[comparison])
        sentence = f"{condition.field} cannot be compared with {condition.op}. Use one of these: {possible}."
        return [FieldFault(f"{at}.op", FaultCode.NOT_ALLOWED, sentence)]
    return _number_faults(at, condition, comparison) or _value_faults(at, condition, comparison)


def _number_faults(at: str, condition: Condition, comparison: Comparison) -> list[FieldFault]:
    """Return what is wrong with the number of values."""
    count, op = len(condition.values), condition.op
    field = f"{at}.values"
    if op is Operator.EMPTY:
        if not count and condition.list_id is None:
            return []
        return [FieldFault(field, FaultCode.NOT_ALLOWED, "The operator empty takes no values.")]
    if op is Operator.BETWEEN:
        expected = (2, 3) if comparison is Comparison.DATE else (2,)
        if condition.list_id is not None or count not in expected or not any(condition.values[:2]):
            return [FieldFault(field, FaultCode.OUT_OF_RANGE, "Enter two bounds. One of them may be empty.")]
        return []
    whose = _WITHOUT_LIST.get(comparison, "matches" if op is Operator.MATCHES else "")
    if condition.list_id is not None and whose:
        # A list may have 10,000 entries, which as expressions would cost milliseconds per click.
        return [FieldFault(f"{at}.list_id", FaultCode.NOT_ALLOWED, f"{whose} takes no list.")]
    if not count and condition.list_id is None:
        return [FieldFault(field, FaultCode.REQUIRED, "Enter at least one value, or choose a list.")]
    most = MAX_MATCHES if op is Operator.MATCHES else MAX_VALUES
    if count > most:
        return [FieldFault(field, FaultCode.TOO_MANY, f"There are {count} values. The maximum is {most}. Use a list.")]
    return []


def _value_faults(at: str, condition: Condition, comparison: Comparison) -> list[FieldFault]:
    """Return the fault of the first faulty value. Most of the others, of up to 10,000 pasted ones, have the same fault."""
    for position, value in enumerate(condition.values):
        field = f"{at}.values[{position}]"
        if condition.op is Operator.BETWEEN and not value:
            continue
        faults = text_faults(field, value, MAX_VALUE_LENGTH, required=True)
        sentence = "" if faults else _fault_of(condition, comparison, position, value)
        if sentence:
            faults = [FieldFault(field, FaultCode.CHARACTER, f"{value[:100]!r} cannot be read: {sentence}")]
        if faults:
            return faults
    return []


def is_comparable(condition: Condition, value: str) -> bool:
    """Return whether a condition can be compared with a value, such as an entry of a list that conditions on other fields share."""
    comparison = comparison_of(condition.field) or Comparison.TEXT
    return bool(value) and not _fault_of(condition, comparison, 1, value)


def _fault_of(condition: Condition, comparison: Comparison, position: int, value: str) -> str:
    """Return why a condition cannot be compared with a value; empty if it can."""
    if condition.op is Operator.MATCHES:
        try:
            pattern_of(value)
        except PatternError as error:
            return f"{error}."
        return ""
    if condition.op in (Operator.CONTAINS, Operator.STARTS_WITH):
        return ""
    if condition.field in _CODES:
        form, sentence = _CODES[condition.field]
        return "" if form.fullmatch(value) else sentence
    match comparison:
        case Comparison.VERSION:
            return "" if _VERSION.fullmatch(value) else "Enter a version, such as 17 or 17.5."
        case Comparison.ADDRESS:
            return "" if is_network(value) else "Enter an IP address or a CIDR range, such as 203.0.113.0/24."
        case Comparison.SCHEDULE if position == 0:
            return (
                "" if zone_of(value) else "The first value of a schedule must be its time zone, such as Europe/Berlin."
            )
        case Comparison.SCHEDULE:
            return "" if hours_in(value) else "Enter hours of a weekday, such as mon 9-17."
        case Comparison.MARKS:
            return _mark_fault(value)
        case Comparison.DATE if position == 2:
            return "" if zone_of(value) else "Enter a time zone, such as Europe/Berlin."
        case Comparison.DATE:
            return (
                "" if moment_in(value, "UTC") is not None else "Enter a date, such as 2026-12-24 or 2026-12-24T18:00."
            )
    return ""


def _mark_fault(value: str) -> str:
    """Return why a rule cannot use a mark; empty if it can."""
    mark = next((mark for mark in Mark if mark.value == value), None)
    usable = ", ".join(one for one in Mark if one.moment is MarkMoment.REQUEST)
    if mark is None:
        return f"There is no such mark. Rules can use {usable}."
    if mark.moment is not MarkMoment.REQUEST:
        return f"This mark is given after the redirect, so no rule can use it. Rules can use {usable}."
    return ""


def is_network(text: str) -> bool:
    """Return whether a text is an IP address or a CIDR range. Host bits may be set."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def zone_of(name: str) -> ZoneInfo | None:
    """Return a time zone by its name, or None."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # a path, a folder, an unknown name
        return None


def hours_in(text: str) -> range | None:
    """Return the hours of the week, counted from Monday 0:00, of a text such as ``mon 9-17``; None if it is not of this form."""
    found = _HOURS.fullmatch(text)
    if found is None:
        return None
    day, first, last = WEEKDAYS.index(found[1]), int(found[2]), int(found[3])
    return range(day * 24 + first, day * 24 + last) if first < last <= 24 else None


def moment_in(text: str, zone: str) -> int | None:
    """Return the Unix milliseconds of a local moment such as ``2026-12-24`` or ``2026-12-24T18:00``; None if it is not of this form."""
    found = zone_of(zone)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if found is None or moment.tzinfo is not None:
        return None
    try:
        return round(moment.replace(tzinfo=found).timestamp() * 1000)
    except (ValueError, OverflowError):  # the years 1 and 9999 have no moment in some zones
        return None
