"""Which postbacks something is done with: the fields that narrow it, shared by sending again and cancelling."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.campaign.fault import FaultCode
from clickloop.postback.owing import SkipReason
from clickloop.postback.state import PostbackState
from clickloop.store.ledger.resends import ResendFilter
from clickloop.web.api.log_words import period_of
from clickloop.web.api.paging import LARGEST_ID
from clickloop.web.api.problem import invalid

Number = Annotated[int, Meta(ge=1, le=LARGEST_ID)]


class WaitingState(enum.StrEnum):
    """The states in which a postback can be cancelled. Paused: it waits, and its rule or its receiver is paused."""

    WAITING = PostbackState.WAITING
    PAUSED = PostbackState.PAUSED


class AskedState(enum.StrEnum):
    """The states in which a postback can be asked for again; what waits or is paused is replaced."""

    DELIVERED = PostbackState.DELIVERED
    FAILED = PostbackState.FAILED
    SKIPPED = PostbackState.SKIPPED
    CANCELLED = PostbackState.CANCELLED
    WAITING = PostbackState.WAITING
    PAUSED = PostbackState.PAUSED


class PostbackChoice(msgspec.Struct, kw_only=True):
    """Which postbacks. At least one of the fields that narrow it is needed."""

    status: Annotated[str, Meta(description="Only of conversions that have this status now.", max_length=32)] | None = (
        None
    )
    source_id: Number | None = None
    campaign_id: Number | None = None
    rule_id: Number | None = None
    click_id: Annotated[str, Meta(max_length=26)] | None = None
    conversion_id: Annotated[str, Meta(max_length=26)] | None = None
    since: Annotated[str, Meta(description="Owed or skipped from this moment on, ISO 8601.", max_length=40)] = ""
    until: Annotated[str, Meta(description="Before this moment.", max_length=40)] = ""


def filter_of(
    chosen: PostbackChoice, state: WaitingState | AskedState | None, reason: SkipReason | None = None
) -> ResendFilter:
    """The choice as a filter. Raises InvalidInputError when nothing narrows it down."""
    wanted = ResendFilter(
        state=PostbackState(state) if state else None,
        reason=reason,
        status=chosen.status,
        campaign_id=chosen.campaign_id,
        source_id=chosen.source_id,
        rule_id=chosen.rule_id,
        click_id=chosen.click_id.strip().lower() if chosen.click_id else None,
        conversion_id=chosen.conversion_id,
        period=period_of(chosen.since, chosen.until),
    )
    if wanted == ResendFilter():
        sentence = "Nothing narrows it down: give at least a state, a reason, a status, an owner, a click, a conversion or a period."
        raise invalid("", FaultCode.REQUIRED, sentence)
    return wanted
