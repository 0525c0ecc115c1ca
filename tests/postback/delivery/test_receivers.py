"""Misbehaving receivers, as real servers, and the log of attempts afterwards."""

import asyncio
from email.utils import formatdate
from typing import Any

import pytest

from clickloop.clock import DAY_MS, HOUR_MS, SECOND_MS, wall_clock
from clickloop.postback.delivery.worker import Delivery
from clickloop.postback.postback_log import Postback, PostbackAttempt
from clickloop.postback.retry import AttemptCounts, AttemptOutcome, Delivered, Trouble, decide, fault_of
from clickloop.postback.rule import Method, PostbackRequest, PostbackRule, RequestTemplate, Schedule, Success
from clickloop.postback.sending.client import Sender
from clickloop.store.ledger.logs.postbacks import attempts_of
from clickloop.store.ledger.setup.postback_rules import insert_rule
from tests.postback.delivery.delivering import NEARBY, QUICK, Bench

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
FIRST_WAIT_MS = 5 * SECOND_MS


def tried_once(bench: Bench, receiver: Any) -> tuple[Postback, PostbackAttempt]:
    """Create a postback and make one attempt. Return both."""

    async def run() -> None:
        async with receiver.open(), Sender(5, NEARBY) as sender:
            bench.owe(1, receiver.url("/pb"))
            delivery = Delivery(bench.store, sender.send, alone=True, limits=QUICK, chance=lambda: 0.5)
            running = asyncio.create_task(delivery.run())
            await bench.until(lambda: any(row.attempts and row.state != "sending" for row in bench.rows()))
            delivery.stop()
            await running

    asyncio.run(run())
    (row,) = bench.rows()
    with bench.ledger.read() as tx:
        (attempt,) = attempts_of(tx, [row.postback_id])[row.postback_id]
    return row, attempt


def wait_of(row: Postback, attempt: PostbackAttempt) -> int:
    """Return the milliseconds from the attempt's end to the next one."""
    assert row.next_attempt_at is not None
    assert attempt.finished_at is not None
    return row.next_attempt_at - attempt.finished_at


def http_date(at: int) -> str:
    """Return a moment in the form of HTTP's headers, in whole seconds."""
    return formatdate(at // SECOND_MS, usegmt=True)


def later(code: int, retry_after: str) -> bytes:
    """Return a response that asks for another attempt later."""
    return f"HTTP/1.1 {code} Later\r\nRetry-After: {retry_after}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("retry_after", "wait_ms"),
    [
        ("7", 7 * SECOND_MS),
        (http_date(wall_clock() - 90_000), FIRST_WAIT_MS),
        ("soon", FIRST_WAIT_MS),
        ("-30", FIRST_WAIT_MS),
        ("", FIRST_WAIT_MS),
        ("172800", DAY_MS),
        ("9" * 60, DAY_MS),
        (http_date(wall_clock() + 100 * DAY_MS), DAY_MS),
    ],
    ids=["seconds", "a past date", "garbage", "negative", "empty", "over a day", "60 digits", "a far date"],
)
@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_of_every_kind_sets_the_time_of_the_next_attempt(
    bench: Bench, answering: Any, code: int, retry_after: str, wait_ms: int
) -> None:
    row, attempt = tried_once(bench, answering(later(code, retry_after)))

    assert (row.state, row.attempts, attempt.result, attempt.status_code) == ("waiting", 1, "again", code)
    assert wait_of(row, attempt) == wait_ms


@pytest.mark.parametrize("code", [429, 503])
def test_a_date_in_retry_after_is_the_moment_of_the_next_attempt(bench: Bench, answering: Any, code: int) -> None:
    date = (wall_clock() + HOUR_MS) // SECOND_MS * SECOND_MS

    row, attempt = tried_once(bench, answering(later(code, http_date(date))))

    assert (row.state, row.attempts, attempt.result, attempt.status_code) == ("waiting", 1, "again", code)
    assert row.next_attempt_at == date


