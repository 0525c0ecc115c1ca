"""The DNS check of dry runs: whether a receiver's name now resolves to an allowed address. Nothing is connected to."""

import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTimeError

from clickloop.postback.sending.address_guard import AddressGuard, RefusedAddress
from clickloop.postback.sending.address_ranges import packed_address
from clickloop.postback.sending.resolving import addresses_of
from clickloop.postback.sending.target import RequestTarget

PATIENCE_SECONDS = 1.0
"""Maximum time to wait for a lookup."""
SILENT_SECONDS = 30.0
"""Time without lookups after one that timed out, so that a dry run of many rules does not take minutes."""

LookUp = Callable[[str, int], Sequence[str]]
"""Returns a name's addresses of one family, like ``resolving.addresses_of``; raises socket.gaierror."""
DnsCheck = Callable[[RequestTarget], str]
"""Returns why a target is refused as its name resolves now, as a sentence; empty if it is not, or that is unknown."""


def skip_dns_check(_target: RequestTarget) -> str:
    """Skip the check."""
    return ""


class TargetLookup:
    """Looks up the addresses of a target's name and lets the guard judge them. Thread-safe."""

    def __init__(
        self,
        guard: AddressGuard,
        look_up: LookUp = addresses_of,
        monotonic: Callable[[], float] = time.monotonic,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._guard = guard
        self._look_up = look_up
        self._monotonic = monotonic
        self._patience_seconds = patience_seconds
        # A lookup cannot be given a deadline, but waiting for a thread can. Few threads, so that stuck ones do not add up.
        self._threads = ThreadPoolExecutor(4, "dry-run-lookup")
        self._silent_until = 0.0

    def dns_refusal(self, target: RequestTarget) -> str:
        """Return why the target is refused as its name resolves now; empty if it is not, or that is unknown."""
        if packed_address(target.host) is not None or self._monotonic() < self._silent_until:
            return ""
        try:
            addresses = self._threads.submit(self._addresses, target.host).result(self._patience_seconds)
        except NotInTimeError:
            self._silent_until = self._monotonic() + SILENT_SECONDS
            return ""
        judgements = [self._guard.judge(address, target.port) for address in addresses]
        refused = [judgement for judgement in judgements if isinstance(judgement, RefusedAddress)]
        if not refused or len(refused) < len(judgements):
            return ""
        return f"{target.host} only has refused addresses: {refused[0].sentence}"

    def _addresses(self, host: str) -> list[str]:
        found: list[str] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                found += self._look_up(host, family)
            # A name without addresses of one family may have some of the other.
            except (socket.gaierror, UnicodeEncodeError):
                continue
        return found
