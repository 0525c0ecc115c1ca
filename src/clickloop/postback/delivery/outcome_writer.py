"""The buffered writer of a delivery worker: gathers what is to be stored, and stores it in batches."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from clickloop.clock import SECOND_MS
from clickloop.postback.delivery.clock_watch import ClockWatch
from clickloop.postback.delivery.delivery_log import tell_rules
from clickloop.postback.delivery.ending import moved
from clickloop.postback.delivery.lane import Asked, Standing
from clickloop.postback.delivery.limits import Limits
from clickloop.postback.delivery.signals import Signals, pause
from clickloop.postback.delivery.store_thread import StoreThread
from clickloop.postback.delivery.work import Ended, Job

LAST_TRIES = 3
"""So often a failing store is tried when the worker ends. What it did not take is sent again when its lease has ended."""
_log = logging.getLogger(__name__)


class OutcomeWriter:
    """Everything stays in here until the store has it: what fails to be written is part of the next batch.

    For one event loop. Only ``await`` lets others in, so there is no lock; what comes in during a write waits for the next.
    """

    def __init__(
        self,
        ledger: StoreThread,
        standing: Callable[[str], Standing],
        clock: ClockWatch,
        limits: Limits,
        signals: Signals,
    ) -> None:
        """``standing`` tells how the receiver of a lane stands."""
        self._ledger = ledger
        self._standing = standing
        self._clock = clock
        self._limits = limits
        self._signals = signals
        self._ended: list[Ended] = []
        self._being_written = 0
        """So many, from the front, are on their way to the store."""
        self._unsent: list[Job] = []
        self._turned: set[str] = set()
        """Lanes of which it is to be stored how their receivers stand."""
        self._done: dict[str, Asked] = {}
        """By lane, what somebody had asked for and what is done."""
        self._to_wake = True
        """Rules may go on, at the start as well: what they hold is to be woken."""
        self._gathered = asyncio.Event()
        """There is something to write. Cleared before a write, so that what comes in during one is not overlooked."""
        self._batch_full = asyncio.Event()
        """So much has come in that more is not waited for."""
        self._closed = False

    @property
    def pending(self) -> int:
        """How many claimed postbacks are in here."""
        return len(self._ended) + len(self._unsent)

    @property
    def is_full(self) -> bool:
        """Whether as many outcomes are unwritten as may be: after a crash they are sent again."""
        return len(self._ended) >= self._limits.unwritten

    def add(self, ended: Ended) -> None:
        """Take an outcome in."""
        self._ended.append(ended)
        self._gathered.set()
        if 2 * (len(self._ended) - self._being_written) >= self._limits.unwritten:
            # At half of what may be unwritten, so that the other half can leave during the write.
            self._batch_full.set()

    def give_back(self, jobs: Iterable[Job]) -> None:
        """Take in what was claimed and is not sent after all."""
        self._unsent += jobs
        self._gathered.set()

    def note_turned(self, lanes: Iterable[str], done: Mapping[str, Asked] | None = None) -> None:
        """Note receivers of which something has changed, and by lane what was done because somebody wanted it."""
        self._turned.update(lanes)
        self._done.update(done or {})
        self._gathered.set()

    def move(self, by_ms: int) -> None:
        """Move the moments of outcomes along with a clock that was set back.

        Those on their way to the store too, in case it fails; if it does not, what it has of them moves there.
        """
        self._ended[:] = [moved(ended, by_ms) for ended in self._ended]

    def close(self) -> None:
        """Have ``run`` write what there is and return. To be called when nothing more can come in."""
        self._closed = True
        self._gathered.set()
        self._batch_full.set()

    async def run(self, after_write: Callable[[], None]) -> None:
        """Write until closed. ``after_write`` is called after each write, also one that failed."""
        tries_left = LAST_TRIES
        while True:
            await self._gathered.wait()
            await pause(self._batch_full, self._limits.write_after_seconds)
            # Looked at before the write: if it is closed during one, what came in meanwhile takes one more.
            closed = self._closed
            if not closed:
                self._gathered.clear()
                self._batch_full.clear()
            try:
                await self._write()
            except Exception:
                _log.exception("outcomes of postbacks cannot be written: the ledger failed")
                self._gathered.set()
                tries_left -= closed  # before the end it is tried until it works
                await asyncio.sleep(self._limits.error_seconds)
            after_write()
            if closed and (tries_left <= 0 or not (self._ended or self._unsent or self._turned)):
                return

    async def wake_held(self) -> None:
        """Wake what rules have held that go on, in parts, so that nobody else waits long for the ledger."""
        while self._to_wake:
            self._to_wake = await self._ledger.call(self._ledger.store.wake_held)
            self._signals.due.set()

    async def _write(self) -> None:
        # Outcomes first: they alone bound what leaves, and what a crash would send again.
        await self._record()
        await self._release()
        await self._keep_standings()
        await self.wake_held()

    async def _record(self) -> None:
        if not self._ended:
            return
        batch = tuple(self._ended)
        self._being_written = len(batch)
        try:
            recorded = await self._ledger.call(self._ledger.store.record, batch)
        finally:
            self._being_written = 0
        del self._ended[: len(batch)]  # what came in meanwhile stands behind them
        tell_rules(recorded)
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
        if not (self._turned or self._done):
            return
        # Taken out before the write, unlike the others: a lane that turns again during it has to be stored once more.
        turned, self._turned = self._turned, set()
        done, self._done = self._done, {}
        try:
            standings = {lane: self._standing(lane) for lane in turned}
            await self._ledger.call(self._ledger.store.keep_standings, standings, done)
        except Exception:
            self._turned |= turned
            self._done = done | self._done
            raise

    def _claim_in_time(self, written: Sequence[Ended]) -> None:
        """Wake the claimer, which may wait for a later moment, when the first of these is due again."""
        soonest = min((ended.again_at for ended in written if ended.again_at is not None), default=None)
        if soonest is not None:
            wait_seconds = max(0.0, (soonest - self._clock.now()) / SECOND_MS)
            if wait_seconds <= self._limits.look_seconds:  # else it looks before that anyway
                asyncio.get_running_loop().call_later(wait_seconds, self._signals.due.set)
