"""Malformed responses of small real receivers: the status line decides, and the readable rest is reported."""

import asyncio
from typing import Any

import pytest

from clickloop.postback.retry import AttemptCounts, AttemptOutcome, Delivered, Trouble, decide, fault_of
from clickloop.postback.rule import PostbackRequest, Schedule, Success
from clickloop.postback.sending.address_guard import AddressGuard
from clickloop.postback.sending.client import Sender
from tests.postback.sending.test_client import NEARBY, OK, send

UNTIDY = {
    "a space in a header's name": b"HTTP/1.1 200 OK\r\nX Echo set: 1\r\nContent-Length: 2\r\n\r\nok",
    "a header of 20,000 characters": b"HTTP/1.1 200 OK\r\nContent-Security-Policy: %b\r\nContent-Length: 2\r\n\r\nok"
    % (b"x" * 20_000),
    "a length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "two lengths in one": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "lengths that differ": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\nConnection: close\r\n\r\nok",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "a length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "a chunk's size that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
    "chunks that were announced and did not come": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nok",
    "a line without a colon": b"HTTP/1.1 200 OK\r\nno header at all\r\nContent-Length: 2\r\n\r\nok",
    "an empty header's name": b"HTTP/1.1 200 OK\r\n: nameless\r\nContent-Length: 2\r\n\r\nok",
    "a NUL in a header": b"HTTP/1.1 200 OK\r\nX-Odd: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "too many headers": b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\nok" % (b"X-A: 1\r\n" * 300),
    "more than the length says": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok<!-- and a comment -->",
    "a reason of 20,000 characters": b"HTTP/1.1 200 %b\r\nContent-Length: 2\r\n\r\nok" % (b"y" * 20_000),
    "hints before a bad header": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX Y: 1\r\n\r\nok",
}
BAD_STATUS = [
    b"HTTP/1.1 2OO OK\r\nX Y: 1\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 2000 OK\r\nX Y: 1\r\n\r\n",
    b"HTTP/1.1 20 OK\r\nX Y: 1\r\n\r\n",
    b"HTTP/9.9 200 OK\r\nX Y: 1\r\n\r\n",
    b"HTP/1.1 200 OK\r\nX Y: 1\r\n\r\n",
    b"200 OK\r\nX Y: 1\r\n\r\n",
    b"<html>HTTP/1.1 200 OK\r\nX Y: 1\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\nX Y: 1\r\n\r\nno answer",
]


@pytest.mark.parametrize("answer", UNTIDY.values(), ids=UNTIDY)
def test_a_malformed_200_is_a_delivery_with_one_request(answer: bytes, answering: Any) -> None:
    receiver = answering(answer)
    outcome = send(receiver)
    assert outcome.status_code == 200
    assert fault_of(outcome, Success()) is None
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("answer", UNTIDY.values(), ids=UNTIDY)
def test_a_rule_that_checks_the_body_decides_by_the_readable_part(answer: bytes, answering: Any) -> None:
    outcome = send(answering(answer))
    assert fault_of(outcome, Success(must_contain="ok")) is None
    assert fault_of(outcome, Success(must_contain="fine")) is not None
    assert fault_of(outcome, Success(must_not_contain="ok")) is not None


@pytest.mark.parametrize("answer", BAD_STATUS)
def test_a_bad_status_line_stays_a_failure(answer: bytes, answering: Any) -> None:
    outcome = send(answering(answer))
    assert (outcome.status_code, outcome.trouble) == (None, Trouble.BROKEN)


@pytest.mark.parametrize(
    ("code", "fault"), [(404, "The receiver answered 404."), (503, "The receiver answered 503."), (410, None)]
)
def test_a_malformed_rejection_counts_by_its_status(code: int, fault: str | None, answering: Any) -> None:
    answer = b"HTTP/1.1 %d No\r\nX Y: 1\r\nRetry-After: 120\r\nContent-Length: 2\r\n\r\nno" % code
    outcome = send(answering(answer))
    assert (outcome.status_code, outcome.retry_after, outcome.answer) == (code, "120", b"no")
    assert fault is None or fault_of(outcome, Success()) == fault


