"""Where would a visitor go? Describes a visitor of a campaign and explains their route, along its flow or one being edited."""

from typing import Any

import msgspec
from litestar import get, post

from clickloop.click.place import CONNECTIONS
from clickloop.diagnosis.condition_phrases import DEVICES
from clickloop.diagnosis.route.views import RouteView
from clickloop.diagnosis.route.visitor_input import PreviousVisits, RouteBody
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.flow import FlowParts, part_labels, references_of
from clickloop.setup.reading import read_input
from clickloop.setup.returning import Bind, Rotation
from clickloop.setup.source_rows import FixedRow
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis.routes import route_of_visitor
from clickloop.web.api.paging import Id
from clickloop.web.api.setup.campaigns import CampaignView, read_campaign
from clickloop.web.api.setup.flows import read_flow
from clickloop.web.api.setup.traffic_sources import read_source
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.form_body import FIELD_LIMIT
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.routing.campaign_flow import PREFIX
from clickloop.web.panel.routing.flow_draft import parts_tree
from clickloop.web.panel.routing.flow_editing import (
    CARRIED_FIELD,
    MAX_FLOW_BYTES,
    MAX_FLOW_FIELDS,
    carried_flow,
    carried_text,
    submitted_flow,
)
from clickloop.web.panel.setup.setup_choices import names

EDITED = "flow_shown"
"""The field of the editor's form, from which one comes here with a flow that is not saved."""
_FIELDS = ("country", "region", "device", "os", "os_version", "browser", "language", "connection", "unique")
_MORE = (
    ("city", "City"),
    ("isp", "ISP"),
    ("asn", "AS number"),
    ("ip", "IP address"),
    ("brand", "Brand"),
    ("model", "Model"),
    ("browser_version", "Browser version"),
    ("useragent", "User agent"),
    ("referrer", "Referrer"),
    ("visit_number", "Number of the visit"),
)


def show(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    """Return the form for a visitor of the campaign's saved flow."""
    campaign = read_campaign(context, record_id)
    return _show(viewer, context, campaign, Form(()))


def explain(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    """Return the route of the visitor in the form; from the editor, the form with its flow."""
    campaign = read_campaign(context, record_id)
    try:
        flow = edited_flow(form)
        if form.has(EDITED):
            return _show(viewer, context, campaign, Form(()), flow=flow)
        shown = Form((name, value) for name, value in form.pairs if name != CARRIED_FIELD)
        body = shown.read(RouteBody, **({} if flow is None else {"flow": msgspec.to_builtins(flow)}))
        route = route_of_visitor(context, record_id, body)
    except InvalidInputError as error:
        return _show(viewer, context, campaign, form, faults=error.faults, flow=carried_flow(form))
    return _show(viewer, context, campaign, form, flow=flow, route=route)


def edited_flow(form: Form) -> FlowParts | None:
    """Return the flow that came from the editor, or along with the form; None: there is none. Raise InvalidInputError."""
    if form.has(EDITED):
        read = read_input({"flow": parts_tree(submitted_flow(form, PREFIX).draft)}, _Edited)
        if read.faults:
            raise InvalidInputError(read.faults)
        return read.value.flow
    return carried_flow(form)


class _Edited(msgspec.Struct):
    """The flow of an editor's form."""

    flow: FlowParts = FlowParts()


def _show(
    viewer: Viewer,
    context: ApiContext,
    campaign: CampaignView,
    form: Form,
    *,
    faults: tuple[FieldFault, ...] = (),
    flow: FlowParts | None = None,
    route: RouteView | None = None,
) -> PageResponse:
    source = read_source(context, campaign.source_id)
    submitted = form.redisplay_values(RouteBody)
    given = submitted.get("values")
    values = {
        **dict.fromkeys([*_FIELDS, *(field for field, _ in _MORE)], ""),
        **(given if isinstance(given, dict) else {}),
    }
    rows, previous = submitted.get("parameters"), submitted.get("previous")
    tracked = [row.parameter for row in source.parameters if row.tracked and row.number != FixedRow.COST]
    known = rows if isinstance(rows, list) and rows else [{"name": name, "value": ""} for name in tracked]
    tree: dict[str, Any] = {
        "values": values,
        "parameters": known,
        "at": submitted.get("at", ""),
        "zone": submitted.get("zone", "") or viewer.zone.key,
        "draw": submitted.get("draw", ""),
        "previous": {
            **dict.fromkeys(PreviousVisits.__struct_fields__, ""),
            **(previous if isinstance(previous, dict) else {}),
        },
    }
    return page(
        viewer,
        "route_trial.html",
        faults,
        campaign=campaign,
        v=tree,
        flow_json=carried_text(flow),
        devices=[(name, name) for name in DEVICES],
        connections=[(name, name) for name in sorted(set(CONNECTIONS.values()))],
        more=_MORE,
        seen_before=_seen_before(context, campaign, flow),
        route=route,
    )


class _SeenBefore(msgspec.Struct):
    """What a visitor may have seen: pairs of id and name."""

    paths: list[tuple[int, str]]
    landings: list[tuple[int, str]]
    offers: list[tuple[int, str]]


def _seen_before(context: ApiContext, campaign: CampaignView, edited: FlowParts | None) -> _SeenBefore | None:
    """Return what a visitor may have seen on the campaign's flow; None if the campaign treats returning visitors like others."""
    if campaign.bind is Bind.NONE and campaign.rotation is Rotation.RANDOM:
        return None
    parts = edited or campaign.flow
    if edited is None and campaign.flow_id is not None:
        shared = read_flow(context, campaign.flow_id)
        parts = FlowParts(rules=shared.rules, default_paths=shared.default_paths)
    labels, used = part_labels(parts), references_of(parts)
    return _SeenBefore(
        [(path.id, labels[path.id]) for _, path in parts.paths() if path.id],
        sorted(names(context, RecordKind.LANDING, used.landings).items()),
        sorted(names(context, RecordKind.OFFER, used.offers).items()),
    )


_LIMITS: dict[str, Any] = {"request_max_body_size": MAX_FLOW_BYTES, "opt": {FIELD_LIMIT: MAX_FLOW_FIELDS, NEEDS: None}}

routes = [
    get("/campaigns/{record_id:int}/route", sync_to_thread=True)(show),
    # It has no effect.
    post("/campaigns/{record_id:int}/route", sync_to_thread=True, status_code=200, **_LIMITS)(explain),
]
