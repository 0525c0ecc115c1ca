"""/conversions: what clicks earned, with its history; and the API's own way to report one."""

from functools import partial
from typing import Annotated

import msgspec
from litestar import Response, Router, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, SkipValidation
from litestar.response import Stream
from msgspec import Meta

from clickloop.conversion.conversion_log import ConversionFilter, RecordedChange
from clickloop.conversion.given import GivenConversion
from clickloop.conversion.notice import EVENTS, MAX_TXID, PARAMS, Door
from clickloop.conversion.notice_log import Outcome
from clickloop.conversion.status import Status
from clickloop.money import AmountFault, currency_of, read_amount
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError, text_faults
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.logs.conversions import conversions_before, find_conversion, newest_changes
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.store.ledger.setup.statuses import status_table
from clickloop.tracking.notices import NoticeResult, convert
from clickloop.web.api.body import StrictBody
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.logs.columns import CONVERSION_COLUMNS, chosen_columns
from clickloop.web.api.logs.log_csv import ChosenColumns, exported
from clickloop.web.api.logs.log_words import (
    ConversionView,
    conversion_view,
    refuse_unknown_status,
)
from clickloop.web.api.logs.notices import NoticeView, notice_view
from clickloop.web.api.noting import note_change
from clickloop.web.api.paging import Cursor, Limit, Page, RecordIdPath, page_of, read_cursor
from clickloop.web.api.problem import AnyRequest, not_found
from clickloop.web.api.query import from_query
from clickloop.web.api.wire import Moment, moment_text

NOUN = "conversions"
MAX_CHANGES = 500
"""Changes in the history of one conversion, the newest: anybody who has its click id can make any number."""


class ConversionReport(msgspec.Struct, kw_only=True):
    """A conversion to report. The same click_id and txid again is an update; nothing new in it: a repeat that sends nothing."""

    click_id: Annotated[str, Meta(description="Our click id.", examples=["01kaqj6z8m4x2c9v7b5n3t1w0y"])]
    payout: Annotated[
        str, Meta(description="Decimal text; empty: as the offer or the earlier report says.", examples=["12.5"])
    ] = ""
    currency: Annotated[str, Meta(description="ISO 4217; empty: that of offer or instance.", examples=["USD"])] = ""
    status: Annotated[str, Meta(description="A status or one of its words; empty: sale.", examples=["sale"])] = ""
    txid: Annotated[str, Meta(description="Tells several conversions of one click apart.", examples=["T-10087"])] = ""
    at: Annotated[
        str,
        Meta(description="When it happened: ISO 8601 or Unix seconds; empty: now.", examples=["2026-03-01T12:00:00Z"]),
    ] = ""
    conversion_id: Annotated[str, Meta(description="The network's own id of it, for {conversion_id}.")] = ""
    params: Annotated[dict[str, str], Meta(description="param1 to param20.", examples=[{"param1": "blue"}])] = {}
    events: Annotated[dict[str, str], Meta(description="event1 to event30, decimals.", examples=[{"event1": "3"}])] = {}
    disable_postback: Annotated[bool, Meta(description="true: no postback is sent for it.")] = False
    by_hand: Annotated[bool, Meta(description="true: a person reports it; the log shows it as by hand.")] = False


class ConversionCorrection(msgspec.Struct, kw_only=True):
    """A change of a conversion by hand; what is empty stays as it is."""

    status: Annotated[str, Meta(description="The key of a status, or one of its words.", examples=["rejected"])] = ""
    payout: Annotated[str, Meta(description="Decimal text.", examples=["12.5"])] = ""
    currency: Annotated[
        str, Meta(description="ISO 4217, of the payout; empty: that of the conversion.", examples=["USD"])
    ] = ""
    disable_postback: Annotated[bool, Meta(description="true: no postback is sent for it.")] = False


class ReportedView(msgspec.Struct, kw_only=True):
    """What became of a report."""

    outcome: Annotated[
        Outcome, Meta(description="waiting: the click has not arrived yet; it is tried for ten minutes.")
    ]
    notice: NoticeView
    conversion: Annotated[ConversionView | None, Meta(description="As it stands now; null while it waits.")]


