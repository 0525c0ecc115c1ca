"""Mangled links and notices at the public endpoints: repaired where possible, counted where not, never half stored."""

import gzip
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from clickloop.click_id import ClickIds
from clickloop.conversion.notice import read_notice
from clickloop.store.unknown_links import read_unknown_links
from clickloop.text import unescape_bytes
from tests.edge.edge_running import KEY, EdgeProcess, cookie_of, started
from tests.journey.running import Connection, eventually, request_of

gzipped = partial(gzip.compress, mtime=0)
"""Fixed, since pytest-xdist needs the same parameters in every worker: gzip puts the time into the header."""


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProcess]:
    """Return an edge reached without a proxy, over http."""
    yield from started(EdgeProcess(tmp_path_factory.mktemp("mangled") / "data"))


@pytest.mark.parametrize(
    ("target", "flags"),
    [
        ("/c/aB3xY9/?external_id=x", ""),
        ("/c/aB3xY9.?external_id=x", ""),
        ("/c/aB3xY9)?external_id=x", ""),
        ("/c/aB3xY9%20?external_id=x", ""),
        ("/c/aB3xY9%E2%80%8B?external_id=x", ""),
        ("/c//aB3xY9?external_id=x", ""),
        ("//c/aB3xY9?external_id=x", ""),
        ("///c//aB3xY9/?external_id=x", ""),
        ("/c/aB3xY9/index.html?external_id=x", "path_ignored"),
        ("/c/aB3xY9&external_id=x", "link_mended"),
        ("/c/aB3xY9%3Fexternal_id%3Dx", "link_mended"),
        ("/c/aB3xY9&amp;external_id=x", "name_mended,link_mended"),
        ("/c/aB3xY9??external_id=x", "name_mended"),
        ("/c/aB3xY9?a=1&amp;external_id=x", "name_mended"),
        ("/c/aB3xY9?a=1&#38;external_id=x", "name_mended"),
    ],
)
def test_a_mangled_link_loses_no_paid_visitor(edge: EdgeProcess, target: str, flags: str) -> None:
    answer = edge.ask("GET", target)
    assert answer.status == 302
    click = edge.click(cookie_of(answer))
    assert (click.campaign_id, click.external_id, click.flags) == (7, "x", flags)


def test_unknown_links_are_counted_for_the_core(tmp_path: Path) -> None:
    for edge in started(EdgeProcess(tmp_path / "data")):
        for path in ("/c/nobody", "/c/nobody?external_id=x", "/c/", "/c", "/c/<script>", "/nowhere"):
            assert edge.ask("GET", path).status == 404
        eventually(lambda edge=edge: read_unknown_links(edge.folder).total == 5)  # type: ignore[misc]
        latest = read_unknown_links(edge.folder).latest
    assert [(link.key, link.count) for link in latest] == [("", 3), ("nobody", 2)]


def test_a_campaign_without_a_target_does_not_count_as_an_unknown_link(edge: EdgeProcess) -> None:
    before = edge.clicks()
    assert edge.ask("GET", "/c/paused/").status == 404
    assert edge.clicks() == before + 1


