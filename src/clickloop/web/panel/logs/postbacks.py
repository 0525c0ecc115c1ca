"""Conversions - Out: the log of postbacks, skipped ones included; one postback with its decision, attempts and actions."""

from litestar import get, post
from litestar.exceptions import HTTPException

from clickloop.logs.column import names_for
from clickloop.logs.columns import POSTBACK_COLUMNS
from clickloop.logs.postback_view import PostbackStoryView, PostbackView
from clickloop.people.user import Right
from clickloop.postback.rule import LOST_REQUEST
from clickloop.postback.state import PostbackState
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.tracking.resending import ResendMode
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.jobs import resends
from clickloop.web.api.logs import postbacks as api
from clickloop.web.api.once import view_in
from clickloop.web.api.paging import RecordIdPath
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.logs.log_page import log_page

PATH = "/panel/postbacks"


def show_list(viewer: CurrentViewer, request: AnyRequest, context: Context) -> PageResponse:
    """Return the log of postbacks, newest first."""
    return log_page(
        viewer, request, context, ExportNoun.POSTBACKS, lost_request=LOST_REQUEST, held=context.hold.current
    )


def show(viewer: CurrentViewer, context: Context, postback_id: RecordIdPath) -> PageResponse:
    return _show(viewer, context, postback_id)


def show_secrets(viewer: CurrentViewer, context: Context, postback_id: RecordIdPath) -> PageResponse:
    """Return a postback with its secrets; the audit log records the access."""
    return _show(viewer, context, postback_id, secrets=True)


def resend(
    viewer: CurrentViewer, request: AnyRequest, context: Context, postback_id: RecordIdPath, form: FormParameter
) -> PageResponse:
    """Resend a postback, unchanged or rebuilt. A delivered one needs a confirmation first."""
    mode = ResendMode.ANEW if form.text("request") == ResendMode.ANEW else ResendMode.AS_IT_WAS
    try:
        if not form.has("confirmed") and _delivered_at(api.read_postback(context, postback_id)):
            return _show(viewer, context, postback_id, confirming=mode)
        response = resends.resend_postback(
            context, request, postback_id, resends.OneResend(request=mode), form.text("key")
        )
    except InvalidInputError as error:
        return _show(viewer, context, postback_id, error.faults)
    except HTTPException as error:
        return _conflict(viewer, context, postback_id, error)
    made = view_in(response, PostbackView)
    return viewer.go(f"{PATH}/{made.postback_id}", FlashMessage.RESENT)


def cancel(viewer: CurrentViewer, context: Context, postback_id: RecordIdPath) -> PageResponse:
    try:
        view = resends.cancel_postback(context, postback_id)
    except HTTPException as error:
        return _conflict(viewer, context, postback_id, error)
    return viewer.go(f"{PATH}/{view.postback_id}", FlashMessage.CANCELLED)


def show_curl(viewer: CurrentViewer, context: Context, postback_id: RecordIdPath) -> PageResponse:
    """Return the request as a curl command, secrets masked."""
    return _curl(viewer, context, postback_id, secrets=False)


def show_curl_secrets(viewer: CurrentViewer, context: Context, postback_id: RecordIdPath) -> PageResponse:
    """Return the curl command with its secrets; the audit log records the access."""
    return _curl(viewer, context, postback_id, secrets=True)


def _show(
    viewer: Viewer,
    context: ApiContext,
    postback_id: str,
    faults: tuple[FieldFault, ...] = (),
    status: int | None = None,
    *,
    secrets: bool = False,
    confirming: ResendMode | None = None,
) -> PageResponse:
    """Return the page. ``confirming``: how to resend once the user confirms it."""
    story = api.read_postback(context, postback_id, secrets)
    with context.ledger.read() as tx:
        names = names_for(tx, POSTBACK_COLUMNS, [story.postback])
    return page(
        viewer,
        "postback.html",
        faults,
        status=status,
        one=story.postback,
        story=story,
        names=names,
        again=story.sent_again,
        confirming=confirming,
        was_delivered_at=_delivered_at(story),
        secrets=secrets,
        held=context.hold.current,
        under_way=not story.postback.state.is_final,
        key=context.record_ids(),
    )


def _delivered_at(story: PostbackStoryView) -> str | None:
    """Return when the postback, or its latest resend if there is one, was delivered; None if it was not."""
    last = story.sent_again or story.postback
    return last.finished_at if last.state is PostbackState.DELIVERED else None


def _conflict(viewer: Viewer, context: ApiContext, postback_id: str, error: HTTPException) -> PageResponse:
    """Return the page with the reason for a 409. Raise any other error again."""
    if error.status_code != 409:
        raise error
    return _show(viewer, context, postback_id, (FieldFault("", "conflict", error.detail),), 409)


def _curl(viewer: Viewer, context: ApiContext, postback_id: str, *, secrets: bool) -> PageResponse:
    command = resends.copy_as_curl(context, postback_id, secrets)
    masked = command if not secrets else resends.copy_as_curl(context, postback_id)
    hides = not secrets and "•••" in masked
    return page(viewer, "postback_curl.html", postback_id=postback_id, command=command, hides=hides, secrets=secrets)


routes = [
    get("/postbacks", sync_to_thread=True)(show_list),
    get("/postbacks/{postback_id:str}", sync_to_thread=True)(show),
    post("/postbacks/{postback_id:str}", sync_to_thread=True, status_code=200, opt={NEEDS: Right.SECRETS})(
        show_secrets
    ),
    post("/postbacks/{postback_id:str}/resend", sync_to_thread=True)(resend),
    post("/postbacks/{postback_id:str}/cancel", sync_to_thread=True)(cancel),
    get("/postbacks/{postback_id:str}/curl", sync_to_thread=True)(show_curl),
    post("/postbacks/{postback_id:str}/curl", sync_to_thread=True, status_code=200, opt={NEEDS: Right.SECRETS})(
        show_curl_secrets
    ),
]
