"""Notices without a genuine click id: little of them is stored, none is rejected, and they expire."""

from pathlib import Path
from urllib.parse import parse_qsl

import msgspec
import pytest

from clickloop.clock import DAY_MS, MINUTE_MS
from clickloop.conversion.condensed import condensed
from clickloop.conversion.notice import WITHOUT_CLICK_ID, Channel, NoticeFlag, RawNotice, quick_verdict, read_notice
from clickloop.conversion.notice_log import NoticeFilter, NoticeOutcome
from clickloop.edge.message import HttpRequest
from clickloop.record_id import RecordIds
from clickloop.store.ledger.logs.notices import count_notices
from clickloop.text import unescape_bytes
from clickloop.tracking.notice_limits import (
    MAX_ADDRESSES,
    MAX_LONG_PER_ADDRESS,
    MAX_LONG_PER_MINUTE,
    MAX_PER_ADDRESS,
    MAX_PER_CLICK,
    MAX_PER_MINUTE,
    MAX_STORED_BYTES,
    MAX_STORED_BYTES_OVER_RATE,
    NoticeRates,
)
from clickloop.tracking.notices import take_notices
from clickloop.tracking.receiving import take_notice
from clickloop.tracking.retention import BATCH, MAX_BATCHES, delete_old_unidentified_notices
from clickloop.tracking.take import Edge
from tests.partner import NOW, Partner
from tests.tracking.test_take import Paper, an_edge

LONG = 250_000


def _arriving(query: bytes, body: bytes, kind: bytes = b"application/x-www-form-urlencoded") -> HttpRequest:
    headers = {b"content-type": kind}
    return HttpRequest(b"POST", b"/postback", query, headers, body, "198.51.100.7", True, "track.example")


