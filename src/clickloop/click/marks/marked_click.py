"""Clicks with what their marks are judged by. Records only."""

from typing import NamedTuple

import msgspec


class MarkedClick(NamedTuple):
    """A counted click with what its marks are judged by. A text that is not known is empty."""

    click_id: str
    at: int
    campaign_id: int
    source_id: int
    landing_id: int
    ip: str
    useragent: str
    referrer: str
    language: str
    country: str
    asn: str
    isp: str
    connection: str
    device: str
    brand: str
    os: str
    browser: str
    external_id: str
    cost_micros: int
    currency: str
    marks: str
    """The marks that it has now."""
    viewed_at: int | None = None
    """When the page reported its first view; None: it reported none."""
    pressed_ms: int | None = None
    """The shortest time from a view, else from the visit, to the press of a button; None: none was pressed."""


class ClickSpan(msgspec.Struct, frozen=True, kw_only=True):
    """The counted clicks from ``since`` to before ``until``, of some campaigns or of all."""

    since: int
    until: int
    campaign_ids: tuple[int, ...] = ()
    """Empty: all."""
