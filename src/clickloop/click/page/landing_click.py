"""Landing clicks: read the click URL, and choose the offer behind the button. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar
from urllib.parse import unquote_plus

import msgspec

from clickloop.click.page.page_event import PageEventFlag
from clickloop.click.passed_query import first_pairs
from clickloop.click.query import read_query
from clickloop.money import AmountFault, read_amount

MAX_EVENTS = 30
MAX_BUTTON_DIGITS = 9
MAX_PRESSED = 50  # per visit, the maximum number of a landing's buttons
MAX_REFERRER_BYTES = 4096

_CLICK_ID = "cid"
_EVENT_FIELDS = {f"event{number}": number for number in range(1, MAX_EVENTS + 1)}
_FIELDS = dict.fromkeys(("cid", "clickid", "click_id", "subid"), _CLICK_ID) | {name: name for name in _EVENT_FIELDS}
"""Parameters of the click URL → field."""
_REFERRER_FIELDS = {_CLICK_ID: _CLICK_ID}

Offer = TypeVar("Offer")


class PageQuery(msgspec.Struct, frozen=True, gc=False):
    """The parameters of a click URL. ``events``: amounts in millionths by number."""

    click_id_text: str
    events: dict[int, int]
    has_unreadable_event: bool


def read_page_query(query: bytes) -> PageQuery:
    """Return the parameters of a click URL, ignoring those that are not ours. Takes linear time."""
    if not query:
        return PageQuery("", {}, False)
    values, _ = read_query(query, _FIELDS, _CLICK_ID)
    click_id_text = values.pop(_CLICK_ID, "")
    events, unreadable = read_events(values) if values else ({}, False)
    return PageQuery(click_id_text, events, unreadable)


def read_events(values: Mapping[str, str]) -> tuple[dict[int, int], bool]:
    """Return the events (``event1``…) among parameters, and whether one of them is not a number."""
    events: dict[int, int] = {}
    unreadable = False
    for name, text in values.items():
        number = _EVENT_FIELDS.get(name)
        amount = read_amount(text)
        if number is None or isinstance(amount, AmountFault):
            unreadable = True
        else:
            events[number] = amount.micros
    return events, unreadable


def without_own_parameters(query: bytes) -> bytes:
    """Return a click URL's query without our own parameters, to be passed on."""
    return b"&".join(pair for pair in first_pairs(query) if _name_of(pair) not in _FIELDS)


def _name_of(pair: bytes) -> str:
    return unquote_plus(pair.partition(b"=")[0][:100].decode("ascii", "replace")).lower()


def click_id_in_referrer(referrer: bytes) -> str:
    """Return the text of ``cid`` in a referrer's query; empty if it has none."""
    query = referrer[:MAX_REFERRER_BYTES].partition(b"?")[2].partition(b"#")[0]
    return read_query(query, _REFERRER_FIELDS, _CLICK_ID)[0].get(_CLICK_ID, "") if query else ""


def button_of(tail: bytes) -> int | None:
    """Return the button's number in the path after ``/click``: 0 if it has none, None if it is not a number from 1."""
    text = tail.strip(b"/")
    if not text:
        return 0
    if not text.isdigit():
        return None
    # Longer numbers are cut: any of them exceeds the offers of a path.
    return int(text.lstrip(b"0")[: MAX_BUTTON_DIGITS + 1] or 0) or None


class OfferChoice(msgspec.Struct, Generic[Offer], frozen=True, gc=False):
    """The offer behind a button. ``button``: its number, at most that of the offers. ``offer``: None if the path has no offer."""

    button: int
    offer: Offer | None
    flags: tuple[PageEventFlag, ...] = ()


def choose_offer(
    offers: Sequence[Offer | None],
    by_weight: Callable[[], Offer | None],
    again: Callable[[int], Offer | None],
    button: int | None,
    pressed: Sequence[tuple[int, int]],
) -> OfferChoice[Offer]:
    """Return the offer behind a button.

    ``offers``: the path's offers that are in use, in order; None for one whose cap is reached and that no other offer stands in for.
    ``by_weight``: returns the offer of the click's draw. ``again``: returns an offer by its id while it is in use. ``button``: as from
    ``button_of``. ``pressed``: buttons pressed before, with their offers. Each leads to the same offer again while it is in use.
    """
    flags: tuple[PageEventFlag, ...] = ()
    number = button or 0
    if button is None:
        flags = (PageEventFlag.BUTTON_UNREADABLE,)
    elif number > len(offers):
        number = len(offers)
        flags = (PageEventFlag.BUTTON_BEYOND_LAST,)
    before = dict(pressed).get(number) if pressed else None
    if before is not None:
        flags = (*flags, PageEventFlag.REPEATED)
        same = again(before)
        if same is not None:
            return OfferChoice(number, same, flags)
    found = offers[number - 1] if number else None
    if found is None:
        found = by_weight()
        if number or (offers and found is None):
            flags = (*flags, PageEventFlag.CAP_REACHED)
    return OfferChoice(number, found, flags if found is not None else (*flags, PageEventFlag.FALLBACK))


def with_pressed(pressed: tuple[tuple[int, int], ...], button: int, offer_id: int) -> tuple[tuple[int, int], ...]:
    """Return the pressed buttons with a button added, or its offer replaced."""
    others = tuple(one for one in pressed if one[0] != button)
    return (*others, (button, offer_id))[-MAX_PRESSED:]
