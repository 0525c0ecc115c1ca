"""Detects proxies that hide visitors' addresses: untrusted peers that send X-Forwarded-For.

Also trusted proxies that send no X-Forwarded-For, or have a further proxy in front of them.
"""

import ipaddress
import threading
import time
from collections.abc import Callable

import msgspec

from clickloop.alarm.alarms import Alarm
from clickloop.edge.proxies import address_in, first_of

REMEMBERED_SECONDS = 3600.0  # a proxy sends all the time; a stray header must not raise an alarm for long
MAX_PEERS = 200  # anyone may connect: bounds the memory
MIN_FROM_PUBLIC = 100
"""Minimum number of requests from a public address, which must also be most of the traffic: anyone may send the header."""
MIN_FORWARDED = 100
"""Minimum number of requests from trusted proxies before an alarm: some visitors use proxies themselves."""
_MAX_FORWARDED = 20_000
"""Above this, all counts are halved, so that a corrected configuration clears the alarm."""


class _Peer(msgspec.Struct):
    """A peer that sent the header. ``count``: its requests; ``total_before``: all requests when the first one came."""

    count: int
    total_before: int
    last_at: float


class UntrustedProxies:
    """Counts forwarded requests by peer, in bounded memory. Alarms may be read from another thread."""

    def __init__(
        self, port: str, total: Callable[[], int] | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """``port`` names the port in alarms. ``total`` returns the number of all requests so far; None: those passed to ``count``."""
        self._port = port
        self._counted = 0
        self._total = total or (lambda: self._counted)
        self._monotonic = monotonic
        self._peers: dict[str, _Peer] = {}
        # Requests are counted in the server's thread, alarms are read in another.
        self._lock = threading.Lock()
        self._forwarded = 0
        self._silent = 0
        self._silent_peer = ""
        self._further = 0
        self._further_hop = ""

    def count(self) -> None:
        """Count a request, forwarded or not."""
        self._counted += 1

    def note(self, peer: str) -> None:
        """Count a request with the header from an untrusted peer."""
        known = self._peers.get(peer)
        if known is not None:
            known.count += 1
            known.last_at = self._monotonic()
            return
        with self._lock:
            if len(self._peers) < (2 * MAX_PEERS if _is_local(peer) else MAX_PEERS):
                self._peers[peer] = _Peer(1, self._total(), self._monotonic())

    def note_trusted(self, peer: str, forwarded_for: bytes, client: str) -> None:
        """Count a request from a trusted proxy, with its X-Forwarded-For and the client address read from it."""
        self._forwarded += 1
        if not forwarded_for:
            self._silent += 1
            self._silent_peer = self._silent_peer or peer
        elif b"," in forwarded_for:
            first = first_of(forwarded_for)[:64]
            if first != client.encode() and address_in(first) != client:
                self._further += 1
                self._further_hop = self._further_hop or client
        if self._forwarded > _MAX_FORWARDED:
            self._forwarded //= 2
            self._silent //= 2
            self._further //= 2

    def alarms(self) -> tuple[Alarm, ...]:
        """Return an alarm for each peer that is probably the operator's proxy, and for missing addresses from trusted proxies."""
        return (*self._alarms_of_peers(), *self._alarms_of_trusted())

    def _alarms_of_trusted(self) -> tuple[Alarm, ...]:
        if self._forwarded < MIN_FORWARDED:
            return ()
        if 2 * self._silent >= self._forwarded:
            return (Alarm(code="silent_proxy", sentence=self._silent_sentence()),)
        if 2 * self._further >= self._forwarded:
            return (Alarm(code="untrusted_proxy", sentence=self._further_sentence()),)
        return ()

    def _silent_sentence(self) -> str:
        return (
            f"{self._silent_peer} is a trusted proxy and sends no X-Forwarded-For to the {self._port} port, so everyone behind it appears "
            "to have its address. Have it send the header (nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;). "
            "If visitors come from that address themselves, change nothing."
        )

    def _further_sentence(self) -> str:
        return (
            f"Most requests to the {self._port} port pass a further proxy that is not trusted, {self._further_hop} for one, so everyone "
            "behind it appears to have its address. If it is yours or your CDN's, add all its networks to CLICKLOOP_TRUSTED_PROXIES and "
            "restart; if you do not know it, change nothing."
        )

    def _alarms_of_peers(self) -> tuple[Alarm, ...]:
        now = self._monotonic()
        with self._lock:
            self._peers = {
                address: peer for address, peer in self._peers.items() if now - peer.last_at < REMEMBERED_SECONDS
            }
            peers = list(self._peers.items())
        return tuple(
            Alarm(code="untrusted_proxy", sentence=self._sentence(address))
            for address, peer in peers
            if _is_local(address) or self._is_most_of_the_traffic(peer)
        )

    def _is_most_of_the_traffic(self, peer: _Peer) -> bool:
        return peer.count >= max(MIN_FROM_PUBLIC, (self._total() - peer.total_before) / 2)

    def _sentence(self, address: str) -> str:
        return (
            f"{address} sends X-Forwarded-For to the {self._port} port and is not a trusted proxy, so everyone behind it appears to "
            f"have its address. If it is your reverse proxy, set CLICKLOOP_TRUSTED_PROXIES={address} and restart; if you do not know it, "
            "change nothing."
        )


def _is_local(address: str) -> bool:
    """Return whether an address is on this machine or in a private network, so not a stranger's."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (getattr(parsed, "ipv4_mapped", None) or parsed).is_global
