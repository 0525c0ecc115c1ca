"""Limits of notices without a genuine click id: anybody can send them, as fast as the line carries them."""

from clickloop.clock import MINUTE_MS
from clickloop.conversion.pairs import MAX_OCTETS

KEPT_BYTES = MAX_OCTETS + 1
"""Bytes stored of query and body each: what is read, and one that says that there was more."""
KEPT_BYTES_BEYOND = 1_024
PER_MINUTE = 60
"""Notices of one address a minute that are stored at length: a network with a wrong macro is to be understood."""
PER_MINUTE_OF_ALL = 1_000
MAX_ADDRESSES = 20_000
"""Addresses counted in a minute; what comes from further ones counts as beyond its rate."""


class Strangers:
    """Counts notices without a genuine click id by address, minute by minute. For one process."""

    def __init__(self) -> None:
        self._minute = -1
        self._all = 0
        self._counts: dict[str, int] = {}

    def is_beyond(self, ip: str, now_ms: int) -> bool:
        """Count a notice from this address. Return whether more came from it, or from all, than are stored at length."""
        minute = now_ms // MINUTE_MS
        if minute != self._minute:
            self._minute, self._all = minute, 0
            self._counts.clear()
        self._all += 1
        network = _network_of(ip)
        count = self._counts.get(network, 0)
        if count == 0 and len(self._counts) >= MAX_ADDRESSES:
            return True
        self._counts[network] = count + 1
        return count >= PER_MINUTE or self._all > PER_MINUTE_OF_ALL


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
