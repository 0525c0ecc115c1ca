"""The visitor's signed cookie: their latest visits and the campaigns they have seen, so that edges need no store for them.

It contains no address and no name. A cookie that was changed, truncated, or written by another installation or a later version is
ignored.
"""

import binascii
import hashlib
from collections.abc import Iterable
from hmac import compare_digest
from zlib import crc32

import msgspec
from msgspec.structs import replace

from clickloop.click.routing.recall import Memory
from clickloop.setup.catalog import CatalogCampaign
from clickloop.setup.returning import UniqueBy

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
    """A campaign that a visitor has seen. Moments are Unix seconds.

    ``epoch``: the campaign's, of the latest visit. ``first_at``: the latest visit that was unique; others count from there.
    """

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
    """The contents of a visitor's cookie, latest first.

    ``salt``: of the click that wrote it, so that no two visitors have the same cookie who saw the same campaigns in the same seconds.
    """

    visits: tuple[Visit, ...] = ()
    campaigns: tuple[SeenCampaign, ...] = ()
    salt: int = 0

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
        return VisitorState((visit, *others[: MAX_VISITS - 1]), self.campaigns, self.salt)

    def with_campaign(self, seen: SeenCampaign) -> "VisitorState":
        """Return the state with a campaign added or replaced."""
        others = (other for other in self.campaigns if other.campaign_id != seen.campaign_id)
        return VisitorState(self.visits, (seen, *others)[:MAX_CAMPAIGNS], self.salt)


NOBODY = VisitorState()


def unique_since(state: VisitorState, campaign: CatalogCampaign, seconds: int) -> int | None:
    """Return when the visit was that made the visitor known to a campaign, or None if their visit now is unique.

    A visitor is unique once per ``unique_within_seconds``, on the campaign or on any. What a cookie remembers from before the
    campaign's uniqueness was reset does not count. An epoch ahead of ours does: another edge has had the catalog already.
    """
    own = state.campaign(campaign.id)
    if own is not None and own.epoch < campaign.unique_epoch:
        return None
    if campaign.unique_by is UniqueBy.INSTANCE:
        first_at = max((seen.first_at for seen in state.campaigns), default=None)
    else:
        first_at = None if own is None else own.first_at
    if first_at is None:
        return None
    within = campaign.unique_within_seconds
    return first_at if not within or seconds - first_at < within else None


def remember_campaign(
    state: VisitorState,
    campaign: CatalogCampaign,
    seconds: int,
    since: int | None,
    click_id: str,
    memory: Memory | None = None,
) -> VisitorState:
    """Return the state after a counted click. ``since``: the result of ``unique_since``. ``memory``: after the click, if there is one."""
    first_at = seconds if since is None else since
    own = state.campaign(campaign.id)
    if own is None:
        seen = SeenCampaign(campaign.id, campaign.unique_epoch, first_at, seconds, 1, memory=memory)
    else:
        epoch, visits = max(own.epoch, campaign.unique_epoch), own.visits + 1
        seen = replace(own, epoch=epoch, first_at=first_at, last_at=seconds, visits=visits, memory=memory)
    others = (other for other in state.campaigns if other.campaign_id != campaign.id)
    return VisitorState(state.visits, (seen, *others)[:MAX_CAMPAIGNS], crc32(click_id.encode()))


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
            # Strict: otherwise other characters between those of a genuine cookie would be skipped, and it had many fingerprints.
            signed = binascii.a2b_base64(value[1:] + _PADDING[len(value) & 3], strict_mode=True)
        except ValueError:
            return NOBODY
        tag, packed = signed[:_TAG_BYTES], signed[_TAG_BYTES:]
        if not compare_digest(tag, _tag(self._signer, packed)) and not self._is_of_another_key(tag, packed):
            return NOBODY
        try:
            return _decode(packed)
        except msgspec.DecodeError:  # signed by a version whose format has the same number and other fields
            return NOBODY

    def fingerprint(self, value: str) -> str:
        """Return 15 hex digits that all copies of a cookie share, and no other cookie: from its signature."""
        return binascii.a2b_base64(value[1:17]).hex()[:15]

    def _is_of_another_key(self, tag: bytes, packed: bytes) -> bool:
        return any(compare_digest(tag, _tag(signer, packed)) for signer in self._others)


def _shortened(state: VisitorState) -> VisitorState:
    """Return the state without its oldest memory, else without its oldest campaign or visit, whichever kind is larger.

    The latest visit is dropped last. So is the latest memory, which is of the campaign that the cookie is written for.
    """
    visits, campaigns = state.visits, state.campaigns
    with_memory = [place for place, seen in enumerate(campaigns) if place and seen.memory is not None]
    if with_memory:
        place = with_memory[-1]
        forgotten = replace(campaigns[place], memory=None)
        return VisitorState(visits, (*campaigns[:place], forgotten, *campaigns[place + 1 :]), state.salt)
    if campaigns and (len(visits) <= 1 or len(_encode(campaigns)) >= len(_encode(visits))):
        return VisitorState(visits, campaigns[:-1], state.salt)
    return VisitorState(visits[:-1], campaigns, state.salt)


def _signer(key: bytes) -> hashlib.blake2s:
    return hashlib.blake2s(key=key, digest_size=_TAG_BYTES, person=b"visitor")


def _tag(signer: hashlib.blake2s, packed: bytes) -> bytes:
    own = signer.copy()
    own.update(packed)
    return own.digest()