def test_unreadable_parts_are_reported_with_the_delivery(answering: Any) -> None:
    outcome = send(answering(UNTIDY["a space in a header's name"]))
    assert (outcome.trouble, outcome.answer) == (Trouble.MALFORMED, b"ok")
    assert "header" in outcome.error.lower()
    decision = decide(outcome, AttemptCounts(1), Success(), Schedule(), 0, lambda: 0.5)
    assert decision == Delivered()


@pytest.mark.parametrize("answer", UNTIDY.values(), ids=UNTIDY)
def test_unreadable_parts_are_reported_without_python_syntax(answer: bytes, answering: Any) -> None:
    error = send(answering(answer)).error
    assert "b'" not in error
    assert "^" not in error


def test_a_redirect_with_a_malformed_header_is_followed(handling: Any) -> None:
    async def redirect(reader: Any, writer: asyncio.StreamWriter, request: bytes) -> None:
        if request.startswith(b"GET / "):
            writer.write(b"HTTP/1.1 302 Found\r\nX Y: 1\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(OK)

    receiver = handling(redirect)
    outcome = send(receiver)
    assert (outcome.status_code, outcome.answer, outcome.trouble) == (200, b"OK", None)
    assert [request.split()[1] for request in receiver.requests] == [b"/", b"/there"]


def test_a_redirect_in_a_malformed_head_to_a_refused_address_is_refused(answering: Any) -> None:
    answer = b"HTTP/1.1 302 Found\r\nX Y: 1\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n"
    outcome = send(answering(answer))
    assert outcome.trouble is Trouble.ADDRESS_REFUSED


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 9\r\n\r\nok",
    ],
)
def test_a_response_cut_off_after_its_status_line_is_a_delivery(answer: bytes, handling: Any) -> None:
    async def cut(reader: Any, writer: asyncio.StreamWriter, request: bytes) -> None:
        writer.write(answer)
        writer.close()

    outcome = send(handling(cut))
    assert (outcome.status_code, outcome.trouble) == (200, Trouble.MALFORMED)
    assert fault_of(outcome, Success()) is None


def test_a_bad_header_is_recovered_however_its_bytes_arrive(handling: Any) -> None:
    async def piece_by_piece(reader: Any, writer: asyncio.StreamWriter, request: bytes) -> None:
        for octet in b"HTTP/1.1 201 Made\r\nX Y: 1\r\nContent-Length: 4\r\n\r\ngood":
            writer.write(bytes([octet]))
            await writer.drain()
            await asyncio.sleep(0)

    outcome = send(handling(piece_by_piece))
    assert (outcome.status_code, outcome.answer, outcome.trouble) == (201, b"good", Trouble.MALFORMED)


def test_a_connection_with_a_malformed_response_is_not_reused(handling: Any) -> None:
    peers = []

    async def untidy_once(reader: Any, writer: asyncio.StreamWriter, request: bytes) -> None:
        peers.append(writer.get_extra_info("peername"))
        writer.write(UNTIDY["a length twice"] if len(peers) == 1 else OK)

    async def run() -> list[AttemptOutcome]:
        receiver = handling(untidy_once)
        async with receiver.open(), Sender(5, NEARBY) as sender:
            return [await sender.send(PostbackRequest(url=receiver.url()), 1) for _ in range(3)]

    outcomes = asyncio.run(run())
    assert [outcome.trouble for outcome in outcomes] == [Trouble.MALFORMED, None, None]
    assert peers[0] != peers[1]
    assert peers[1] == peers[2]


