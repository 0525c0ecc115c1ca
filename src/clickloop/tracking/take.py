"""The edge's two steps of the loop: take_click and take_notice. Nothing is answered before it stands in the journal."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from clickloop.click.click import Click, Flag
from clickloop.click.click_values import click_values
from clickloop.click.query import read_query
from clickloop.click.redirect import cookie_value
from clickloop.click.routing import Route, Routes
from clickloop.click.screening import screen
from clickloop.click.visitor import USERAGENT_CHARACTERS, Visitors
from clickloop.click_id import ClickIds
from clickloop.clock import Clock
from clickloop.conversion.notice import Door, RawNotice, RefusalReason, quick_verdict, read_notice
from clickloop.macro import Place, unreplaced_macro
from clickloop.money import AmountFault, currency_of, read_amount
from clickloop.octets import text_of
from clickloop.record_id import RecordIds
from clickloop.store.journal.writer import JournalFull

VALUE_CHARACTERS = 1024


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A request at a public door. ``ip`` and ``host`` are the visitor's own, after the trusted proxies have been believed."""

    method: bytes
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    ip: str
    host: str


class Redirected(msgspec.Struct, frozen=True, gc=False):
    """The visitor goes to ``location``; empty when the campaign has nowhere to send him."""

    click_id: str
    location: str


class Stored(msgspec.Struct, frozen=True, gc=False):
    """The notice stands in the journal at ``position``, not yet on disk. ``reason``: why it will be refused, as far as can be told."""

    position: int
    reason: RefusalReason | None
    return_text: str
    """What the network wants to read in place of our text."""


class Appender(Protocol):
    """A journal stream."""

    def append(self, record: bytes) -> int:
        """Writes one record and answers its position. Raises JournalFull or JournalBroken."""
        ...


class Edge(msgspec.Struct):
    """What an edge process holds. ``routes`` is replaced whole when the set-up changes."""

    routes: Routes
    visitors: Visitors
    click_ids: ClickIds
    notice_ids: RecordIds
    clicks: Appender
    notices: Appender
    clock: Clock
    chance: Callable[[], float]
    currency: str
    unrecorded: int = 0
    """Visitors who were redirected without a record because the disk was full."""


_encode_click = msgspec.json.Encoder().encode
_encode_notice = msgspec.json.Encoder().encode


def take_click(edge: Edge, arrival: Arrival, key: bytes) -> Redirected | None:
    """Records the click of a visitor who follows the campaign link ``key``, and answers where he goes; None: no such campaign.

    A full disk costs the record, never the redirect. Raises JournalBroken when the journal may not be trusted any more.
    """
    route = edge.routes.find(key)
    if route is None:
        return None
    headers = arrival.headers
    values, cut = read_query(arrival.query, route.fields, "external_id")
    useragent, device = edge.visitors.device(headers.get(b"user-agent", b""))
    screening = screen(arrival.method, headers.get(b"purpose", b""), device.preview_bot)
    target = route.choose(edge.chance())
    flags = [Flag.QUERY_CUT] if cut else []
    if len(arrival.query) > VALUE_CHARACTERS:
        _bound(values, flags)
    external_id = values.get("external_id")
    if external_id and unreplaced_macro(external_id):
        flags.append(Flag.UNREPLACED_EXTERNAL_ID)
    cost_micros, cost_currency = _cost(route, values.pop("cost", ""), edge.currency, flags)
    if target is None or target is route.fallback:
        flags.append(Flag.FALLBACK)
    now_ms = edge.clock()
    campaign = route.campaign
    click = Click(
        click_id=edge.click_ids.new(now_ms),
        at=now_ms,
        campaign_id=campaign.id,
        source_id=campaign.source_id,
        offer_id=target.offer_id if target else 0,
        network_id=target.network_id if target else 0,
        cost_micros=cost_micros,
        cost_currency=cost_currency,
        domain=arrival.host,
        ip=arrival.ip,
        country=edge.visitors.country(arrival.ip),
        language=edge.visitors.language(headers.get(b"accept-language", b"")),
        useragent=useragent,
        referrer=text_of(headers[b"referer"][:VALUE_CHARACTERS]) if b"referer" in headers else "",
        device=device.kind,
        brand=device.brand,
        model=device.model,
        os=device.os,
        os_version=device.os_version,
        browser=device.browser,
        browser_version=device.browser_version,
        unique=b"cookie" not in headers or not cookie_value(headers[b"cookie"]),
        screening=screening or "",
        flags=",".join(flags) if flags else "",
        **values,  # type: ignore[arg-type]  # external_id, v1 … v30: all texts
    )
    location = ""
    if target is not None:
        template = target.template
        location = template.render(click_values(template.names, click, target.setup), Place.URL, now_ms)
        msgspec.structs.force_setattr(click, "target", location)
    try:
        edge.clicks.append(_encode_click(click))
    except JournalFull:
        edge.unrecorded += 1
    return Redirected(click.click_id, location)


def take_notice(edge: Edge, arrival: Arrival, door: Door) -> Stored:
    """Writes a notice to the journal as it came. It may be answered 200 only once its position is on disk.

    Raises JournalFull or JournalBroken when it could not be stored.
    """
    headers = arrival.headers
    raw = RawNotice(
        notice_id=edge.notice_ids(),
        at=edge.clock(),
        door=door,
        method=arrival.method.decode("ascii"),
        query=text_of(arrival.query),
        body=text_of(arrival.body),
        content_type=headers.get(b"content-type", b"")[:200].decode("latin-1"),
        ip=arrival.ip,
        useragent=headers.get(b"user-agent", b"")[:USERAGENT_CHARACTERS].decode("utf-8", "replace").replace("\0", "�"),
        domain=arrival.host,
        cookie_click_id=cookie_value(headers.get(b"cookie", b"")) if door is Door.PIXEL else "",
    )
    notice = read_notice(raw)
    verdict = quick_verdict(notice, edge.click_ids)
    position = edge.notices.append(_encode_notice(raw))
    return Stored(position, verdict if isinstance(verdict, RefusalReason) else None, notice.return_text)


def _bound(values: dict[str, str], flags: list[Flag]) -> None:
    """Cuts over-long values in place; an external id that is cut is flagged: the source will not know it again."""
    for field, value in values.items():
        if len(value) > VALUE_CHARACTERS:
            values[field] = value[:VALUE_CHARACTERS]
            if field == "external_id":
                flags.append(Flag.EXTERNAL_ID_CUT)


def _cost(route: Route, text: str, currency: str, flags: list[Flag]) -> tuple[int, str]:
    """Micros and currency of what the click cost: the campaign's fixed cost, else what the link says. Unreadable: 0, flagged."""
    campaign = route.campaign
    currency = campaign.cost_currency or currency
    if campaign.cost_micros is not None:
        return campaign.cost_micros, currency
    if not text:
        return 0, ""
    amount = read_amount(text)
    if isinstance(amount, AmountFault):
        flags.append(Flag.COST_UNREADABLE)
        return 0, ""
    return amount.micros, currency_of(amount.currency) or currency
