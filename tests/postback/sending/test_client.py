"""Single attempts with small real receivers on loopback: responses, redirects, and everything that can go wrong."""

import asyncio
import os
import socket
import time
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickloop import __version__
from clickloop.postback.retry import AttemptOutcome, Trouble
from clickloop.postback.rule import BodyKind, Header, Method, PostbackRequest
from clickloop.postback.sending.address_guard import AddressGuard, Policy
from clickloop.postback.sending.client import (
    MAX_KEPT_BYTES,
    Hop,
    Sender,
    first_hop,
    next_hop,
    trouble_of,
)
from clickloop.postback.sending.dialing import AddressRefusedError, open_connector
from clickloop.postback.sending.target import RequestTarget, target_of

NEARBY = AddressGuard(Policy(allowed_networks=(ip_network("127.0.0.0/8"),)))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


def send(
    receiver: Any, request: PostbackRequest | None = None, deadline: float = 5, attempt: int = 1
) -> AttemptOutcome:
    """Open the receiver, make one attempt (by default a GET of its /), and return the outcome."""

    async def run() -> AttemptOutcome:
        async with receiver.open(), Sender(deadline, NEARBY) as sender:
            return await sender.send(request or PostbackRequest(url=receiver.url()), attempt)

    return asyncio.run(run())


def send_to(receiver: Any, path_and_query: str, **given: Any) -> AttemptOutcome:
    async def run() -> AttemptOutcome:
        async with receiver.open(), Sender(5, NEARBY) as sender:
            return await sender.send(PostbackRequest(url=receiver.url(path_and_query), **given), 1)

    return asyncio.run(run())


def test_a_response_is_reported_with_status_and_body(answering: Any) -> None:
    outcome = send(answering(OK))

    assert (outcome.status_code, outcome.answer, outcome.trouble) == (200, b"OK", None)


def test_a_request_names_the_product_and_its_attempt_and_nothing_of_the_environment(
    answering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    receiver = answering(OK)

    outcome = send(receiver, attempt=3)

    assert outcome.status_code == 200
    lines = receiver.requests[0].decode().split("\r\n")
    assert lines[0] == "GET / HTTP/1.1"
    assert f"User-Agent: Clickloop/{__version__}" in lines
    assert "Accept-Encoding: identity" in lines
    assert "X-Clickloop-Attempt: 3" in lines


def test_a_rule_can_set_its_own_user_agent(answering: Any) -> None:
    receiver = answering(OK)
    send_to(receiver, "/", headers=(Header("User-Agent", "Mozilla/5.0"),))
    assert b"User-Agent: Mozilla/5.0\r\n" in receiver.requests[0]
    assert b"Clickloop/" not in receiver.requests[0]


def test_the_attempts_of_a_resend_continue_the_count(answering: Any) -> None:
    receiver = answering(OK)
    send_to(receiver, "/", earlier_attempts=5)
    assert b"X-Clickloop-Attempt: 6" in receiver.requests[0]


@pytest.mark.parametrize(
    "path_and_query",
    [
        "/pb?id=a%2Fb%2f%C3%A9%00&x=+&y=%20&z=a;b&empty=&=&list[]=1&{unknown}",
        "//a/../b/./c?x='\"<>^`|",
        "/%7euser/~user?q=%zz&r=%",
        "/?a=http://b.example/?c=d",
    ],
)
def test_a_url_leaves_byte_for_byte(path_and_query: str, answering: Any) -> None:
    receiver = answering(OK)

    send_to(receiver, path_and_query)

    assert receiver.requests[0].split(b"\r\n")[0] == f"GET {path_and_query} HTTP/1.1".encode()


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="\\#"), max_size=60))
def test_any_sendable_path_and_query_leave_byte_for_byte(rest: str) -> None:
    seen: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with Sender(5, NEARBY) as sender:
            await sender.send(PostbackRequest(url=f"http://127.0.0.1:{port}/x{rest}"), 1)
        server.close()

    asyncio.run(run())

    path, _, query = f"/x{rest}".partition("?")
    sent = f"{path}?{query}" if query else path
    assert seen[0].split(b"\r\n")[0] == f"GET {sent} HTTP/1.1".encode()


