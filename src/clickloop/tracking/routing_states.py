"""Publishing the routing state: the caps in force and the learned weights, recorded in the ledger before edges see them."""

import threading
from pathlib import Path

from msgspec.structs import replace

from clickloop.clock import Clock
from clickloop.machine.sealed_file import SealedFileError
from clickloop.setup.routing_state import (
    FILE_NAME,
    CappedOffer,
    LearnedWeights,
    RoutingState,
    read_routing_state,
    write_routing_state,
)
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.setup.routing_states import (
    delete_routing_states,
    insert_routing_state,
    latest_routing_state,
)


class RoutingStates:
    """The state in force. Thread-safe: caps and weights are set by different workers."""

    def __init__(self, ledger: Ledger, folder: Path, installation: str, clock: Clock) -> None:
        """Read the state published last. Raise LedgerError."""
        self._ledger = ledger
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._is_written = False
        with ledger.read() as tx:
            self._current = replace(latest_routing_state(tx), installation=installation)
        self._newest_version = max(self._current.version, self._version_in_file())

    @property
    def current(self) -> RoutingState:
        """Return the state in force."""
        return self._current

    def set_capped(self, capped: tuple[CappedOffer, ...]) -> None:
        """Publish the caps in force, if they changed. Raise OSError or an error of the ledger: call again later."""
        with self._lock:
            self._publish(replace(self._current, capped=capped))

    def set_learned(self, learned: tuple[LearnedWeights, ...]) -> None:
        """Publish the learned weights, if they changed. Raise OSError or an error of the ledger: call again later."""
        with self._lock:
            self._publish(replace(self._current, learned=learned))

    def write_again(self) -> None:
        """Write the file of the state in force, when the core starts or the file was lost. Raise OSError."""
        with self._lock:
            self._write(self._current)

    def forget(self, before_at: int) -> None:
        """Delete the states from before a moment, except the latest: no click that names them is kept."""
        with self._ledger.write() as tx:
            delete_routing_states(tx, before_at)

    def _publish(self, state: RoutingState) -> None:
        if state != self._current:
            state = replace(state, version=self._newest_version + 1)
            # First: a click that names a version must find it when it is explained.
            with self._ledger.write() as tx:
                insert_routing_state(tx, state, self._clock())
            self._current = state
            self._newest_version = state.version
            self._is_written = False
        if not self._is_written:
            self._write(state)

    def _version_in_file(self) -> int:
        """Return the version that edges have: above the ledger's, if that is an older copy. Clicks name it, so it is not used again."""
        try:
            state = read_routing_state(self._folder / FILE_NAME)
        except (OSError, SealedFileError):
            return 0
        return state.version if state.installation == self._current.installation else 0

    def _write(self, state: RoutingState) -> None:
        write_routing_state(self._folder, state)
        self._is_written = True
