"""Receive a network's notice at the edge: write it to the journal as it came."""

import msgspec

from clickloop.click.redirect import cookie_value
from clickloop.click.visitor import USERAGENT_CHARACTERS
from clickloop.conversion.condensed import condensed
from clickloop.conversion.notice import Channel, RawNotice, RefusalReason, quick_verdict, read_notice
from clickloop.conversion.pairs import MAX_INPUT_BYTES
from clickloop.text import escape_bytes
from clickloop.tracking.notice_limits import MAX_STORED_BYTES, MAX_STORED_BYTES_OVER_RATE
from clickloop.tracking.take import Edge, EdgeRequest

_encode = msgspec.json.Encoder().encode


class NoticeReceipt(msgspec.Struct, frozen=True, gc=False):
    """A notice in the journal at ``position``, not yet on disk. ``reason``: why it will be refused, as far as already known."""

    position: int
    reason: RefusalReason | None
    return_text: str
    """The response text that the network requested in place of ours; empty if none."""
    is_deferred: bool = False
    """Whether it is in the journal of deferred notices."""


def take_notice(edge: Edge, arrival: EdgeRequest, channel: Channel) -> NoticeReceipt:
    """Write a notice to the journal as it came. It may be answered 200 only once its position is on disk.

    Raise JournalFull or JournalBroken if it could not be stored.
    """
    headers = arrival.headers
    raw = RawNotice(
        notice_id=edge.notice_ids(),
        at=edge.clock(),
        channel=channel,
        method=arrival.method.decode("ascii"),
        query=escape_bytes(arrival.query),
        body=escape_bytes(arrival.body),
        content_type=headers.get(b"content-type", b"")[:200].decode("latin-1"),
        # A network's server is not a visitor: its address is never anonymised, because address lists need all of it.
        ip=edge.visitors.stored_address(arrival.ip) if channel is Channel.PIXEL else arrival.ip,
        useragent=headers.get(b"user-agent", b"")[:USERAGENT_CHARACTERS].decode("utf-8", "replace").replace("\0", "�"),
        domain=arrival.host,
        cookie_click_id=cookie_value(headers.get(b"cookie", b"")) if channel is Channel.PIXEL else "",
    )
    notice = read_notice(raw)
    verdict = quick_verdict(notice, edge.click_ids)
    if isinstance(verdict, RefusalReason):
        raw = _shortened(raw, arrival, is_over_rate=edge.strangers.is_over_rate(arrival.ip, raw.at))
        return NoticeReceipt(edge.deferred.append(_encode(raw)), verdict, notice.return_text, is_deferred=True)
    is_over_rate = edge.strangers.is_click_over_rate(verdict.text, raw.at)
    if is_over_rate or _is_long_over_rate(edge, arrival, raw.at):
        raw = condensed(raw)
    journal = edge.deferred if is_over_rate else edge.notices
    return NoticeReceipt(journal.append(_encode(raw)), None, notice.return_text, is_over_rate)


def _is_long_over_rate(edge: Edge, arrival: EdgeRequest, now_ms: int) -> bool:
    """Return whether a notice is longer than what is parsed, and such notices exceed their rate. Counts it."""
    is_long = len(arrival.query) > MAX_INPUT_BYTES or len(arrival.body) > MAX_INPUT_BYTES
    return is_long and edge.strangers.is_long_over_rate(arrival.ip, now_ms)


def _shortened(raw: RawNotice, arrival: EdgeRequest, *, is_over_rate: bool) -> RawNotice:
    """Return what to store of a notice without a genuine click id. It is never rejected: the network would stop its postbacks."""
    limit = MAX_STORED_BYTES_OVER_RATE if is_over_rate else MAX_STORED_BYTES
    if len(arrival.query) <= limit and len(arrival.body) <= limit:
        return raw
    return msgspec.structs.replace(
        raw, query=escape_bytes(arrival.query[:limit]), body=escape_bytes(arrival.body[:limit]), shortened=is_over_rate
    )