def test_a_posted_body_and_its_headers_leave_as_they_are(answering: Any) -> None:
    receiver = answering(OK)
    headers = (Header("Content-Type", "application/json"), Header("Authorization", "Bearer s3cret"))

    send_to(receiver, "/", method=Method.POST, headers=headers, body_kind=BodyKind.JSON, body='{"a":"é"}')

    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST / HTTP/1.1")
    assert b"Content-Type: application/json" in head
    assert b"Authorization: Bearer s3cret" in head
    assert body == '{"a":"é"}'.encode()


def test_a_receiver_that_never_responds_is_abandoned_at_the_deadline(handling: Any) -> None:
    async def hang(reader: Any, writer: Any, request: bytes) -> None:
        await asyncio.Event().wait()

    began = time.monotonic()
    outcome = send(handling(hang), deadline=0.2)

    assert (outcome.status_code, outcome.trouble) == (None, Trouble.TIMEOUT)
    assert time.monotonic() - began < 30  # without a deadline it would never end


def test_a_receiver_that_drips_is_abandoned_at_the_same_deadline_with_its_status(handling: Any) -> None:
    async def drip(reader: Any, writer: Any, request: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    outcome = send(handling(drip), deadline=0.2)

    assert (outcome.status_code, outcome.trouble) == (200, Trouble.TIMEOUT)
    assert outcome.answer.startswith(b"xx")


def test_a_response_after_the_deadline_is_not_waited_for(handling: Any) -> None:
    async def late(reader: Any, writer: Any, request: bytes) -> None:
        await reader.read()  # until the client closes the connection
        writer.write(OK)

    assert send(handling(late), deadline=0.1).trouble is Trouble.TIMEOUT


def test_of_a_huge_response_16_kb_are_stored_and_the_connection_is_closed(handling: Any) -> None:
    sent = 0

    async def flood(reader: Any, writer: Any, request: bytes) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            sent += 65_536
            await writer.drain()

    outcome = send(handling(flood))

    assert (outcome.status_code, outcome.trouble, len(outcome.answer)) == (200, None, MAX_KEPT_BYTES)
    assert sent < 50_000_000


def test_a_compressed_response_is_not_decompressed(answering: Any) -> None:
    bomb = b"\x1f\x8b" + b"\0" * 98
    receiver = answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n" + bomb)

    assert send(receiver).answer == bomb


def test_a_response_that_is_not_http_is_broken(answering: Any) -> None:
    assert send(answering(b"garbage without a status line\r\n\r\n")).trouble is Trouble.BROKEN


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(100_000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
    ids=["100,000 headers", "a long header"],
)
def test_a_response_with_an_oversized_head_counts_by_its_status_line(answer: bytes, answering: Any) -> None:
    outcome = send(answering(answer))
    assert (outcome.status_code, outcome.trouble) == (200, Trouble.MALFORMED)


def test_a_connection_that_is_reset_is_broken(handling: Any) -> None:
    async def reset(reader: Any, writer: Any, request: bytes) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    assert send(handling(reset)).trouble is Trouble.BROKEN


def test_a_closed_port_is_a_failed_connection() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))

        async def run() -> AttemptOutcome:
            async with Sender(5, NEARBY) as sender:
                return await sender.send(PostbackRequest(url=f"http://127.0.0.1:{taken.getsockname()[1]}/"), 1)

        assert asyncio.run(run()).trouble is Trouble.CONNECT


