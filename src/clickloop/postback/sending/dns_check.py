"""Looking a receiver's name up for a dry run: whether anything could be sent to where it leads now. Nothing is connected to."""

import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTimeError

from clickloop.postback.sending.address_guard import AddressGuard, RefusedAddress
from clickloop.postback.sending.address_ranges import packed_address
from clickloop.postback.sending.resolving import addresses_of
from clickloop.postback.sending.target import Target

PATIENCE_SECONDS = 1.0
"""Maximum time to wait for a name's servers."""
SILENT_SECONDS = 30.0
"""Time without lookups after one that timed out: a dry run of many rules must not take minutes."""

LookUp = Callable[[str, int], Sequence[str]]
"""The addresses of one family that a name has, as ``resolving.addresses_of`` finds them; raises socket.gaierror."""
RefusedNow = Callable[[Target], str]
"""Why nothing could be sent to a target as its name resolves now, as a sentence; empty: it could, or that is not known."""


def not_looked_up(_target: Target) -> str:
    """Nobody is asked."""
    return ""


class LookingUp:
    """Asks for the addresses of a target's name and has the guard judge them. Threads may share it."""

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
        # Name servers cannot be waited for with a deadline, so threads are, and few: those stuck do not add up.
        self._threads = ThreadPoolExecutor(4, "dry-run-look-up")
        self._silent_until = 0.0

    def refused_now(self, target: Target) -> str:
        """Why nothing could be sent there as the name resolves now; empty: it could, or that is not known."""
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
        return f"{target.host} leads nowhere but to a refused address: {refused[0].sentence}"

    def _addresses(self, host: str) -> list[str]:
        found: list[str] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                found += self._look_up(host, family)
            # A name without addresses of one family may have some of the other.
            except (socket.gaierror, UnicodeEncodeError):
                continue
        return found
