"""/postbacks: Conversions - Out, everything that was sent, or not sent and why, with every attempt."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import msgspec
from litestar import Router, get
from litestar.di import NamedDependency
from litestar.exceptions import PermissionDeniedException
from litestar.params import QueryParameter, SkipValidation
from litestar.response import Stream
from msgspec import Meta

from clickloop.postback.due import Finding, SkipReason
from clickloop.postback.holding import Hold
from clickloop.postback.masking import masked_request, masked_text
from clickloop.postback.postback_log import Attempt, Postback, PostbackFilter
from clickloop.postback.rule import Request
from clickloop.postback.state import PostbackState
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.logs.postbacks import attempts_of, find_postback, postbacks_before, sent_again_as
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.logs.columns import POSTBACK_COLUMNS, chosen_columns
from clickloop.web.api.logs.log_csv import ChosenColumns, exported
from clickloop.web.api.noting import note_change
from clickloop.web.api.paging import Cursor, Limit, Page, RecordIdPath, page_of, read_cursor
from clickloop.web.api.problem import not_found
from clickloop.web.api.query import from_query
from clickloop.web.api.wire import Moment, moment_text, optional_moment_text, shown

NOUN = "postbacks"


class HeaderView(msgspec.Struct, kw_only=True):
    """A header line."""

    name: str
    value: str


class SentRequestView(msgspec.Struct, kw_only=True):
    """The request as it is sent at every attempt, secrets masked."""

    method: str
    url: Annotated[str, Meta(examples=["https://source.example/postback?id=w9Xk2-7fA&payout=12.5"])]
    headers: list[HeaderView]
    body: str


class FindingView(msgspec.Struct, kw_only=True):
    """What became of one condition."""

    condition: SkipReason
    met: bool
    detail: str


class AttemptView(msgspec.Struct, kw_only=True):
    """One attempt."""

    number: int
    started_at: Moment
    finished_at: Moment | None
    result: Annotated[str | None, Meta(description="delivered, again, failed or unknown; null: under way.")]
    status_code: int | None
    answer: Annotated[str, Meta(description="The beginning of the answer's body.")]
    error: str
    duration_ms: int | None


class PostbackView(msgspec.Struct, kw_only=True):
    """A postback: owed to a receiver, or skipped with a reason."""

    postback_id: str
    conversion_id: str
    version: Annotated[int, Meta(description="The change of the conversion that it is for.")]
    rule_id: int
    rule_name: str
    resend: Annotated[int, Meta(description="0: the original; n: asked for again the nth time.")]
    original_id: Annotated[str | None, Meta(description="Of a resend: the original, whose id the receiver is told.")]
    click_id: str
    campaign_id: int
    source_id: int
    trigger: Annotated[str, Meta(description="new, status, payout, details or resend.")]
    state: PostbackState
    reason: Annotated[SkipReason | None, Meta(description="Why it was skipped.")]
    reason_text: Annotated[str, Meta(description="The reason for people; empty: it was not skipped.")]
    paused_by: Annotated[Hold | None, Meta(description="What holds it back, when its state is paused.")]
    paused_text: Annotated[str, Meta(description="The same for people; empty: it is not paused.")]
    request: SentRequestView | None
    receiver: Annotated[str, Meta(description="Host and port.", examples=["source.example:443"])]
    attempts: Annotated[int, Meta(description="How many there were.")]
    next_attempt_at: Moment | None
    created_at: Moment
    finished_at: Moment | None
    last_status_code: int | None
    last_error: str
    last_answer: str
    last_duration_ms: int | None


class PostbackStoryView(msgspec.Struct, kw_only=True):
    """A postback with its decision, condition by condition, and every attempt."""

    postback: PostbackView
    sent_again: Annotated[
        PostbackView | None,
        Meta(description="The last postback for the same change and rule, if this one was sent again."),
    ]
    findings: list[FindingView]
    attempts: list[AttemptView]


Secrets = Annotated[bool, QueryParameter(description="true: secrets are not masked, which the log of changes tells.")]


Wanted = NamedDependency[SkipValidation[PostbackFilter]]


def list_postbacks(context: Context, wanted: Wanted, limit: Limit = 50, cursor: Cursor = "") -> Page[PostbackView]:
    """Postbacks, the newest first."""
    before = read_cursor(NOUN, cursor) or None
    with context.ledger.read() as tx:
        found = postbacks_before(tx, wanted, before, limit + 1)
    return page_of(found, limit, NOUN, lambda postback: postback.postback_id, postback_view)


def export_postbacks(context: Context, wanted: Wanted, columns: ChosenColumns = "") -> Stream:
    """Postbacks as CSV, the newest first."""
    return exported(context, NOUN, chosen_columns(POSTBACK_COLUMNS, columns), partial(list_postbacks, context, wanted))


def read_postback(context: Context, postback_id: RecordIdPath, secrets: Secrets = False) -> PostbackStoryView:
    """One postback, why it was owed or skipped, and every attempt."""
    if secrets:
        note_secrets_shown(context, postback_id.lower())
    with context.ledger.read() as tx:
        postback = find_postback(tx, postback_id.lower())
        attempts = attempts_of(tx, [postback_id.lower()]).get(postback_id.lower(), ())
        again = sent_again_as(tx, postback) if postback else None
    if postback is None:
        raise not_found("postback of that id")
    return PostbackStoryView(
        postback=postback_view(postback, masked=not secrets),
        sent_again=postback_view(again) if again else None,
        findings=finding_views(postback.findings),
        attempts=[_attempt_view(attempt, _secrets_of(postback), masked=not secrets) for attempt in attempts],
    )


def note_secrets_shown(context: ApiContext, postback_id: str) -> None:
    """Writes into the log of changes that somebody is shown the secrets of a request. Raises a 403 for who may not see them."""
    if not context.shows_secrets:
        raise PermissionDeniedException("Your role may not see secrets: leave out secrets=true.")
    with context.ledger.write() as tx:
        if find_postback(tx, postback_id) is None:
            raise not_found("postback of that id")
        note_change(tx, context, NOUN, postback_id, action=Action.SECRETS_SHOWN)


def postback_view(postback: Postback, *, masked: bool = True) -> PostbackView:
    """A postback for JSON."""
    secrets = _secrets_of(postback)
    return PostbackView(
        postback_id=postback.postback_id,
        conversion_id=postback.conversion_id,
        version=postback.version,
        rule_id=postback.rule_id,
        rule_name=shown(postback.rule_name),
        resend=postback.resend,
        original_id=postback.original_id,
        click_id=postback.click_id,
        campaign_id=postback.campaign_id,
        source_id=postback.source_id,
        trigger=postback.trigger,
        state=postback.state,
        reason=postback.reason,
        reason_text=postback.reason.sentence if postback.reason else "",
        paused_by=postback.hold,
        paused_text=postback.hold.sentence if postback.hold else "",
        request=request_view(postback.request, masked=masked) if postback.request else None,
        receiver=postback.lane,
        attempts=postback.attempts,
        next_attempt_at=optional_moment_text(postback.next_attempt_at),
        created_at=moment_text(postback.created_at),
        finished_at=optional_moment_text(postback.finished_at),
        last_status_code=postback.last_status_code,
        last_error=_told(postback.last_error or "", secrets, masked=masked),
        last_answer=_told(postback.last_answer or b"", secrets, masked=masked),
        last_duration_ms=postback.last_duration_ms,
    )


def request_view(request: Request, *, masked: bool = True) -> SentRequestView:
    """A request for JSON."""
    told = masked_request(request) if masked else request
    return SentRequestView(
        method=told.method,
        url=told.url,
        headers=[HeaderView(name=header.name, value=shown(header.value)) for header in told.headers],
        body=shown(told.body),
    )


def finding_views(findings: Sequence[Finding]) -> list[FindingView]:
    """A decision, condition by condition, for JSON."""
    return [
        FindingView(condition=finding.condition, met=finding.met, detail=shown(finding.detail)) for finding in findings
    ]


def _attempt_view(attempt: Attempt, secrets: tuple[str, ...], *, masked: bool) -> AttemptView:
    return AttemptView(
        number=attempt.number,
        started_at=moment_text(attempt.started_at),
        finished_at=optional_moment_text(attempt.finished_at),
        result=attempt.result,
        status_code=attempt.status_code,
        answer=_told(attempt.answer or b"", secrets, masked=masked),
        error=_told(attempt.error or "", secrets, masked=masked),
        duration_ms=attempt.duration_ms,
    )


def _secrets_of(postback: Postback) -> tuple[str, ...]:
    """What a receiver may have got, and must not be shown even where it repeats it."""
    return postback.request.secrets if postback.request else ()


def _told(answer: bytes | str, secrets: tuple[str, ...], *, masked: bool) -> str:
    text = answer if isinstance(answer, str) else answer.decode("utf-8", "replace")
    return shown(masked_text(text, secrets) if masked else text)


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List postbacks")(list_postbacks),
        get("/export", sync_to_thread=True, media_type="text/csv", summary="Export postbacks as CSV")(export_postbacks),
        get("/{postback_id:str}", sync_to_thread=True, summary="Read a postback with its attempts")(read_postback),
    ],
    dependencies={"wanted": from_query(PostbackFilter)},
    tags=["Postbacks"],
)
