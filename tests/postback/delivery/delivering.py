"""Shared by tests of delivery: a ledger with shortcuts, and a delivery that runs while a script does."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from clickloop.clock import wall_clock
from clickloop.config import networks_of
from clickloop.postback.delivery.departures import Send
from clickloop.postback.delivery.limits import DeliveryLimits
from clickloop.postback.delivery.receiver_queues import UNLIMITED_QUOTAS, Quotas
from clickloop.postback.delivery.work import ClaimBatch
from clickloop.postback.delivery.worker import Delivery
from clickloop.postback.due import DuePostback
from clickloop.postback.postback_log import NewPostback, Postback, PostbackFilter
from clickloop.postback.retry import AttemptOutcome
from clickloop.postback.rule import PostbackRequest, PostbackRule, RequestTemplate
from clickloop.postback.sending.address_guard import AddressGuard, Policy
from clickloop.record_id import RecordIds
from clickloop.store.ledger.logs.postbacks import insert_postbacks, postbacks_before
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from clickloop.store.ledger.setup.postback_rules import insert_rule
from tests.empty_stores import open_ledger

NEARBY = AddressGuard(Policy(allowed_networks=networks_of("127.0.0.0/8", "the receivers")))
QUICK = DeliveryLimits(
    connections=4, queue=8, batch=8, poll_seconds=0.02, write_after_seconds=0.005, error_seconds=0.01
)
UNTIL_WOKEN = DeliveryLimits(connections=4, queue=8, batch=8, poll_seconds=60, write_after_seconds=0.005)
IDS = RecordIds()


class Bench:
    """A ledger with shortcuts to create postbacks and to read them."""

    def __init__(self, folder: Path) -> None:
        self.ledger = open_ledger(folder / "ledger.sqlite")
        self.store = LedgerPostbacks(self.ledger)
        rule = PostbackRule(rule_id=0, name="Rule", request=RequestTemplate(url="https://source.example/"))
        with self.ledger.write() as tx:
            self.rule_id = insert_rule(tx, rule, wall_clock())

    def owe(
        self,
        count: int = 1,
        url: str = "https://source.example/",
        version: int | None = None,
        at: int = 0,
        receiver: str = "source.example:443",
    ) -> None:
        """Create ``count`` postbacks of as many conversions; with ``version``, one more change of the same conversion."""
        now_ms = at or wall_clock()
        new = [
            NewPostback(
                postback_id=IDS(),
                conversion_id=IDS() if version is None else "a" * 26,
                version=version or 1,
                rule_id=self.rule_id,
                click_id=IDS(),
                campaign_id=7,
                source_id=3,
                trigger="new",
                decision=DuePostback(PostbackRequest(url=f"{url}?{number}"), now_ms, ()),
                receiver=receiver,
            )
            for number in range(count)
        ]
        with self.ledger.write() as tx:
            insert_postbacks(tx, new, now_ms)

    def rows(self) -> list[Postback]:
        with self.ledger.read() as tx:
            return postbacks_before(tx, PostbackFilter(), None, 10_000)

    def states(self) -> list[str]:
        return sorted(row.state for row in self.rows())

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until the condition holds, at most ten seconds."""
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(reached):  # noqa: ASYNC110 – the ledger has no event to wait for
                await asyncio.sleep(0.005)

    async def all_final(self) -> None:
        await self.until(lambda: all(row.finished_at is not None for row in self.rows()))


class CountingStore(LedgerPostbacks):
    """A store that counts a worker's claims and its checks for expired leases."""

    claims = 0
    rescues = 0

    def claim(self, now_ms: int, limit: int, lease_ms: int, rooms: Quotas = UNLIMITED_QUOTAS) -> ClaimBatch:
        self.claims += 1
        return super().claim(now_ms, limit, lease_ms, rooms)

    def rescue(self, now_ms: int, everything: bool = False) -> int:
        self.rescues += 1
        return super().rescue(now_ms, everything)


async def wake_until_claimed(delivery: Delivery, store: CountingStore, times: int = 4) -> None:
    """Wake the worker repeatedly until it has claimed this often. All but the last claim are then under way, or deferred."""
    for _ in range(times):
        before = store.claims
        delivery.wake()
        async with asyncio.timeout(60):
            while store.claims == before:  # noqa: ASYNC110 – it is counted in the ledger's thread
                await asyncio.sleep(0.001)


async def accept(request: PostbackRequest, attempt: int) -> AttemptOutcome:
    return AttemptOutcome(status_code=200)


def deliver(
    bench: Bench,
    script: Callable[[Delivery], Coroutine[Any, Any, None]],
    send: Send = accept,
    limits: DeliveryLimits = QUICK,
    alone: bool = True,
    **given: Any,
) -> None:
    """Run a delivery while the script runs, then stop it. ``alone``: False if the test starts another worker."""

    async def run() -> None:
        delivery = Delivery(given.pop("store", bench.store), send, alone=alone, limits=limits, **given)
        running = asyncio.create_task(delivery.run())
        try:
            await script(delivery)
        finally:
            delivery.stop()
            async with asyncio.timeout(60):
                await running

    asyncio.run(run())
