"""The departures of a delivery worker: which claimed postbacks leave, the attempts under way and their effect on receivers."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from clickloop.postback.delivery.breaker import BreakerChange, verdict_of
from clickloop.postback.delivery.clock_watch import ClockWatch
from clickloop.postback.delivery.delivery_log import log_breaker_change
from clickloop.postback.delivery.ending import ended_of
from clickloop.postback.delivery.limits import DeliveryLimits
from clickloop.postback.delivery.outcome_writer import OutcomeWriter
from clickloop.postback.delivery.receiver_queues import Departure, ReceiverQueues
from clickloop.postback.delivery.signals import Signals
from clickloop.postback.delivery.work import ClaimBatch, Job
from clickloop.postback.retry import MAX_ERROR_LENGTH, AttemptOutcome, Trouble, requested_wait_ms
from clickloop.postback.rule import PostbackRequest

_log = logging.getLogger(__name__)

Send = Callable[[PostbackRequest, int], Coroutine[Any, Any, AttemptOutcome]]
"""Makes one attempt, such as ``sending.Sender.send``."""


class Claim(msgspec.Struct, frozen=True):
    """A claimed postback, and the monotonic time after which it may no longer leave."""

    job: Job
    leave_by: float


class Departures:
    """Passes everything claimed on to the writer: with an outcome, or to be released unsent."""

    def __init__(
        self,
        receivers: ReceiverQueues[Claim],
        writer: OutcomeWriter,
        send: Send,
        clock: ClockWatch,
        limits: DeliveryLimits,
        signals: Signals,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._receivers = receivers
        self._writer = writer
        self._send = send
        self._clock = clock
        self._limits = limits
        self._signals = signals
        self._chance = chance
        self._attempts: set[asyncio.Task[None]] = set()
        """The attempts under way. Needed because the event loop holds only weak references to tasks."""
        self._rested: asyncio.TimerHandle | None = None
        """Calls ``let_leave`` when the next rate limit permits."""

    @property
    def held(self) -> int:
        """Return the number of claimed postbacks that are queued, under way or not yet written."""
        return self._receivers.queued + len(self._attempts) + self._writer.pending

    def take(self, claimed: ClaimBatch, leave_by: float) -> None:
        """Queue what was claimed by receiver, and start what may leave."""
        now = self._clock.monotonic()
        refused = [job for job in claimed.jobs if not self._receivers.put(job.receiver, Claim(job, leave_by), now)]
        if refused:
            self._writer.give_back(refused)
        self._receivers.note_more(claimed.full)
        if any(self._receivers.wants_more(receiver, now) for receiver in claimed.full):
            self._signals.due.set()
        self.let_leave()

    def let_leave(self) -> None:
        """Start everything that may leave now, and call this again when the next rate limit permits."""
        if self._signals.quit.is_set() or not self._receivers.queued or self._writer.is_full:
            return  # when the writer is full, this is called again after its write
        while (start := self._receivers.next(self._clock.monotonic())) is not None:
            task = asyncio.create_task(self._attempt(start))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)
        rest_seconds = self._receivers.rest(self._clock.monotonic())
        if rest_seconds is not None:
            if self._rested is not None:
                self._rested.cancel()
            self._rested = asyncio.get_running_loop().call_later(rest_seconds, self.let_leave)

    async def close(self) -> None:
        """Release what is queued, and wait for the attempts under way. Call this after ``quit``, so that nothing more leaves."""
        # Released rather than left to their leases, so that the next start need not wait for those to expire.
        self._writer.give_back([claim.job for claim in self._receivers.drop()])
        await asyncio.gather(*self._attempts)
        if self._rested is not None:
            self._rested.cancel()

    async def _attempt(self, start: Departure[Claim]) -> None:
        """Make one attempt, then let the next ones leave."""
        job = start.entry.job
        # Too late to end within the lease: another worker could take it over meanwhile and send it twice. Checked here, not when
        # the task was created, because other tasks may have run since.
        if self._signals.quit.is_set() or self._clock.monotonic() > start.entry.leave_by:
            self._receivers.take_back(start)
            self._writer.give_back([job])
        else:
            try:
                outcome = await self._send(job.request, job.attempt)
            except Exception as error:
                _log.exception("the attempt of postback %s broke off", job.postback_id)
                text = f"{type(error).__name__}: {error}"[:MAX_ERROR_LENGTH]
                outcome = AttemptOutcome(trouble=Trouble.BROKEN, error=text)
            self._end(start, outcome)
        self.let_leave()

    def _end(self, start: Departure[Claim], outcome: AttemptOutcome) -> None:
        """Pass an outcome to the writer, and apply it to the receiver."""
        now, now_ms = self._clock.monotonic(), self._clock.now()
        self._writer.add(ended_of(start.entry.job, outcome, now_ms, self._chance))
        wait_ms = requested_wait_ms(outcome, now_ms)
        change = self._receivers.end(start, verdict_of(outcome), outcome.status_code, now, now_ms, wait_ms)
        if change is not None:
            self._follow_change(change, start.receiver)
        if self._receivers.wants_more(start.receiver, now):
            self._signals.due.set()

    def _follow_change(self, change: BreakerChange, receiver: str) -> None:
        """Log and store a receiver's new condition. Release what is queued for it if nothing may be sent to it now."""
        log_breaker_change(change, receiver, self._receivers.condition(receiver))
        self._writer.note_changed((receiver,))
        if change is not BreakerChange.RESUMED:
            self._writer.give_back([claim.job for claim in self._receivers.drop(receiver)])
