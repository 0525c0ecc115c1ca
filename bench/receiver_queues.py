"""Measures the receiver queues: a dead receiver beside 199 healthy ones, and a million waiting postbacks.

Everything passes through ledger, queues, guard, client and log; the receivers are one process on another core. Run with
``python -m bench.receiver_queues``.
"""

import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import msgspec
import uvloop
from sqlalchemy import text

from bench.machine import free_port, percentile, resident_mb
from clickloop.clock import wall_clock
from clickloop.config import networks_of
from clickloop.postback.delivery.limits import DeliveryLimits
from clickloop.postback.delivery.receiver_queues import UNLIMITED_QUOTAS, Quotas
from clickloop.postback.delivery.work import ClaimBatch
from clickloop.postback.delivery.worker import Delivery
from clickloop.postback.due import ConditionResult, DuePostback, SkipReason
from clickloop.postback.postback_log import NewPostback
from clickloop.postback.rule import PostbackRequest, PostbackRule, RequestTemplate
from clickloop.postback.sending.address_guard import AddressGuard, Policy
from clickloop.postback.sending.client import Sender
from clickloop.record_id import RecordIds
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.postbacks import insert_postbacks
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from clickloop.store.ledger.setup.postback_rules import insert_rule

RECEIVERS = 200
ROUNDS = 3
DEADLINE_SECONDS = 1
"""Short, so that the dead receiver first times out and then is paused within a round."""
STEADY_SECONDS = 10
STEADY_EVERY_SECONDS = 0.02
STEADY_PER_STEP = 10
DEAD_PER_STEP = 2
DEAD_WARM = 2
WARM = 20 * (RECEIVERS - 1) + DEAD_WARM
BURST = 10_000
DEAD_BURST = 3_000
WAITING = 1_000_000
DRAINED = 60_000
GUARD = AddressGuard(Policy(allowed_networks=networks_of("127.0.0.0/8", "the bench's receivers")))
FINDINGS = tuple(ConditionResult(reason, True) for reason in SkipReason)


class Round(msgspec.Struct, frozen=True):
    """The results of a round: seconds until each first attempt of the steady stream arrived, and the burst's rate."""

    waits: tuple[float, ...]
    per_second: float
    wasted: int
    """Number of attempts to the dead receiver."""
    paused: bool


