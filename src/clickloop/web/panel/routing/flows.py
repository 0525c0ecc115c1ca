"""Shared flows: the list, and the editor of rules and paths."""

from typing import Any

from litestar import get, post

from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.flow import FlowParts
from clickloop.setup.shared_flow import NewSharedFlow, SharedFlow, SharedFlowChange
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.web.api.all_faults import save_or_report_faults
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Tag, Words
from clickloop.web.api.setup import flows as api
from clickloop.web.api.wire import json_value
from clickloop.web.panel.frame.edit_conflict import save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.form_body import FIELD_LIMIT
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.routing.campaign_flow import flow_reading
from clickloop.web.panel.routing.flow_draft import FlowDraft, PathDraft, ShareDraft, draft_of, parts_tree
from clickloop.web.panel.routing.flow_editing import (
    MAX_FLOW_BYTES,
    MAX_FLOW_FIELDS,
    shown_faults,
    submitted_flow,
    with_faults_open,
)
from clickloop.web.panel.routing.flow_view import FlowOwner, flow_view
from clickloop.web.panel.setup.record_pages import RecordPages, blank_tree
from clickloop.web.panel.setup.setup_choices import names, tags_of, tags_to_choose

PATH = "/panel/flows"
ROWS_PER_PAGE = 100
MAX_SHOWN_CAMPAIGNS = 10


def show_list(
    viewer: CurrentViewer,
    context: Context,
    cursor: Cursor = "",
    archived: Archived = False,
    words: Words = "",
    tag: Tag = "",
) -> PageResponse:
    found = api.list_flows(context, ROWS_PER_PAGE, cursor, archived, words, tag)
    return page(
        viewer,
        "flows.html",
        found=found,
        archived=archived,
        cursor=cursor,
        q=words,
        tag=tag,
        tags=tags_to_choose(context, RecordKind.FLOW),
        readings={one.id: flow_reading(context, _parts(one), {}) for one in found.items},
    )


def show_new(viewer: CurrentViewer, context: Context) -> PageResponse:
    draft = FlowDraft(default_paths=(PathDraft(offers=(ShareDraft(),)),), is_open=True)
    return _page(viewer, context, _BLANK, None, draft)


def create(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    submitted = submitted_flow(form)
    if submitted.step:
        return _page(viewer, context, _typed(form), None, submitted.draft, step=submitted.step)
    try:
        read = form.read_partly(NewSharedFlow, **_submitted(form, submitted.draft))
        view = save_or_report_faults(context, read, api.create_flow)
    except InvalidInputError as error:
        draft = with_faults_open(submitted.draft, error.faults, "")
        return _page(viewer, context, _typed(form), None, draft, shown_faults(error.faults, ""))
    return viewer.go(f"{PATH}/{view.id}", FlashMessage.CREATED)


def change(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    """Save a flow, or show the form again as a button of it asks."""
    view = api.read_flow(context, record_id)
    submitted = submitted_flow(form)
    if submitted.step:
        return _page(viewer, context, _typed(form), view, submitted.draft, step=submitted.step)
    try:
        edit = PAGES.edit_of(context, record_id, view)
        save_edit(context, form, edit, SharedFlowChange, api.change_flow, **_submitted(form, submitted.draft))
    except InvalidInputError as error:
        draft = with_faults_open(submitted.draft, error.faults, "")
        return _page(viewer, context, _typed(form), view, draft, shown_faults(error.faults, ""))
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.SAVED)


def clone(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    """Clone a flow and open the copy."""
    try:
        copy = api.clone_flow(context, record_id, api.FlowCloning())
    except InvalidInputError as error:
        return PAGES.show(viewer, context, record_id, error.faults)
    return viewer.go(f"{PATH}/{copy.id}", FlashMessage.COPIED)


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.FlowView | None,
    faults: tuple[FieldFault, ...] = (),
) -> PageResponse:
    """Return the editor of a saved flow."""
    return _page(viewer, context, tree, view, draft_of(_parts(view)) if view else FlowDraft(), faults)


def _page(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.FlowView | None,
    draft: FlowDraft,
    faults: tuple[FieldFault, ...] = (),
    step: str = "",
) -> PageResponse:
    campaign_ids = tuple(view.campaign_ids) if view else ()
    owner = FlowOwner(campaign_ids=campaign_ids, is_shared=True)
    return page(
        viewer,
        "flow.html",
        faults,
        v={**tree, "tags": ", ".join(tags_of(tree["tags"]))},
        view=view,
        flow=flow_view(context, draft, owner, step=step, opens_all=not viewer.may("work")),
        campaigns=list(names(context, RecordKind.CAMPAIGN, campaign_ids[:MAX_SHOWN_CAMPAIGNS]).items()),
        more_campaigns=len(campaign_ids[MAX_SHOWN_CAMPAIGNS:]),
        seen=seen_version(context, tree, view, _FIELDS),
        tags=tags_to_choose(context, RecordKind.FLOW),
    )


_FIELDS = SharedFlowChange.__struct_fields__
_BLANK: dict[str, Any] = blank_tree(SharedFlow(name=""), ("name", "tags"))


def _parts(view: api.FlowView) -> FlowParts:
    return FlowParts(rules=view.rules, default_paths=view.default_paths)


def _typed(form: Form) -> dict[str, Any]:
    """Return the fields beside the flow as they were typed."""
    return {**_BLANK, **{name: form.text(name) for name in form.tree if name not in ("rules", "default_paths")}}


def _submitted(form: Form, draft: FlowDraft) -> dict[str, Any]:
    return {**parts_tree(draft), "name": form.text("name"), "tags": tags_of(form.text("tags"))}


PAGES = RecordPages(path=PATH, records=api.FLOWS, editor=_editor, tree=json_value, fields=_FIELDS)

_LIMITS: dict[str, Any] = {"request_max_body_size": MAX_FLOW_BYTES, "opt": {FIELD_LIMIT: MAX_FLOW_FIELDS}}

routes = [
    get("/flows", sync_to_thread=True)(show_list),
    get("/flows/new", sync_to_thread=True)(show_new),
    post("/flows/new", sync_to_thread=True, status_code=200, **_LIMITS)(create),
    post("/flows/{record_id:int}", sync_to_thread=True, status_code=200, **_LIMITS)(change),
    post("/flows/{record_id:int}/clone", sync_to_thread=True)(clone),
    *PAGES.routes(),
]
