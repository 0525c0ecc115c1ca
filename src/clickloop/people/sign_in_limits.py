"""How often a password may be guessed: per address and per name, in memory. Nobody is ever locked out.

Each failure from an address makes the next try from there wait longer. Failures for a name make those wait who have failed
themselves; whoever comes with the right password from an address that did not fail gets in at once. A name that nobody has is
counted like any other, so that limits do not tell who is there.
"""

import ipaddress
import threading
from collections import OrderedDict

import msgspec

from clickloop.clock import DAY_MS, SECOND_MS

FREE_FROM_ADDRESS = 5  # somebody who mistypes is not slowed down
FREE_FOR_NAME = 10  # more than from one address: a stranger must not lock a person out so easily
MAX_ADDRESS_WAIT_MS = 900 * SECOND_MS  # a guesser gets four tries an hour
MAX_NAME_WAIT_MS = 60 * SECOND_MS  # short: strangers who guess would otherwise keep the owner out
FORGOTTEN_AFTER_MS = DAY_MS  # an office shares its address
MAX_TRACKED = 20_000  # addresses and names are strangers' choice: the memory of them is bounded


class _Failures(msgspec.Struct):
    """How many tries failed, and when the last one did."""

    count: int
    last_at: int


class SignInLimits:
    """Counts tries. Threads may share it. A try counts as failed until it is told to have succeeded, so that many at once count."""

    def __init__(self) -> None:
        # Counted before the password is checked: a hundred tries at once must not all see the same count.
        self._lock = threading.Lock()
        self._addresses: OrderedDict[str, _Failures] = OrderedDict()
        self._names: OrderedDict[str, _Failures] = OrderedDict()

    def enter(self, name: str, address: str, now_ms: int) -> int:
        """0: a password may be tried, and the try is counted. Else in how many ms it may be."""
        place = _place(address)
        with self._lock:
            from_address, for_name = _known(self._addresses, place, now_ms), _known(self._names, name, now_ms)
            wait_ms = _wait_ms(from_address, FREE_FROM_ADDRESS, MAX_ADDRESS_WAIT_MS, now_ms)
            # Only for who has failed from there: strangers' failures must not keep the owner out.
            if from_address is not None:
                wait_ms = max(wait_ms, _wait_ms(for_name, FREE_FOR_NAME, MAX_NAME_WAIT_MS, now_ms))
            if wait_ms == 0:
                _count(self._addresses, place, now_ms)
                _count(self._names, name, now_ms)
            return wait_ms

    def succeeded(self, name: str, address: str) -> None:
        """The password was right: what failed from there and for that name is forgotten."""
        with self._lock:
            self._addresses.pop(_place(address), None)
            self._names.pop(name, None)

    def not_tried(self, name: str, address: str) -> None:
        """The password was not looked at after all: the try does not count."""
        with self._lock:
            for kept, key in ((self._addresses, _place(address)), (self._names, name)):
                failures = kept.get(key)
                if failures is not None:
                    failures.count -= 1
                    if failures.count <= 0:
                        del kept[key]


def _place(address: str) -> str:
    """Who counts as one: an IPv4 address, or the 64 bits of IPv6 that one customer is given."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


def _known(kept: OrderedDict[str, _Failures], key: str, now_ms: int) -> _Failures | None:
    failures = kept.get(key)
    if failures is None or now_ms - failures.last_at > FORGOTTEN_AFTER_MS:
        return None
    return failures


def _wait_ms(failures: _Failures | None, free: int, longest_ms: int, now_ms: int) -> int:
    if failures is None or failures.count < free:
        return 0
    # At most 20: a shift by thousands would make a number of thousands of bits.
    wait_ms = min(longest_ms, SECOND_MS << min(failures.count - free, 20))
    return max(0, failures.last_at + wait_ms - now_ms)


def _count(kept: OrderedDict[str, _Failures], key: str, now_ms: int) -> None:
    failures = _known(kept, key, now_ms) or _Failures(0, now_ms)
    failures.count += 1
    failures.last_at = now_ms
    kept[key] = failures
    kept.move_to_end(key)
    if len(kept) > MAX_TRACKED:
        kept.popitem(last=False)
