"""The filters of the macro language, such as ``{payout|round:2|default:0}``, applied from left to right before encoding.

An empty value stays empty, except with ``default``, ``random`` and a ``map`` that contains it or ``*``. A value that a filter
cannot read (``round`` of a word, ``format`` of something else than a time) stays unchanged.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from clickloop.text import unescape_bytes

Chance = Callable[[], int]
"""Returns a random, non-negative 64-bit integer."""

Apply = Callable[[str, Chance], str]
RANDOM_DIGITS = 10
_MAX_PLACES = 12  # amounts have six; more only add zeros
_MAX_LENGTH = 10_000  # for cut: no value is longer
_AMOUNT = re.compile(r"([+-]?)([0-9]{1,30})(?:\.([0-9]{0,30}))?")
_SECONDS = re.compile(r"-?[0-9]{1,12}")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DIRECTIVE = re.compile("%(.?)", re.DOTALL)
_DIRECTIVES = "YmdHMSyjIpaAbBzZ%"


class Expected(msgspec.Struct, frozen=True):
    """An invalid argument; ``sentence`` says what was expected, without capital and period."""

    sentence: str


class FilterInfo(msgspec.Struct, frozen=True):
    """Documentation of a filter. ``argument`` is empty if it takes none."""

    name: str
    argument: str
    sentence: str
    example: str


FILTERS: tuple[FilterInfo, ...] = (
    FilterInfo("raw", "", "Does not encode the value, but removes line breaks and NUL.", "{referrer|raw}"),
    FilterInfo("default", "text", "Uses this text if the value is empty.", "{payout|default:0}"),
    FilterInfo("lower", "", "Converts to lower case.", "{country|lower}"),
    FilterInfo("upper", "", "Converts to upper case.", "{externalid|upper}"),
    FilterInfo("md5", "", "MD5 of the value, in hexadecimal.", "{ip|md5}"),
    FilterInfo("sha256", "", "SHA-256 of the value, in hexadecimal.", "{ip|sha256}"),
    FilterInfo("round", "places", "Rounds to this many decimal places, halves away from zero.", "{payout|round:2}"),
    FilterInfo(
        "format",
        "pattern,zone",
        "Formats a time by a strftime pattern, in UTC or this time zone.",
        "{now|format:%Y-%m-%d}",
    ),
    FilterInfo(
        "map",
        "from=to,…,*=else",
        "Replaces words, ignoring case. Other words stay, unless there is a *.",
        "{status|map:sale=1,*=0}",
    ),
    FilterInfo("cut", "length", "Keeps at most this many characters from the start.", "{useragent|cut:50}"),
    FilterInfo(
        "random", "from,to", "Replaces the value with a random integer, by default of ten digits.", "{now|random}"
    ),
)
NAMES = frozenset(info.name for info in FILTERS)


def build(name: str, argument: str | None) -> Apply | Expected:
    """Return the filter ``name`` (lower case, one of ``NAMES`` except ``raw``) with its argument; None if there was no colon."""
    if name in _WITHOUT_ARGUMENT:
        return _WITHOUT_ARGUMENT[name] if argument is None else Expected(f"{name} takes no argument")
    if name == "random" and argument is None:
        return _ten_digits
    if argument is None:
        return Expected(f"{name} needs an argument, as in {_EXAMPLES[name]}")
    return _WITH_ARGUMENT[name](argument)


def _lower(value: str, _chance: Chance) -> str:
    return value.lower()


def _upper(value: str, _chance: Chance) -> str:
    return value.upper()


def _md5(value: str, _chance: Chance) -> str:
    return hashlib.md5(unescape_bytes(value), usedforsecurity=False).hexdigest() if value else ""


def _sha256(value: str, _chance: Chance) -> str:
    return hashlib.sha256(unescape_bytes(value)).hexdigest() if value else ""


def _ten_digits(_value: str, chance: Chance) -> str:
    lowest = 10 ** (RANDOM_DIGITS - 1)
    return str(lowest + chance() % (9 * lowest))


def _default(argument: str) -> Apply | Expected:
    def apply(value: str, _chance: Chance) -> str:
        return value or argument

    return apply


def _cut(argument: str) -> Apply | Expected:
    if not _INTEGER.fullmatch(argument) or not 1 <= int(argument) <= _MAX_LENGTH:
        return Expected(f"cut needs a length from 1 to {_MAX_LENGTH}, as in cut:50")
    length = int(argument)

    def apply(value: str, _chance: Chance) -> str:
        return value[:length]

    return apply


def _round(argument: str) -> Apply | Expected:
    if not _INTEGER.fullmatch(argument) or not 0 <= int(argument) <= _MAX_PLACES:
        return Expected(f"round needs a number of places from 0 to {_MAX_PLACES}, as in round:2")
    places = int(argument)

    def apply(value: str, _chance: Chance) -> str:
        return _rounded(value, places)

    return apply


def _rounded(value: str, places: int) -> str:
    """Return a plain decimal with exactly ``places`` places, rounded half away from zero; anything else unchanged."""
    amount = _AMOUNT.fullmatch(value)
    if amount is None:
        return value
    sign, whole, fraction = amount[1], amount[2], amount[3] or ""
    rounded = int(whole + fraction[:places].ljust(places, "0"))
    if fraction[places : places + 1] >= "5":
        rounded += 1
    digits = str(rounded).rjust(places + 1, "0")
    minus = "-" if sign == "-" and rounded else ""
    return f"{minus}{digits[:-places]}.{digits[-places:]}" if places else minus + digits


def _format(argument: str) -> Apply | Expected:
    pattern, comma, zone_name = argument.rpartition(",")
    if not comma or "%" in zone_name:
        pattern, zone_name = argument, "UTC"
    zone = _zone(zone_name.strip())
    if zone is None:
        return Expected(f"the time zone {zone_name.strip()[:60]} does not exist, use a name such as Europe/Berlin")
    if "%" not in pattern or any(found not in _DIRECTIVES or not found for found in _DIRECTIVE.findall(pattern)):
        return Expected("format needs a pattern of these directives: %" + " %".join(_DIRECTIVES))
    if not pattern.isprintable():
        return Expected("format needs a pattern without control characters")

    def apply(value: str, _chance: Chance) -> str:
        if not _SECONDS.fullmatch(value):
            return value
        try:
            return datetime.fromtimestamp(int(value), UTC).astimezone(zone).strftime(pattern)
        except (ValueError, OverflowError, OSError):  # beyond the years 1 to 9999
            return value

    return apply


def _zone(name: str) -> tzinfo | None:
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a name; a folder of zones
        return None


def _map(argument: str) -> Apply | Expected:
    exchange: dict[str, str] = {}
    for pair in argument.split(","):
        word, equals, replacement = pair.partition("=")
        if not equals:
            return Expected("map needs pairs, as in map:sale=1,hold=0,*=9")
        exchange.setdefault(word.strip().lower(), replacement.strip())
    return _exchanging(exchange, exchange.pop("*", None))


def _exchanging(exchange: Mapping[str, str], otherwise: str | None) -> Apply:
    def apply(value: str, _chance: Chance) -> str:
        replacement = exchange.get(value.strip().lower(), otherwise)
        return value if replacement is None else replacement

    return apply


def _random(argument: str) -> Apply | Expected:
    first, _, last = argument.partition(",")
    first, last = first.strip(), last.strip()
    if not _INTEGER.fullmatch(first) or not _INTEGER.fullmatch(last) or int(first) > int(last):
        return Expected("random needs two integers, the smaller first, as in random:1,100")
    lowest, count = int(first), int(last) - int(first) + 1

    def apply(_value: str, chance: Chance) -> str:
        return str(lowest + chance() % count)

    return apply


_EXAMPLES = {info.name: info.example for info in FILTERS}
_WITHOUT_ARGUMENT: Mapping[str, Apply] = {"lower": _lower, "upper": _upper, "md5": _md5, "sha256": _sha256}
_WITH_ARGUMENT: Mapping[str, Callable[[str], Apply | Expected]] = {
    "default": _default,
    "round": _round,
    "format": _format,
    "map": _map,
    "cut": _cut,
    "random": _random,
}
