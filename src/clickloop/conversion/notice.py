"""The notice: somebody tells us that a click converted. Raw as it came, and read into its parameters."""

import enum

import msgspec


class Door(enum.StrEnum):
    """The way a notice came in. All do the same."""

    S2S = "s2s"
    PIXEL = "pixel"
    API = "api"
    HAND = "hand"
    UPLOAD = "upload"


class RawNotice(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What arrived, kept as it came, so that it can be read again by tomorrow's settings. One NDJSON line in the journal.

    ``query`` and ``body`` are the undecoded bytes in the form of ``octets.text_of``. ``at`` is Unix milliseconds.
    """

    notice_id: str
    at: int
    door: Door
    method: str = "GET"
    query: str = ""
    body: str = ""
    content_type: str = ""
    ip: str = ""
    useragent: str = ""
    domain: str = ""
    cookie_click_id: str = ""
    """The click id from the visitor's cookie, where the door may use it (pixel)."""