def test_a_200_whose_text_says_error_is_retried_and_the_text_is_logged(bench: Bench, answering: Any) -> None:
    rule = PostbackRule(
        rule_id=0,
        name="Strict",
        request=RequestTemplate(url="https://source.example/"),
        success=Success(must_not_contain="ERROR"),
    )
    with bench.ledger.write() as tx:
        bench.rule_id = insert_rule(tx, rule, wall_clock())

    row, attempt = tried_once(bench, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nERROR: bad goal"))

    assert (row.state, attempt.result, attempt.status_code) == ("waiting", "again", 200)
    assert attempt.answer == b"ERROR: bad goal"
    assert "means failure" in (attempt.error or "")


def send_each(receiver: Any, deadline: float, method: Method, times: int) -> list[AttemptOutcome]:
    """Make attempts with one sender, one after another."""

    async def run() -> list[AttemptOutcome]:
        async with receiver.open(), Sender(deadline, NEARBY) as sender:
            request = PostbackRequest(url=receiver.url(), method=method)
            return [await sender.send(request, number) for number in range(1, times + 1)]

    return asyncio.run(run())


@pytest.mark.parametrize("method", Method)
def test_a_request_on_a_reused_connection_that_the_receiver_drops_is_sent_once_in_an_attempt(
    handling: Any, method: Method
) -> None:
    """By default the HTTP client repeats it by itself: a receiver would count it twice, and no log would say so."""

    async def drop_the_second(reader: Any, writer: asyncio.StreamWriter, request: bytes) -> None:
        if b"X-Clickloop-Attempt: 1" in request:
            writer.write(OK)
        else:
            writer.close()

    receiver = handling(drop_the_second)

    first, second = send_each(receiver, 5, method, 2)

    assert (first.status_code, second.status_code, second.trouble) == (200, None, Trouble.BROKEN)
    assert len(receiver.requests) == 2


def test_a_response_after_the_deadline_is_not_taken_for_that_of_the_next_attempt(handling: Any) -> None:
    second_is_here, first_is_answered = asyncio.Event(), asyncio.Event()

    async def late_and_then_failing(reader: Any, writer: asyncio.StreamWriter, request: bytes) -> None:
        if b"X-Clickloop-Attempt: 1" in request:
            await second_is_here.wait()
            writer.write(OK)
            first_is_answered.set()
        else:
            second_is_here.set()
            await first_is_answered.wait()
            writer.write(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")

    first, second = send_each(handling(late_and_then_failing), 0.2, Method.GET, 2)

    assert (first.status_code, first.trouble) == (None, Trouble.TIMEOUT)
    assert (second.status_code, second.trouble) == (500, None)


async def _drip(begin: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(begin)
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "begin",
    [
        b"H",
        b"HTTP/1.1 100 Continue\r\n\r\nH",
        b"HTTP/1.1 503 Busy\r\nX-SlowStore: ",
        b"HTTP/1.1 302 Found\r\nX-SlowStore: ",
        b"HTTP/1.1 410 Gone\r\nX-SlowStore: ",
    ],
)
def test_a_receiver_that_drips_its_head_is_abandoned_at_the_deadline(handling: Any, begin: bytes) -> None:
    async def drip(reader: Any, writer: asyncio.StreamWriter, request: bytes) -> None:
        await _drip(begin, writer)

    (outcome,) = send_each(handling(drip), 0.3, Method.GET, 1)

    assert outcome.status_code is None
    assert outcome.trouble in {Trouble.TIMEOUT, Trouble.BROKEN}  # broken: what arrived can no longer become a response


@pytest.mark.parametrize(
    "begin",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 204 No Content\r\nX-SlowStore: ",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-SlowStore: ",
        b"HTTP/1.0 202 Accepted\r\nDate: ",
    ],
)
@pytest.mark.parametrize("goes_on", [True, False])
def test_a_200_with_an_endless_head_is_a_delivery_and_not_sent_again(
    handling: Any, begin: bytes, goes_on: bool
) -> None:
    async def stall(reader: Any, writer: asyncio.StreamWriter, request: bytes) -> None:
        if goes_on:
            await _drip(begin, writer)
        writer.write(begin)
        await asyncio.Event().wait()

    receiver = handling(stall)
    outcome, again = send_each(receiver, 0.3, Method.POST, 2)

    assert (outcome.status_code or 0) // 100 == 2
    assert outcome.trouble is Trouble.TIMEOUT
    assert decide(outcome, AttemptCounts(1), Success(), Schedule(), 0, lambda: 0.5) == Delivered()
    assert fault_of(outcome, Success(must_contain="ok")) is not None
    assert (again.status_code, len(receiver.requests)) == (outcome.status_code, 2)


def test_of_a_response_without_end_or_length_a_bounded_part_is_read(handling: Any) -> None:
    async def stream(reader: Any, writer: asyncio.StreamWriter, request: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            await writer.drain()

    (outcome,) = send_each(handling(stream), 5, Method.GET, 1)

    assert (outcome.status_code, outcome.trouble, len(outcome.answer)) == (200, None, 16_384)