BODIES = {
    "form": (b"a=" + b"x" * LONG, b"application/x-www-form-urlencoded"),
    "json": (b'{"a":"' + b"x" * LONG + b'"}', b"application/json"),
    "bytes": (b"\xff\x00" * (LONG // 2), b""),
    "multipart": (
        b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n' + b"x" * LONG,
        b"multipart/form-data; boundary=b",
    ),
}


@pytest.mark.parametrize(("body", "kind"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(
    "query", [b"", b"cid=12345", b"cid={clickid}", b"cid=0123456789abcdefghjkmnpqrs", b"z=1&" * 30_000]
)
def test_a_long_notice_without_a_genuine_click_id_parses_the_same_when_cut_for_storage(
    query: bytes, body: bytes, kind: bytes
) -> None:
    edge, _, notices = an_edge()
    arrival = _arriving(query, body, kind)
    stored = take_notice(edge, arrival, Channel.S2S)
    (line,) = notices.lines
    raw = msgspec.json.decode(line, type=RawNotice)
    assert (unescape_bytes(raw.query), unescape_bytes(raw.body)) == (query[:MAX_STORED_BYTES], body[:MAX_STORED_BYTES])
    whole = msgspec.structs.replace(raw, query=query.decode(), body=body.decode("latin-1"))
    read, read_whole = read_notice(raw), read_notice(whole)
    if kind == b"application/json":  # the end of an object is not kept: that is said, and nothing else changes
        assert NoticeFlag.BODY_UNREADABLE in read.flags
        assert msgspec.structs.replace(read, flags=()) == msgspec.structs.replace(read_whole, flags=())
    elif kind:
        assert read == read_whole
    assert NoticeFlag.BODY_CUT in read.flags
    assert quick_verdict(read, edge.click_ids) == stored.reason


def _genuine(edge: Edge, number: int = 0) -> bytes:
    """Return a click id made at a distinct time."""
    return edge.click_ids.new(NOW + number).encode()


def test_a_notice_with_a_genuine_click_id_is_stored_whole() -> None:
    edge, _, notices = an_edge()
    body = b"a=" + b"x" * LONG
    for number in range(MAX_LONG_PER_ADDRESS + 1):
        take_notice(edge, _arriving(b"cid=" + _genuine(edge, number), body), Channel.S2S)
    raws = [msgspec.json.decode(line, type=RawNotice) for line in notices.lines]
    assert [(len(raw.body), raw.condensed) for raw in raws] == [(len(body), False)] * MAX_LONG_PER_ADDRESS + [(0, True)]
    take_notice(edge, _arriving(b"cid=" + _genuine(edge), b"a=" + b"x" * 10_000), Channel.S2S)
    assert not msgspec.json.decode(notices.lines[-1], type=RawNotice).condensed


def test_over_the_rate_of_a_click_known_parameters_are_stored_and_flagged_and_nothing_is_rejected() -> None:
    edge, _, notices = an_edge()
    deferred = Paper()
    edge.deferred = deferred
    query = b"cid=" + _genuine(edge) + b"&unknown=" + b"x" * 2_000 + b"&payout=12.5&txid=%d"
    answers = [take_notice(edge, _arriving(query % number, b""), Channel.S2S) for number in range(MAX_PER_CLICK + 5)]
    assert [(answer.reason, answer.is_deferred) for answer in answers] == [(None, False)] * MAX_PER_CLICK + [
        (None, True)
    ] * 5
    assert (len(notices.lines), len(deferred.lines)) == (MAX_PER_CLICK, 5)
    read = [read_notice(msgspec.json.decode(line, type=RawNotice)) for line in deferred.lines]
    assert [(one.payout_text, one.txid) for one in read] == [
        ("12.5", str(MAX_PER_CLICK + number)) for number in range(5)
    ]
    assert all(one.flags == (NoticeFlag.CONDENSED,) and not one.parameters.others for one in read)
    assert max(len(line) for line in deferred.lines) < 600
    edge.clock = lambda: NOW + MINUTE_MS
    assert not take_notice(edge, _arriving(query % 1, b""), Channel.S2S).is_deferred


def test_a_notice_without_a_genuine_click_id_is_deferred() -> None:
    edge, _, notices = an_edge()
    edge.deferred = Paper()
    assert take_notice(edge, _arriving(b"cid=1", b""), Channel.S2S).is_deferred
    assert notices.lines == []


WAYS = {
    "query": lambda text: _arriving(text.encode(), b""),
    "form": lambda text: _arriving(b"", text.encode()),
    "json": lambda text: _arriving(
        b"", msgspec.json.encode(dict(parse_qsl(text, keep_blank_values=True))), b"application/json"
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "text",
    [
        "clickid={cid}&revenue=1%2C234.50&type=Sale%26More&tid=%C3%A9+%2B%25&cnv_currency=eur",
        "cid={cid}&payout=&amount=7&status=+hold+&txid=" + "T" * 700 + "1",
        "cid={cid}&txid=%7Btxid%7D&payout=%23price%23&at=1772366400&conversion_id=77&disable_postback=1&token=geheim",
        "cid={cid}&param1=a%26b&param20=%E2%82%AC&event1=2.5&event30=none&userid=9",
        "cid={cid}&txid=%FF%00x",
        "cid=%7Bsub1%7D&clickid={cid}&payout=%7Bpayout%7D&revenue=5",
        "cid={cid}%26payout=5%26txid=1",
    ],
)
def test_a_condensed_notice_registers_the_same_conversion(way: str, text: str) -> None:
    edge, _, notices = an_edge()
    take_notice(edge, WAYS[way](text.replace("{cid}", _genuine(edge).decode())), Channel.S2S)
    raw = msgspec.json.decode(notices.lines[0], type=RawNotice)
    whole, short = read_notice(raw), read_notice(condensed(raw))
    assert NoticeFlag.CONDENSED in short.flags
    parameters = msgspec.structs.replace(whole.parameters, others={})
    unread = {
        NoticeFlag.CONDENSED,
        NoticeFlag.VALUE_CUT,
        NoticeFlag.CLICK_ID_MENDED,
        NoticeFlag.TXID_UNREPLACED_MACRO,
        NoticeFlag.EVENT_UNREADABLE,
    }
    assert set(whole.flags) - unread == set(short.flags) - unread
    short_parameters = msgspec.structs.replace(short.parameters, others={})
    assert msgspec.structs.replace(short, flags=(), parameters=short_parameters) == msgspec.structs.replace(
        whole, flags=(), parameters=parameters
    )


def test_a_condensed_notice_is_always_short() -> None:
    edge, _, notices = an_edge()
    names = ("cid", "txid", "payout", "status", "currency", "at", "token", "conversion_id", "param1", "event1")
    query = b"&".join(name.encode() + b"=" + b"\xff%25+%26" * 1_000 for name in names)
    take_notice(edge, _arriving(query, b"x" * LONG), Channel.S2S)
    raw = msgspec.json.decode(notices.lines[0], type=RawNotice)
    assert len(msgspec.json.encode(condensed(raw))) < 20_000


def test_long_notices_of_many_addresses_share_a_rate_and_take_bounded_memory() -> None:
    strangers = NoticeRates()
    found = [strangers.is_long_over_rate(f"10.0.{turn >> 8}.{turn & 255}", NOW) for turn in range(2_000)]
    assert found == [False] * MAX_LONG_PER_MINUTE + [True] * (2_000 - MAX_LONG_PER_MINUTE)
    assert len(strangers._long_counts) <= MAX_LONG_PER_MINUTE


def test_over_the_rate_of_an_address_a_kilobyte_is_stored_and_flagged_and_nothing_is_rejected() -> None:
    edge, _, notices = an_edge()
    for _ in range(MAX_PER_ADDRESS + 5):
        take_notice(edge, _arriving(b"q=1", b"a=" + b"x" * LONG), Channel.S2S)
    raws = [msgspec.json.decode(line, type=RawNotice) for line in notices.lines]
    assert [len(raw.body) for raw in raws] == [MAX_STORED_BYTES] * MAX_PER_ADDRESS + [MAX_STORED_BYTES_OVER_RATE] * 5
    assert [NoticeFlag.SHORTENED in read_notice(raw).flags for raw in raws] == [False] * MAX_PER_ADDRESS + [True] * 5
    take_notice(edge, _arriving(b"q=1", b"short"), Channel.S2S)
    assert not msgspec.json.decode(notices.lines[-1], type=RawNotice).shortened


def test_each_address_has_its_own_rate_and_each_minute_starts_from_zero() -> None:
    strangers = NoticeRates()
    first = [strangers.is_over_rate("203.0.113.1", NOW) for _ in range(MAX_PER_ADDRESS + 1)]
    assert first == [False] * MAX_PER_ADDRESS + [True]
    assert not strangers.is_over_rate("203.0.113.2", NOW)
    assert not strangers.is_over_rate("203.0.113.1", NOW + MINUTE_MS)


@pytest.mark.parametrize("ips", [["2001:db8::1", "2001:db8:0:0:ffff::2"], ["::1", "0:0:0:0:1::2"]])
def test_the_addresses_of_one_ipv6_network_share_a_rate(ips: list[str]) -> None:
    strangers = NoticeRates()
    assert [strangers.is_over_rate(ips[turn % 2], NOW) for turn in range(MAX_PER_ADDRESS + 1)][-1]
    assert not strangers.is_over_rate("2001:db8:1::1", NOW)


def test_many_addresses_share_a_rate_too_and_take_bounded_memory() -> None:
    strangers = NoticeRates()
    found = [strangers.is_over_rate(f"10.{turn >> 16}.{turn >> 8 & 255}.{turn & 255}", NOW) for turn in range(30_000)]
    assert found == [False] * MAX_PER_MINUTE + [True] * (30_000 - MAX_PER_MINUTE)
    assert len(strangers._counts) == MAX_ADDRESSES


# Retention ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def partner(tmp_path: Path) -> Partner:
    return Partner(tmp_path)


def _count(partner: Partner, **wanted: object) -> int:
    with partner.intake.ledger.read() as tx:
        return count_notices(tx, NoticeFilter(**wanted))  # type: ignore[arg-type]


def test_refused_notices_without_a_click_id_are_deleted_after_their_days_and_no_others(partner: Partner) -> None:
    old = NOW - 31 * DAY_MS
    partner.new_id = RecordIds(lambda: old)
    cids = (None, "12345", "0123456789abcdefghjkmnpqrs", "{clickid}")
    strangers = [partner.notice(cid, at=old) for cid in cids]
    uploaded = msgspec.structs.replace(partner.notice("12345", at=old), channel=Channel.UPLOAD)
    unknown, kept = (
        partner.notice(partner.click(old, arrived=False), at=old),
        partner.notice(partner.click(old), at=old),
    )
    take_notices(partner.intake, [*strangers, uploaded, unknown, kept], old)
    partner.new_id = RecordIds(lambda: NOW)
    take_notices(partner.intake, [partner.notice("12345")], NOW)
    assert _count(partner, outcome=NoticeOutcome.REFUSED) == len(WITHOUT_CLICK_ID) + 2
    assert delete_old_unidentified_notices(partner.intake.ledger, NOW, 0) == 0
    assert delete_old_unidentified_notices(partner.intake.ledger, NOW, 32) == 0
    assert delete_old_unidentified_notices(partner.intake.ledger, NOW, 30) == len(WITHOUT_CLICK_ID)
    assert (_count(partner), _count(partner, outcome=NoticeOutcome.REFUSED)) == (4, 2)


def test_many_are_deleted_in_bounded_steps(partner: Partner) -> None:
    old = NOW - 60 * DAY_MS
    partner.new_id = RecordIds(lambda: old)
    take_notices(partner.intake, [partner.notice(at=old) for _ in range(BATCH * MAX_BATCHES + 7)], old)
    assert delete_old_unidentified_notices(partner.intake.ledger, NOW, 30) == BATCH * MAX_BATCHES
    assert delete_old_unidentified_notices(partner.intake.ledger, NOW, 30) == 7