def test_tls_to_a_plain_port_is_a_tls_trouble() -> None:
    async def speak_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.close()

    async def run() -> AttemptOutcome:
        server = await asyncio.start_server(speak_plainly, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with Sender(5, NEARBY) as sender:
            outcome = await sender.send(PostbackRequest(url=f"https://127.0.0.1:{port}/"), 1)
        server.close()
        return outcome

    assert asyncio.run(run()).trouble is Trouble.TLS


def test_a_name_that_does_not_resolve_is_a_dns_trouble() -> None:
    async def run() -> AttemptOutcome:
        async with Sender(5, NEARBY) as sender:
            return await sender.send(PostbackRequest(url="http://no-such-name.invalid/"), 1)

    assert asyncio.run(run()).trouble in (Trouble.DNS, Trouble.TIMEOUT)


def test_retry_after_is_reported(answering: Any) -> None:
    outcome = send(answering(b"HTTP/1.1 429 Too Many\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"))

    assert (outcome.status_code, outcome.retry_after) == (429, "120")


def test_up_to_three_redirects_are_followed(handling: Any) -> None:
    async def hop(reader: Any, writer: Any, request: bytes) -> None:
        number = int(request.split(b" ")[1].lstrip(b"/") or b"0")
        if number == 3:
            writer.write(OK)
        else:
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: /%d\r\nContent-Length: 0\r\n\r\n" % (number + 1))

    receiver = handling(hop)

    assert send(receiver).status_code == 200
    assert len(receiver.requests) == 4


def test_a_fourth_redirect_is_not_followed(answering: Any) -> None:
    receiver = answering(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    outcome = send(receiver)

    assert (outcome.status_code, outcome.trouble) == (302, Trouble.TOO_MANY_REDIRECTS)
    assert len(receiver.requests) == 4


@pytest.mark.parametrize("location", [b"file:///etc/passwd", b"http://user:pw@127.0.0.1/", b"http://a b/", b"http://"])
def test_a_redirect_to_a_url_that_is_not_allowed_is_refused(location: bytes, answering: Any) -> None:
    outcome = send(answering(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"))

    assert (outcome.status_code, outcome.trouble) == (302, Trouble.REDIRECT_REFUSED)


def hop_to(url: str, method: Method = Method.POST) -> Hop:
    target = target_of(url)
    assert isinstance(target, RequestTarget)
    headers = (Header("Authorization", "Bearer s3cret"), Header("Content-Type", "text/plain"))
    return Hop(method, target, headers, b"body" if method is Method.POST else b"")


def test_a_redirect_from_https_to_http_is_refused() -> None:
    assert isinstance(next_hop(hop_to("https://a.example/"), 302, "http://a.example/"), str)
    assert isinstance(next_hop(hop_to("http://a.example/"), 302, "https://a.example/"), Hop)


def test_a_redirect_to_another_host_sends_no_secrets() -> None:
    same = next_hop(hop_to("https://a.example/"), 307, "/b")
    other = next_hop(hop_to("https://a.example/"), 307, "https://b.example/")

    assert isinstance(same, Hop)
    assert isinstance(other, Hop)
    assert [header.name for header in same.headers] == ["Authorization", "Content-Type"]
    assert [header.name for header in other.headers] == ["Content-Type"]
    assert (other.method, other.body) == (Method.POST, b"body")


@pytest.mark.parametrize("code", [301, 302, 303])
def test_a_posts_redirect_of_the_old_kinds_becomes_a_get_without_body(code: int) -> None:
    following = next_hop(hop_to("https://a.example/"), code, "/b#part")

    assert isinstance(following, Hop)
    assert (following.method, following.body, following.target.url) == (Method.GET, b"", "https://a.example/b")
    assert [header.name for header in following.headers] == ["Authorization"]


@pytest.mark.parametrize(("code", "is_kept"), [(301, False), (302, False), (303, False), (307, True), (308, True)])
def test_a_body_dropped_by_a_redirect_is_reported_with_the_delivery(code: int, is_kept: bool, handling: Any) -> None:
    async def hop(reader: Any, writer: Any, request: bytes) -> None:
        redirect = f"HTTP/1.1 {code} Moved\r\nLocation: /moved\r\nContent-Length: 0\r\n\r\n".encode()
        writer.write(OK if b"/moved" in request else redirect)

    receiver = handling(hop)

    async def run() -> AttemptOutcome:
        async with receiver.open(), Sender(5, NEARBY) as sender:
            request = PostbackRequest(url=receiver.url(), method=Method.POST, body_kind=BodyKind.TEXT, body="payout=5")
            return await sender.send(request, 1)

    outcome = asyncio.run(run())
    told = f"The body was dropped by the redirect {code} to 127.0.0.1:{receiver.port}."
    assert (outcome.status_code, outcome.trouble, outcome.error) == (200, None, "" if is_kept else told)
    assert receiver.requests[-1].endswith(b"payout=5") is is_kept


@pytest.mark.parametrize(
    "request_",
    [
        PostbackRequest(url="https://a.example/?" + "x" * 8200),
        PostbackRequest(url="https://a.example/", headers=(Header("X-A", "1\x07"),)),
        PostbackRequest(url="https://a.example/", method=Method.POST, body_kind=BodyKind.JSON, body='{"a":}'),
        PostbackRequest(url="ftp://a.example/"),
    ],
    ids=["a URL over 8 KB", "a control character in a header", "broken JSON", "no http"],
)
def test_an_unsendable_request_is_reported_and_nothing_is_sent(request_: PostbackRequest) -> None:
    def refuse(_info: object) -> socket.socket:
        raise AssertionError("a socket was asked for")

    async def run() -> AttemptOutcome:
        async with Sender(5, NEARBY, lambda guard: open_connector(guard, socket_factory=refuse)) as sender:
            return await sender.send(request_, 1)

    outcome = asyncio.run(run())

    assert isinstance(first_hop(request_), str)
    assert outcome.trouble is Trouble.UNSENDABLE
    assert outcome.error.endswith(".")


def test_a_guard_may_refuse_every_address_before_a_socket_is_opened(answering: Any) -> None:
    def refuse(_info: object) -> socket.socket:
        raise AddressRefusedError("127.0.0.1 is loopback")

    receiver = answering(OK)

    async def run() -> AttemptOutcome:
        async with (
            receiver.open(),
            Sender(5, NEARBY, lambda guard: open_connector(guard, socket_factory=refuse)) as sender,
        ):
            return await sender.send(PostbackRequest(url=receiver.url()), 1)

    assert asyncio.run(run()).trouble is Trouble.ADDRESS_REFUSED
    assert receiver.requests == []


def test_the_detail_of_an_error_does_not_repeat_the_trouble() -> None:
    async def run(url: str) -> AttemptOutcome:
        async with Sender(5, NEARBY) as sender:
            return await sender.send(PostbackRequest(url=url), 1)

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        assert asyncio.run(run(f"http://127.0.0.1:{port}/")).error == f"127.0.0.1:{port}: Connection refused."
    unknown = asyncio.run(run("https://nobody.invalid/"))
    assert unknown.trouble is Trouble.DNS
    assert unknown.error.startswith("nobody.invalid: ")


def test_an_unforeseen_client_error_counts_as_broken() -> None:
    assert trouble_of(ValueError("?")) is Trouble.BROKEN


def test_many_attempts_leave_no_file_descriptors_behind(answering: Any) -> None:
    receiver = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)

    async def run() -> tuple[int, int]:
        async with receiver.open():
            async with Sender(5, NEARBY) as sender:
                await sender.send(PostbackRequest(url=receiver.url()), 1)
                before = len(os.listdir("/proc/self/fd"))
                await asyncio.gather(*(sender.send(PostbackRequest(url=receiver.url()), 1) for _ in range(50)))
            async with asyncio.timeout(60):  # until the receiver, in this process too, has closed its ends
                while len(os.listdir("/proc/self/fd")) > before:  # noqa: ASYNC110 – the kernel has no event for it
                    await asyncio.sleep(0.01)
            return before, len(os.listdir("/proc/self/fd"))

    before, after = asyncio.run(run())

    assert after <= before
