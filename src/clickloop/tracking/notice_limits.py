"""Limits of notices that anybody can send as fast as the line carries them: without a genuine click id, or again and again with one."""

from clickloop.clock import MINUTE_MS
from clickloop.conversion.pairs import MAX_INPUT_BYTES

KEPT_BYTES = MAX_INPUT_BYTES + 1
"""Bytes stored of query and body each: what is read, and one that says that there was more."""
KEPT_BYTES_BEYOND = 1_024  # enough to recognise who sends it
PER_MINUTE = 60
"""Notices of one address a minute that are stored at length: a network with a wrong macro is to be understood."""
PER_MINUTE_OF_ALL = 1_000  # at full length these fill 30 MB a minute at most
MAX_ADDRESSES = 20_000
"""Addresses counted in a minute; what comes from further ones counts as beyond its rate."""
PER_CLICK = 60
"""Notices of one click a minute that are stored as they came. No network sends as many."""
LONG_PER_MINUTE = 60
"""Notices of one address a minute that are stored whole though they are longer than what is read of them."""
LONG_PER_MINUTE_OF_ALL = 120  # a whole body has up to 256 KB
MAX_CLICKS = 50_000
"""Maximum number of clicks counted in a minute. Further ones are not: as many come from many visitors."""


class Strangers:
    """Counts notices by address and by click, minute by minute. For one process."""

    def __init__(self) -> None:
        self._minute = -1
        self._all = 0
        self._counts: dict[str, int] = {}
        self._clicks: dict[str, int] = {}
        self._long = 0
        self._long_counts: dict[str, int] = {}

    def is_click_beyond(self, click_id: str, now_ms: int) -> bool:
        """Count a notice of this click. Return whether more came for it than are stored as they came."""
        self._turn(now_ms)
        count = self._clicks.get(click_id, 0)
        if count or len(self._clicks) < MAX_CLICKS:
            self._clicks[click_id] = count + 1
        return count >= PER_CLICK

    def is_long_beyond(self, ip: str, now_ms: int) -> bool:
        """Count a long notice with a genuine click id. Return whether more came from this address, or from all, than are stored whole."""
        self._turn(now_ms)
        self._long += 1
        network = _network_of(ip)
        count = self._long_counts.get(network, 0)
        if self._long <= LONG_PER_MINUTE_OF_ALL:
            self._long_counts[network] = count + 1
        return count >= LONG_PER_MINUTE or self._long > LONG_PER_MINUTE_OF_ALL

    def is_beyond(self, ip: str, now_ms: int) -> bool:
        """Count a notice from this address. Return whether more came from it, or from all, than are stored at length."""
        self._turn(now_ms)
        self._all += 1
        network = _network_of(ip)
        count = self._counts.get(network, 0)
        if count == 0 and len(self._counts) >= MAX_ADDRESSES:
            return True
        self._counts[network] = count + 1
        return count >= PER_MINUTE or self._all > PER_MINUTE_OF_ALL

    def _turn(self, now_ms: int) -> None:
        """Begin anew with each minute."""
        minute = now_ms // MINUTE_MS
        if minute != self._minute:
            self._minute, self._all, self._long = minute, 0, 0
            self._counts.clear()
            self._clicks.clear()
            self._long_counts.clear()


def _network_of(ip: str) -> str:
    """Return an IPv4 address, or the /64 of an IPv6 address, all of which its owner may use."""
    if ":" not in ip:
        return ip
    head, gap, tail = ip.partition("::")
    groups = head.split(":") if head else []
    if gap:
        behind = tail.split(":") if tail else []
        groups += ["0"] * (8 - len(groups) - len(behind)) + behind
    return ":".join(groups[:4])
