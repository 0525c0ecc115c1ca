"""The visitor's cookie: their latest clicks and what they have seen of each campaign, signed, so that edges need no store for it.

It holds no address and no name. A cookie that was changed, cut, made by another installation or by a later version counts as none.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from clickloop.click.destination import RedirectTarget
from clickloop.click.routing import Route

MAX_BYTES = 2000  # of the value: browsers keep 4,096 for name, value and attributes, and other cookies share the header
MAX_VISITS = 5  # a visitor with several tabs of landings open
MAX_CAMPAIGNS = 50
_VERSION = "1"
_TAG_BYTES = 12
_TAG_LETTERS = 16  # of base64


class Visit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A click that may still be followed by landing clicks: all that choosing their offers needs.

    ``at``: Unix seconds. ``pressed``: the buttons that were pressed and the offers that they led to, so that each leads there again.
    """

    click_id: str
    at: int
    campaign_id: int
    path_id: int
    landing_id: int
    draw: int
    pressed: tuple[tuple[int, int], ...] = ()


class SeenCampaign(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a visitor has seen of a campaign. ``epoch``: of its uniqueness, when they came first. Moments are Unix seconds."""

    campaign_id: int
    epoch: int
    first_at: int
    last_at: int
    visits: int
    path_id: int = 0
    landing_id: int = 0
    offer_id: int = 0


class VisitorState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The contents of a visitor's cookie, the latest first."""

    visits: tuple[Visit, ...] = ()
    campaigns: tuple[SeenCampaign, ...] = ()

    def visit(self, click_id: str) -> Visit | None:
        """Return the visit of a click; None: it is not among the latest."""
        return next((visit for visit in self.visits if visit.click_id == click_id), None)

    def campaign(self, campaign_id: int) -> SeenCampaign | None:
        """Return what they have seen of a campaign; None: nothing, or too long ago."""
        return next((seen for seen in self.campaigns if seen.campaign_id == campaign_id), None)

    def visits_of(self, campaign_id: int) -> int:
        """Return the number of visits to a campaign so far, as far as the cookie knows."""
        seen = self.campaign(campaign_id)
        return 0 if seen is None else seen.visits

    def with_visit(self, visit: Visit) -> "VisitorState":
        """Return the state with a visit added, or put in the place of one of the same click."""
        others = (other for other in self.visits if other.click_id != visit.click_id)
        return VisitorState((visit, *others)[:MAX_VISITS], self.campaigns)

    def with_campaign(self, seen: SeenCampaign) -> "VisitorState":
        """Return the state with a campaign added, or put in its place."""
        others = (other for other in self.campaigns if other.campaign_id != seen.campaign_id)
        return VisitorState(self.visits, (seen, *others)[:MAX_CAMPAIGNS])


NOBODY = VisitorState()


def remember_visit(
    state: VisitorState, route: Route, target: RedirectTarget, click_id: str, now_ms: int, draw: int
) -> VisitorState:
    """Return the state after a click: its campaign seen once more and, for a landing, the visit that its buttons need.

    ``draw``: that of the flow that chose the landing.
    """
    campaign_id, seconds = route.campaign.id, now_ms // 1000
    if route.counts_visits:
        seen = state.campaign(campaign_id) or SeenCampaign(campaign_id, 0, seconds, seconds, 0)
        state = state.with_campaign(replace(seen, last_at=seconds, visits=seen.visits + 1))
    if target.landing_id:
        visit = Visit(click_id, seconds, campaign_id, target.place.path_id, target.landing_id, draw)
        state = state.with_visit(visit)
    return state


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(VisitorState).decode


class VisitorCookies:
    """Writes and reads visitors' cookies under the installation's key."""

    def __init__(self, key: bytes, also: Iterable[bytes] = ()) -> None:
        """``also``: earlier keys, under which cookies are still read."""
        self._signer = _signer(key)
        self._others = [_signer(other) for other in also if other != key]

    def write(self, state: VisitorState) -> str:
        """Return a cookie's value of at most ``MAX_BYTES``; what was seen longest ago is left out first."""
        while True:
            packed = _encode(state)
            text = base64.urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")
            if len(text) + len(_VERSION) + _TAG_LETTERS <= MAX_BYTES:
                return _VERSION + _tag(self._signer, packed) + text
            state = VisitorState(state.visits[:-1] if not state.campaigns else state.visits, state.campaigns[:-1])

    def read(self, value: str) -> VisitorState:
        """Return what a cookie says; ``NOBODY`` for one that is not ours as it is."""
        if value[:1] != _VERSION or not value.isascii() or len(value) > MAX_BYTES:
            return NOBODY
        tag, text = value[1 : 1 + _TAG_LETTERS], value[1 + _TAG_LETTERS :]
        try:
            packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            return NOBODY
        if not any(hmac.compare_digest(tag, _tag(signer, packed)) for signer in (self._signer, *self._others)):
            return NOBODY
        try:
            return _decode(packed)
        except msgspec.DecodeError:  # signed by a version that writes other fields under the same number
            return NOBODY


def _signer(key: bytes) -> hashlib.blake2s:
    return hashlib.blake2s(key=key, digest_size=_TAG_BYTES, person=b"visitor")


def _tag(signer: hashlib.blake2s, packed: bytes) -> str:
    own = signer.copy()
    own.update(packed)
    return base64.urlsafe_b64encode(own.digest()).decode("ascii")
