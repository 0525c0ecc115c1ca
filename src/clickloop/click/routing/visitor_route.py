"""Route a visitor, and store the decision in their click."""

from typing import Any
from urllib.parse import urlencode

from clickloop.click.routing.arriving_visitor import ArrivingVisitor
from clickloop.click.routing.recall import NO_MEMORY, Memory, recall_text
from clickloop.click.routing.route import Route, Routing, hops_text
from clickloop.setup.condition import QUERY_PREFIX


def route_visitor(
    route: Route, visitor: ArrivingVisitor, click: dict[str, Any], draw: int, memory: Memory | None
) -> Routing:
    """Return the route of a visitor. Add the decision to the click. ``memory``: what counts of their cookie's, if the campaign uses it."""
    if route.query_fields:
        _keep_query(route, click)
    recall = None if memory is None else route.recall(memory)
    if recall is not None and memory is not NO_MEMORY:
        click["seen"] = recall_text(recall)
    routing = route.choose(visitor, draw, recall)
    click["draw"] = draw
    if routing.failed:
        click["failed_conditions"] = routing.failed
    if routing.hops:
        click["hops"] = hops_text(routing.hops)
    if routing.dead_end is not None:
        click["flow_id"] = routing.dead_end.flow_id
        click["flow_version"] = routing.dead_end.flow_version
        if routing.dead_end.rule_id:
            click["rule_id"] = routing.dead_end.rule_id
        if routing.dead_end.routing_state:
            click["routing_state"] = routing.dead_end.routing_state
    for field in route.query_fields:
        click.pop(field, None)
    return routing


def _keep_query(route: Route, click: dict[str, Any]) -> None:
    """Store the parameters that conditions compare and no row stores in the click's ``query``."""
    pairs = [(field[len(QUERY_PREFIX) :], click[field]) for field in route.query_fields if field in click]
    if pairs:
        click["query"] = urlencode(pairs, errors="surrogatepass")
