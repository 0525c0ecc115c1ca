"""The outcome writer alone, with a real ledger: failed writes, and what arrives during a write."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from clickloop.clock import wall_clock
from clickloop.postback.delivery.breaker import Pause
from clickloop.postback.delivery.clock_watch import ClockWatch
from clickloop.postback.delivery.limits import DeliveryLimits
from clickloop.postback.delivery.outcome_writer import MAX_FINAL_TRIES, OutcomeWriter
from clickloop.postback.delivery.receiver_queue import ReceiverCommand, ReceiverCondition
from clickloop.postback.delivery.signals import Signals
from clickloop.postback.delivery.store_thread import StoreThread
from clickloop.postback.delivery.work import EndedAttempt, Job, RecordingResult
from clickloop.postback.retry import AttemptOutcome, Result
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from tests.postback.delivery.delivering import QUICK, Bench

RECEIVER = "source.example:443"
PAUSED = ReceiverCondition(pause=Pause(opened_at=1_000, probe_at=2_000, why="It failed."))


class SlowStore(LedgerPostbacks):
    """A store whose writes of outcomes and conditions wait until they are released, and can be made to fail."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.ledger)
        self.released = threading.Event()
        self.is_away = False
        self.recorded: list[tuple[EndedAttempt, ...]] = []
        self.standings: list[Mapping[str, ReceiverCondition]] = []

    def _wait(self) -> None:
        assert self.released.wait(60)
        if self.is_away:
            raise OSError("the disk is full")

    def record(self, ended: Sequence[EndedAttempt]) -> RecordingResult:
        self.recorded.append(tuple(ended))
        self._wait()
        return super().record(ended)

    def save_receiver_conditions(
        self, standings: Mapping[str, ReceiverCondition], done: Mapping[str, ReceiverCommand]
    ) -> None:
        self.standings.append(standings)
        self._wait()
        super().save_receiver_conditions(standings, done)


class RunningWriter:
    """A running writer."""

    def __init__(self, store: SlowStore, limits: DeliveryLimits) -> None:
        self.store = store
        self.ledger = StoreThread(store)
        self.signals = Signals()
        self.standing = ReceiverCondition()
        self.writes = 0
        self.writer = OutcomeWriter(self.ledger, lambda _: self.standing, ClockWatch(self.ledger), limits, self.signals)

    def count_write(self) -> None:
        self.writes += 1


def write(
    bench: Bench, script: Callable[[RunningWriter], Coroutine[Any, Any, None]], limits: DeliveryLimits = QUICK
) -> SlowStore:
    """Run a writer while the script runs, then close it and return the store."""
    store = SlowStore(bench)

    async def run() -> None:
        at = RunningWriter(store, limits)
        running = asyncio.create_task(at.writer.run(at.count_write))
        try:
            await script(at)
        finally:
            store.released.set()
            at.writer.close()
            async with asyncio.timeout(60):
                await running
            at.ledger.close()

    asyncio.run(run())
    return store


def claimed(bench: Bench, count: int = 1) -> tuple[Job, ...]:
    bench.owe(count)
    return bench.store.claim(wall_clock(), count, 60_000).jobs


def delivered(job: Job) -> EndedAttempt:
    return EndedAttempt(job=job, outcome=AttemptOutcome(status_code=200), result=Result.DELIVERED, at=wall_clock())


def test_outcomes_that_arrive_during_a_write_are_written_by_the_next_and_none_twice(bench: Bench) -> None:
    first, second = (delivered(job) for job in claimed(bench, 2))

    async def script(at: RunningWriter) -> None:
        at.writer.add(first)
        await bench.until(lambda: len(at.store.recorded) == 1)
        at.writer.add(second)
        assert at.writer.pending == 2
        at.store.released.set()
        await bench.until(lambda: at.writer.pending == 0)

    assert write(bench, script).recorded == [(first,), (second,)]
    assert bench.states() == ["delivered", "delivered"]


def test_unwritten_outcomes_keep_their_order_and_move_with_a_clock_that_is_set_back(
    bench: Bench,
) -> None:
    first, second = (delivered(job) for job in claimed(bench, 2))

    async def script(at: RunningWriter) -> None:
        at.store.is_away = True
        at.writer.add(first)
        await bench.until(lambda: len(at.store.recorded) == 1)
        at.writer.move(-5_000)
        at.writer.add(second)
        at.store.released.set()
        await bench.until(lambda: at.writes > 0)
        at.store.is_away = False
        await bench.until(lambda: at.writer.pending == 0)

    again = write(bench, script).recorded[-1]
    assert [(ended.job, ended.at) for ended in again] == [(first.job, first.at - 5_000), (second.job, second.at)]
    assert bench.states() == ["delivered", "delivered"]


def test_a_receiver_that_changes_while_its_condition_is_written_is_written_again(bench: Bench) -> None:
    async def script(at: RunningWriter) -> None:
        at.writer.note_changed((RECEIVER,))
        await bench.until(lambda: len(at.store.standings) == 1)
        at.standing = PAUSED
        at.writer.note_changed((RECEIVER,))

    assert write(bench, script).standings == [{RECEIVER: ReceiverCondition()}, {RECEIVER: PAUSED}]
    assert [receiver.pause for receiver in bench.store.receivers()] == [PAUSED.pause]


def test_a_condition_that_could_not_be_written_is_written_as_it_is_later(bench: Bench) -> None:
    async def script(at: RunningWriter) -> None:
        at.store.is_away = True
        at.writer.note_changed((RECEIVER,))
        await bench.until(lambda: len(at.store.standings) == 1)
        at.standing = PAUSED
        at.store.released.set()
        await bench.until(lambda: at.writes > 0)
        at.store.is_away = False

    assert write(bench, script).standings[-1] == {RECEIVER: PAUSED}
    assert [receiver.pause for receiver in bench.store.receivers()] == [PAUSED.pause]


def test_a_closed_writer_gives_up_on_a_store_that_stays_down_and_the_lease_expires(bench: Bench) -> None:
    (job,) = claimed(bench)

    async def script(at: RunningWriter) -> None:
        at.store.is_away = True
        at.writer.add(delivered(job))

    assert len(write(bench, script).recorded) == MAX_FINAL_TRIES
    assert bench.states() == ["sending"]
    assert bench.store.rescue(wall_clock() + 60_001) == 1


def test_the_writer_is_full_at_the_maximum_of_unwritten_outcomes_until_they_are_written(bench: Bench) -> None:
    jobs = claimed(bench, 2)

    async def script(at: RunningWriter) -> None:
        at.writer.add(delivered(jobs[0]))
        assert not at.writer.is_full
        at.writer.add(delivered(jobs[1]))
        await bench.until(lambda: len(at.store.recorded) == 1)
        assert at.writer.is_full
        at.store.released.set()
        await bench.until(lambda: at.writes == 1)
        assert not at.writer.is_full

    limits = DeliveryLimits(unwritten=2, write_after_seconds=60)  # a full batch is written at once
    write(bench, script, limits)
