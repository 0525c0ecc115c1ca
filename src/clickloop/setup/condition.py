"""The condition of a rule: a field of the visitor, an operator, values, and what holds for visitors whose value is unknown."""

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
from clickloop.setup.source_rows import V_ROWS

MAX_VALUES = 10_000  # black lists of zones are this long
MAX_VALUE_LENGTH = 1_000  # of one value, as long as what a click keeps of an external id
MAX_MATCHES = 20  # a regular expression costs microseconds for each click
MAX_CONDITIONS = 20

_QUERY_NAME = re.compile(r"[^\x00-\x20&=#\x7f]{1,100}")
_VERSION = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}")
_HOURS = re.compile(r"(mon|tue|wed|thu|fri|sat|sun) ([0-9]{1,2})-([0-9]{1,2})")
_CODES = {
    "country": (re.compile(r"[A-Z]{2}"), "Two capital letters are expected (ISO 3166-1), such as US."),
    "continent": (re.compile(r"AF|AN|AS|EU|NA|OC|SA"), "AF, AN, AS, EU, NA, OC or SA is expected."),
    "region": (re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}"), "An ISO 3166-2 code is expected, such as US-CA."),
    "language": (
        re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*"),
        "A language tag in lower case is expected, such as pt-br.",
    ),
    "asn": (re.compile(r"[0-9]{1,10}"), "The number of an autonomous system is expected, such as 15169."),
    "visit_number": (re.compile(r"[0-9]{1,6}"), "A whole number is expected, such as 2."),
    "unique": (re.compile(r"yes|no"), "yes or no is expected."),
    "ip_version": (re.compile(r"[46]"), "4 or 6 is expected."),
}
CODED_FIELDS = frozenset(_CODES)
"""Fields whose values have a form of their own, beside that of their kind."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Operator(enum.StrEnum):
    """How a visitor's value is compared with the values of a condition."""

    IN = "in"
    """It is one of them."""
    NOT_IN = "not_in"
    """It is none of them."""
    CONTAINS = "contains"
    """It contains one of them, in any case."""
    STARTS_WITH = "starts_with"
    """It begins with one of them, in any case."""
    MATCHES = "matches"
    """One of them, a regular expression of RE2, matches somewhere in it."""
    BETWEEN = "between"
    """It is from the first value to the second, both included; an empty bound is open."""
    EMPTY = "empty"
    """It is unknown or empty."""


class UnknownValue(enum.StrEnum):
    """What a condition says of visitors whose value is unknown."""

    NO_MATCH = "no_match"
    MATCH = "match"


class Comparison(enum.StrEnum):
    """How the values of a field are read."""

    CODE = "code"
    """One of a closed or standardised list: exact."""
    WORD = "word"
    """A name from a data base or a User-Agent: in any case."""
    TEXT = "text"
    """The source's own text: byte for byte."""
    LANGUAGE = "language"
    """``en`` stands for ``en-us``, too."""
    VERSION = "version"
    """Numbers between points; ``17`` stands for 17.5, too."""
    NUMBER = "number"
    ADDRESS = "address"
    """Addresses and networks in CIDR form."""
    SCHEDULE = "schedule"
    """A time zone, then hours of weekdays: ``mon 9-17`` is from 9:00 to 16:59."""
    DATE = "date"
    """Local moments, and as third value the time zone; none: UTC."""


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
}
"""The operators that each kind of value takes, the usual one first."""

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
    "external_id": Comparison.TEXT,
    **{f"v{number}": Comparison.TEXT for number in V_ROWS},
}
"""The fields with a fixed name. Beside them ``query.NAME`` is a parameter of the link, whatever its name: ``Comparison.TEXT``."""

QUERY_PREFIX = "query."


