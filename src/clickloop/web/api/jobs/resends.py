"""Actions on postbacks: resend one or many, cancel one, copy one as a curl command."""

from typing import Annotated

import msgspec
from litestar import Response, Router, get, post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.log_filter import extract_filter
from clickloop.logs.filter_checks import check_status, require_filter
from clickloop.logs.listing import POSTBACKS
from clickloop.logs.page import Page
from clickloop.logs.postback_view import PostbackView, postback_view
from clickloop.postback.curl import curl_command
from clickloop.postback.masking import masked_request
from clickloop.postback.postback_log import PostbackFilter, ResendFilter
from clickloop.postback.rule import LOST_REQUEST
from clickloop.postback.state import PostbackState
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.logs.postbacks import find_postback
from clickloop.store.ledger.queue.resends import cancel_waiting
from clickloop.tracking.jobs.idempotency import NewAnswer
from clickloop.tracking.jobs.resends import RESENDS, BulkResendView, ResendModeField, preview_resends
from clickloop.tracking.resending import NotResentReason, ResendMode, ResendRefusal, resend_one, start_resend_job
from clickloop.web.api.context import Context
from clickloop.web.api.logs.postbacks import Secrets, record_secrets_shown
from clickloop.web.api.once import Key, once
from clickloop.web.api.paging import Cursor, Limit, RecordIdPath
from clickloop.web.api.problem import AnyRequest, expect_found, not_found


class OneResend(msgspec.Struct, kw_only=True):
    """How to resend a postback."""

    request: ResendModeField = ResendMode.AS_IT_WAS
    force: Annotated[
        bool, Meta(description="true to resend it even if a newer change of the conversion has been sent.")
    ] = False


class BulkResend(ResendFilter, frozen=True, omit_defaults=True, kw_only=True):
    """The postbacks to resend, and how. At least one filter is required."""

    request: ResendModeField = ResendMode.AS_IT_WAS
    preview: Annotated[bool, Meta(description="true to only count. Nothing is sent or stored.")] = False


def resend_postback(
    context: Context, request: AnyRequest, postback_id: RecordIdPath, data: JSONBody[OneResend], key: Key = ""
) -> Response[PostbackView]:
    """Create a new postback for the same change and rule, and send it at once.

    The receiver can tell that it is a repeat: `{postback_id}` is still the original's, and the header X-Clickloop-Attempt
    continues counting. A skipped postback can only be rebuilt (`anew`), and only if the current rule does not skip it: 422 says
    why. `force` releases one whose notice asked for no postback. A waiting postback is cancelled and replaced. 409: it is being
    sent, or a newer change of the conversion has been sent, which `force` overrides.
    """

    def do(tx: Connection) -> NewAnswer:
        made = resend_one(tx, context.intake(), postback_id.lower(), data.request, context.clock(), force=data.force)
        if made is None:
            raise not_found("postback with that ID")
        if isinstance(made, ResendRefusal):
            if made.why in (NotResentReason.UNDER_WAY, NotResentReason.SUPERSEDED):
                raise HTTPException(status_code=409, detail=made.sentence)
            raise InvalidInputError((FieldFault("request", made.why, made.sentence),))
        found = find_postback(tx, made.postback_id)
        assert found is not None
        view = postback_view(found)
        record_change(tx, context, POSTBACKS, view.postback_id, after=view, action=Action.RESENT)
        return NewAnswer(201, view)

    answer = once(context, request, key, data, do)
    context.on_postbacks_owed()
    return answer


