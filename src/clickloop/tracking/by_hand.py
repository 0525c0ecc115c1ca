"""Conversions reported over the API or by hand, and corrections: each becomes a notice, which creates postbacks like any other."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.conversion.conversion_input import ConversionInput
from clickloop.conversion.notice import Channel
from clickloop.conversion.notice_log import NoticeOutcome
from clickloop.conversion.reported import ConversionCorrection, ConversionReport, conversion_input_of, correction_faults
from clickloop.logs.conversion_view import ConversionView, conversion_view
from clickloop.logs.listing import CONVERSIONS
from clickloop.logs.notice_view import NoticeView, notice_view
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.store.ledger.logs.audit_entry import ActorContext, record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.logs.conversions import find_conversion
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.store.ledger.setup.statuses import status_table
from clickloop.tracking.notices import Intake, NoticeResult, convert


class ReportedView(msgspec.Struct, kw_only=True):
    """The result of a report."""

    outcome: Annotated[
        NoticeOutcome, Meta(description="waiting if the click has not arrived yet. It is looked up for ten minutes.")
    ]
    notice: NoticeView
    conversion: Annotated[
        ConversionView | None, Meta(description="Its current state. null while the report waits for its click.")
    ]


def report_conversion(
    intake: Intake, context: ActorContext, report: ConversionReport, address: str, on_postbacks_owed: Callable[[], None]
) -> ReportedView:
    """Register a conversion. Raise InvalidInputError for faulty fields, and for a report that is refused.

    ``address`` is the reporter's IP address. ``on_postbacks_owed`` is called after the transaction.
    """
    channel = Channel.HAND if report.by_hand else Channel.API
    result = convert(intake, conversion_input_of(report), channel, context.clock(), address)
    on_postbacks_owed()
    if report.by_hand:
        _record_by_hand(context, result)
    return _accepted(result, "click_id")


def correct_conversion(
    intake: Intake,
    context: ActorContext,
    conversion_id: str,
    correction: ConversionCorrection,
    on_postbacks_owed: Callable[[], None],
) -> ReportedView | None:
    """Change a conversion's status or payout by hand. Return None if there is no conversion of that id. Raise InvalidInputError."""
    with context.ledger.read() as tx:
        known = find_conversion(tx, conversion_id)
        if known is None:
            return None
        statuses = status_table(tx)
        network = NETWORKS.find(tx, known.click.network_id)
    own_words = network.status_words if network else {}
    status = statuses.of_word(correction.status, own_words) if correction.status.strip() else None
    if faults := correction_faults(correction, status):
        raise InvalidInputError(tuple(faults))
    data = ConversionInput(
        click_id=known.click.click_id,
        txid=known.txid,
        status=correction.status.strip(),
        payout=correction.payout,
        currency=correction.currency or (known.payout.currency if correction.payout else ""),
        disable_postback=correction.disable_postback,
    )
    result = convert(intake, data, Channel.HAND, context.clock())
    on_postbacks_owed()
    _record_by_hand(context, result)
    return _accepted(result, "")


def _accepted(result: NoticeResult, field: str) -> ReportedView:
    if result.reason is not None:
        raise InvalidInputError((FieldFault(field, result.reason, result.reason.sentence),))
    conversion = conversion_view(result.conversion) if result.conversion else None
    return ReportedView(outcome=result.outcome, notice=notice_view(result.notice), conversion=conversion)


def _record_by_hand(context: ActorContext, result: NoticeResult) -> None:
    """Write a person's report into the log of changes, refused ones too; programs' reports are in Conversions - In only."""
    view = notice_view(result.notice)
    with context.ledger.write() as tx:
        record_change(
            tx, context, CONVERSIONS, view.conversion_id or view.notice_id, after=view, action=Action.CONVERTED
        )