@pytest.mark.parametrize(
    "unasked",
    [OK, b"HTTP/1.0 408 Request Time-out\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Begun: ", b"\r\n", b"Warning: line 7"],
    ids=["an answer", "a time-out", "half a head", "an empty line", "junk"],
)
def test_unrequested_data_is_not_taken_for_the_response_to_the_next_request(unasked: bytes, handling: Any) -> None:
    answered, closed = asyncio.Event(), asyncio.Event()

    async def say_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
        if b"X-Clickloop-Attempt: 2" in request:
            writer.write(b"HTTP/1.1 500 Failed\r\nContent-Length: 0\r\n\r\n")
            return
        writer.write(OK)
        await answered.wait()
        writer.write(unasked)
        if await reader.read(1) == b"":
            closed.set()

    async def run() -> list[int | None]:
        receiver = handling(say_more)
        async with receiver.open(), Sender(5, NEARBY) as sender:
            first = await sender.send(PostbackRequest(url=receiver.url()), 1)
            answered.set()
            await asyncio.wait_for(closed.wait(), 10)
            second = await sender.send(PostbackRequest(url=receiver.url()), 2)
        return [first.status_code, second.status_code]

    assert asyncio.run(run()) == [200, 500]


@pytest.mark.parametrize(
    "piece",
    [b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\n", b"\r\n"],
    ids=["hints", "continue", "empty lines"],
)
def test_endless_interim_responses_are_abandoned_long_before_the_deadline(piece: bytes, handling: Any) -> None:
    async def endless(reader: Any, writer: asyncio.StreamWriter, request: bytes) -> None:
        while True:
            writer.write(piece * 1000)
            await writer.drain()

    outcome = send(handling(endless), deadline=60)
    assert (outcome.status_code, outcome.trouble) == (None, Trouble.BROKEN)
    assert outcome.duration_ms < 30_000


def test_some_interim_responses_are_skipped(answering: Any) -> None:
    assert send(answering(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 200 + OK)).status_code == 200


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/9.9 200 OK\r\n\r\n", b"<html>\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", b""],
    ids=["a version", "no HTTP", "cut", "nothing"],
)
def test_an_error_never_contains_the_url_with_its_secrets(answer: bytes, handling: Any) -> None:
    async def end(reader: Any, writer: asyncio.StreamWriter, request: bytes) -> None:
        writer.write(answer)
        writer.close()

    receiver = handling(end)

    async def run() -> AttemptOutcome:
        async with receiver.open(), Sender(5, NEARBY) as sender:
            return await sender.send(PostbackRequest(url=receiver.url("/s3cret?token=s3cret")), 1)

    outcome = asyncio.run(run())
    assert outcome.trouble is Trouble.BROKEN
    assert "s3cret" not in outcome.error
    assert "http://" not in outcome.error
    assert "<" not in outcome.error.replace("<html>", "")


def test_a_huge_malformed_head_is_read_within_bounds(handling: Any) -> None:
    async def endless(reader: Any, writer: asyncio.StreamWriter, request: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX Y: 1\r\n")
        while True:
            writer.write(b"X-Long: " + b"x" * 10_000 + b"\r\n")
            await writer.drain()

    outcome = send(handling(endless))
    assert (outcome.status_code, outcome.trouble, len(outcome.answer)) == (200, Trouble.MALFORMED, 16_384)


def test_a_response_without_a_known_end_ends_when_nothing_more_arrives(answering: Any) -> None:
    outcome = send(answering(UNTIDY["a length that is none"]), deadline=30)
    assert outcome.answer == b"ok"
    assert outcome.duration_ms < 10_000


def test_the_guard_still_judges_the_address(answering: Any) -> None:
    async def run() -> AttemptOutcome:
        receiver = answering(OK)
        async with receiver.open(), Sender(5, AddressGuard()) as sender:
            return await sender.send(PostbackRequest(url=receiver.url()), 1)

    assert asyncio.run(run()).trouble is Trouble.ADDRESS_REFUSED
