"""Limits on guessing passwords, per address and per name, in memory. No user is ever locked out.

Each failure from an address makes the next attempt from there wait longer. Failures for a name only delay addresses that have
failed themselves; a user with the right password on another address gets in at once. Unknown names are counted like any other,
so that the limits do not reveal which names exist.
"""

import ipaddress
import threading
from collections import OrderedDict

import msgspec

from clickloop.clock import DAY_MS, SECOND_MS

FREE_FROM_ADDRESS = 5  # typing errors are not slowed down
FREE_FOR_NAME = 10  # more than for one address: strangers must not lock a user out so easily
MAX_ADDRESS_WAIT_MS = 900 * SECOND_MS  # a guesser gets four attempts an hour
MAX_NAME_WAIT_MS = 60 * SECOND_MS  # short: strangers who guess would otherwise keep the owner out
FORGOTTEN_AFTER_MS = DAY_MS  # an office shares its address
MAX_TRACKED = 20_000  # strangers choose addresses and names, so memory is bounded


class _Failures(msgspec.Struct):
    """The number of failed attempts, and the moment of the last one."""

    count: int
    last_at: int


class SignInLimits:
    """Counts attempts. Thread-safe. An attempt counts as failed until it succeeds, so that concurrent ones all count."""

    def __init__(self) -> None:
        # Check and count are one step: a hundred concurrent attempts must not all see the same count.
        self._lock = threading.Lock()
        self._addresses: OrderedDict[str, _Failures] = OrderedDict()
        self._names: OrderedDict[str, _Failures] = OrderedDict()

    def attempt(self, name: str, address: str, now_ms: int) -> int:
        """Count an attempt and return 0, or return the milliseconds to wait before one is allowed."""
        place = _place(address)
        with self._lock:
            from_address, for_name = _known(self._addresses, place, now_ms), _known(self._names, name, now_ms)
            wait_ms = _wait_ms(from_address, FREE_FROM_ADDRESS, MAX_ADDRESS_WAIT_MS, now_ms)
            # Only if this address has failed: strangers' failures must not keep the owner out.
            if from_address is not None:
                wait_ms = max(wait_ms, _wait_ms(for_name, FREE_FOR_NAME, MAX_NAME_WAIT_MS, now_ms))
            if wait_ms == 0:
                _count(self._addresses, place, now_ms)
                _count(self._names, name, now_ms)
            return wait_ms

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of the address and the name after a successful sign-in."""
        with self._lock:
            self._addresses.pop(_place(address), None)
            self._names.pop(name, None)

    def uncount(self, name: str, address: str) -> None:
        """Uncount an attempt whose password was not checked after all."""
        with self._lock:
            for counts, key in ((self._addresses, _place(address)), (self._names, name)):
                failures = counts.get(key)
                if failures is not None:
                    failures.count -= 1
                    if failures.count <= 0:
                        del counts[key]


def _place(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 of an IPv6 address, which one customer gets."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


def _known(counts: OrderedDict[str, _Failures], key: str, now_ms: int) -> _Failures | None:
    failures = counts.get(key)
    if failures is None or now_ms - failures.last_at > FORGOTTEN_AFTER_MS:
        return None
    return failures


def _wait_ms(failures: _Failures | None, free: int, max_ms: int, now_ms: int) -> int:
    if failures is None or failures.count < free:
        return 0
    # At most 20: shifting by thousands would make a number of thousands of bits.
    wait_ms = min(max_ms, SECOND_MS << min(failures.count - free, 20))
    return max(0, failures.last_at + wait_ms - now_ms)


def _count(counts: OrderedDict[str, _Failures], key: str, now_ms: int) -> None:
    failures = _known(counts, key, now_ms) or _Failures(0, now_ms)
    failures.count += 1
    failures.last_at = now_ms
    counts[key] = failures
    counts.move_to_end(key)
    if len(counts) > MAX_TRACKED:
        counts.popitem(last=False)
