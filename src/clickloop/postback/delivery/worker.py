"""Delivery: the worker that claims due postbacks, sends them and writes down what became of them, as plain loops.

A claim takes a lease with a fencing token and writes the attempt's row before the request leaves; a write with a token that has
been taken over touches nothing. Whatever is claimed and not finished is looked at again when its lease ends. Each receiver has
its lane; ``lanes`` decides what leaves next.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from clickloop.clock import SECOND_MS, Clock, wall_clock
from clickloop.postback.delivery.breaker import Turn, verdict_of
from clickloop.postback.delivery.clock_watch import ClockWatch
from clickloop.postback.delivery.delivery_log import tell_asked, tell_rules, tell_turn
from clickloop.postback.delivery.ending import ERROR_CHARACTERS, ended_of, moved
from clickloop.postback.delivery.lane import Asked, KeptLane
from clickloop.postback.delivery.lanes import Lanes, Start
from clickloop.postback.delivery.limits import DEFAULT_LIMITS, Limits
from clickloop.postback.delivery.work import Claimed, Ended, Job, PostbackStore
from clickloop.postback.retry import Outcome, Trouble, asked_wait_ms
from clickloop.postback.rule import Request

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")

Send = Callable[[Request, int], Coroutine[Any, Any, Outcome]]
"""Makes one attempt, as ``sending.Sender.send`` does."""


class _Claim(msgspec.Struct, frozen=True):
    """A claimed postback and the monotonic time after which it may not leave any more."""

    job: Job
    leave_by: float


class Delivery:
    """One worker: ``run`` it in an event loop; ``wake`` and ``stop`` may be called from any thread."""

    def __init__(
        self,
        store: PostbackStore,
        send: Send,
        *,
        alone: bool,
        limits: Limits = DEFAULT_LIMITS,
        on_hold: bool = False,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``alone``: no other worker delivers from this store, so leases found at the start are dead and are taken over at once. Said
        wrongly, it sends again what another worker is sending: otherwise each lease is waited for. ``on_hold``: claim nothing.
        """
        self._store = store
        self._send = send
        self._limits = limits
        self._alone = alone
        self._on_hold = on_hold
        self._monotonic = monotonic
        self._chance = chance
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ledger: ThreadPoolExecutor | None = None
        self._stopping = False
        self._due = asyncio.Event()
        """Something is owed, or there is room for more: it is time to claim."""
        self._some_ended = asyncio.Event()
        self._batch_full = asyncio.Event()
        self._look = asyncio.Event()
        """Somebody wants something of a receiver."""
        self._quit = asyncio.Event()
        self._lanes: Lanes[_Claim] = Lanes(limits.connections, limits.lane_connections)
        self._sending: set[asyncio.Task[None]] = set()
        self._rested: asyncio.TimerHandle | None = None
        self._all_sent = False
        self._held = 0
        self._ended: list[Ended] = []
        self._being_written = 0
        self._unsent: list[Job] = []
        self._turned: set[str] = set()
        """Lanes of which it is to be kept how their receivers stand."""
        self._done: dict[str, Asked] = {}
        """By lane, what somebody had asked for and what is done."""
        self._to_wake = True
        """Rules may go on: what they hold is to be woken."""
        self._clock = ClockWatch(store, self._call, clock, monotonic)
        self._now = self._clock.now

    def wake(self) -> None:
        """Says that something is owed, so that it leaves at once. From any thread; without effect when not running."""
        self._tell(self._due)

    def follow(self) -> None:
        """Says that somebody wants something of a receiver, so that it is done at once. From any thread."""
        self._tell(self._look)

    def release(self) -> None:
        """End ``on_hold``. From any thread."""
        self._on_hold = False
        self._tell(self._due)

    def stop(self) -> None:
        """Asks ``run`` to claim no more, finish what is under way, write it down, and return. From any thread."""
        self._stopping = True
        for event in (self._due, self._look, self._quit):
            self._tell(event)

    async def run(self) -> None:
        """Delivers until ``stop``. It returns within about one deadline and a write; a failing store is waited for."""
        self._loop = asyncio.get_running_loop()
        # One thread: claims and outcomes reach the ledger in order, and the loop never waits for a commit.
        with ThreadPoolExecutor(1, "delivery-ledger") as self._ledger:
            await self._start()
            writer = asyncio.create_task(self._write_loop())
            rescuer = asyncio.create_task(self._rescue_loop())
            try:
                await self._claim_loop()
            finally:
                self._stopping = True
                # Given back, not left to their leases: the next start need not wait for those.
                self._unsent += [claim.job for claim in self._lanes.drop()]
                # Before the writer ends: what was sent and is not written is sent again after the start.
                await asyncio.gather(*self._sending)
                if self._rested is not None:
                    self._rested.cancel()
                self._all_sent = True
                for event in (self._look, self._quit, self._some_ended, self._batch_full):
                    event.set()
                await asyncio.gather(writer, rescuer)  # before the thread pool closes: both call into it
                self._loop = None

    def _tell(self, event: asyncio.Event) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            # Events of asyncio are not for other threads; the loop sets them itself.
            loop.call_soon_threadsafe(event.set)

    async def _call(self, ask: Callable[..., _Answer], *given: object) -> _Answer:
        """Asks the store in its thread; the loop goes on meanwhile."""
        assert self._loop is not None
        return await self._loop.run_in_executor(self._ledger, ask, *given)

    async def _start(self) -> None:
        """Corrects the moments if the clock was set back while we were away, and takes over what a dead worker left."""
        while not self._stopping:
            try:
                now_ms = await self._clock.begin()
                self._lanes.restore(await self._call(self._store.lanes), self._monotonic(), now_ms)
                rescued = await self._call(self._store.rescue, now_ms, self._alone)
                await self._wake_held()
            except Exception:
                _log.exception("delivery cannot start: the ledger failed")
                await self._pause(self._quit, self._limits.error_seconds)
            else:
                if rescued:
                    _log.warning("%d postbacks were under way when delivery stopped; they are tried again", rescued)
                return

    async def _claim_loop(self) -> None:
        limits = self._limits
        after = ""
        while not self._stopping:
            # Before the claim: what becomes due while it runs sets the event again and is not missed.
            self._due.clear()
            if self._on_hold:
                await self._pause(self._due, limits.look_seconds)
                continue
            want = min(limits.batch, limits.queue - self._lanes.queued, limits.held - self._held)
            if want <= 0:
                # Full: the next end sets the event, the pause only bounds the wait should that be missed.
                await self._pause(self._due, 0.05)
                continue
            asked_at = self._monotonic()
            rooms = self._lanes.rooms(asked_at, after)
            lease_ms = int(limits.lease_seconds * SECOND_MS)
            try:
                await self._watch_clock()
                claimed = await self._call(self._store.claim, self._now(), want, lease_ms, rooms)
            except Exception:
                _log.exception("postbacks cannot be claimed: the ledger failed")
                await self._pause(self._quit, limits.error_seconds)
                continue
            # Turns go on behind the last lane served: else the first lanes would take every small claim.
            after = claimed.last
            # By the moment of asking, not of the answer: the lease may have begun then.
            self._take(claimed, asked_at + limits.lease_seconds - limits.deadline_seconds)
            if not claimed.more:
                await self._wait_for_more(claimed)

    def _take(self, claimed: Claimed, leave_by: float) -> None:
        """Puts what was claimed into its lanes, and lets leave what may."""
        now = self._monotonic()
        self._held += len(claimed.jobs)
        for job in claimed.jobs:
            if not self._lanes.put(job.lane, _Claim(job, leave_by), now):
                self._unsent.append(job)
                self._some_ended.set()
        self._lanes.note_more(claimed.full)
        if any(self._lanes.wants_more(lane, now) for lane in claimed.full):
            self._due.set()
        self._let_leave()

    async def _wait_for_more(self, claimed: Claimed) -> None:
        """Until something is owed or due, a lane runs dry, or a probe may leave."""
        limits = self._limits
        if claimed.seen < limits.batch // 4:
            # Many small claims cost more than they bring.
            await self._pause(self._quit, limits.claim_after_seconds)
        wait_seconds = limits.look_again_seconds if claimed.seen else limits.look_seconds
        if claimed.next_at is not None:
            # At least 10 ms: a moment just passed would otherwise be looked at in a tight loop.
            wait_seconds = min(wait_seconds, max(0.01, (claimed.next_at - self._now()) / SECOND_MS))
        probe_seconds = self._lanes.next_probe(self._monotonic())
        if probe_seconds is not None:
            wait_seconds = min(wait_seconds, probe_seconds)
        await self._pause(self._due, wait_seconds)

    def _let_leave(self) -> None:
        """Starts all that may leave now, and looks again when a lane's rate lets it go on."""
        if self._stopping or not self._lanes.queued:
            return
        if len(self._ended) + self._being_written >= self._limits.unwritten:
            return  # the writer calls again
        while (start := self._lanes.next(self._monotonic())) is not None:
            task = asyncio.create_task(self._attempt(start))
            # Held here: the loop holds tasks weakly.
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        rest_seconds = self._lanes.rest(self._monotonic())
        if rest_seconds is not None and self._loop is not None:
            if self._rested is not None:
                self._rested.cancel()
            self._rested = self._loop.call_later(rest_seconds, self._let_leave)

    async def _attempt(self, start: Start[_Claim]) -> None:
        """Makes one attempt, and lets the next ones leave."""
        job = start.entry.job
        # Too late to end within its lease: another worker could have it by then and send it twice.
        if self._stopping or self._monotonic() > start.entry.leave_by:
            self._lanes.take_back(start)
            self._unsent.append(job)
        else:
            try:
                outcome = await self._send(job.request, job.attempt)
            except Exception as error:
                _log.exception("the attempt of postback %s broke off", job.postback_id)
                text = f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS]
                outcome = Outcome(trouble=Trouble.BROKEN, error=text)
            self._end(start, outcome)
        self._some_ended.set()
        if 2 * len(self._ended) >= self._limits.unwritten:
            self._batch_full.set()
        self._let_leave()

    def _end(self, start: Start[_Claim], outcome: Outcome) -> None:
        """Notes an outcome for the writer, and what it means for the lane."""
        now, now_ms = self._monotonic(), self._now()
        self._ended.append(ended_of(start.entry.job, outcome, now_ms, self._chance))
        wait_ms = asked_wait_ms(outcome, now_ms)
        turn = self._lanes.end(start, verdict_of(outcome), outcome.status_code, now, now_ms, wait_ms)
        if turn is not None:
            self._take_turn(turn, start.lane)
        if self._lanes.wants_more(start.lane, now):
            self._due.set()

    def _take_turn(self, turn: Turn, lane: str) -> None:
        """Tells and keeps how a receiver stands now. What waits in a lane that is not to be asked is given back, without an attempt."""
        self._turned.add(lane)
        tell_turn(turn, lane, self._lanes.standing(lane))
        if turn is not Turn.RESUMED:
            self._unsent += [claim.job for claim in self._lanes.drop(lane)]

    async def _write_loop(self) -> None:
        """Writes outcomes in batches. What cannot be written is kept and tried again; when quitting, a few times."""
        tries_left = 3
        while True:
            await self._some_ended.wait()
            await self._pause(self._batch_full, self._limits.write_after_seconds)
            quitting = self._all_sent
            if not quitting:
                self._some_ended.clear()
                self._batch_full.clear()
            try:
                await self._write()
            except Exception:
                _log.exception("outcomes of postbacks cannot be written: the ledger failed")
                self._some_ended.set()
                tries_left -= quitting  # only at the end: before, it is tried until it works
                # The outcomes are kept and written by the next round: they must not be lost, nor the ledger be flooded.
                await asyncio.sleep(self._limits.error_seconds)
            self._let_leave()
            if quitting and (tries_left <= 0 or not (self._ended or self._unsent or self._turned)):
                return

    async def _write(self) -> None:
        """Writes what has gathered. What fails to be written stays for the next time."""
        # Taken before the first await: attempts go on ending while the ledger writes.
        ended, self._ended = self._ended, []
        self._being_written = len(ended)
        unsent, self._unsent = self._unsent, []
        turned, self._turned = self._turned, set()
        done, self._done = self._done, {}
        try:
            # Outcomes first: what they make due is claimed soonest, and a failure below does not keep them.
            if ended:
                recorded = await self._call(self._store.record, ended)
                tell_rules(recorded)
                self._held -= len(ended)
                self._look_for(ended)
                ended = []
                self._to_wake |= bool(recorded.resumed)
                if recorded.woken:
                    self._due.set()
            if unsent:
                await self._call(self._store.release, unsent, self._now())
                self._held -= len(unsent)
                unsent = []
            if turned or done:
                standings = {lane: self._lanes.standing(lane) for lane in turned}
                await self._call(self._store.keep_standings, standings, done)
                turned, done = set(), {}
            await self._wake_held()
        finally:
            self._being_written = 0
            # In front of those that ended meanwhile: the order of their ends stays.
            self._ended[:0] = ended
            # What was written above is an empty list by now, so nothing is written twice.
            self._unsent[:0] = unsent
            self._turned |= turned
            self._done = done | self._done

    async def _wake_held(self) -> None:
        """Wakes what rules have held that go on, in parts, so that nobody else waits long for the ledger."""
        while self._to_wake:
            self._to_wake = await self._call(self._store.wake_held)
            self._due.set()

    def _look_for(self, ended: list[Ended]) -> None:
        """Sees to it that the claim loop, which may wait for a later moment, looks when the first of these is due again."""
        soonest = min((one.again_at for one in ended if one.again_at is not None), default=None)
        if soonest is not None and self._loop is not None:
            wait_seconds = max(0.0, (soonest - self._now()) / SECOND_MS)
            if wait_seconds <= self._limits.look_seconds:
                self._loop.call_later(wait_seconds, self._due.set)

    async def _rescue_loop(self) -> None:
        """Looks for leases that have ended, for what users set for receivers, and for what they want of them."""
        while not self._stopping:
            await self._pause(self._look, self._limits.look_seconds)
            self._look.clear()
            if self._stopping:
                return
            try:
                await self._watch_clock()
                rescued = await self._call(self._store.rescue, self._now(), False)
                self._follow(await self._call(self._store.lanes))
            except Exception:
                _log.exception("expired leases cannot be looked for: the ledger failed")
            else:
                if rescued:
                    _log.warning("%d postbacks had outlived their lease; they are tried again", rescued)
                    self._due.set()
            self._lanes.forget_idle(self._monotonic())

    def _follow(self, kept: tuple[KeptLane, ...]) -> None:
        """Takes over what users set for receivers, does what they want of them, and notes which need not be waited for any more."""
        now = self._monotonic()
        self._lanes.set_terms(kept)
        asked = self._lanes.follow(kept, now, self._now())
        for lane, wish in asked.items():
            tell_asked(lane, wish)
        self._done |= asked
        turned = {*asked, *self._lanes.waits_over(now)}
        if turned:
            self._turned |= turned
            self._some_ended.set()
            self._due.set()

    async def _watch_clock(self) -> None:
        """Follows the wall clock. When it has jumped, leases and moments that were set by it move along."""
        jump_ms = self._clock.look()
        if jump_ms < 0:
            self._ended = [moved(ended, jump_ms) for ended in self._ended]
        if await self._clock.follow():
            self._due.set()

    async def _pause(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for the event, for ``seconds`` at most."""
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