class TimedStore(LedgerPostbacks):
    """The ledger, with the duration of each claim."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self.claims_ms: list[float] = []

    def claim(self, now_ms: int, limit: int, lease_ms: int, rooms: Quotas = UNLIMITED_QUOTAS) -> ClaimBatch:
        began = time.perf_counter()
        claimed = super().claim(now_ms, limit, lease_ms, rooms)
        self.claims_ms.append((time.perf_counter() - began) * 1000)
        return claimed


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})
    try:
        lines = dead_beside_healthy(cores[-1])
    finally:
        os.sched_setaffinity(0, cores)
    return [*lines, "", *million_waiting(cores)]


def dead_beside_healthy(core: int) -> list[str]:
    """Alternate rounds with and without the dead receiver, and report the median figures of each kind."""
    rounds: dict[bool, list[Round]] = {False: [], True: []}
    for number in range(2 * ROUNDS):
        with_dead = number % 2 == 1
        rounds[with_dead].append(asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_round(core, with_dead)))
    p99 = {kind: median(percentile(one.waits, 99) * 1000 for one in found) for kind, found in rounds.items()}
    p50 = {kind: median(percentile(one.waits, 50) * 1000 for one in found) for kind, found in rounds.items()}
    rate = {kind: median(one.per_second for one in found) for kind, found in rounds.items()}
    dead = rounds[True]
    return [
        (
            f"{RECEIVERS - 1} healthy receivers, {STEADY_PER_STEP / STEADY_EVERY_SECONDS:,.0f} postbacks/s in a stream, then a burst; "
            f"the dead one hangs for {DEADLINE_SECONDS} s. Middle of {ROUNDS} rounds."
        ),
        "",
        "| healthy ones | first attempt p50 | p99 | burst |",
        "| --- | --- | --- | --- |",
        f"| alone | {p50[False]:.1f} ms | {p99[False]:.1f} ms | {rate[False]:,.0f}/s |",
        f"| beside a dead one | {p50[True]:.1f} ms | {p99[True]:.1f} ms | {rate[True]:,.0f}/s |",
        f"| ratio | {p50[True] / p50[False]:.2f} | {p99[True] / p99[False]:.2f} | {rate[True] / rate[False]:.2f} |",
        "",
        (
            f"The dead one got {max(one.wasted for one in dead)} attempts at most, and was paused in {sum(one.paused for one in dead)} "
            f"of {len(dead)} rounds."
        ),
    ]


def million_waiting(cores: list[int]) -> list[str]:
    """Deliver a part of a million waiting postbacks, nearly all of them for one receiver."""
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder, receivers(*cores) as port:
        ledger = Ledger.open(Path(folder) / "ledger.sqlite")
        asyncio.Runner(loop_factory=uvloop.new_event_loop).run(_drain(ledger, LedgerPostbacks(ledger), port, 0))
        before_mb = resident_mb(os.getpid())
        create_waiting(ledger, port)
        gc.collect()
        gc.freeze()  # as the core process does
        store = TimedStore(ledger)
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        seconds, largest_mb = runner.run(_drain(ledger, store, port, DRAINED))
        with ledger.read() as tx:
            left = tx.scalar(text("SELECT count(*) FROM postbacks WHERE finished_at IS NULL")) or 0
        ledger.close()
    done = WAITING - left
    return [
        f"{WAITING:,} postbacks wait, all but {99 * (RECEIVERS - 1):,} in one of {RECEIVERS} receiver queues; {done:,} were delivered.",
        "",
        "| drained | claim p50 | claim p99 | longest | memory before | most memory |",
        "| --- | --- | --- | --- | --- | --- |",
        (
            f"| {done / seconds:,.0f}/s | {percentile(store.claims_ms, 50):.1f} ms | {percentile(store.claims_ms, 99):.1f} ms "
            f"| {max(store.claims_ms):.1f} ms | {before_mb:.0f} MiB | +{largest_mb - before_mb:.0f} MiB |"
        ),
    ]


@contextmanager
def receivers(*cores: int, arrived: dict[str, float] | None = None) -> Iterator[int]:
    """Run the receivers' process and yield its port. On exit, add the arrival times to ``arrived``."""
    port = free_port()
    server = subprocess.Popen(
        ["taskset", "-c", ",".join(map(str, cores)), sys.executable, "-m", "bench.receivers", str(port), address(0)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )
    assert server.stdout is not None
    try:
        if server.stdout.readline() != b"ready\n":
            raise RuntimeError(
                f"the receivers did not open port {port}: run python -m bench.receivers {port} {address(0)}"
            )
        yield port
        output, _ = server.communicate(timeout=30)
        if arrived is not None:
            arrived |= msgspec.json.decode(output, type=dict[str, float])
    finally:
        server.kill()
        server.wait()


def address(number: int) -> str:
    """Return the address of a receiver. Number 0 is the dead one."""
    return f"127.0.1.{number + 1}"


async def _round(core: int, with_dead: bool) -> Round:
    """Send a stream, then a burst, through queues that are all warm."""
    arrived: dict[str, float] = {}
    created_at: dict[str, float] = {}
    numbers = iter(range(1_000_000))

    def create(ledger: Ledger, port: int, healthy: int, dead: int) -> list[str]:
        new = [str(next(numbers)) for _ in range(healthy)]
        targets = [(1 + int(number) % (RECEIVERS - 1), number) for number in new]
        _create_postbacks(ledger, port, targets + [(0, "dead")] * (dead if with_dead else 0))
        created_at.update(dict.fromkeys(new, time.time()))
        return new

    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder, receivers(core, arrived=arrived) as port:
        ledger = Ledger.open(Path(folder) / "ledger.sqlite")
        async with Sender(DEADLINE_SECONDS, GUARD) as sender:
            limits = DeliveryLimits(deadline_seconds=DEADLINE_SECONDS)
            delivery = Delivery(LedgerPostbacks(ledger), sender.send, alone=True, limits=limits)  # a ledger of its own
            running = asyncio.create_task(delivery.run())
            warm = [(1 + number % (RECEIVERS - 1), "warm") for number in range(WARM - DEAD_WARM)]
            _create_postbacks(ledger, port, warm + [(0, "warm")] * DEAD_WARM)
            delivery.wake()
            await _until(lambda: _finished(ledger) >= WARM)
            streamed = []
            began = time.monotonic()
            for number in range(int(STEADY_SECONDS / STEADY_EVERY_SECONDS)):
                await asyncio.sleep(max(0.0, began + number * STEADY_EVERY_SECONDS - time.monotonic()))
                streamed += await asyncio.to_thread(create, ledger, port, STEADY_PER_STEP, DEAD_PER_STEP)
                delivery.wake()
            await _until(lambda: _finished(ledger) >= WARM + len(streamed))
            create(ledger, port, 0, DEAD_BURST)
            delivery.wake()
            await asyncio.sleep(1)
            burst = create(ledger, port, BURST, 0)
            burst_began = time.time()
            delivery.wake()
            await _until(lambda: _finished(ledger) >= WARM + len(streamed) + BURST)
            delivery.stop()
            await running
        with ledger.read() as tx:
            wasted = int(tx.scalar(text("SELECT count(*) FROM attempts WHERE result = 'again'")) or 0)
            paused = bool(tx.scalar(text("SELECT count(*) FROM receivers WHERE opened_at IS NOT NULL")))
        ledger.close()
    waits = tuple(arrived[number] - created_at[number] for number in streamed)
    return Round(waits, BURST / (max(arrived[number] for number in burst) - burst_began), wasted, paused)


async def _drain(ledger: Ledger, store: LedgerPostbacks, port: int, count: int) -> tuple[float, float]:
    """Deliver until ``count`` are final. Return the seconds and the peak memory in MiB."""
    largest_mb = 0.0
    async with Sender(DEADLINE_SECONDS, GUARD) as sender:
        delivery = Delivery(store, sender.send, alone=True)  # a ledger of its own
        began = time.monotonic()
        running = asyncio.create_task(delivery.run())
        while await asyncio.to_thread(_finished, ledger) < count or largest_mb == 0:
            largest_mb = max(largest_mb, resident_mb(os.getpid()))
            await asyncio.sleep(0.2)
        delivery.stop()
        await running
        return time.monotonic() - began, largest_mb


def _finished(ledger: Ledger) -> int:
    """Return the number of delivered attempts."""
    with ledger.read() as tx:
        return int(tx.scalar(text("SELECT count(*) FROM attempts WHERE result = 'delivered'")) or 0)


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not await asyncio.to_thread(reached):  # noqa: ASYNC110 – the ledger has no event to wait for
            await asyncio.sleep(0.05)


def _create_postbacks(ledger: Ledger, port: int, targets: Sequence[tuple[int, str]]) -> None:
    """Create a postback for each target, a receiver and the path of its URL."""
    now_ms = wall_clock()
    new = [
        NewPostback(
            postback_id=_IDS(),
            conversion_id=_IDS(),
            version=1,
            rule_id=1,
            click_id=_IDS(),
            campaign_id=1,
            source_id=1,
            trigger="new",
            decision=DuePostback(PostbackRequest(url=f"http://{address(receiver)}:{port}/{path}"), now_ms, FINDINGS),
            receiver=f"{address(receiver)}:{port}",
        )
        for receiver, path in targets
    ]
    with ledger.write() as tx:
        if now_ms and tx.scalar(text("SELECT 1 FROM postback_rules")) is None:
            insert_rule(
                tx, PostbackRule(rule_id=0, name="bench", request=RequestTemplate(url="http://127.0.0.1/")), now_ms
            )
        insert_postbacks(tx, new, now_ms)


_IDS = RecordIds()


def create_waiting(ledger: Ledger, port: int) -> None:
    """Create the million with one statement, as copies of a postback created in the usual way."""
    _create_postbacks(ledger, port, [(1, "warm")])
    with ledger.write() as tx:
        columns = [row[1] for row in tx.execute(text("PRAGMA table_info(postbacks)"))]
        other = {
            "postback_id": "printf('%026d', i)",
            "conversion_id": "printf('%026d', i)",
            "receiver": f"printf('127.0.1.%d:{port}', CASE WHEN i < :others THEN 3 + i % :lanes ELSE 2 END)",
            "request": f'CAST(printf(\'{{"url":"http://127.0.1.%d:{port}/warm%d"}}\', '
            "CASE WHEN i < :others THEN 3 + i % :lanes ELSE 2 END, i) AS BLOB)",
        }
        values = ", ".join(other.get(column, f'"{column}"') for column in columns)
        statement = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :most) "
            f"INSERT INTO postbacks SELECT {values} FROM n, (SELECT * FROM postbacks LIMIT 1)"
        )
        tx.exec_driver_sql(statement, {"most": WAITING - 1, "others": 99 * (RECEIVERS - 1), "lanes": RECEIVERS - 1})


if __name__ == "__main__":
    print("\n".join(main()))
