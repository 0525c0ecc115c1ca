"""The departures of a delivery worker: which claimed postbacks leave, the attempts under way, and what their ends mean for a lane."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from clickloop.postback.delivery.breaker import Turn, verdict_of
from clickloop.postback.delivery.clock_watch import ClockWatch
from clickloop.postback.delivery.delivery_log import tell_turn
from clickloop.postback.delivery.ending import ERROR_CHARACTERS, ended_of
from clickloop.postback.delivery.lanes import Lanes, Start
from clickloop.postback.delivery.limits import Limits
from clickloop.postback.delivery.outcome_writer import OutcomeWriter
from clickloop.postback.delivery.signals import Signals
from clickloop.postback.delivery.work import Claimed, Job
from clickloop.postback.retry import Outcome, Trouble, asked_wait_ms
from clickloop.postback.rule import Request

_log = logging.getLogger(__name__)

Send = Callable[[Request, int], Coroutine[Any, Any, Outcome]]
"""Makes one attempt, as ``sending.Sender.send`` does."""


class Claim(msgspec.Struct, frozen=True):
    """A claimed postback and the monotonic time after which it may not leave any more."""

    job: Job
    leave_by: float


class Departures:
    """Whatever is claimed goes through here to the writer: with an outcome, or to be given back."""

    def __init__(
        self,
        lanes: Lanes[Claim],
        writer: OutcomeWriter,
        send: Send,
        clock: ClockWatch,
        limits: Limits,
        signals: Signals,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._lanes = lanes
        self._writer = writer
        self._send = send
        self._clock = clock
        self._limits = limits
        self._signals = signals
        self._chance = chance
        self._attempts: set[asyncio.Task[None]] = set()
        """The attempts under way. The event loop itself holds a task only weakly."""
        self._rested: asyncio.TimerHandle | None = None
        """Calls ``let_leave`` when the first lane's rate lets it go on."""

    @property
    def held(self) -> int:
        """How many claimed postbacks wait here, are under way, or have an outcome that is not written."""
        return self._lanes.queued + len(self._attempts) + self._writer.pending

    def take(self, claimed: Claimed, leave_by: float) -> None:
        """Put what was claimed into its lanes, and let leave what may."""
        now = self._clock.monotonic()
        refused = [job for job in claimed.jobs if not self._lanes.put(job.lane, Claim(job, leave_by), now)]
        if refused:
            self._writer.give_back(refused)
        self._lanes.note_more(claimed.full)
        if any(self._lanes.wants_more(lane, now) for lane in claimed.full):
            self._signals.due.set()
        self.let_leave()

    def let_leave(self) -> None:
        """Start all that may leave now, and look again when a lane's rate lets it go on."""
        if self._signals.quit.is_set() or not self._lanes.queued or self._writer.is_full:
            return  # where the writer is full, this is called again after its write
        while (start := self._lanes.next(self._clock.monotonic())) is not None:
            task = asyncio.create_task(self._attempt(start))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)
        rest_seconds = self._lanes.rest(self._clock.monotonic())
        if rest_seconds is not None:
            if self._rested is not None:
                self._rested.cancel()
            self._rested = asyncio.get_running_loop().call_later(rest_seconds, self.let_leave)

    async def close(self) -> None:
        """Give back what waits, and wait for the attempts under way. To be called after ``quit``, with which nothing more leaves."""
        # Given back, not left to their leases: the next start need not wait for those.
        self._writer.give_back([claim.job for claim in self._lanes.drop()])
        await asyncio.gather(*self._attempts)
        if self._rested is not None:
            self._rested.cancel()

    async def _attempt(self, start: Start[Claim]) -> None:
        """Make one attempt, and let the next ones leave."""
        job = start.entry.job
        # Too late to end within its lease: another worker could have it by then and send it twice. Looked at here and not when it
        # was started, for others have had their turn since.
        if self._signals.quit.is_set() or self._clock.monotonic() > start.entry.leave_by:
            self._lanes.take_back(start)
            self._writer.give_back([job])
        else:
            try:
                outcome = await self._send(job.request, job.attempt)
            except Exception as error:
                _log.exception("the attempt of postback %s broke off", job.postback_id)
                text = f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS]
                outcome = Outcome(trouble=Trouble.BROKEN, error=text)
            self._end(start, outcome)
        self.let_leave()

    def _end(self, start: Start[Claim], outcome: Outcome) -> None:
        """Hand an outcome to the writer, and note what it means for the lane."""
        now, now_ms = self._clock.monotonic(), self._clock.now()
        self._writer.add(ended_of(start.entry.job, outcome, now_ms, self._chance))
        wait_ms = asked_wait_ms(outcome, now_ms)
        turn = self._lanes.end(start, verdict_of(outcome), outcome.status_code, now, now_ms, wait_ms)
        if turn is not None:
            self._take_turn(turn, start.lane)
        if self._lanes.wants_more(start.lane, now):
            self._signals.due.set()

    def _take_turn(self, turn: Turn, lane: str) -> None:
        """Log and store how a receiver stands now. What waits for one that is not to be asked is given back, without an attempt."""
        tell_turn(turn, lane, self._lanes.standing(lane))
        self._writer.note_turned((lane,))
        if turn is not Turn.RESUMED:
            self._writer.give_back([claim.job for claim in self._lanes.drop(lane)])