class ChangeView(msgspec.Struct, kw_only=True):
    """An entry of a conversion's history."""

    version: int
    at: Moment
    notice_id: str
    before: Annotated[ConversionView | None, Meta(description="null: it was new.")]
    after: ConversionView


class ConversionHistoryView(msgspec.Struct, kw_only=True):
    """A conversion and how it came to be what it is."""

    conversion: ConversionView
    history: list[ChangeView]


Wanted = NamedDependency[SkipValidation[ConversionFilter]]


def report_conversion(
    context: Context, request: AnyRequest, data: JSONBody[ConversionReport]
) -> Response[ReportedView]:
    """Registers a conversion as a network's postback would, and owes its postbacks in the same transaction.

    201: new; 200: changed, or a repeat; 202: it waits for its click; 422: refused, with the reason. Every report is kept
    in Conversions - In. Safe to send again: what counts is the pair of click_id and txid.
    """
    given = given_of(data)
    door = Door.HAND if data.by_hand else Door.API
    result = convert(context.desk(), given, door, context.clock(), request.client.host if request.client else "")
    context.on_postbacks_owed()
    if data.by_hand:
        _note_by_hand(context, result)
    if result.reason is not None:
        fault = Fault("click_id", result.reason, result.reason.sentence)
        raise InvalidInputError((fault,))
    return Response(_reported(result), status_code=_STATUS[result.outcome])


def change_conversion(
    context: Context, conversion_id: RecordIdPath, data: JSONBody[ConversionCorrection]
) -> ReportedView:
    """Changes status or payout by hand: a notice of its own in Conversions - In, which owes postbacks like any other."""
    with context.ledger.read() as tx:
        known = find_conversion(tx, conversion_id.lower())
        statuses = status_table(tx)
        network = NETWORKS.find(tx, known.click.network_id) if known else None
    if known is None:
        raise not_found("conversion of that id")
    own = network.status_words if network else {}
    status = statuses.of_word(data.status, own) if data.status.strip() else None
    faults = _change_faults(data, status)
    if faults:
        raise InvalidInputError(tuple(faults))
    given = GivenConversion(
        click_id=known.click.click_id,
        txid=known.txid,
        status=data.status.strip(),
        payout=data.payout,
        currency=data.currency or (known.payout.currency if data.payout else ""),
        disable_postback=data.disable_postback,
    )
    result = convert(context.desk(), given, Door.HAND, context.clock())
    context.on_postbacks_owed()
    _note_by_hand(context, result)
    if result.reason is not None:
        raise InvalidInputError((Fault("", result.reason, result.reason.sentence),))
    return _reported(result)


def list_conversions(context: Context, wanted: Wanted, limit: Limit = 50, cursor: Cursor = "") -> Page[ConversionView]:
    """Conversions, the newest first."""
    before = read_cursor(NOUN, cursor) or None
    with context.ledger.read() as tx:
        refuse_unknown_status(tx, wanted.status)
        found = conversions_before(tx, wanted, before, limit + 1)
    return page_of(found, limit, NOUN, lambda conversion: conversion.conversion_id, conversion_view)


def export_conversions(context: Context, wanted: Wanted, columns: ChosenColumns = "") -> Stream:
    """Conversions as CSV, the newest first."""
    return exported(
        context, NOUN, chosen_columns(CONVERSION_COLUMNS, columns), partial(list_conversions, context, wanted)
    )


def read_conversion(context: Context, conversion_id: RecordIdPath) -> ConversionHistoryView:
    """One conversion and its changes, the first one first. Of more than 500 changes the newest are there: the versions say so."""
    with context.ledger.read() as tx:
        conversion = find_conversion(tx, conversion_id.lower())
        changes = newest_changes(tx, [conversion_id.lower()], MAX_CHANGES)
    if conversion is None:
        raise not_found("conversion of that id")
    return ConversionHistoryView(
        conversion=conversion_view(conversion), history=[_change_view(change) for change in changes]
    )


_STATUS = {Outcome.NEW: 201, Outcome.CHANGED: 200, Outcome.REPEATED: 200, Outcome.WAITING: 202}


