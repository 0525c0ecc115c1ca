"""The request to explain the route of a described visitor, along a campaign's flow or one that is not saved yet."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.click.continent import continent_of
from clickloop.click.routing.flow import MAX_DRAW_BITS
from clickloop.click.routing.recall import MAX_SEEN, Memory, Recall
from clickloop.diagnosis.route.evidence import with_evidence
from clickloop.diagnosis.route.explained import RouteExplanation, RouteState, ValueState, VisitorValue
from clickloop.diagnosis.route.explaining import FlowInForce, SeenValue
from clickloop.diagnosis.route.lookup import (
    RouteSettings,
    caps_in_force,
    flow_context,
    names_in,
    row_fields_of,
    with_alternatives,
    with_weights,
)
from clickloop.diagnosis.route.recalled import ItemKey, key_id
from clickloop.diagnosis.route.simulated import explain_visitor
from clickloop.setup.campaign import Campaign
from clickloop.setup.catalog import Catalog, flows_by_campaign
from clickloop.setup.condition import (
    MAX_VALUE_LENGTH,
    QUERY_PREFIX,
    Condition,
    comparison_of,
    condition_faults,
    moment_in,
    zone_of,
)
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError, text_faults, under
from clickloop.setup.flow import FlowParts, FlowReferences, flow_faults, references_of
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.learned_weights import latest_learned
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.catalog import read_catalog_of
from clickloop.store.ledger.setup.routing_states import latest_routing_state
from clickloop.store.ledger.setup.traffic_sources import SOURCES

MAX_VALUES = 100
_DRAW_DIGITS = 19
_NOW_FIELDS = ("schedule", "date")
_DEVICE_FIELDS = {
    "device": "kind",
    "brand": "brand",
    "model": "model",
    "os": "os",
    "os_version": "os_version",
    "browser": "browser",
    "browser_version": "browser_version",
}
_ALWAYS_KNOWN = {"unique": "yes", "visit_number": "1"}


class PreviousVisits(msgspec.Struct, frozen=True, kw_only=True):
    """What the cookie of a described visitor remembers of the campaign. Ids of 0 mean none."""

    path_id: Annotated[int, Meta(ge=0, description="Path of the previous visit.")] = 0
    landing_id: Annotated[int, Meta(ge=0, description="Landing that they saw last.")] = 0
    offer_id: Annotated[int, Meta(ge=0, description="Offer that they saw last.")] = 0
    seen_path_ids: Annotated[tuple[int, ...], Meta(max_length=MAX_SEEN, description="Other paths that they saw.")] = ()
    seen_landing_ids: Annotated[
        tuple[int, ...], Meta(max_length=MAX_SEEN, description="Other landings that they saw.")
    ] = ()
    seen_offer_ids: Annotated[
        tuple[int, ...], Meta(max_length=MAX_SEEN, description="Other offers that they saw.")
    ] = ()


class RouteBody(msgspec.Struct, kw_only=True):
    """A visitor whose route is explained. Nothing is stored."""

    values: Annotated[
        dict[str, str],
        Meta(
            description="The visitor's values by field, as in conditions: country, os, v1, query.sub … Omitted values are unknown, "
            "except unique (yes) and visit_number (1). A useragent fills in device, os and browser.",
            examples=[{"country": "US", "region": "US-CA", "os": "Android"}],
        ),
    ] = {}
    parameters: Annotated[
        dict[str, str], Meta(description="Parameters of the link by name.", examples=[{"zone": "77"}])
    ] = {}
    at: Annotated[
        str, Meta(description="Local time of the visit. Leave empty for now.", examples=["2026-12-01T14:00"])
    ] = ""
    zone: Annotated[str, Meta(description="Time zone of at.", examples=["Europe/Berlin"])] = "UTC"
    draw: Annotated[
        str,
        Meta(
            description="Draw of the visitor, a whole number of at most 63 bits, which decides each choice. Leave empty to get the share "
            "of each destination.",
            examples=["4611686018427387904"],
        ),
    ] = ""
    previous: Annotated[
        PreviousVisits,
        Meta(
            description="What the visitor saw before, for campaigns with bind or rotation. Leave out for a first visit."
        ),
    ] = PreviousVisits()
    flow: Annotated[
        FlowParts | None, Meta(description="A flow that is not saved yet. null: the campaign's, as saved.")
    ] = None


def explain_route_of_visitor(
    ledger: Ledger, campaign_id: int, body: RouteBody, settings: RouteSettings, now_ms: int
) -> RouteExplanation | None:
    """Explain the route of a visitor; None if there is no live campaign with that id. Raise InvalidInputError."""
    at = _moment(body, now_ms)
    faults = _faults(body)
    if faults:
        raise InvalidInputError(tuple(faults))
    draw = int(body.draw) if body.draw else None
    with ledger.read() as tx:
        campaign = CAMPAIGNS.find(tx, campaign_id)
        if campaign is None or campaign.archived_at is not None:
            return None
        source = SOURCES.find(tx, campaign.source_id)
        named = FlowReferences() if body.flow is None else references_of(body.flow)
        catalog = read_catalog_of(tx, settings.own_hosts, [campaign_id, *named.campaigns], named)
        for one in catalog.flows:
            named = named | references_of(one.parts)
        state = latest_routing_state(tx)
        caps = caps_in_force(tx, state, named, now_ms, is_now=True)
        names = names_in(tx, with_alternatives(named, caps), source)
        learned = latest_learned(tx, {one.path_id for one in state.learned})
    flows = {number: with_weights(flow, state) for number, flow in _flows_in_force(catalog).items()}
    flow = flows[campaign_id]
    if body.flow is not None:
        flow = with_weights(msgspec.structs.replace(flow, parts=body.flow, version=0), state)
    seen = _values_of(body, dict(row_fields_of(source)), at)
    recall = _recall_of(campaign, body.previous)
    context = flow_context(catalog, names, settings.fallback_url, state, caps)
    route = explain_visitor(flow, flows, seen, context, draw, recall)
    route = with_evidence(route, state, learned)
    return route if campaign.active else msgspec.structs.replace(route, state=RouteState.PAUSED)


def _recall_of(campaign: Campaign, previous: PreviousVisits) -> Recall[ItemKey]:
    """Return how the campaign treats the visitor. What was seen last was seen, too."""
    paths = (previous.path_id,) if previous.path_id else ()
    landings = (previous.landing_id,) if previous.landing_id else ()
    offers = (previous.offer_id,) if previous.offer_id else ()
    memory = Memory(
        paths,
        previous.landing_id,
        previous.offer_id,
        (*paths, *previous.seen_path_ids),
        (*landings, *previous.seen_landing_ids),
        (*offers, *previous.seen_offer_ids),
    )
    return Recall(campaign.bind, campaign.rotation, key_id, memory)


def _flows_in_force(catalog: Catalog) -> dict[int, FlowInForce]:
    """Return the flow that visitors of each campaign follow, by campaign."""
    names = {campaign.id: f"campaign {campaign.name!r}" for campaign in catalog.campaigns}
    return {
        campaign_id: FlowInForce(
            flow_id=flow.id,
            version=flow.version,
            name=f"flow {flow.name!r}" if flow.name else names[campaign_id],
            parts=flow.parts,
        )
        for campaign_id, flow in flows_by_campaign(catalog).items()
    }


def _values_of(body: RouteBody, rows: dict[str, str], at: int) -> SeenValue:
    """Return the function that reads the visitor's values."""
    given = {
        field.lower() if field.startswith(QUERY_PREFIX) else field: value
        for field, value in body.values.items()
        if value
    }
    for name, value in body.parameters.items():
        if not value:
            continue
        given.setdefault(rows.get(name.lower(), f"{QUERY_PREFIX}{name.lower()}"), value)
    if country := given.get("region", "")[:2]:
        given.setdefault("country", country)
    given.setdefault("continent", continent_of(given.get("country", "")))
    if ip := given.get("ip"):
        given.setdefault("ip_version", "6" if ":" in ip else "4")
    for field, value in {**_device_values(given.get("useragent", "")), **_ALWAYS_KNOWN}.items():
        given.setdefault(field, value)

    def seen(field: str) -> VisitorValue:
        if field in _NOW_FIELDS:
            return VisitorValue(at, ValueState.KNOWN)
        name = field
        if field.startswith(QUERY_PREFIX):
            name = rows.get(field[len(QUERY_PREFIX) :].lower(), field.lower())
        value = given.get(name, "") or given.get(field.lower(), "")
        return VisitorValue(value, ValueState.KNOWN if value else ValueState.UNKNOWN)

    return seen


