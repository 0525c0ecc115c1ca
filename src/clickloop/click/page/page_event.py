"""Page events: views, landing clicks and events of a click's visitor on a page. Each is a journal record and a fact of the click."""

import enum
from collections.abc import Collection

import msgspec

from clickloop.explained import Explained


class PageEventKind(enum.StrEnum):
    """The kind of a page event."""

    LANDING_VIEW = "landing_view"
    """The landing's script ran."""
    LANDING_CLICK = "landing_click"
    """The visitor pressed a button of the landing and was sent to an offer."""
    EVENT = "event"
    """The page reported a number."""


class ClickSource(enum.StrEnum):
    """The source of a landing click's click id."""

    CID = "cid"
    REFERRER = "referrer"
    COOKIE = "cookie"


class PageEventFlag(Explained):
    """An irregularity of a page event, which is recorded and answered anyway."""

    REPEATED = "repeated", "The visitor pressed this button before. It counts once."
    UNKNOWN_CLICK = "unknown_click", "The click was not recorded here, or was lost. The page event is in no figure."
    BUTTON_BEYOND_LAST = (
        "button_beyond_last",
        "The path has fewer offers than this button's number. The last one was used.",
    )
    BUTTON_UNREADABLE = "button_unreadable", "The button was not a number from 1. An offer was chosen by weight."
    OLD_CLICK_ID = (
        "old_click_id",
        "The click ID on the page is not the visitor's latest one: a page cache serves an old copy of the landing.",
    )
    FALLBACK = "fallback", "There was no offer for the button, so the visitor went to the fallback URL."
    VALUES_UNKNOWN = (
        "values_unknown",
        "The click's parameters were too long for a cookie and could not be looked up, so their macros were empty.",
    )
    CAP_REACHED = (
        "cap_reached",
        "The cap of the button's offer was reached, and no other offer stands in for it. One of the path's other offers was chosen.",
    )
    SAME_OFFER = "same_offer", "Returning visitor: the same offer as before."
    UNSEEN_OFFER = "unseen_offer", "Returning visitor: the offers that they had seen were left out."
    EVENT_UNREADABLE = "event_unreadable", "One of event1 to event30 was not a number and was ignored."


_RETURNING = (PageEventFlag.SAME_OFFER, PageEventFlag.UNSEEN_OFFER)


def returning_words(flags: Collection[str]) -> str:
    """Return why a landing click led to its offer, if the visitor's previous visits decided; else an empty text."""
    return " ".join(flag.sentence for flag in _RETURNING if flag in flags)


class PageEvent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A page event, as stored in the journal (one NDJSON line). Untrusted texts are in the form of ``text.escape_bytes``."""

    event_id: str
    at: int
    """Unix milliseconds."""
    kind: PageEventKind
    click_id: str
    button: int = 0
    """The pressed button's number, from 1; 0: ``/click`` without one."""
    offer_id: int = 0
    network_id: int = 0
    target: str = ""
    """The URL that the visitor was redirected to."""
    found_by: str = ""
    """A value of ``ClickSource``."""
    flags: str = ""
    """Values of ``PageEventFlag``, separated by commas."""
    screening: str = ""
    """The reason why it is not counted, a value of ``Screening``; empty if it is."""
    loaded_ms: int = 0
    """Milliseconds from navigation to the landing view."""
    events: dict[int, int] = {}
    """``event1``…``event30`` by number, in millionths."""
    instead_of: int = 0
    """The offer whose cap sent the visitor on to ``offer_id``."""
