"""Delivery processes that are stopped past their lease, or killed between request and outcome: nothing is lost or overwritten."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from clickloop.clock import wall_clock
from clickloop.postback.due import DuePostback
from clickloop.postback.postback_log import NewPostback, Postback, PostbackAttempt
from clickloop.postback.rule import PostbackRequest
from clickloop.record_id import RecordIds
from clickloop.store.ledger.logs.postbacks import attempts_of, find_postback, insert_postbacks
from tests.postback.delivery.delivering import Bench

pytestmark = pytest.mark.crash
LEASE_SECONDS = 2
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
    limits = DeliveryLimits(connections=4, queue=8, batch=8, poll_seconds=0.1, lease_seconds={LEASE_SECONDS}, deadline_seconds=1)
    async with Sender(1, guard) as sender:
        await Delivery(LedgerPostbacks(Ledger.open(sys.argv[1])), sender.send, limits=limits, alone=False).run()

asyncio.run(deliver())
"""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def worker(bench: Bench) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a delivery process, and kill it at the end."""
    path = str(bench.ledger.engine.url.database)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", DELIVERING, path)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def owe(bench: Bench, url: str, receiver: str) -> str:
    """Create a postback with its id in the URL. Return the id."""
    ids = RecordIds()
    postback_id = ids()
    new = NewPostback(
        postback_id=postback_id,
        conversion_id=ids(),
        version=1,
        rule_id=bench.rule_id,
        click_id=ids(),
        campaign_id=7,
        source_id=3,
        trigger="new",
        decision=DuePostback(PostbackRequest(url=f"{url}?id={postback_id}"), wall_clock(), ()),
        receiver=receiver,
    )
    with bench.ledger.write() as tx:
        insert_postbacks(tx, [new], wall_clock())
    return postback_id


def story(bench: Bench, postback_id: str) -> tuple[Postback, tuple[PostbackAttempt, ...]]:
    with bench.ledger.read() as tx:
        found = find_postback(tx, postback_id)
        assert found is not None
        return found, attempts_of(tx, [postback_id]).get(postback_id, ())


def told(request: bytes) -> tuple[str, int]:
    """Return the postback's id and the attempt's number, as received."""
    path = re.search(rb"\?id=(\w+)", request)
    number = re.search(rb"(?i)x-clickloop-attempt: (\d+)", request)
    assert path is not None
    assert number is not None
    return path[1].decode(), int(number[1])


def test_a_worker_stopped_past_its_lease_wakes_and_its_late_outcome_changes_nothing(
    bench: Bench, handling: Any
) -> None:
    asked, answer_first = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        if told(request)[1] == 1:
            asked.set()
            await answer_first.wait()
            writer.write(GONE)
        else:
            writer.write(OK)

    async def run(receiver: Any) -> tuple[Any, Any]:
        async with receiver.open():
            postback_id = owe(bench, receiver.url("/"), f"127.0.0.1:{receiver.port}")
            async with worker(bench) as first:
                await asyncio.wait_for(asked.wait(), 20)
                first.send_signal(signal.SIGSTOP)
                answer_first.set()
                async with worker(bench) as second:
                    await bench.until(lambda: story(bench, postback_id)[0].state == "delivered")
                    second.kill()
                before = story(bench, postback_id)
                first.send_signal(signal.SIGCONT)
                awake = owe(bench, receiver.url("/"), "other:80")  # sent and written after the late outcome
                await bench.until(lambda: story(bench, awake)[0].finished_at is not None)
                return before, story(bench, postback_id)

    receiver = handling(handle)
    before, after = asyncio.run(run(receiver))

    assert after == before
    assert (after[0].state, [attempt.result for attempt in after[1]]) == ("delivered", ["unknown", "delivered"])
    assert [row.hold for row in bench.rows()] == [None, None]


def test_a_worker_killed_between_request_and_outcome_is_followed_by_the_same_request_again(
    bench: Bench, handling: Any
) -> None:
    workers: list[asyncio.subprocess.Process] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        if told(request)[1] == 1:
            workers[0].kill()
            await workers[0].wait()
        writer.write(OK)

    async def run(receiver: Any) -> tuple[str, Postback, tuple[PostbackAttempt, ...]]:
        async with receiver.open():
            async with worker(bench) as first:
                workers.append(first)
                postback_id = owe(bench, receiver.url("/"), f"127.0.0.1:{receiver.port}")
                async with asyncio.timeout(60):
                    await first.wait()
            killed = story(bench, postback_id)
            assert (killed[0].state, [attempt.result for attempt in killed[1]]) == ("sending", [None])
            async with worker(bench):
                await bench.until(lambda: story(bench, postback_id)[0].state == "delivered")
            return postback_id, *story(bench, postback_id)

    receiver = handling(handle)
    postback_id, postback, attempts = asyncio.run(run(receiver))

    assert [told(request) for request in receiver.requests] == [(postback_id, 1), (postback_id, 2)]
    assert [attempt.result for attempt in attempts] == ["unknown", "delivered"]
    assert "may or may not have received the request" in (attempts[0].error or "")
    assert postback.attempts == 2
