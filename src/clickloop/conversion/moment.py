"""Parse the time of a conversion as networks and spreadsheets write it, and reject implausible ones."""

import enum
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone

from clickloop.clock import DAY_MS

MAX_TEXT = 40  # longer than any date; bounds the patterns' work on untrusted text
EARLIEST_AT = 946_684_800_000
"""2000-01-01: an earlier time is a mistake of units or of a clock."""
MAX_AHEAD_MS = DAY_MS
"""How far a network's clock or time zone may be ahead of ours."""
_SERIAL_OF_1970 = 25_569  # spreadsheets count days from 30 December 1899
_MIN_SERIAL, _MAX_SERIAL = 36_526, 73_050
"""Days since 1899-12-30, as spreadsheets store dates, from 2000 to 2099. As Unix seconds they would be implausible: 1970."""


class DateOrder(enum.StrEnum):
    """The order of day and month in dates such as 05/06/2026."""

    DAY_FIRST = "day_first"
    MONTH_FIRST = "month_first"


_TIME = (
    r"(?:[ ,T]{1,2}(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r"(?: ?(?P<half>[AP])\.?M\.?)?(?: ?(?P<zone>Z|UTC|GMT|[-+][0-9]{2}(?::?[0-9]{2})?))?)?"
)
_NUMBERS = re.compile(
    rf"(?P<one>[0-9]{{1,2}})(?P<mark>[/.-])(?P<other>[0-9]{{1,2}})(?P=mark)(?P<year>[0-9]{{4}}){_TIME}", re.IGNORECASE
)
_YEAR_FIRST = re.compile(
    rf"(?P<year>[0-9]{{4}})(?P<mark>[/.-])(?P<month>[0-9]{{1,2}})(?P=mark)(?P<day>[0-9]{{1,2}}){_TIME}", re.IGNORECASE
)
_COMPACT = re.compile(
    r"(?P<year>20[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
    r"(?:[T ]?(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?P<second>[0-9]{2})?(?P<zone>Z)?)?",
    re.IGNORECASE,
)
_DAY_NAMED = re.compile(
    rf"(?:[A-Z]{{3,9}},? )?(?P<day>[0-9]{{1,2}})[ -](?P<name>[A-Z]{{3,9}})\.?[ ,-]{{1,2}}(?P<year>[0-9]{{4}}){_TIME}",
    re.IGNORECASE,
)
_MONTH_NAMED = re.compile(
    rf"(?:[A-Z]{{3,9}},? )?(?P<name>[A-Z]{{3,9}})\.? (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?,? (?P<year>[0-9]{{4}}){_TIME}",
    re.IGNORECASE,
)
_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_SERIAL = re.compile(r"([0-9]{5})(?:[.,]([0-9]{1,15}))?")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.,]{2,20}(?:Z|[-+][0-9]{2}(?::?[0-9]{2})?)?", re.IGNORECASE)
_LOST_PLUS = re.compile(r"(?<=[0-9]) {1,2}(?=[0-9]{2}:?[0-9]{2}$)")
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]


def read_moment(text: str, received_at: int) -> int | None:
    """Return a text's time in Unix milliseconds; None if it is not a time, ambiguous, before 2000 or in the future.

    Accepts Unix seconds; ISO 8601; ``30.11.2026 14:05``, ``11/30/2026 2:05 PM``, ``2026/11/30``, ``30-Nov-2026``,
    ``Nov 30, 2026``, ``20261130``; and the numbers that spreadsheets store (``46356.5``). Dates such as ``05/06/2026`` are
    ambiguous: see ``possible_orders``. Milliseconds instead of seconds are in the future and therefore rejected. A time without a
    zone is UTC. The plus of a zone, which a query turns into a space, is restored.
    """
    text = text.strip()
    if len(text) > MAX_TEXT or not text.isascii():
        return None
    at = _at_of(text)
    return at if at is not None and EARLIEST_AT <= at <= received_at + MAX_AHEAD_MS else None


def possible_orders(text: str) -> tuple[DateOrder, ...]:
    """Return the possible orders of a date such as ``05/06/2026``; none for other texts, and if both orders give the same day.

    Dates with points have the day first and are never ambiguous.
    """
    numbers = _NUMBERS.fullmatch(text.strip()) if len(text) <= MAX_TEXT else None
    if numbers is None or numbers["mark"] == "." or numbers["one"].zfill(2) == numbers["other"].zfill(2):
        return ()
    found = (
        order
        for order, month in ((DateOrder.DAY_FIRST, numbers["other"]), (DateOrder.MONTH_FIRST, numbers["one"]))
        if 1 <= int(month) <= 12
    )
    return tuple(found)


