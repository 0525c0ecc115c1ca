"""A postback, its decision and its attempts as the API, the panel and exports show them."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.logs.view import view_of
from clickloop.postback.due import ConditionResult, SkipReason
from clickloop.postback.masking import masked_request, masked_text
from clickloop.postback.pause_reason import PauseReason
from clickloop.postback.postback_log import Postback, view_of_subject
from clickloop.postback.rule import PostbackRequest
from clickloop.postback.state import PostbackState
from clickloop.store.ledger.logs.postbacks import attempts_of, find_postback, latest_resend_of
from clickloop.text import readable


class HeaderView(msgspec.Struct, kw_only=True):
    """An HTTP header."""

    name: str
    value: str


class SentRequestView(msgspec.Struct, kw_only=True):
    """The request, the same for every attempt. Secrets are masked."""

    method: str
    url: Annotated[str, Meta(examples=["https://source.example/postback?id=w9Xk2-7fA&payout=12.5"])]
    headers: list[HeaderView]
    body: str


class FindingView(msgspec.Struct, kw_only=True):
    """The result of one condition."""

    condition: SkipReason
    met: bool
    detail: str


class AttemptView(msgspec.Struct, kw_only=True):
    """One attempt to deliver a postback."""

    number: int
    started_at: Moment
    finished_at: Moment | None
    result: Annotated[
        str | None, Meta(description="delivered, again, failed or unknown. null while it is in progress.")
    ]
    status_code: int | None
    answer: Annotated[str, Meta(description="The start of the response body.")]
    error: str
    duration_ms: int | None


class PostbackView(msgspec.Struct, kw_only=True):
    """A postback, which is sent to a receiver or skipped for a reason."""

    postback_id: str
    conversion_id: Annotated[str, Meta(description="Of a scheduled view: view- and its number.")]
    view_id: Annotated[int | None, Meta(description="The view that it sends. null for one of a conversion.")]
    version: Annotated[int, Meta(description="The conversion's version that it reports, or the number of the run.")]
    rule_id: int
    rule_name: str
    resend: Annotated[int, Meta(description="0 for the original, n for the nth resend.")]
    original_id: Annotated[str | None, Meta(description="The original of a resend. Its ID is the one that is sent.")]
    click_id: str
    campaign_id: int
    source_id: int
    trigger: Annotated[str, Meta(description="new, status, payout, details, resend or view.")]
    state: PostbackState
    reason: Annotated[SkipReason | None, Meta(description="Why it was skipped.")]
    reason_text: Annotated[str, Meta(description="The reason as a sentence. Empty unless it was skipped.")]
    paused_by: Annotated[PauseReason | None, Meta(description="Why it is on hold. null unless its state is paused.")]
    paused_text: Annotated[str, Meta(description="The same as a sentence. Empty unless it is on hold.")]
    request: SentRequestView | None
    receiver: Annotated[str, Meta(description="Host and port.", examples=["source.example:443"])]
    attempts: Annotated[int, Meta(description="Number of attempts so far.")]
    next_attempt_at: Moment | None
    created_at: Moment
    finished_at: Moment | None
    last_status_code: int | None
    last_error: str
    last_answer: str
    last_duration_ms: int | None


class PostbackStoryView(msgspec.Struct, kw_only=True):
    """A postback, the result of each condition of its rule, and every attempt."""

    postback: PostbackView
    sent_again: Annotated[
        PostbackView | None,
        Meta(description="The latest resend for the same change and rule. null if there is none."),
    ]
    findings: list[FindingView]
    attempts: list[AttemptView]


def postback_view(postback: Postback, *, masked: bool = True) -> PostbackView:
    """Return the view of a postback."""
    secrets = _secrets_of(postback)
    return view_of(
        PostbackView,
        postback,
        view_id=view_of_subject(postback.conversion_id),
        reason_text=postback.reason.sentence if postback.reason else "",
        paused_by=postback.hold,
        paused_text=postback.hold.sentence if postback.hold else "",
        request=request_view(postback.request, masked=masked) if postback.request else None,
        receiver=postback.receiver,
        last_error=_response_text(postback.last_error, secrets, masked=masked),
        last_answer=_response_text(postback.last_answer, secrets, masked=masked),
    )


def request_view(request: PostbackRequest, *, masked: bool = True) -> SentRequestView:
    """Return the view of a request."""
    shown = masked_request(request) if masked else request
    return view_of(SentRequestView, shown, headers=[view_of(HeaderView, header) for header in shown.headers])


def finding_views(findings: Sequence[ConditionResult]) -> list[FindingView]:
    """Return the view of the conditions of a decision."""
    return [view_of(FindingView, finding) for finding in findings]


def find_postback_story(tx: Connection, postback_id: str, *, masked: bool = True) -> PostbackStoryView | None:
    """Return the view of a postback with its decision and its attempts."""
    postback = find_postback(tx, postback_id)
    if postback is None:
        return None
    again = latest_resend_of(tx, postback)
    secrets = _secrets_of(postback)
    return PostbackStoryView(
        postback=postback_view(postback, masked=masked),
        sent_again=postback_view(again) if again else None,
        findings=finding_views(postback.findings),
        attempts=[
            view_of(
                AttemptView,
                attempt,
                answer=_response_text(attempt.answer, secrets, masked=masked),
                error=_response_text(attempt.error, secrets, masked=masked),
            )
            for attempt in attempts_of(tx, [postback_id]).get(postback_id, ())
        ],
    )


def _secrets_of(postback: Postback) -> tuple[str, ...]:
    """Return the secrets of the request: a receiver's answer may repeat them."""
    return postback.request.secrets if postback.request else ()


def _response_text(response: bytes | str | None, secrets: tuple[str, ...], *, masked: bool) -> str:
    text = response.decode("utf-8", "replace") if isinstance(response, bytes) else response or ""
    return readable(masked_text(text, secrets) if masked else text)
