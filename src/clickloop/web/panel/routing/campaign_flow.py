"""The flow of a campaign: its own rules and paths, or a shared flow; how visitors are redirected."""

from collections.abc import Mapping
from typing import Any

from litestar import get, post

from clickloop.diagnosis.condition_phrases import FlowNames
from clickloop.diagnosis.flow_sentences import FlowReading, flow_sentences
from clickloop.setup.campaign import CampaignChange
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.flow import FlowParts, references_of
from clickloop.setup.redirect import RedirectMode
from clickloop.setup.source_rows import V_ROWS
from clickloop.setup.traffic_source import SourceParameter, is_google_ads
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Id
from clickloop.web.api.setup import campaigns as api
from clickloop.web.api.setup.flows import read_flow
from clickloop.web.api.setup.traffic_sources import SourceView, read_source
from clickloop.web.api.wire import json_value
from clickloop.web.panel.frame.edit_conflict import RecordEdit, save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.form_body import FIELD_LIMIT
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.routing.flow_draft import FlowDraft, draft_of, parts_tree
from clickloop.web.panel.routing.flow_editing import (
    MAX_FLOW_BYTES,
    MAX_FLOW_FIELDS,
    carried_flow,
    shown_faults,
    submitted_flow,
    with_faults_open,
)
from clickloop.web.panel.routing.flow_view import PASSING, REDIRECTS, FlowOwner, flow_view
from clickloop.web.panel.setup.setup_choices import choices, names, number_of

PREFIX = "flow."
FIELDS = ("flow_id", "redirect", "redirect_domain", "pass_query", "flow")
"""The fields of a campaign that this page changes; its others have the setup page."""
_SHOWN = "flow_shown"
"""The field of a form that has the campaign's own flow."""


def show(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    view = api.read_campaign(context, record_id)
    return _editor(viewer, context, view, json_value(view), draft_of(view.flow))


def change(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    """Save the flow, or show the form again as a button of it asks."""
    view = api.read_campaign(context, record_id)
    if (tried := carried_flow(form)) is not None:  # back from a page that tried it
        return _editor(viewer, context, view, json_value(view), draft_of(tried))
    submitted = submitted_flow(form, PREFIX) if form.has(_SHOWN) else None
    tree = json_value(view) | {name: form.text(name) for name in form.tree if name != "flow"}
    draft = submitted.draft if submitted else draft_of(view.flow)
    if submitted and submitted.step:
        return _editor(viewer, context, view, tree, draft, step=submitted.step)
    try:
        own = {"flow": parts_tree(draft)} if submitted else {}
        save_edit(context, form, _edit(context, view), CampaignChange, api.change_campaign, **own)
    except InvalidInputError as error:
        draft = with_faults_open(draft, error.faults, PREFIX)
        return _editor(viewer, context, view, tree, draft, shown_faults(error.faults, PREFIX))
    return viewer.go(f"/panel/campaigns/{record_id}/flow", FlashMessage.SAVED)


def _edit(context: ApiContext, view: api.CampaignView) -> RecordEdit:
    return RecordEdit(api.NOUN, view.id, view, FIELDS, lambda: api.read_campaign(context, view.id))


def _editor(
    viewer: Viewer,
    context: ApiContext,
    view: api.CampaignView,
    tree: dict[str, Any],
    draft: FlowDraft,
    faults: tuple[FieldFault, ...] = (),
    step: str = "",
) -> PageResponse:
    source = read_source(context, view.source_id)
    owner = FlowOwner(prefix=PREFIX, campaign_ids=(view.id,), parameters=parameter_names(source))
    flow_id = number_of(tree["flow_id"])
    shared = read_flow(context, flow_id) if flow_id and flow_id in names(context, RecordKind.FLOW, [flow_id]) else None
    return page(
        viewer,
        "campaign_flow.html",
        faults,
        v=tree,
        view=view,
        flow=flow_view(context, draft, owner, step=step, opens_all=not viewer.may("work")),
        shared=shared,
        shared_reading=flow_reading(
            context, FlowParts(rules=shared.rules, default_paths=shared.default_paths), owner.parameters
        )
        if shared
        else None,
        flows=choices(context, RecordKind.FLOW, [flow_id]),
        seen=seen_version(context, tree, view, FIELDS),
        redirects=REDIRECTS,
        passing=PASSING,
        is_google=is_google_ads(source),
        pages=frozenset(mode.value for mode in RedirectMode if mode.is_page),
        domains=context.instance.domains,
    )


def parameter_names(source: SourceView) -> dict[str, str]:
    """Return the names of a source's parameters by the field of a condition: ``v1`` is ``Zone``."""
    return {f"v{row.number}": _row_name(row) for row in source.parameters if row.number in V_ROWS}


def _row_name(row: SourceParameter) -> str:
    return row.name or row.parameter


def flow_reading(context: ApiContext, parts: FlowParts, parameters: Mapping[str, str]) -> FlowReading:
    """Return a saved flow as it reads."""
    named = references_of(parts)
    return flow_sentences(
        parts,
        FlowNames(
            offers=names(context, RecordKind.OFFER, named.offers),
            landings=names(context, RecordKind.LANDING, named.landings),
            campaigns=names(context, RecordKind.CAMPAIGN, named.campaigns),
            lists=names(context, RecordKind.LIST, named.lists),
            parameters=parameters,
        ),
    )


_LIMITS: dict[str, Any] = {"request_max_body_size": MAX_FLOW_BYTES, "opt": {FIELD_LIMIT: MAX_FLOW_FIELDS}}

routes = [
    get("/campaigns/{record_id:int}/flow", sync_to_thread=True)(show),
    post("/campaigns/{record_id:int}/flow", sync_to_thread=True, status_code=200, **_LIMITS)(change),
]
