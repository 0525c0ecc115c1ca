"""/views: reports saved under a name, shared, and sent on a schedule."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import msgspec
from litestar import Response, Router, get
from litestar.params import JSONBody
from msgspec import Meta
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.clock import Moment, optional_iso_text
from clickloop.logs.page import Page
from clickloop.logs.postback_view import FindingView, SentRequestView, finding_views, request_view
from clickloop.logs.view import view_of
from clickloop.postback.due import DuePostback, SkippedPostback, SkipReason
from clickloop.report.view.address import address_of
from clickloop.report.view.schedule import LATE_AFTER_MS
from clickloop.report.view.view import NewView, SavedView, ViewChange, ViewFields, changed_view
from clickloop.saving import views as saving
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.ledger.setup.rules import rules_of_ids
from clickloop.store.ledger.setup.views import ViewRuns, owner_names, runs_of, views_after
from clickloop.text import readable
from clickloop.tracking.views.file import ViewSettings, make_file
from clickloop.tracking.views.sending import ViewRun, decide_run, rule_of_view
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Limit, Words
from clickloop.web.api.reports.reports import AsCsv, ReportView, read_report
from clickloop.web.api.setup.records import Records, record_routes
from clickloop.web.long_work import in_long_work

NOUN = saving.NOUN.name


class ViewView(ViewFields, frozen=True, kw_only=True):
    """A saved view."""

    owner_id: Annotated[int, Meta(description="The user whose view it is. 0: a token without a user, or a command.")]
    owner: Annotated[str, Meta(description="Their name.")]
    address: Annotated[str, Meta(description="Its parameters as the query of GET /reports and of the report page.")]
    next_run_at: Annotated[Moment | None, Meta(description="When it is sent next. null: it is not.")]
    last_run_at: Moment | None
    last_run_late: Annotated[bool, Meta(description="Whether the last run began more than five minutes late.")]
    last_postback_id: Annotated[str | None, Meta(description="The postback of the last run, sent or skipped.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


class ViewRequestView(msgspec.Struct, kw_only=True):
    """The request that a view would send if it were due now."""

    reason: Annotated[SkipReason | None, Meta(description="Why nothing would be sent.")]
    reason_text: str
    findings: list[FindingView]
    request: SentRequestView | None
    receiver: str


def create_view(context: Context, data: JSONBody[NewView]) -> ViewView:
    """Save a view. It is yours, and others see it once it is shared."""
    blank = SavedView(name=data.name, owner_id=context.actor.user_id)
    return VIEWS.create(context, lambda _tx: _in_zone(context, changed_view(blank, data)))


def list_views(
    context: Context, limit: Limit = 50, cursor: Cursor = "", archived: Archived = False, words: Words = ""
) -> Page[ViewView]:
    """List your views and the shared ones in order of creation."""
    after = partial(views_after, actor=context.actor, archived=archived, words=words)
    return VIEWS.page(context, limit, cursor, after)


def read_view(context: Context, number: Id) -> ViewView:
    """Return a view, archived or not."""
    _require(context, number)
    return VIEWS.read(context, number)


def change_view(context: Context, number: Id, data: JSONBody[ViewChange]) -> ViewView:
    """Change the given fields. Omitted fields stay unchanged. A shared view is changed by its owner and admins."""

    def changed(_tx: Connection, view: SavedView) -> SavedView:
        return _in_zone(context, changed_view(saving.require(context, view, to_change=True), data))

    return VIEWS.change(context, number, changed)


def archive_view(context: Context, number: Id) -> ViewView:
    """Archive a view, which ends its schedule. Nothing is deleted."""
    _require(context, number, to_change=True)
    return VIEWS.archive(context, number)


def restore_view(context: Context, number: Id) -> ViewView:
    """Restore an archived view with its schedule. Runs in between are not made up for."""
    _require(context, number, to_change=True)
    return VIEWS.restore(context, number)


def run_view(context: Context, number: Id, output: AsCsv = "json") -> Response[ReportView]:
    """Return the report of a view, as of now. For a change of it, use its address with GET /reports."""
    view = _require(context, number)
    return read_report(context, view.query, output)


def show_request(context: Context, number: Id) -> ViewRequestView:
    """Return the request that the schedule of a view would send now, secrets masked. Nothing is sent."""
    view = _require(context, number)
    if view.schedule is None:
        fault = FieldFault("schedule", FaultCode.REQUIRED, "The view has no schedule. Add one first.")
        raise InvalidInputError((fault,))
    now_ms = context.clock()
    with context.ledger.read() as tx:
        rule = rule_of_view(rules_of_ids(tx, [view.schedule.rule_id]))
    settings = ViewSettings(zone=context.instance.time_zone, currency=context.currency, domain=context.domain)
    decision, receiver = decide_run(
        ViewRun(view=view, rule=rule, due_ms=now_ms),
        context.guard,
        lambda: make_file(context.ledger, context.facts, view, settings, now_ms, is_late=False),
        context.record_ids(),
        context.domain,
        now_ms,
    )
    reason = decision.reason if isinstance(decision, SkippedPostback) else None
    return ViewRequestView(
        reason=reason,
        reason_text=reason.sentence if reason is not None else "",
        findings=finding_views(decision.findings),
        request=request_view(decision.request) if isinstance(decision, DuePostback) else None,
        receiver=receiver,
    )


def _require(context: ApiContext, number: int, *, to_change: bool = False) -> SavedView:
    with context.ledger.read() as tx:
        return saving.require(context, saving.NOUN.get(tx, number), to_change=to_change)


def _in_zone(context: ApiContext, view: SavedView) -> SavedView:
    """Return the view with the zone of its schedule."""
    if view.schedule is None or view.schedule.zone:
        return view
    return replace(view, schedule=replace(view.schedule, zone=view.query.zone or context.instance.time_zone))


def _views(_context: ApiContext, tx: Connection, found: Sequence[SavedView]) -> list[ViewView]:
    runs = runs_of(tx, [view.id for view in found])
    owners = owner_names(tx, {view.owner_id for view in found})
    return [_view(view, runs.get(view.id, ViewRuns()), owners.get(view.owner_id, "")) for view in found]


def _view(view: SavedView, runs: ViewRuns, owner: str) -> ViewView:
    is_late = runs.last_run_at is not None and runs.last_run_at - (runs.last_due_at or 0) > LATE_AFTER_MS
    return view_of(
        ViewView,
        view,
        owner=readable(owner),
        address=address_of(view.query),
        next_run_at=optional_iso_text(runs.next_run_at),
        last_run_at=optional_iso_text(runs.last_run_at),
        last_run_late=is_late,
        last_postback_id=runs.last_postback_id,
    )


VIEWS = Records(saving.NOUN, _views)

router = Router(
    f"/{NOUN}",
    route_handlers=[
        *record_routes(
            "a view",
            "views",
            create=create_view,
            show_list=list_views,
            read=read_view,
            change=change_view,
            archive=archive_view,
            restore=restore_view,
        ),
        get("/{number:int}/report", summary="Get the report of a view")(in_long_work(run_view)),
        get("/{number:int}/request", summary="Show what a view would send")(in_long_work(show_request)),
    ],
    tags=["Views"],
)
