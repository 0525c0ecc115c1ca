"""Conversions - Out: a postback in the log, its attempts, and the filters of the log, of resends and of cancels."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.log_filter import ClickIdFilter, ConversionIdFilter, LogFilter, RecordNumber
from clickloop.postback.due import ConditionResult, DuePostback, SkippedPostback, SkipReason
from clickloop.postback.pause_reason import PauseReason
from clickloop.postback.rule import PostbackRequest
from clickloop.postback.state import PostbackState

VIEW_PREFIX = "view-"
"""Before a view's number, in place of the id of a conversion. The version is the number of its run."""


def subject_of_view(view_id: int) -> str:
    """Return what the postbacks of a view have in place of a conversion, so that they are sent in order."""
    return f"{VIEW_PREFIX}{view_id}"


def view_of_subject(conversion_id: str) -> int | None:
    """Return the number of the view that a postback sends, None for one of a conversion."""
    number = conversion_id.removeprefix(VIEW_PREFIX)
    return int(number) if number != conversion_id and number.isdecimal() else None


class NewPostback(msgspec.Struct, frozen=True, kw_only=True):
    """A decision to store: one rule for one change of a conversion."""

    postback_id: str
    conversion_id: str
    version: int
    rule_id: int
    resend: int = 0
    original_id: str | None = None
    """For a resend, the original's postback id."""
    bulk_job_id: str | None = None
    """The bulk job that created it, if any."""
    click_id: str
    campaign_id: int
    source_id: int
    trigger: str
    """``new``, ``status``, ``payout``, ``details``, ``resend`` or ``view``."""
    decision: DuePostback | SkippedPostback
    receiver: str = ""
    """``host:port`` of the receiver; empty if skipped."""


class Postback(msgspec.Struct, frozen=True, kw_only=True):
    """A row of Conversions - Out. Times are Unix milliseconds; the fields of the last attempt are None if there was none."""

    postback_id: str
    conversion_id: str
    version: int
    rule_id: int
    rule_name: str
    resend: int
    original_id: str | None
    """For a resend, the original's id, which remains the value of ``{postback_id}``."""
    click_id: str
    campaign_id: int
    source_id: int
    trigger: str
    state: PostbackState
    hold: PauseReason | None
    """Why it is paused; None if it is not."""
    reason: SkipReason | None
    findings: tuple[ConditionResult, ...]
    request: PostbackRequest | None
    receiver: str
    attempts: int
    next_attempt_at: int | None
    created_at: int
    finished_at: int | None
    last_status_code: int | None
    last_error: str | None
    last_answer: bytes | None
    last_duration_ms: int | None


class PostbackAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt. ``result`` is None while it is under way. ``answer``: the first 1,000 bytes of the response body."""

    number: int
    started_at: int
    finished_at: int | None
    result: str | None
    status_code: int | None
    answer: bytes | None
    error: str | None
    duration_ms: int | None


class ResendableState(enum.StrEnum):
    """The states in which a postback can be resent. A waiting or paused one is replaced."""

    DELIVERED = PostbackState.DELIVERED
    FAILED = PostbackState.FAILED
    SKIPPED = PostbackState.SKIPPED
    CANCELLED = PostbackState.CANCELLED
    WAITING = PostbackState.WAITING
    PAUSED = PostbackState.PAUSED


class WaitingState(enum.StrEnum):
    """The states in which a postback can be cancelled."""

    WAITING = PostbackState.WAITING
    PAUSED = PostbackState.PAUSED


class PostbackChoice(LogFilter, frozen=True, omit_defaults=True, kw_only=True):
    """A filter of postbacks by what they are for. The period applies to when they were created or skipped."""

    campaign_id: RecordNumber = None
    source_id: RecordNumber = None
    rule_id: RecordNumber = None
    status: (
        Annotated[str, Meta(max_length=32, description="Only for conversions that now have this status.")] | None
    ) = None
    click_id: ClickIdFilter = None
    conversion_id: ConversionIdFilter = None


class PostbackFilter(PostbackChoice, frozen=True, omit_defaults=True, kw_only=True):
    """A filter of Conversions - Out."""

    state: Annotated[PostbackState, Meta(description="Only in this state.")] | None = None
    reason: Annotated[SkipReason, Meta(description="Only skipped for this reason.")] | None = None


class ResendFilter(PostbackChoice, frozen=True, omit_defaults=True, kw_only=True):
    """A filter of postbacks to resend. Only the last one of each change and rule is resent."""

    state: (
        Annotated[
            ResendableState,
            Meta(
                description="Only in this state. Defaults to all final states. A waiting or paused postback is replaced."
            ),
        ]
        | None
    ) = None
    reason: (
        Annotated[
            SkipReason,
            Meta(description="Only skipped for this reason. These have no original request, so rebuild them."),
        ]
        | None
    ) = None


class CancelFilter(PostbackChoice, frozen=True, omit_defaults=True, kw_only=True):
    """A filter of waiting postbacks to cancel."""

    state: Annotated[WaitingState, Meta(description="Only waiting or only paused ones. Defaults to both.")] | None = (
        None
    )
