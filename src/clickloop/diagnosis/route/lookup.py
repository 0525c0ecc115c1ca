"""Read the versions of the flows of a route, their lists and names, and what is served today, and explain the route."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec
from sqlalchemy import Connection

from clickloop.click.click import Click
from clickloop.click.routing.routes import Routes
from clickloop.diagnosis.caps.status import instead_sentences
from clickloop.diagnosis.condition_phrases import FlowNames
from clickloop.diagnosis.route.evidence import with_evidence
from clickloop.diagnosis.route.explained import RouteExplanation
from clickloop.diagnosis.route.explaining import CapInForce, FlowContext, FlowInForce
from clickloop.diagnosis.route.recorded import KeptValues, explain_click, steps_of
from clickloop.logs.context import LogContext
from clickloop.setup.catalog import Catalog
from clickloop.setup.flow import FlowReferences, references_of
from clickloop.setup.instance import IpStorage
from clickloop.setup.routing_state import NO_STATE, RoutingState, with_learned_weights
from clickloop.setup.source_rows import ROW_FIELDS
from clickloop.setup.traffic_source import TrafficSource
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.conversions import conversions_of_click
from clickloop.store.ledger.logs.learned_weights import latest_learned
from clickloop.store.ledger.setup.catalog import read_catalog_of
from clickloop.store.ledger.setup.flows import flow_owners, flow_version
from clickloop.store.ledger.setup.names import RecordKind, names_of
from clickloop.store.ledger.setup.routing_states import find_routing_state, publishing_time
from clickloop.store.ledger.setup.traffic_sources import SOURCES
from clickloop.text import readable


class RouteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the instance that affect routes."""

    own_hosts: tuple[str, ...]
    fallback_url: str = ""
    ip_storage: IpStorage = IpStorage.FULL


def find_recorded_click(context: LogContext, click_id: str) -> Click | None:
    """Return a click by its canonical id. If it has been deleted from the facts, it is read from its conversions."""
    click = context.facts.find_clicks([click_id]).get(click_id)
    if click is not None:
        return click
    with context.ledger.read() as tx:
        conversions = conversions_of_click(tx, click_id)
    return conversions[0].click if conversions else None


def explain_route(ledger: Ledger, click: Click, settings: RouteSettings) -> RouteExplanation:
    """Explain the route of a recorded click along the versions of the flows at that time."""
    keys = [step.key for step in steps_of(click)]
    with ledger.read() as tx:
        flows = _stored_flows(tx, keys)
        state = find_routing_state(tx, click.routing_state) if click.routing_state else None
        # Weights are recorded a moment before they are published; until then clicks go by the ones before.
        published_at = publishing_time(tx, click.routing_state) if state else None
        learned = latest_learned(tx, _path_ids(flows.values()), until_at=published_at) if state else {}
        named = _named_in(flows.values())
        caps = caps_in_force(tx, state or NO_STATE, named, click.at)
        named = with_alternatives(named, caps)
        catalog = read_catalog_of(tx, settings.own_hosts, [click.campaign_id], named)
        source = SOURCES.find(tx, click.source_id)
        names = names_in(tx, named, source)
    kept = KeptValues(rows=row_fields_of(source), ip_storage=settings.ip_storage)
    if state is not None:
        flows = {key: with_weights(flow, state) for key, flow in flows.items()}
    context = flow_context(catalog, names, settings.fallback_url, state or NO_STATE, caps)
    route = explain_click(click, flows, context, kept)
    return with_evidence(route, state or NO_STATE, learned)


def with_weights(flow: FlowInForce, state: RoutingState) -> FlowInForce:
    """Return a flow with the learned weights of a routing state."""
    return msgspec.structs.replace(flow, parts=with_learned_weights(flow.parts, state))


def _path_ids(flows: Iterable[FlowInForce]) -> set[int]:
    return {path.id for flow in flows for _, path in flow.parts.paths() if path.learning is not None}


def _stored_flows(tx: Connection, keys: Iterable[tuple[int, int]]) -> dict[tuple[int, int], FlowInForce]:
    """Return the versions that are stored, by flow and version."""
    owners = flow_owners(tx, [flow_id for flow_id, _ in keys])
    found = {}
    for flow_id, version in keys:
        parts = flow_version(tx, flow_id, version)
        if parts is not None:
            name = readable(owners.get(flow_id, f"flow {flow_id}"))
            found[flow_id, version] = FlowInForce(flow_id=flow_id, version=version, name=name, parts=parts)
    return found


def _named_in(flows: Iterable[FlowInForce]) -> FlowReferences:
    named = FlowReferences()
    for flow in flows:
        named = named | references_of(flow.parts)
    return named


def names_in(tx: Connection, named: FlowReferences, source: TrafficSource | None = None) -> FlowNames:
    """Return the names of what flows refer to, archived or not, and those of a source's rows."""
    return FlowNames(
        offers=names_of(tx, RecordKind.OFFER, named.offers),
        landings=names_of(tx, RecordKind.LANDING, named.landings),
        campaigns=names_of(tx, RecordKind.CAMPAIGN, named.campaigns),
        lists=names_of(tx, RecordKind.LIST, named.lists),
        parameters={ROW_FIELDS[row.number]: row.name or row.parameter for row in source.parameters} if source else {},
    )


def row_fields_of(source: TrafficSource | None) -> Mapping[str, str]:
    """Return the click's field that holds each parameter of a source's links, by the parameter's name in lower case."""
    if source is None:
        return {}
    return {row.parameter.lower(): ROW_FIELDS[row.number] for row in source.parameters if row.tracked}


def caps_in_force(
    tx: Connection, state: RoutingState, named: FlowReferences, at: int, *, is_now: bool = False
) -> dict[int, CapInForce]:
    """Return the caps of these offers that were reached in a state, by offer. ``at``: the moment that is explained."""
    reached = {offer_id: instead for offer_id, instead in state.instead().items() if offer_id in named.offers}
    sentences = instead_sentences(tx, list(reached.items()), at, is_now=is_now) if reached else {}
    return {offer_id: CapInForce(instead, sentences[offer_id]) for offer_id, instead in reached.items()}


def with_alternatives(named: FlowReferences, caps: Mapping[int, CapInForce]) -> FlowReferences:
    """Return references with the offers that caps sent visitors to."""
    return named | FlowReferences(offers=frozenset(cap.instead_id for cap in caps.values() if cap.instead_id))


def flow_context(
    catalog: Catalog,
    names: FlowNames,
    fallback_url: str,
    state: RoutingState = NO_STATE,
    caps: Mapping[int, CapInForce] = MappingProxyType({}),
) -> FlowContext:
    """Return the context in which flows are explained, as known to the edge. ``caps``: those of ``state``."""
    return FlowContext(
        lists={named.id: named.entries for named in catalog.lists},
        names=names,
        why_not=Routes(catalog, fallback_url, state).why_not_served,
        caps=caps,
    )
