"""The buffered writer of a delivery worker: collects outcomes and other changes, and stores them in batches."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from clickloop.clock import SECOND_MS
from clickloop.postback.delivery.clock_watch import ClockWatch
from clickloop.postback.delivery.delivery_log import log_rule_changes
from clickloop.postback.delivery.ending import moved
from clickloop.postback.delivery.limits import DeliveryLimits
from clickloop.postback.delivery.receiver_queue import ReceiverCommand, ReceiverCondition
from clickloop.postback.delivery.signals import Signals, pause
from clickloop.postback.delivery.store_thread import StoreThread
from clickloop.postback.delivery.work import EndedAttempt, Job

MAX_FINAL_TRIES = 3
"""Maximum number of writes to a failing store when the worker ends. Unwritten postbacks are resent after their lease."""
_log = logging.getLogger(__name__)


class OutcomeWriter:
    """Buffers everything until the store has it: a failed batch is part of the next one.

    For one event loop. Needs no lock, since only ``await`` lets other tasks run; what arrives during a write waits for the next.
    """

    def __init__(
        self,
        ledger: StoreThread,
        condition: Callable[[str], ReceiverCondition],
        clock: ClockWatch,
        limits: DeliveryLimits,
        signals: Signals,
    ) -> None:
        """``condition`` returns the condition of a receiver."""
        self._ledger = ledger
        self._condition = condition
        self._clock = clock
        self._limits = limits
        self._signals = signals
        self._ended: list[EndedAttempt] = []
        self._being_written = 0
        """Number of records, from the front, that are being written."""
        self._unsent: list[Job] = []
        self._changed: set[str] = set()
        """Receivers whose condition is to be stored."""
        self._done: dict[str, ReceiverCommand] = {}
        """Executed commands by receiver."""
        self._to_wake = True
        """Postbacks of resumed rules may have to be woken. True at the start, as an earlier process may not have finished."""
        self._gathered = asyncio.Event()
        """There is something to write. Cleared before a write, so that nothing that arrives during one is missed."""
        self._batch_full = asyncio.Event()
        """Enough has arrived to write without waiting for more."""
        self._closed = False

    @property
    def pending(self) -> int:
        """Return the number of claimed postbacks in the buffer."""
        return len(self._ended) + len(self._unsent)

    @property
    def is_full(self) -> bool:
        """Return whether the maximum number of outcomes is unwritten: after a crash they would be sent again."""
        return len(self._ended) >= self._limits.unwritten

    def add(self, ended: EndedAttempt) -> None:
        self._ended.append(ended)
        self._gathered.set()
        if 2 * (len(self._ended) - self._being_written) >= self._limits.unwritten:
            # At half of the maximum, so that the other half can leave during the write.
            self._batch_full.set()

    def give_back(self, jobs: Iterable[Job]) -> None:
        """Add claimed postbacks to release, because they are not sent after all."""
        self._unsent += jobs
        self._gathered.set()

    def note_changed(self, receivers: Iterable[str], done: Mapping[str, ReceiverCommand] | None = None) -> None:
        """Add receivers whose condition has changed, and executed commands by receiver."""
        self._changed.update(receivers)
        self._done.update(done or {})
        self._gathered.set()

    def move(self, by_ms: int) -> None:
        """Shift the times of outcomes along with a clock that was set back.

        Also of those being written, in case that fails; if it succeeds, the store shifts its copies.
        """
        self._ended[:] = [moved(ended, by_ms) for ended in self._ended]

    def close(self) -> None:
        """Let ``run`` write what is left and return. Call this when nothing more can arrive."""
        self._closed = True
        self._gathered.set()
        self._batch_full.set()

    async def run(self, after_write: Callable[[], None]) -> None:
        """Write until closed. ``after_write`` is called after each write, even a failed one."""
        tries_left = MAX_FINAL_TRIES
        while True:
            await self._gathered.wait()
            await pause(self._batch_full, self._limits.write_after_seconds)
            # Read before the write: if closed during it, what arrived meanwhile needs one more.
            closed = self._closed
            if not closed:
                self._gathered.clear()
                self._batch_full.clear()
            try:
                await self._write()
            except Exception:
                _log.exception("outcomes of postbacks cannot be written: the ledger failed")
                self._gathered.set()
                tries_left -= closed  # until closed, it is tried without limit
                await asyncio.sleep(self._limits.error_seconds)
            after_write()
            if closed and (tries_left <= 0 or not (self._ended or self._unsent or self._changed)):
                return

    async def wake_resumed(self) -> None:
        """Wake the postbacks of resumed rules, in batches, so that other writers need not wait long for the ledger."""
        while self._to_wake:
            self._to_wake = await self._ledger.call(self._ledger.store.wake_resumed)
            self._signals.due.set()

    async def _write(self) -> None:
        # Outcomes first: they limit what may leave, and what a crash would send again.
        await self._record()
        await self._release()
        await self._keep_standings()
        await self.wake_resumed()

    async def _record(self) -> None:
        if not self._ended:
            return
        batch = tuple(self._ended)
        self._being_written = len(batch)
        try:
            recorded = await self._ledger.call(self._ledger.store.record, batch)
        finally:
            self._being_written = 0
        del self._ended[: len(batch)]  # what arrived meanwhile comes after them
        log_rule_changes(recorded)
        self._claim_in_time(batch)
        self._to_wake |= bool(recorded.resumed)
        if recorded.woken:
            self._signals.due.set()

    async def _release(self) -> None:
        if self._unsent:
            batch = tuple(self._unsent)
            await self._ledger.call(self._ledger.store.release, batch, self._clock.now())
            del self._unsent[: len(batch)]

    async def _keep_standings(self) -> None:
        if not (self._changed or self._done):
            return
        # Removed before the write, unlike the others: a receiver that changes during it must be stored again.
        changed, self._changed = self._changed, set()
        done, self._done = self._done, {}
        try:
            standings = {receiver: self._condition(receiver) for receiver in changed}
            await self._ledger.call(self._ledger.store.save_receiver_conditions, standings, done)
        except Exception:
            self._changed |= changed
            self._done = done | self._done
            raise

    def _claim_in_time(self, written: Sequence[EndedAttempt]) -> None:
        """Wake the claimer when the first retry is due: it may be waiting for a later time."""
        soonest = min((ended.retry_at for ended in written if ended.retry_at is not None), default=None)
        if soonest is not None:
            wait_seconds = max(0.0, (soonest - self._clock.now()) / SECOND_MS)
            if wait_seconds <= self._limits.poll_seconds:  # otherwise it checks earlier anyway
                asyncio.get_running_loop().call_later(wait_seconds, self._signals.due.set)