def year_first(text: str, order: DateOrder) -> str:
    """Rewrite a date such as ``05/06/2026 14:05``, read in this order, with the year first."""
    numbers = _NUMBERS.fullmatch(text.strip())
    if numbers is None:
        return text
    day, month = numbers["one"], numbers["other"]
    if order is DateOrder.MONTH_FIRST:
        day, month = month, day
    return f"{numbers['year']}-{month.zfill(2)}-{day.zfill(2)}{text.strip()[numbers.end('year') :]}"


def order_proven_by(texts: Iterable[str], received_at: int) -> DateOrder | None:
    """Return the order of a column's dates if at least one of them is valid in only that order; None: unproven.

    A date in the future is invalid. If different dates prove different orders, nothing is proven.
    """
    proven: set[DateOrder] = set()
    for text in texts:
        orders = [
            order for order in possible_orders(text) if read_moment(year_first(text, order), received_at) is not None
        ]
        if len(orders) == 1:
            proven.add(orders[0])
            if len(proven) > 1:
                return None
    return proven.pop() if proven else None


def _at_of(text: str) -> int | None:
    if _ISO.fullmatch(text):
        return _iso_at(text)
    if serial := _SERIAL.fullmatch(text):
        days = int(serial[1])
        if _MIN_SERIAL <= days <= _MAX_SERIAL:
            digits = (serial[2] or "0").ljust(15, "0")
            seconds = (int(digits) * 86_400 + 5 * 10**14) // 10**15  # to the nearest: 0.586805556 is 14:05
            return (days - _SERIAL_OF_1970) * DAY_MS + seconds * 1000
    if compact := _COMPACT.fullmatch(text):
        return _moment(compact.groupdict(), int(compact["month"]), int(compact["day"]))
    if _SECONDS.fullmatch(text):
        seconds_text, _, fraction = text.partition(".")
        return int(seconds_text) * 1000 + int(fraction[:3].ljust(3, "0"))
    if text.count(":") > 1 or "T" in text.upper():
        text = _LOST_PLUS.sub("+", text)
    if found := _YEAR_FIRST.fullmatch(text):
        return _moment(found.groupdict(), int(found["month"]), int(found["day"]))
    if _ISO.fullmatch(text):
        return _iso_at(text)
    if found := _DAY_NAMED.fullmatch(text) or _MONTH_NAMED.fullmatch(text):
        name = found["name"].lower()
        month = next((at for at, known in enumerate(_MONTHS, 1) if known == name or known[:3] == name), 0)
        if name == "sept":
            month = 9
        return _moment(found.groupdict(), month, int(found["day"]))
    if found := _NUMBERS.fullmatch(text):
        orders = possible_orders(text)
        if len(orders) > 1:
            return None
        month, day = int(found["other"]), int(found["one"])
        if orders == (DateOrder.MONTH_FIRST,):
            month, day = day, month
        return _moment(found.groupdict(), month, day)
    return None


def _iso_at(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text.replace(",", "."))
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    # A date that does not exist, such as 31 February, or a year after 9999.
    except (ValueError, OverflowError):
        return None


def _moment(parts: dict[str, str | None], month: int, day: int) -> int | None:
    """Return the Unix milliseconds of a date and the parts of a time; None: it does not exist."""
    hour = int(parts.get("hour") or 0)
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    fraction = int((parts.get("fraction") or "0")[:3].ljust(3, "0"))
    try:
        moment = datetime(
            int(parts["year"] or 0),
            month,
            day,
            hour,
            int(parts.get("minute") or 0),
            int(parts.get("second") or 0),
            tzinfo=_zone(parts.get("zone") or ""),
        )
        return int(moment.timestamp()) * 1000 + fraction
    except (ValueError, OverflowError):
        return None


def _zone(text: str) -> timezone:
    """Return the zone of ``Z``, ``UTC``, ``+03``, ``+0300`` or ``+03:00``. Raise ValueError for one of a day or more."""
    if text[:1] not in ("+", "-"):
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)
