"""Finding the clicks that an id belongs to: a click id, external id, transaction id, or the id of a record in a log."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.click_id import LENGTH, ClickId, ClickIdFault
from clickloop.clock import DAY_MS, Moment, iso_text
from clickloop.conversion.conversion import Conversion
from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.logs.context import LogContext
from clickloop.logs.view import view_of
from clickloop.macro import unreplaced_macro
from clickloop.store.ledger.logs.conversions import conversions_before, find_conversion
from clickloop.store.ledger.logs.notices import find_notice, notices_of_click
from clickloop.store.ledger.logs.postbacks import find_postback
from clickloop.text import escape_bytes, readable

MAX_FOUND = 50  # a person chooses among them
LOOKED_BACK_DAYS = 7
"""Number of recent days searched first for an external id: searching all clicks takes longer."""


class Matched(enum.StrEnum):
    """The kinds of ids."""

    CLICK_ID = "click_id"
    EXTERNAL_ID = "external_id"
    TXID = "txid"
    CONVERSION = "conversion"
    NOTICE = "notice"
    POSTBACK = "postback"


class FoundView(msgspec.Struct, kw_only=True):
    """A record that the id belongs to."""

    matched: Annotated[Matched, Meta(description="The kind of ID.")]
    click_id: Annotated[
        str | None,
        Meta(description="The click, whose trace has the whole story. null for a notice without a valid click ID."),
    ]
    record_id: Annotated[str, Meta(description="The record that was found.")]
    at: Moment
    campaign_id: int
    external_id: str
    text: Annotated[str, Meta(description="A short description.", examples=["A conversion: Sale"])]


class FoundList(msgspec.Struct, kw_only=True):
    """The records that an id belongs to, at most 50."""

    items: list[FoundView]
    looked_back_to: Annotated[
        Moment | None,
        Meta(description="Clicks before this time were not searched for an external ID. null if all were."),
    ]
    hint: Annotated[str, Meta(description="What kind of ID it could be. Empty if something was found.")]


def find_stories(context: LogContext, text: str, everything: bool = False) -> FoundList:
    """Return the records that an id belongs to. ``everything``: search all clicks, even if recent ones have this external id."""
    wanted = text.strip()
    read = context.click_ids.read(wanted)
    if isinstance(read, ClickId):
        click = context.facts.find_clicks([read.text]).get(read.text)
        with context.ledger.read() as tx:
            return _found_list(_of_click_id(tx, read, click), wanted, read)
    stored = escape_bytes(wanted.encode("utf-8", "surrogateescape"))
    with context.ledger.read() as tx:
        found = _of_record(tx, wanted.lower()) if len(wanted) == LENGTH else []
        if not found and stored:
            conversions = conversions_before(tx, ConversionFilter(txid=stored), None, MAX_FOUND)
            what = "A conversion with that transaction ID"
            found = [_conversion_found(Matched.TXID, conversion, what) for conversion in conversions]
    looked_back_to = None
    if wanted and (everything or not found or found[0].matched is Matched.TXID):
        clicks, looked_back_to = _of_external_id(context, stored, deep=everything or not found, everything=everything)
        found += clicks
    return _found_list(found, wanted, read, looked_back_to)


def _of_click_id(tx: Connection, click_id: ClickId, click: Click | None) -> list[FoundView]:
    """Return the click. One that has been deleted is known by its conversions, one that has not arrived by its notices."""
    if click is None:
        conversions = conversions_before(tx, ConversionFilter(click_id=click_id.text), None, 1)
        click = conversions[0].click if conversions else None
    if click is not None:
        return [_click_found(Matched.CLICK_ID, click, "A click")]
    if not notices_of_click(tx, click_id.text, 1):
        return []
    return [
        FoundView(
            matched=Matched.CLICK_ID,
            click_id=click_id.text,
            record_id=click_id.text,
            at=iso_text(click_id.at),
            campaign_id=0,
            external_id="",
            text="A click that has not arrived yet. Its notices have.",
        )
    ]


def _of_record(tx: Connection, record_id: str) -> list[FoundView]:
    """Return the conversion, notice or postback of that id."""
    if conversion := find_conversion(tx, record_id):
        return [_conversion_found(Matched.CONVERSION, conversion, "A conversion")]
    if notice := find_notice(tx, record_id):
        return [
            view_of(
                FoundView,
                notice,
                notice.raw,
                matched=Matched.NOTICE,
                record_id=record_id,
                campaign_id=notice.campaign_id or 0,
                external_id="",
                text=f"A notice: {notice.outcome}",
            )
        ]
    if postback := find_postback(tx, record_id):
        return [
            view_of(
                FoundView,
                postback,
                matched=Matched.POSTBACK,
                record_id=record_id,
                at=iso_text(postback.created_at),
                external_id="",
                text=f"A postback of {readable(postback.rule_name)}: {postback.state}",
            )
        ]
    return []


def _of_external_id(
    context: LogContext, external_id: str, *, deep: bool, everything: bool
) -> tuple[list[FoundView], str | None]:
    """Return the clicks with an external id, and the start of the period searched.

    Older clicks are searched with ``everything``, or with ``deep`` if no recent click has it.
    """
    since = context.clock() - LOOKED_BACK_DAYS * DAY_MS
    clicks: list[Click] = []
    if not everything:
        clicks = context.facts.clicks_page(ClickFilter(external_id=external_id, since=iso_text(since)), MAX_FOUND)
    is_recent = not everything and (bool(clicks) or not deep)
    if not is_recent:
        clicks = context.facts.clicks_page(ClickFilter(external_id=external_id), MAX_FOUND)
    found = [_click_found(Matched.EXTERNAL_ID, click, "A click with that external ID") for click in clicks]
    return found, iso_text(since) if is_recent else None


def _click_found(matched: Matched, click: Click, what: str) -> FoundView:
    text = f"{what}, not counted: {click.screening}" if click.screening else what
    return view_of(FoundView, click, matched=matched, record_id=click.click_id, text=text)


def _conversion_found(matched: Matched, conversion: Conversion, what: str) -> FoundView:
    return view_of(
        FoundView,
        conversion.click,
        matched=matched,
        record_id=conversion.conversion_id,
        at=iso_text(conversion.created_at),
        text=f"{what}: {readable(conversion.status.name)}",
    )


def _found_list(
    found: list[FoundView], wanted: str, read: ClickId | ClickIdFault, looked_back_to: str | None = None
) -> FoundList:
    hint = "" if found or not wanted else _hint(wanted, read)
    return FoundList(items=found[:MAX_FOUND], looked_back_to=looked_back_to, hint=hint)


def _hint(wanted: str, read: ClickId | ClickIdFault) -> str:
    if isinstance(read, ClickId):
        return "This is a click ID of this tracker, but neither the click nor anything else with this ID has arrived."
    if unreplaced_macro(wanted):
        return "This is a macro that was not replaced with its value."
    if read is ClickIdFault.FORGED:
        return "This looks like one of our IDs but is not valid. It may be mistyped, cut off, or from another tracker."
    return "This is not one of our IDs, and no click has it as its external ID."
