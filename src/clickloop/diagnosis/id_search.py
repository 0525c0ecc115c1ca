"""The story that an id belongs to: a click id, external id, transaction id, or the id of a record in a log."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.click_id import LENGTH, ClickId, Fault
from clickloop.clock import DAY_MS, Moment, iso_text
from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.logs.context import LogContext
from clickloop.macro import unreplaced_macro
from clickloop.store.ledger.logs.conversions import conversions_before, find_conversion
from clickloop.store.ledger.logs.notices import find_notice, notices_of_click
from clickloop.store.ledger.logs.postbacks import find_postback
from clickloop.text import readable, text_of

MAX_FOUND = 50  # who sees more looks more closely instead
LOOKED_BACK_DAYS = 7
"""Days in which an external id is searched first: searching all clicks takes longer."""


class Matched(enum.StrEnum):
    """What the id turned out to be."""

    CLICK_ID = "click_id"
    EXTERNAL_ID = "external_id"
    TXID = "txid"
    CONVERSION = "conversion"
    NOTICE = "notice"
    POSTBACK = "postback"


class FoundView(msgspec.Struct, kw_only=True):
    """A story that the id belongs to."""

    matched: Annotated[Matched, Meta(description="What the id is.")]
    click_id: Annotated[
        str | None, Meta(description="Whose trace tells it; null: a notice without a genuine click id.")
    ]
    record_id: Annotated[str, Meta(description="The record that was found.")]
    at: Moment
    campaign_id: int
    external_id: str
    text: Annotated[str, Meta(description="What it is, in a few words.", examples=["A conversion: Sale"])]


class FoundList(msgspec.Struct, kw_only=True):
    """All stories that an id belongs to, at most 50."""

    items: list[FoundView]
    looked_back_to: Annotated[
        Moment | None,
        Meta(description="Older clicks were not looked through for it as an external id; null: all were."),
    ]
    hint: Annotated[str, Meta(description="What the id looks like, when nothing was found.")]


def find_stories(context: LogContext, text: str, everything: bool = False) -> FoundList:
    """Finds by our click id, the source's (exactly as it came), a transaction id, or the id of a conversion, notice or postback."""
    wanted = text.strip()
    read = context.click_ids.read(wanted)
    if isinstance(read, ClickId):
        click = context.facts.find_clicks([read.text]).get(read.text)
        with context.ledger.read() as tx:
            return _answer(_of_click_id(tx, read, click), wanted, read)
    with context.ledger.read() as tx:
        found = _of_record(tx, wanted.lower()) if len(wanted) == LENGTH else []
        found += [] if found else _of_txid(tx, text_of(wanted.encode("utf-8", "surrogateescape")))
    looked_back_to = None
    if wanted and (everything or not found or found[0].matched is Matched.TXID):
        clicks, looked_back_to = _of_external_id(context, wanted, deep=everything or not found, all_of_it=everything)
        found += clicks
    return _answer(found, wanted, read, looked_back_to)


def _of_click_id(tx: Connection, click_id: ClickId, click: Click | None) -> list[FoundView]:
    """The click; one that has left the facts by its conversions, one that has not arrived by the notices that name it."""
    if click is None:
        conversions = conversions_before(tx, ConversionFilter(click_id=click_id.text), None, 1)
        click = conversions[0].click if conversions else None
    if click is not None:
        return [_click_found(Matched.CLICK_ID, click)]
    notices = notices_of_click(tx, click_id.text, 1)
    if not notices:
        return []
    return [
        FoundView(
            matched=Matched.CLICK_ID,
            click_id=click_id.text,
            record_id=click_id.text,
            at=iso_text(click_id.at),
            campaign_id=0,
            external_id="",
            text="A click that has not arrived, though notices of it have",
        )
    ]


def _of_record(tx: Connection, record_id: str) -> list[FoundView]:
    """The conversion, notice or postback of that id."""
    conversion = find_conversion(tx, record_id)
    if conversion is not None:
        return [
            FoundView(
                matched=Matched.CONVERSION,
                click_id=conversion.click.click_id,
                record_id=record_id,
                at=iso_text(conversion.created_at),
                campaign_id=conversion.click.campaign_id,
                external_id=readable(conversion.click.external_id),
                text=f"A conversion: {readable(conversion.status.name)}",
            )
        ]
    notice = find_notice(tx, record_id)
    if notice is not None:
        return [
            FoundView(
                matched=Matched.NOTICE,
                click_id=notice.click_id,
                record_id=record_id,
                at=iso_text(notice.raw.at),
                campaign_id=notice.campaign_id or 0,
                external_id="",
                text=f"A notice: {notice.outcome}",
            )
        ]
    postback = find_postback(tx, record_id)
    if postback is None:
        return []
    return [
        FoundView(
            matched=Matched.POSTBACK,
            click_id=postback.click_id,
            record_id=record_id,
            at=iso_text(postback.created_at),
            campaign_id=postback.campaign_id,
            external_id="",
            text=f"A postback of {readable(postback.rule_name)}: {postback.state}",
        )
    ]


def _of_txid(tx: Connection, txid: str) -> list[FoundView]:
    if not txid:
        return []
    return [
        FoundView(
            matched=Matched.TXID,
            click_id=conversion.click.click_id,
            record_id=conversion.conversion_id,
            at=iso_text(conversion.created_at),
            campaign_id=conversion.click.campaign_id,
            external_id=readable(conversion.click.external_id),
            text=f"A conversion with that transaction id: {readable(conversion.status.name)}",
        )
        for conversion in conversions_before(tx, ConversionFilter(txid=txid), None, MAX_FOUND)
    ]


def _of_external_id(
    context: LogContext, wanted: str, *, deep: bool, all_of_it: bool
) -> tuple[list[FoundView], str | None]:
    """The clicks that came with it, and back to when they were looked for: all of them where ``deep`` and no recent one is found."""
    external_id = text_of(wanted.encode("utf-8", "surrogateescape"))
    since = context.clock() - LOOKED_BACK_DAYS * DAY_MS
    if not all_of_it:
        recent = context.facts.clicks_page(ClickFilter(external_id=external_id, since=iso_text(since)), MAX_FOUND)
        if recent or not deep:
            return [_click_found(Matched.EXTERNAL_ID, click) for click in recent], iso_text(since)
    clicks = context.facts.clicks_page(ClickFilter(external_id=external_id), MAX_FOUND)
    return [_click_found(Matched.EXTERNAL_ID, click) for click in clicks], None


def _click_found(matched: Matched, click: Click) -> FoundView:
    text = "A click with that external id" if matched is Matched.EXTERNAL_ID else "A click"
    return FoundView(
        matched=matched,
        click_id=click.click_id,
        record_id=click.click_id,
        at=iso_text(click.at),
        campaign_id=click.campaign_id,
        external_id=readable(click.external_id),
        text=f"{text}, not counted: {click.screening}" if click.screening else text,
    )


def _answer(found: list[FoundView], wanted: str, read: ClickId | Fault, looked_back_to: str | None = None) -> FoundList:
    hint = "" if found or not wanted else _hint(wanted, read)
    return FoundList(items=found[:MAX_FOUND], looked_back_to=looked_back_to, hint=hint)


def _hint(wanted: str, read: ClickId | Fault) -> str:
    if isinstance(read, ClickId):
        return "It is a click id of this tracker, but neither its click nor anything else of it has arrived."
    if unreplaced_macro(wanted):
        return "It is a macro that somebody did not replace by its value."
    if read is Fault.FORGED:
        return "It has the form of one of our ids, but is none: mistyped, cut, or another tracker's."
    return "It is no id of ours, and no click came with it as its external id."