def given_of(data: ConversionReport) -> GivenConversion:
    """The report as the notice it becomes. A network's slips are forgiven; a caller of the API is told of his: InvalidInputError."""
    faults: list[Fault] = []
    for field, most in (("click_id", 100), ("txid", MAX_TXID), ("status", 200), ("conversion_id", 200), ("at", 40)):
        faults += text_faults(field, getattr(data, field), most, required=field == "click_id")
    faults += _money_faults(data.payout, data.currency)
    params = _numbered("params", "param", PARAMS, data.params, faults)
    events = _numbered("events", "event", EVENTS, data.events, faults)
    if faults:
        raise InvalidInputError(tuple(faults))
    return GivenConversion(
        click_id=data.click_id,
        payout=data.payout,
        status=data.status,
        txid=data.txid,
        currency=data.currency,
        at=data.at,
        conversion_id=data.conversion_id,
        params=params,
        events=events,
        disable_postback=data.disable_postback,
    )


def _change_faults(data: ConversionCorrection, status: Status | None) -> list[Fault]:
    faults = _money_faults(data.payout, data.currency)
    if data.status.strip() and status is None:
        faults.append(Fault("status", FaultCode.NOT_FOUND, "There is no status of that key or word."))
    if data.currency and not data.payout:
        faults.append(Fault("payout", FaultCode.REQUIRED, "A currency alone changes nothing: give the payout with it."))
    if not data.status.strip() and not data.payout:
        faults.append(Fault("", FaultCode.REQUIRED, "Nothing would change: give a status or a payout."))
    return faults


def _money_faults(payout: str, currency: str) -> list[Fault]:
    faults = []
    if payout and isinstance(read_amount(payout), AmountFault):
        sentence = "It is not a decimal with at most 12 digits before the point."
        faults.append(Fault("payout", FaultCode.NOT_AN_AMOUNT, sentence))
    if currency and currency_of(currency) is None:
        faults.append(Fault("currency", FaultCode.NOT_A_CURRENCY, "It is not a currency of ISO 4217."))
    return faults


def _numbered(field: str, prefix: str, most: int, given: dict[str, str], faults: list[Fault]) -> dict[int, str]:
    numbers = {f"{prefix}{number}": number for number in range(1, most + 1)}
    for name, value in given.items():
        place = f"{field}.{name[:50]}"
        if name not in numbers:
            faults.append(Fault(place, FaultCode.UNKNOWN_FIELD, f"{prefix}1 to {prefix}{most} are known."))
        elif prefix == "event" and isinstance(read_amount(value), AmountFault):
            faults.append(Fault(place, FaultCode.NOT_AN_AMOUNT, "A decimal is expected."))
        else:
            faults += text_faults(place, value, 1000)
    return {numbers[name]: value for name, value in given.items() if name in numbers}


def _reported(result: NoticeResult) -> ReportedView:
    conversion = conversion_view(result.conversion) if result.conversion else None
    return ReportedView(outcome=result.outcome, notice=notice_view(result.notice), conversion=conversion)


def _note_by_hand(context: ApiContext, result: NoticeResult) -> None:
    """A person's report, whatever came of it; what programs report stands in Conversions - In alone."""
    view = notice_view(result.notice)
    with context.ledger.write() as tx:
        note_change(tx, context, NOUN, view.conversion_id or view.notice_id, after=view, action=Action.CONVERTED)


def _change_view(change: RecordedChange) -> ChangeView:
    return ChangeView(
        version=change.version,
        at=moment_text(change.at),
        notice_id=change.notice_id,
        before=conversion_view(change.before) if change.before else None,
        after=conversion_view(change.after),
    )


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/", dto=StrictBody, return_dto=None, sync_to_thread=True, summary="Report a conversion")(
            report_conversion
        ),
        get("/", sync_to_thread=True, summary="List conversions")(list_conversions),
        get("/export", sync_to_thread=True, media_type="text/csv", summary="Export conversions as CSV")(
            export_conversions
        ),
        get("/{conversion_id:str}", sync_to_thread=True, summary="Read a conversion with its history")(read_conversion),
        patch(
            "/{conversion_id:str}",
            dto=StrictBody,
            return_dto=None,
            sync_to_thread=True,
            summary="Change a conversion by hand",
        )(change_conversion),
    ],
    dependencies={"wanted": from_query(ConversionFilter)},
    tags=["Conversions"],
)
