"""The visitor's signed cookie: their latest visits and the campaigns they have seen, so that edges need no store for them.

It contains no address and no name. A cookie that was changed, truncated, or written by another installation or a later version is
ignored.
"""

import binascii
import hashlib
from collections.abc import Iterable
from hmac import compare_digest

import msgspec
from msgspec.structs import replace

from clickloop.click.routing.recall import Memory
from clickloop.click.routing.route import Route

MAX_BYTES = 2000  # browsers store 4,096 bytes of name, value and attributes, and other cookies share the header
MAX_VISITS = 5  # a visitor may have landings open in several tabs
MAX_CAMPAIGNS = 50
MAX_VALUE_BYTES = 600  # per visit: longer values would displace the other campaigns
_VERSION = "1"
_TAG_BYTES = 12
_MAX_PACKED_BYTES = (MAX_BYTES - len(_VERSION)) * 3 // 4 - _TAG_BYTES
_PADDING = ("=", "", "===", "==")
"""The base64 padding that was stripped, by the last two bits of the length of the cookie with its version."""


class Visit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A click with what its landing clicks need to choose their offers.

    ``at``: Unix seconds. ``pressed``: the pressed buttons with their offers, so that each button leads to the same offer again.
    ``values``: values of the macros in the URLs of the path's offers, by canonical name, without empty ones; None if they are too
    long for a cookie, so that the core must be asked. ``by_page``: whether ``track.js`` registered the click, which can set no cookie.
    """

    click_id: str
    at: int
    campaign_id: int
    path_id: int
    landing_id: int
    draw: int
    pressed: tuple[tuple[int, int], ...] = ()
    values: dict[str, str] | None = {}
    by_page: bool = False

    def macro_values(self) -> dict[str, str]:
        """Return the values of the macros in ``carried_values.AT_HAND``, except ``now``."""
        return {"clickid": self.click_id, "click_time": str(self.at), **(self.values or {})}

    def for_cookie(self) -> "Visit":
        """Return the visit for the cookie, without its values if they are too long."""
        values = self.values or {}
        if not values or sum(len(value) for value in values.values()) * 4 <= MAX_VALUE_BYTES:
            return self
        size = sum(len(value.encode("utf-8", "replace")) for value in values.values())
        return self if size <= MAX_VALUE_BYTES else replace(self, values=None)


class SeenCampaign(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A campaign that a visitor has seen. ``epoch``: that of its uniqueness at the first visit. Moments are Unix seconds."""

    campaign_id: int
    epoch: int
    first_at: int
    last_at: int
    visits: int
    path_id: int = 0
    landing_id: int = 0
    offer_id: int = 0
    memory: Memory | None = None
    """What the campaign remembers, if it treats returning visitors in a way of its own."""


class VisitorState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The contents of a visitor's cookie, latest first."""

    visits: tuple[Visit, ...] = ()
    campaigns: tuple[SeenCampaign, ...] = ()

    def visit(self, click_id: str) -> Visit | None:
        """Return the visit of a click, or None if it is not among the latest."""
        for visit in self.visits:
            if visit.click_id == click_id:
                return visit
        return None

    def campaign(self, campaign_id: int) -> SeenCampaign | None:
        """Return a seen campaign, or None if it is unknown or no longer in the cookie."""
        return next((seen for seen in self.campaigns if seen.campaign_id == campaign_id), None)

    def visits_of(self, campaign_id: int) -> int:
        """Return the number of visits to a campaign that the cookie knows of."""
        seen = self.campaign(campaign_id)
        return 0 if seen is None else seen.visits

    def with_visit(self, visit: Visit) -> "VisitorState":
        """Return the state with a visit added, replacing the one of the same click."""
        others = [other for other in self.visits if other.click_id != visit.click_id]
        return VisitorState((visit, *others[: MAX_VISITS - 1]), self.campaigns)

    def with_campaign(self, seen: SeenCampaign) -> "VisitorState":
        """Return the state with a campaign added or replaced."""
        others = (other for other in self.campaigns if other.campaign_id != seen.campaign_id)
        return VisitorState(self.visits, (seen, *others)[:MAX_CAMPAIGNS])


NOBODY = VisitorState()


def remember_visit(state: VisitorState, route: Route, visit: Visit | None, now_ms: int) -> VisitorState:
    """Return the state after a click: with its campaign counted, and for a landing with the visit that its buttons need."""
    campaign_id, seconds = route.campaign.id, now_ms // 1000
    if route.counts_visits or route.remembers:
        seen = state.campaign(campaign_id) or SeenCampaign(campaign_id, 0, seconds, seconds, 0)
        state = state.with_campaign(replace(seen, last_at=seconds, visits=seen.visits + 1))
    return state if visit is None else state.with_visit(visit.for_cookie())


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(VisitorState).decode


class VisitorCookies:
    """Writes and reads visitors' cookies, signed with the installation's key."""

    def __init__(self, key: bytes, also: Iterable[bytes] = ()) -> None:
        """``also``: earlier keys whose cookies are still accepted."""
        self._signer = _signer(key)
        self._others = [_signer(other) for other in also if other != key]

    def write(self, state: VisitorState) -> str:
        """Return a cookie's value of at most ``MAX_BYTES``. The oldest visits and campaigns are left out first."""
        packed = _encode(state)
        while len(packed) > _MAX_PACKED_BYTES:
            state = _shortened(state)
            packed = _encode(state)
        signed = binascii.b2a_base64(_tag(self._signer, packed) + packed, newline=False)
        return _VERSION + signed.rstrip(b"=").decode("ascii")

    def read(self, value: str) -> VisitorState:
        """Return the contents of a cookie, or ``NOBODY`` if its signature is not ours."""
        if value[:1] != _VERSION or not value.isascii() or len(value) > MAX_BYTES:
            return NOBODY
        try:
            signed = binascii.a2b_base64(value[1:] + _PADDING[len(value) & 3])
        except ValueError:
            return NOBODY
        tag, packed = signed[:_TAG_BYTES], signed[_TAG_BYTES:]
        if not compare_digest(tag, _tag(self._signer, packed)) and not self._is_of_another_key(tag, packed):
            return NOBODY
        try:
            return _decode(packed)
        except msgspec.DecodeError:  # signed by a version whose format has the same number and other fields
            return NOBODY

    def _is_of_another_key(self, tag: bytes, packed: bytes) -> bool:
        return any(compare_digest(tag, _tag(signer, packed)) for signer in self._others)


def _shortened(state: VisitorState) -> VisitorState:
    """Return the state without its oldest campaign or visit, whichever kind is larger. The latest visit is dropped last."""
    visits, campaigns = state.visits, state.campaigns
    if campaigns and (len(visits) <= 1 or len(_encode(campaigns)) >= len(_encode(visits))):
        return VisitorState(visits, campaigns[:-1])
    return VisitorState(visits[:-1], campaigns)


def _signer(key: bytes) -> hashlib.blake2s:
    return hashlib.blake2s(key=key, digest_size=_TAG_BYTES, person=b"visitor")


def _tag(signer: hashlib.blake2s, packed: bytes) -> bytes:
    own = signer.copy()
    own.update(packed)
    return own.digest()
