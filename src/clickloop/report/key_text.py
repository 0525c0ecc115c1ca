"""Group keys of a report as texts, for programs and for people."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from clickloop.click.country import country_name
from clickloop.report.query import ANY_MARK, DELAY_CLASSES, WITH_MARK, Dimension, Grouping, GroupKey, Parameter
from clickloop.setup.mark import mark_name
from clickloop.text import readable

NONE = "(none)"
NO_RULE = "(no rule)"  # along the default paths
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TITLES = {
    Dimension.SOURCE: "Traffic source",
    Dimension.OS: "Operating system",
    Dimension.OS_VERSION: "OS version",
    Dimension.ISP: "ISP",
    Dimension.ASN: "ASN",
    Dimension.HOUR_OF_DAY: "Hour of day",
    Dimension.STATUS: "Conversion status",
    Dimension.COUNTS_AS: "Status counts as",
    Dimension.DELAY: "Time to conversion",
    Dimension.MARK: "Marks",
    Dimension.UNIQUE: "Uniqueness",
}
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def dimension_title(dimension: Grouping) -> str:
    """Return the title of a dimension."""
    if isinstance(dimension, Parameter):
        return dimension.name
    known = _TITLES.get(dimension)
    if known is not None:
        return known
    text = dimension.value.replace("_", " ")
    return text.upper() if text[1:].isdecimal() else text.capitalize()


def key_value(dimension: Grouping, key: GroupKey, zone: ZoneInfo) -> str:
    """Return the key for programs: a day as a date, an hour as ISO 8601 with UTC offset, anything else unchanged."""
    if dimension is Dimension.DAY:
        return _moment(key, zone).date().isoformat()
    if dimension is Dimension.HOUR:
        return _moment(key, zone).isoformat(timespec="minutes")
    return str(key) if isinstance(key, int) else readable(key)


def key_name(dimension: Grouping, key: GroupKey, zone: ZoneInfo, names: Mapping[GroupKey, str]) -> str:
    """Return the key for people. ``names``: names of records and statuses by key."""
    if dimension is Dimension.DAY:
        return f"{_moment(key, zone):%Y-%m-%d %a}"
    if dimension is Dimension.HOUR:
        return f"{_moment(key, zone):%Y-%m-%d %H:%M}"
    if dimension is Dimension.WEEKDAY:
        return WEEKDAYS[int(key) - 1]
    if dimension is Dimension.DELAY:
        return _delay_class(int(key))
    if dimension is Dimension.HOUR_OF_DAY:
        return f"{int(key):02d}:00"
    if dimension is Dimension.MARK:
        return _marks_name(str(key))
    if key in ("", 0):
        return NO_RULE if dimension is Dimension.RULE else NONE
    if dimension is Dimension.COUNTRY:
        return country_name(str(key)) or str(key)
    if dimension.is_number:
        return names.get(key) or f"{dimension_title(dimension)} {key}"
    return names.get(key) or readable(str(key))


def _delay_class(first: int) -> str:
    """Return a class of delays: ``under 1 min``, ``1 min – 5 min``, ``30 d and more``."""
    later = [other for other in DELAY_CLASSES if other > first]
    if first == 0:
        return f"under {_duration(later[0])}"
    return f"{_duration(first)} – {_duration(later[0])}" if later else f"{_duration(first)} and more"


def _duration(seconds: int) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return f"{seconds // size} {unit}"


def _moment(key: GroupKey, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(int(key) / 1000, zone)


def _marks_name(key: str) -> str:
    """Return the marks of clicks, or the words for a filter on them."""
    if key in _OF_MARKS:
        return _OF_MARKS[key]
    words = ", ".join(mark_name(mark) for mark in key.removeprefix(WITH_MARK).split(","))
    return f"with {words}" if key.startswith(WITH_MARK) else words


_OF_MARKS = {"": "(clean)", ANY_MARK: "(marked)"}