def _device_values(useragent: str) -> dict[str, str]:
    """Return the fields of the device in a User-Agent."""
    if not useragent:
        return {}
    # The core parses User-Agents for nothing else, so the library is loaded on first use.
    from clickloop.click.useragent import UserAgentParser

    device = UserAgentParser()(useragent)
    return {field: getattr(device, attribute) for field, attribute in _DEVICE_FIELDS.items()}


def _moment(body: RouteBody, now_ms: int) -> int:
    """Return the moment of the visit. Raise InvalidInputError."""
    if zone_of(body.zone) is None:
        sentence = "There is no such time zone. Enter one such as Europe/Berlin."
        raise InvalidInputError((FieldFault("zone", FaultCode.NOT_FOUND, sentence),))
    if not body.at:
        return now_ms
    found = moment_in(body.at, body.zone)
    if found is None:
        sentence = "Enter a local date and time, such as 2026-12-01T14:00."
        raise InvalidInputError((FieldFault("at", FaultCode.NOT_A_MOMENT, sentence),))
    return found


def _faults(body: RouteBody) -> list[FieldFault]:
    faults: list[FieldFault] = []
    if body.draw and not _is_draw(body.draw):
        faults.append(FieldFault("draw", FaultCode.OUT_OF_RANGE, "Enter a whole number of at most 63 bits."))
    if len(body.values) > MAX_VALUES or len(body.parameters) > MAX_VALUES:
        faults.append(FieldFault("values", FaultCode.TOO_MANY, f"Enter at most {MAX_VALUES} values."))
        return faults
    for field, value in body.values.items():
        faults += _value_faults(f"values.{field[:100]}", field, value)
    for name, value in body.parameters.items():
        faults += text_faults(f"parameters.{name[:100]}", value, MAX_VALUE_LENGTH)
    if body.flow is not None:
        faults += [under("flow", fault) for fault in flow_faults(body.flow)]
    return faults


def _is_draw(text: str) -> bool:
    is_number = text.isascii() and text.isdecimal() and len(text) <= _DRAW_DIGITS
    return is_number and int(text) < 1 << MAX_DRAW_BITS


def _value_faults(at: str, field: str, value: str) -> list[FieldFault]:
    """Return the faults of a value, checked like the values of conditions."""
    if field in _NOW_FIELDS:
        return [FieldFault(at, FaultCode.NOT_ALLOWED, "Set at and zone instead.")]
    if comparison_of(field) is None:
        sentence = "There is no such field. Use a field such as country, or query.NAME."
        return [FieldFault(at, FaultCode.NOT_FOUND, sentence)]
    if not value:
        return []
    return [
        msgspec.structs.replace(fault, field=at)
        for fault in condition_faults("", Condition(field=field, values=(value,)))
    ]
