"""A condition in words: ``country is US or CA``."""

from clickloop.setup.condition import QUERY_PREFIX, Condition, Operator
from clickloop.text import readable

MAX_SHOWN = 6
"""Values in a sentence; the rest is counted."""
MAX_VALUE_LENGTH = 60

_NAMES = {
    "asn": "AS number",
    "isp": "ISP",
    "ip": "IP address",
    "ip_version": "IP version",
    "os": "OS",
    "os_version": "OS version",
    "useragent": "User-Agent",
    "external_id": "external ID",
    "unique": "first visit",
    "visit_number": "number of the visit",
    "schedule": "time of the week",
}


def field_name(field: str) -> str:
    """Return a field's name on screen: ``OS version``, ``V1``, ``parameter sub1``."""
    if field.startswith(QUERY_PREFIX):
        return f"parameter {readable(field[len(QUERY_PREFIX) :])}"
    if field.startswith("v") and field[1:].isdecimal():
        return field.upper()
    return _NAMES.get(field, field.replace("_", " "))


def condition_sentence(condition: Condition, list_name: str = "") -> str:
    """Return what a condition compares, without its word on unknown values. ``list_name``: that of its list."""
    name = field_name(condition.field)
    values = condition.values
    match condition.op:
        case Operator.EMPTY:
            return f"{name} is unknown or empty"
        case Operator.BETWEEN:
            return f"{name} is {_span(values)}"
        case Operator.IN if condition.field == "schedule":
            return f"{name} is {_hours(values)}"
        case Operator.NOT_IN if condition.field == "schedule":
            return f"{name} is not {_hours(values)}"
        case Operator.IN:
            return f"{name} is {_any_of(condition, list_name)}"
        case Operator.NOT_IN:
            return f"{name} is not {_any_of(condition, list_name)}"
        case Operator.CONTAINS:
            return f"{name} contains {_any_of(condition, list_name)}"
        case Operator.STARTS_WITH:
            return f"{name} starts with {_any_of(condition, list_name)}"
        case Operator.MATCHES:
            return f"{name} matches {_any_of(condition, list_name)}"


def _any_of(condition: Condition, list_name: str) -> str:
    shown = [_cut(value) for value in condition.values[:MAX_SHOWN]]
    if len(condition.values) > MAX_SHOWN:
        shown.append(f"{len(condition.values) - MAX_SHOWN:,} more")
    if condition.list_id is not None:
        shown.append(
            f"an entry of the list {readable(list_name)!r}" if list_name else f"an entry of list {condition.list_id}"
        )
    return " or ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def _span(values: tuple[str, ...]) -> str:
    low, high = (*values, "", "")[:2]
    zone = f" ({values[2]})" if len(values) > 2 else ""
    if low and high:
        return f"{_cut(low)} to {_cut(high)}{zone}"
    return f"{_cut(low)} or more{zone}" if low else f"at most {_cut(high)}{zone}"


def _hours(values: tuple[str, ...]) -> str:
    zone, *hours = values or ("UTC",)
    more = f" and {len(hours) - MAX_SHOWN} more" if len(hours) > MAX_SHOWN else ""
    return f"{', '.join(hours[:MAX_SHOWN])}{more} ({zone})"


def _cut(value: str) -> str:
    text = readable(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"
