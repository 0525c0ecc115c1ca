"""The outcome writer alone, with a real ledger: failed writes, and what arrives during a write."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from clickloop.clock import wall_clock
from clickloop.postback.delivery.breaker import Pause
from clickloop.postback.delivery.clock_watch import ClockWatch
from clickloop.postback.delivery.lane import Asked, Standing
from clickloop.postback.delivery.limits import Limits
from clickloop.postback.delivery.outcome_writer import MAX_FINAL_TRIES, OutcomeWriter
from clickloop.postback.delivery.signals import Signals
from clickloop.postback.delivery.store_thread import StoreThread
from clickloop.postback.delivery.work import Ended, Job, Recorded
from clickloop.postback.retry import Outcome, Result
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from tests.postback.delivery.delivering import QUICK, Desk

LANE = "source.example:443"
PAUSED = Standing(pause=Pause(opened_at=1_000, probe_at=2_000, why="It failed."))


class Slow(LedgerPostbacks):
    """A store whose writes of outcomes and conditions wait until they are released, and can be made to fail."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.ledger)
        self.let_go = threading.Event()
        self.is_away = False
        self.recorded: list[tuple[Ended, ...]] = []
        self.standings: list[Mapping[str, Standing]] = []

    def _wait(self) -> None:
        assert self.let_go.wait(60)
        if self.is_away:
            raise OSError("the disk is full")

    def record(self, ended: Sequence[Ended]) -> Recorded:
        self.recorded.append(tuple(ended))
        self._wait()
        return super().record(ended)

    def keep_standings(self, standings: Mapping[str, Standing], done: Mapping[str, Asked]) -> None:
        self.standings.append(standings)
        self._wait()
        super().keep_standings(standings, done)


class Writing:
    """A running writer."""

    def __init__(self, store: Slow, limits: Limits) -> None:
        self.store = store
        self.ledger = StoreThread(store)
        self.signals = Signals()
        self.standing = Standing()
        self.writes = 0
        self.writer = OutcomeWriter(self.ledger, lambda _: self.standing, ClockWatch(self.ledger), limits, self.signals)

    def count_write(self) -> None:
        self.writes += 1


def write(desk: Desk, script: Callable[[Writing], Coroutine[Any, Any, None]], limits: Limits = QUICK) -> Slow:
    """Run a writer while the script runs, then close it and return the store."""
    store = Slow(desk)

    async def run() -> None:
        at = Writing(store, limits)
        running = asyncio.create_task(at.writer.run(at.count_write))
        try:
            await script(at)
        finally:
            store.let_go.set()
            at.writer.close()
            async with asyncio.timeout(60):
                await running
            at.ledger.close()

    asyncio.run(run())
    return store


def claimed(desk: Desk, count: int = 1) -> tuple[Job, ...]:
    desk.owe(count)
    return desk.store.claim(wall_clock(), count, 60_000).jobs


def delivered(job: Job) -> Ended:
    return Ended(job=job, outcome=Outcome(status_code=200), result=Result.DELIVERED, at=wall_clock())


def test_what_comes_in_during_a_write_is_written_by_the_next_and_nothing_twice(desk: Desk) -> None:
    first, second = (delivered(job) for job in claimed(desk, 2))

    async def script(at: Writing) -> None:
        at.writer.add(first)
        await desk.until(lambda: len(at.store.recorded) == 1)
        at.writer.add(second)
        assert at.writer.pending == 2
        at.store.let_go.set()
        await desk.until(lambda: at.writer.pending == 0)

    assert write(desk, script).recorded == [(first,), (second,)]
    assert desk.states() == ["delivered", "delivered"]


def test_what_could_not_be_written_keeps_its_place_and_moves_with_a_clock_that_is_set_back_meanwhile(
    desk: Desk,
) -> None:
    first, second = (delivered(job) for job in claimed(desk, 2))

    async def script(at: Writing) -> None:
        at.store.is_away = True
        at.writer.add(first)
        await desk.until(lambda: len(at.store.recorded) == 1)
        at.writer.move(-5_000)
        at.writer.add(second)
        at.store.let_go.set()
        await desk.until(lambda: at.writes > 0)
        at.store.is_away = False
        await desk.until(lambda: at.writer.pending == 0)

    again = write(desk, script).recorded[-1]
    assert [(ended.job, ended.at) for ended in again] == [(first.job, first.at - 5_000), (second.job, second.at)]
    assert desk.states() == ["delivered", "delivered"]


def test_a_receiver_that_changes_while_its_standing_is_written_is_written_once_more(desk: Desk) -> None:
    async def script(at: Writing) -> None:
        at.writer.note_changed((LANE,))
        await desk.until(lambda: len(at.store.standings) == 1)
        at.standing = PAUSED
        at.writer.note_changed((LANE,))

    assert write(desk, script).standings == [{LANE: Standing()}, {LANE: PAUSED}]
    assert [lane.pause for lane in desk.store.lanes()] == [PAUSED.pause]


def test_a_standing_that_could_not_be_written_is_written_as_it_is_then(desk: Desk) -> None:
    async def script(at: Writing) -> None:
        at.store.is_away = True
        at.writer.note_changed((LANE,))
        await desk.until(lambda: len(at.store.standings) == 1)
        at.standing = PAUSED
        at.store.let_go.set()
        await desk.until(lambda: at.writes > 0)
        at.store.is_away = False

    assert write(desk, script).standings[-1] == {LANE: PAUSED}
    assert [lane.pause for lane in desk.store.lanes()] == [PAUSED.pause]


def test_a_closed_writer_gives_a_store_that_stays_away_up_and_the_lease_ends_by_itself(desk: Desk) -> None:
    (job,) = claimed(desk)

    async def script(at: Writing) -> None:
        at.store.is_away = True
        at.writer.add(delivered(job))

    assert len(write(desk, script).recorded) == MAX_FINAL_TRIES
    assert desk.states() == ["sending"]
    assert desk.store.rescue(wall_clock() + 60_001) == 1


def test_with_as_many_unwritten_outcomes_as_may_be_the_writer_is_full_until_they_are_written(desk: Desk) -> None:
    jobs = claimed(desk, 2)

    async def script(at: Writing) -> None:
        at.writer.add(delivered(jobs[0]))
        assert not at.writer.is_full
        at.writer.add(delivered(jobs[1]))
        await desk.until(lambda: len(at.store.recorded) == 1)
        assert at.writer.is_full
        at.store.let_go.set()
        await desk.until(lambda: at.writes == 1)
        assert not at.writer.is_full

    limits = Limits(unwritten=2, write_after_seconds=60)  # a full batch is written at once
    write(desk, script, limits)