def comparison_of(field: str) -> Comparison | None:
    """Return how the values of a field are read; None: there is no such field."""
    found = FIELDS.get(field)
    if found is None and field.startswith(QUERY_PREFIX) and _QUERY_NAME.fullmatch(field[len(QUERY_PREFIX) :]):
        return Comparison.TEXT
    return found


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A condition of a rule. Its values stand for each other: one that fits is enough."""

    field: Annotated[
        str, Meta(description="What is compared: a field of the visitor, or query.NAME.", examples=["country"])
    ]
    op: Annotated[Operator, Meta(description="How it is compared.")] = Operator.IN
    values: Annotated[
        tuple[str, ...],
        Meta(
            description="The values, as texts. between: the lowest and the highest, an empty one is open. schedule: the time zone, "
            "then hours such as mon 9-17 (until 16:59). date: two local moments and, as a third value, a time zone other than UTC.",
            examples=[["US", "CA"]],
        ),
    ] = ()
    list_id: (
        Annotated[int, Meta(ge=1, le=MAX_ID, description="A named list whose entries are added to the values.")] | None
    ) = None
    unknown: Annotated[
        UnknownValue | None,
        Meta(
            description="What holds for visitors whose value is unknown; null: match with not_in, no_match with all others."
        ),
    ] = None

    @property
    def holds_for_unknown(self) -> bool:
        """Return whether it holds for a visitor whose value is unknown."""
        if self.op is Operator.EMPTY:
            return True
        if self.unknown is not None:
            return self.unknown is UnknownValue.MATCH
        return self.op is Operator.NOT_IN


def condition_faults(at: str, condition: Condition) -> list[FieldFault]:
    """Return what is wrong with a condition. ``at``: the path of its field, such as ``rules[0].conditions[1]``."""
    comparison = comparison_of(condition.field)
    if comparison is None:
        sentence = f"There is no field {condition.field[:100]!r}. A field such as country is expected, or query.NAME."
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
        return [FieldFault(field, FaultCode.NOT_ALLOWED, "empty takes no values.")]
    if op is Operator.BETWEEN:
        expected = (2, 3) if comparison is Comparison.DATE else (2,)
        if condition.list_id is not None or count not in expected or not any(condition.values[:2]):
            return [FieldFault(field, FaultCode.OUT_OF_RANGE, "Two bounds are expected; one of them may be empty.")]
        return []
    if condition.list_id is not None and (comparison is Comparison.SCHEDULE or op is Operator.MATCHES):
        # A list may have 10,000 entries: as expressions they would cost each click milliseconds.
        whose = "A schedule" if comparison is Comparison.SCHEDULE else "matches"
        return [FieldFault(f"{at}.list_id", FaultCode.NOT_ALLOWED, f"{whose} takes no list.")]
    if not count and condition.list_id is None:
        return [FieldFault(field, FaultCode.REQUIRED, "Give at least one value, or a list.")]
    most = MAX_MATCHES if op is Operator.MATCHES else MAX_VALUES
    if count > most:
        return [
            FieldFault(field, FaultCode.TOO_MANY, f"There are {count} values, at most {most} are possible. Use a list.")
        ]
    return []


def _value_faults(at: str, condition: Condition, comparison: Comparison) -> list[FieldFault]:
    """Return the first faulty value: of 10,000 pasted ones the others are mostly faulty for the same reason."""
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
    """Return whether a condition can compare with a value, such as an entry of its list, which other conditions may use, too."""
    comparison = comparison_of(condition.field) or Comparison.TEXT
    return bool(value) and not _fault_of(condition, comparison, 1, value)


def _fault_of(condition: Condition, comparison: Comparison, position: int, value: str) -> str:
    """Return why a value cannot be compared with; empty: it can."""
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
            return "" if _VERSION.fullmatch(value) else "A version is expected, such as 17 or 17.5."
        case Comparison.ADDRESS:
            return "" if is_network(value) else "An address or a network is expected, such as 203.0.113.0/24."
        case Comparison.SCHEDULE if position == 0:
            return "" if zone_of(value) else "The first value of a schedule is its time zone, such as Europe/Berlin."
        case Comparison.SCHEDULE:
            return "" if hours_in(value) else "Hours of a weekday are expected, such as mon 9-17."
        case Comparison.DATE if position == 2:
            return "" if zone_of(value) else "A time zone is expected, such as Europe/Berlin."
        case Comparison.DATE:
            return (
                ""
                if moment_in(value, "UTC") is not None
                else "A date is expected, such as 2026-12-24 or 2026-12-24T18:00."
            )
    return ""


def is_network(text: str) -> bool:
    """Return whether a text is an address or a network in CIDR form; bits behind the mask are no fault."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def zone_of(name: str) -> ZoneInfo | None:
    """Return a time zone by its name; None: there is none."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # a path, a folder, an unknown name
        return None


def hours_in(text: str) -> range | None:
    """Return the hours of the week, from Monday 0:00, that a text such as ``mon 9-17`` means; None: it means none."""
    found = _HOURS.fullmatch(text)
    if found is None:
        return None
    day, first, last = WEEKDAYS.index(found[1]), int(found[2]), int(found[3])
    return range(day * 24 + first, day * 24 + last) if first < last <= 24 else None


def moment_in(text: str, zone: str) -> int | None:
    """Return the Unix milliseconds of a local moment such as ``2026-12-24`` or ``2026-12-24T18:00``; None: it is none."""
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