@pytest.mark.parametrize("target", ["/postback?cid=1", "/postback", "/pixel.gif?cid=1", "/pixel.gif", "//postback"])
def test_a_head_request_to_a_postback_url_stores_nothing(edge: EdgeProcess, target: str) -> None:
    before = len(edge.notices())
    with Connection(edge.port) as connection:
        connection.send(request_of("HEAD", target))
        answer = connection.answer("HEAD")
        assert connection.ask("GET", "/c/aB3xY9").status == 302
    assert (answer.status, answer.body, len(edge.notices())) == (200, b"", before)
    assert "x-clickloop-outcome" not in answer.headers


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/postback/?cid={}&payout=5"),
        ("GET", "//postback?cid={}&payout=5"),
        ("GET", "/postback&cid={}&payout=5"),
        ("GET", "/postback%3Fcid={}&payout=5"),
        ("GET", "/postback??cid={}&payout=5"),
        ("GET", "/postback?payout=5&amp;cid={}"),
        ("GET", "/pixel.gif?payout=5&amp;cid={}"),
        ("GET", "/pixel.gif/?payout=5&cid={}"),
        ("POST", "/postback/?payout=5&cid={}"),
        ("GET", "/postback?cid={}%26payout=5"),
        ("GET", "/postback?cid={}?payout=5"),
        ("GET", "/postback?cid={}}}&payout=5"),
        ("GET", "/postback?cid%3D{}%26payout%3D5"),
        ("GET", "/postback?cid={}&&payout=5&payout=&cid="),
        ("GET", "/pixel.gif?cid={};payout=5"),
    ],
)
def test_a_mangled_postback_url_loses_no_conversion(edge: EdgeProcess, method: str, target: str) -> None:
    answer = edge.ask(method, target.format(ClickIds(KEY).new(1_800_000_000_000)))
    assert (answer.status, answer.headers["x-clickloop-outcome"]) == (200, "accepted")
    notice = read_notice(edge.notices()[-1])
    assert (notice.payout_text, notice.parameters.others) == ("5", {})


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_notice_is_stored_uncompressed(edge: EdgeProcess, encoding: str) -> None:
    body = f'{{"cid":"{ClickIds(KEY).new(1_800_000_000_000)}","payout":5}}'.encode()
    packed = gzipped(body) if encoding == "gzip" else zlib.compress(body)
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    answer = edge.ask("POST", "/postback", headers, packed)
    assert (answer.status, answer.headers["x-clickloop-outcome"]) == (200, "accepted")
    assert unescape_bytes(edge.notices()[-1].body) == body


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("br", b"\x0b\x02\x80", 415),
        ("zstd", b"\x28\xb5\x2f\xfd", 415),
        ("gzip, gzip", gzipped(gzipped(b"cid=1")), 415),
        ("gzip", gzipped(b"cid=1")[:-4], 400),
        ("gzip", gzipped(b"\0" * 10_000_000), 413),
    ],
)
def test_an_unreadable_body_is_refused_and_not_stored(
    edge: EdgeProcess, encoding: str, body: bytes, status: int
) -> None:
    before = len(edge.notices())
    answer = edge.ask("POST", "/postback?cid=1", {"Content-Encoding": encoding}, body)
    assert (answer.status, len(edge.notices())) == (status, before)
    assert ("accept-encoding" in answer.headers) is (status == 415)


@pytest.mark.parametrize("answer", ["1", "OK", "[accepted]"])
def test_the_network_gets_exactly_the_response_text_it_expects(edge: EdgeProcess, answer: str) -> None:
    target = f"/postback?cid={ClickIds(KEY).new(1_800_000_000_000)}&payout=5&return={answer}"
    assert edge.ask("GET", target).body == answer.encode()


@pytest.mark.parametrize(
    "head",
    [
        b"POST /postback HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n",
        b"POST /postback HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n",
        b"POST /postback HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
    ],
)
def test_a_chunked_notice_is_read(edge: EdgeProcess, head: bytes) -> None:
    body = f"cid={ClickIds(KEY).new(1_800_000_000_000)}&payout=5".encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    with Connection(edge.port) as connection:
        connection.send(head + b"Content-Type: application/x-www-form-urlencoded\r\n\r\n" + chunks)
        assert connection.answer("POST").headers["x-clickloop-outcome"] == "accepted"
    assert unescape_bytes(edge.notices()[-1].body) == body


def test_a_notice_over_http_1_0_is_accepted(edge: EdgeProcess) -> None:
    target = f"/postback?cid={ClickIds(KEY).new(1_800_000_000_000)}&payout=5"
    with Connection(edge.port) as connection:
        connection.send(f"GET {target} HTTP/1.0\r\n\r\n".encode())
        answer = connection.answer()
    assert (answer.headers["x-clickloop-outcome"], answer.headers["connection"]) == ("accepted", "close")
