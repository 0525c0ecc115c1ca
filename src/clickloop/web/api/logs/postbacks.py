"""/postbacks: Conversions - Out, every postback with its attempts, skipped ones with the reason."""

from typing import Annotated

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.exceptions import PermissionDeniedException
from litestar.params import QueryParameter, SkipValidation
from litestar.response import Stream

from clickloop.logs import listing
from clickloop.logs.listing import POSTBACKS
from clickloop.logs.page import Page
from clickloop.logs.postback_view import PostbackStoryView, PostbackView, find_postback_story
from clickloop.postback.postback_log import PostbackFilter
from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.logs.postbacks import find_postback
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.logs.log_csv import ChosenColumns, exported
from clickloop.web.api.paging import Cursor, Limit, RecordIdPath
from clickloop.web.api.problem import expect_found
from clickloop.web.api.query import from_query

Secrets = Annotated[bool, QueryParameter(description="true to show secrets, which is recorded in the log of changes.")]
Wanted = NamedDependency[SkipValidation[PostbackFilter]]


def list_postbacks(context: Context, wanted: Wanted, limit: Limit = 50, cursor: Cursor = "") -> Page[PostbackView]:
    """List postbacks, newest first."""
    return listing.list_postbacks(context, wanted, limit, cursor)


def export_postbacks(context: Context, wanted: Wanted, columns: ChosenColumns = "") -> Stream:
    """Export postbacks as CSV, newest first."""
    return exported(context, ExportNoun.POSTBACKS, wanted, columns)


def read_postback(context: Context, postback_id: RecordIdPath, secrets: Secrets = False) -> PostbackStoryView:
    """Return a postback, why it was created or skipped, and every attempt."""
    if secrets:
        record_secrets_shown(context, postback_id.lower())
    with context.ledger.read() as tx:
        story = find_postback_story(tx, postback_id.lower(), masked=not secrets)
    return expect_found(story, "postback with that ID")


def record_secrets_shown(context: ApiContext, postback_id: str) -> None:
    """Record in the log of changes that a request's secrets are shown. Raise HTTPException 403 if the role may not see them."""
    if not context.shows_secrets:
        raise PermissionDeniedException("Your role may not see secrets. Leave out secrets=true.")
    with context.ledger.write() as tx:
        expect_found(find_postback(tx, postback_id), "postback with that ID")
        record_change(tx, context, POSTBACKS, postback_id, action=Action.SECRETS_SHOWN)


router = Router(
    f"/{POSTBACKS}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List postbacks")(list_postbacks),
        get("/export", sync_to_thread=True, media_type="text/csv", summary="Export postbacks as CSV")(export_postbacks),
        get("/{postback_id:str}", sync_to_thread=True, summary="Read a postback with its attempts")(read_postback),
    ],
    dependencies={"wanted": from_query(PostbackFilter)},
    tags=["Postbacks"],
)