def resend_postbacks(
    context: Context, request: AnyRequest, data: JSONBody[BulkResend], key: Key = ""
) -> Response[BulkResendView]:
    """Start a job that resends all postbacks that match now.

    Only the latest postback of each change and rule counts, so one that was resent and delivered does not match `failed`. An
    older change is left out if a newer one of its conversion and rule has been sent. Waiting postbacks are only included if you
    filter by their state; they are then sent at once. Postbacks whose notice asked for none are only released if you filter by
    that reason. Use `preview` to count first. See the progress at `GET /postbacks/resends/{resend_id}`.
    """
    wanted = extract_filter(data, PostbackFilter)
    require_filter(wanted)
    with context.ledger.read() as tx:
        check_status(tx, data.status)
        if data.preview:
            return Response(preview_resends(tx, wanted, data.request), status_code=200)

    def do(tx: Connection) -> NewAnswer:
        job = start_resend_job(tx, context.intake(), wanted, data.request, context.clock())
        return NewAnswer(202, RESENDS.started(tx, context, job, data, Action.RESENT))

    return once(context, request, key, data, do)


def list_resends(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[BulkResendView]:
    """List jobs that resend postbacks, newest first."""
    return RESENDS.page(context, limit, cursor)


def read_resend(context: Context, resend_id: RecordIdPath) -> BulkResendView:
    """Return a job that resends postbacks."""
    return expect_found(RESENDS.find(context, resend_id.lower()), "resend with that ID")


def stop_resend(context: Context, resend_id: RecordIdPath) -> BulkResendView:
    """Stop a job. Postbacks it has created are sent. A rule to be resumed stays paused. A job that has ended is left alone."""
    return expect_found(RESENDS.stop(context, resend_id.lower()), "resend with that ID")


def cancel_postback(context: Context, postback_id: RecordIdPath) -> PostbackView:
    """Cancel a waiting postback. It can be resent later. 409: it is being sent, or has ended."""
    with context.ledger.write() as tx:
        cancelled = cancel_waiting(tx, postback_id.lower(), context.clock())
        found = find_postback(tx, postback_id.lower())
        if cancelled and found is not None:
            view = postback_view(found)
            record_change(tx, context, POSTBACKS, view.postback_id, after=view, action=Action.CANCELLED)
    if found is None:
        raise not_found("postback with that ID")
    if not cancelled and found.state is not PostbackState.CANCELLED:
        is_sending = found.state is PostbackState.SENDING
        remedy = "Try again when this attempt has ended." if is_sending else "There is nothing left to cancel."
        raise HTTPException(
            status_code=409, detail=f"Only waiting postbacks can be cancelled, and this one is {found.state}. {remedy}"
        )
    return postback_view(found)


def copy_as_curl(context: Context, postback_id: RecordIdPath, secrets: Secrets = False) -> str:
    """Return the request as a shell command. Secrets are masked by default. 409: it was skipped, so there is no request."""
    if secrets:
        record_secrets_shown(context, postback_id.lower())
    with context.ledger.read() as tx:
        found = find_postback(tx, postback_id.lower())
    if found is None:
        raise not_found("postback with that ID")
    if found.request is None:
        raise HTTPException(
            status_code=409, detail=LOST_REQUEST if found.reason is None else "It was skipped, so there is no request."
        )
    return curl_command(found.request if secrets else masked_request(found.request))


router = Router(
    f"/{POSTBACKS}",
    route_handlers=[
        post("/{postback_id:str}/resend", status_code=201, sync_to_thread=True, summary="Resend a postback")(
            resend_postback
        ),
        post("/resend", status_code=202, sync_to_thread=True, summary="Resend many postbacks")(resend_postbacks),
        get("/resends", sync_to_thread=True, summary="List resends")(list_resends),
        get("/resends/{resend_id:str}", sync_to_thread=True, summary="Read a resend and its progress")(read_resend),
        post("/resends/{resend_id:str}/stop", status_code=200, sync_to_thread=True, summary="Stop a resend")(
            stop_resend
        ),
        post("/{postback_id:str}/cancel", status_code=200, sync_to_thread=True, summary="Cancel a postback")(
            cancel_postback
        ),
        get(
            "/{postback_id:str}/curl",
            sync_to_thread=True,
            summary="Copy a postback as a curl command",
            media_type="text/plain",
        )(copy_as_curl),
    ],
    tags=["Postbacks"],
)
