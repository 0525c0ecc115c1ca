"""What can be done with postbacks: send one or many again, cancel one, copy one as a curl command."""

from typing import Annotated

import msgspec
from litestar import Response, Router, get, post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.log_filter import filter_in
from clickloop.logs.filter_checks import check_status, require_filter
from clickloop.logs.listing import POSTBACKS
from clickloop.logs.page import Page
from clickloop.logs.postback_view import PostbackView, postback_view
from clickloop.postback.curl import curl_command
from clickloop.postback.masking import masked_request
from clickloop.postback.postback_log import PostbackFilter, ResendFilter
from clickloop.postback.rule import LOST_REQUEST
from clickloop.postback.state import PostbackState
from clickloop.setup.fault import Fault, InvalidInputError
from clickloop.store.ledger.logs.audit_entry import note_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.logs.postbacks import find_postback
from clickloop.store.ledger.queue.resends import cancel_waiting
from clickloop.tracking.jobs.idempotency import Done
from clickloop.tracking.jobs.resends import RESENDS, BulkResendView, ResendMode, preview_resends
from clickloop.tracking.resending import Mode, NotResent, Refusal, resend_one, start_resends
from clickloop.web.api.context import Context
from clickloop.web.api.logs.postbacks import Secrets, note_secrets_shown
from clickloop.web.api.once import Key, once
from clickloop.web.api.paging import Cursor, Limit, RecordIdPath
from clickloop.web.api.problem import AnyRequest, expect_found, not_found


class OneResend(msgspec.Struct, kw_only=True):
    """How to send a postback again."""

    request: ResendMode = Mode.AS_IT_WAS
    force: Annotated[bool, Meta(description="true: also when a newer change of the conversion was sent since.")] = False


class BulkResend(ResendFilter, frozen=True, omit_defaults=True, kw_only=True):
    """Which postbacks to send again, and how. At least one of the fields that narrow it is needed."""

    request: ResendMode = Mode.AS_IT_WAS
    preview: Annotated[bool, Meta(description="true: only count; nothing is sent or stored.")] = False


def resend_postback(
    context: Context, request: AnyRequest, postback_id: RecordIdPath, data: JSONBody[OneResend], key: Key = ""
) -> Response[PostbackView]:
    """Makes a new row behind the last one for the same change and rule, and sends it at once.

    The receiver can tell that it is a repeat: `{postback_id}` stays that of the original, and the header X-Clickloop-Attempt
    counts on. A skipped one can only be sent anew, and only when today's rule does not skip it: 422 says why; `force` releases one
    whose notice asked that no postback be sent. One that waits is cancelled, and the new one takes its place and leaves at once.
    409: it is being sent, or a newer change of the conversion was sent since, which `force` overrides.
    """

    def do(tx: Connection) -> Done:
        made = resend_one(tx, context.desk(), postback_id.lower(), data.request, context.clock(), force=data.force)
        if made is None:
            raise not_found("postback of that id")
        if isinstance(made, Refusal):
            if made.why in (NotResent.UNDER_WAY, NotResent.SUPERSEDED):
                raise HTTPException(status_code=409, detail=made.sentence)
            raise InvalidInputError((Fault("request", made.why, made.sentence),))
        found = find_postback(tx, made.postback_id)
        assert found is not None
        view = postback_view(found)
        note_change(tx, context, POSTBACKS, view.postback_id, after=view, action=Action.RESENT)
        return Done(201, view)

    answer = once(context, request, key, data, do)
    context.on_postbacks_owed()
    return answer


def resend_postbacks(
    context: Context, request: AnyRequest, data: JSONBody[BulkResend], key: Key = ""
) -> Response[BulkResendView]:
    """Starts a job that sends again all that match now. Of each change and rule the last row counts, so one that was resent and
    delivered does not match `failed`. An older change is left out when a newer one of its conversion and rule was sent since.
    What waits is taken only when it is asked for by state; it then leaves at once. Those whose notice asked that no postback be
    sent are released only when they are asked for by that reason.
    `preview` counts first. See how far it is at `GET /postbacks/resends/{resend_id}`.
    """
    wanted = filter_in(data, PostbackFilter)
    require_filter(wanted)
    with context.ledger.read() as tx:
        check_status(tx, data.status)
        if data.preview:
            return Response(preview_resends(tx, wanted, data.request), status_code=200)

    def do(tx: Connection) -> Done:
        job = start_resends(tx, context.desk(), wanted, data.request, context.clock())
        return Done(202, RESENDS.started(tx, context, job, data, Action.RESENT))

    return once(context, request, key, data, do)


def list_resends(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[BulkResendView]:
    """The jobs that send postbacks again, the newest first."""
    return RESENDS.page(context, limit, cursor)


def read_resend(context: Context, resend_id: RecordIdPath) -> BulkResendView:
    """A job that sends postbacks again."""
    return expect_found(RESENDS.find(context, resend_id.lower()), "resend of that id")


def stop_resend(context: Context, resend_id: RecordIdPath) -> BulkResendView:
    """Ends a job where it is. What it has made is sent; a rule that was to be resumed stays paused. One that has ended stays as it is."""
    return expect_found(RESENDS.stop(context, resend_id.lower()), "resend of that id")


def cancel_postback(context: Context, postback_id: RecordIdPath) -> PostbackView:
    """Takes a postback that waits out of delivery. It can be sent again later. 409: it is being sent, or ended otherwise."""
    with context.ledger.write() as tx:
        cancelled = cancel_waiting(tx, postback_id.lower(), context.clock())
        found = find_postback(tx, postback_id.lower())
        if cancelled and found is not None:
            view = postback_view(found)
            note_change(tx, context, POSTBACKS, view.postback_id, after=view, action=Action.CANCELLED)
    if found is None:
        raise not_found("postback of that id")
    if not cancelled and found.state is not PostbackState.CANCELLED:
        remedy = (
            "try again when this attempt has ended"
            if found.state is PostbackState.SENDING
            else "there is nothing left to cancel"
        )
        raise HTTPException(
            status_code=409, detail=f"It is {found.state}, and only what waits can be cancelled: {remedy}."
        )
    return postback_view(found)


def copy_as_curl(context: Context, postback_id: RecordIdPath, secrets: Secrets = False) -> str:
    """The request as a command for a shell. Secrets are masked unless they are asked for. 409: it was skipped, nothing was to be sent."""
    if secrets:
        note_secrets_shown(context, postback_id.lower())
    with context.ledger.read() as tx:
        found = find_postback(tx, postback_id.lower())
    if found is None:
        raise not_found("postback of that id")
    if found.request is None:
        raise HTTPException(
            status_code=409, detail=LOST_REQUEST if found.reason is None else "It was skipped, so there is no request."
        )
    return curl_command(found.request if secrets else masked_request(found.request))


router = Router(
    f"/{POSTBACKS}",
    route_handlers=[
        post("/{postback_id:str}/resend", status_code=201, sync_to_thread=True, summary="Send a postback again")(
            resend_postback
        ),
        post("/resend", status_code=202, sync_to_thread=True, summary="Send many postbacks again")(resend_postbacks),
        get("/resends", sync_to_thread=True, summary="List resends")(list_resends),
        get("/resends/{resend_id:str}", sync_to_thread=True, summary="See how far a resend is")(read_resend),
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
