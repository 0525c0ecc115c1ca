"""Delivery killed again and again: no postback is lost, and few are sent twice."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from clickloop.clock import wall_clock
from clickloop.postback.due import DuePostback
from clickloop.postback.postback_log import NewPostback, PostbackFilter
from clickloop.postback.rule import PostbackRequest, PostbackRule, RequestTemplate
from clickloop.postback.state import PostbackState
from clickloop.record_id import RecordIds
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.postbacks import insert_postbacks, postbacks_before
from clickloop.store.ledger.setup.postback_rules import insert_rule

OWED = 400
KILLS = 6
CONNECTIONS = 10
DELIVERING = f"""
import asyncio, sys
from clickloop.config import networks_of
from clickloop.postback.sending.address_guard import AddressGuard, Policy
from clickloop.postback.delivery.worker import Delivery
from clickloop.postback.delivery.limits import DeliveryLimits
from clickloop.postback.sending.client import Sender
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks

async def deliver():
    guard = AddressGuard(Policy(allowed_networks=networks_of("127.0.0.0/8", "the receiver")))
    async with Sender(5, guard) as sender:
        limits = DeliveryLimits(connections={CONNECTIONS}, queue=20, batch=20, poll_seconds=0.05)
        # The test kills one worker before it starts the next.
        await Delivery(LedgerPostbacks(Ledger.open(sys.argv[1])), sender.send, alone=True, limits=limits).run()

asyncio.run(deliver())
"""


def owe(ledger: Ledger, url: str) -> set[str]:
    """Create the postbacks, each with its id in the URL. Return the ids."""
    ids, now_ms = RecordIds(), wall_clock()
    new = []
    with ledger.write() as tx:
        rule_id = insert_rule(tx, PostbackRule(rule_id=0, name="Rule", request=RequestTemplate(url=url)), now_ms)
        for _ in range(OWED):
            postback_id = ids()
            new.append(
                NewPostback(
                    postback_id=postback_id,
                    conversion_id=ids(),
                    version=1,
                    rule_id=rule_id,
                    click_id=ids(),
                    campaign_id=1,
                    source_id=1,
                    trigger="new",
                    decision=DuePostback(PostbackRequest(url=f"{url}{postback_id}"), now_ms, ()),
                )
            )
        insert_postbacks(tx, new, now_ms)
    return {postback.postback_id for postback in new}


@pytest.mark.crash
def test_killed_delivery_loses_nothing_and_repeats_at_most_what_was_under_way(tmp_path: Path, handling: Any) -> None:
    path = tmp_path / "ledger.sqlite"
    got: list[str] = []
    kill_now = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        got.append(request.split(b" ")[1].decode().removeprefix("/"))
        if len(got) % (OWED // (KILLS + 1)) == 0:
            kill_now.set()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def run() -> set[str]:
        async with handling(handle).open() as receiver:
            ledger = Ledger.open(path)
            owed = owe(ledger, receiver.url("/"))
            for _ in range(KILLS):
                kill_now.clear()
                worker = await asyncio.create_subprocess_exec(sys.executable, "-c", DELIVERING, str(path))
                async with asyncio.timeout(60):
                    await kill_now.wait()
                worker.kill()
                await worker.wait()
            worker = await asyncio.create_subprocess_exec(sys.executable, "-c", DELIVERING, str(path))
            async with asyncio.timeout(60):
                while not await asyncio.to_thread(all_delivered, ledger):  # noqa: ASYNC110 – another process does it
                    await asyncio.sleep(0.05)
            worker.kill()
            await worker.wait()
            ledger.close()
            return owed

    owed = asyncio.run(run())

    assert set(got) == owed
    assert (
        len(got) - len(owed) <= KILLS * 60
    )  # claimed and unwritten at a kill: queue, connections, one unwritten batch


def all_delivered(ledger: Ledger) -> bool:
    with ledger.read() as tx:
        return len(postbacks_before(tx, PostbackFilter(state=PostbackState.DELIVERED), None, OWED + 1)) == OWED
