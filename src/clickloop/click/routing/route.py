"""The route of one campaign: from a visitor to their destination. Pure: chance and memory are passed in."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from clickloop.click.routing.arriving_visitor import ArrivingVisitor, Getter
from clickloop.click.routing.conditions import Value
from clickloop.click.routing.destination import Destination, PathPlace, RedirectTarget
from clickloop.click.routing.flow import ReadyFlow, ReadyPath, Weighted, choose, draw_after_hop
from clickloop.click.routing.not_served import NotServed
from clickloop.click.routing.recall import LANDING_CHOICE, OFFER_CHOICE, Memory, Recall, Shown
from clickloop.click.routing.shown import destination_id, shown_of
from clickloop.setup.catalog import CatalogCampaign
from clickloop.setup.flow import MAX_DEPTH


class RouteStep(msgspec.Struct, frozen=True, gc=False):
    """A decision of one flow: ``failed`` as in ``click.routing.flow.Choice``."""

    place: PathPlace
    failed: str


class Routing(msgspec.Struct, frozen=True, gc=False):
    """The route of a visitor. ``target`` None: the campaign has no destination. ``hops``: the decisions before the last flow's."""

    target: RedirectTarget | None
    draw: int
    """The draw of the flow that decided."""
    failed: str = ""
    hops: tuple[RouteStep, ...] = ()
    dead_end: PathPlace | None = None
    """The flow and the rule that had no destination, so that the visitor goes to the fallback."""
    memory: Memory | None = None
    """What to remember of a visitor, if the campaign does."""


def hops_text(hops: Iterable[RouteStep]) -> str:
    """Return decisions in the form of ``Click.hops``."""
    return ",".join(
        f"{hop.place.flow_id}:{hop.place.flow_version}:{hop.place.rule_id}:{hop.place.path_id}:{hop.failed}"
        for hop in hops
    )


class ReadyRoute(msgspec.Struct, frozen=True, gc=False):
    """A flow compiled for the visitors of a campaign. ``getters``: read the values of ``flow.fields`` from a visitor."""

    flow: ReadyFlow[Destination]
    getters: tuple[Getter, ...]
    flow_id: int
    flow_version: int
    routing_state: int = 0
    """Version of the routing state, if it affects the flow."""


class Choices(msgspec.Struct, frozen=True, gc=False):
    """Destinations of the only path of a flow. ``choice``: as in ``click.routing.flow.Weighted.choose``."""

    items: Weighted[Destination]
    choice: int


def _no_path(_path_id: int) -> None:
    """Return None: no path is switched off."""


def _no_alternatives(_own: Destination) -> tuple[Destination, ...]:
    """Return none: no offer has a cap."""
    return ()


class Route(msgspec.Struct, frozen=True, gc=False):
    """A campaign, prepared for routing. ``fields``: link parameter, as written and in lower case → field of the click."""

    campaign: CatalogCampaign
    fields: dict[str, str]
    ready: ReadyRoute | None
    """None: the campaign is paused."""
    hops: dict[int, ReadyRoute]
    """Compiled flows of the campaigns that paths lead to, by campaign id."""
    only: RedirectTarget | None
    """The destination of all visitors, if there is only one."""
    simple: Choices | None
    """The destinations of all visitors, if choosing one of them is the only choice."""
    fallback: RedirectTarget | None
    json: bytes
    """The campaign's fragment of the click's JSON, for clicks without a target."""
    query_fields: tuple[str, ...] = ()
    """Fields ``query.NAME``, in lower case, that conditions compare and no row of the source holds."""
    counts_visits: bool = False
    """Whether a condition compares the number of the visit."""
    uniqueness: dict[str, object] = {}
    """What the journal's lines say of the campaign's uniqueness where it differs from the default."""
    remembers: bool = False
    """Whether the visitor's signed cookie affects the route by what the campaign remembers, see ``recall``."""
    marks: int = 0
    """The marks of a request that the campaign has on, as ``request_marks.bits_of``."""
    left_out: tuple[NotServed, ...] = ()
    resting: Callable[[int], ReadyPath[Destination] | None] = _no_path
    """Returns a path that is switched off, compiled all the same."""
    without_caps: Callable[[int], ReadyPath[Destination] | None] | None = None
    """Returns a path as if no cap were reached; None: none is."""
    alternatives: Callable[[Destination], tuple[Destination, ...]] = _no_alternatives
    """Returns the offers that take a path's offer's visitors once caps are reached."""
    served_paths: dict[int, ReadyPath[Destination] | None] = {}
    """Cache of ``path``."""
    own_paths: dict[int, ReadyPath[Destination] | None] = {}
    """Cache of ``own_path``."""
    carried: dict[int, tuple[str, ...]] = {}
    """Cache of ``landing_paths.carried_macros``."""

    def recall(self, memory: Memory) -> Recall[Destination] | None:
        """Return how a visitor with this memory is treated; None if the campaign remembers nobody."""
        if not self.remembers:
            return None
        return Recall(self.campaign.bind, self.campaign.rotation, destination_id, memory)

    def choose(self, visitor: ArrivingVisitor, draw: int, recall: Recall[Destination] | None = None) -> Routing:
        """Return the route of a visitor with this draw of up to 63 bits. ``recall``: of a campaign that remembers visitors."""
        ready = self.ready
        hops: tuple[RouteStep, ...] = ()
        shown: tuple[Shown, ...] = ()
        memory = None if recall is None else recall.memory
        while ready is not None:
            flow = ready.flow
            values: Sequence[Value] = [getter(visitor) for getter in ready.getters]
            choice = choose(flow, values, draw, recall)
            found = None if choice.path is None else choice.path.choose(draw, recall)
            if found is None:
                dead_end = PathPlace(
                    ready.flow_id, ready.flow_version, choice.rule_id, routing_state=ready.routing_state
                )
                return Routing(self.fallback, draw, choice.failed, hops, dead_end, memory)
            if recall is not None:
                shown += shown_of(flow, choice, found)
            if not found.campaign_id:
                memory = None if recall is None else recall.after(shown)
                return Routing(found.target, draw, choice.failed, hops, None, memory)
            hops = (*hops, RouteStep(found.place, choice.failed))
            # Saving refuses loops and long chains; no visitor may go round in one that got here all the same.
            ready = self.hops.get(found.campaign_id) if len(hops) <= MAX_DEPTH else None
            draw = draw_after_hop(draw)
        return Routing(self.fallback, draw, "", hops, None, memory)

    @property
    def serves(self) -> bool:
        """Return whether some visitors have somewhere to go besides the fallback."""
        return self.ready is not None and self.ready.flow.serves

    def paths(self) -> Iterator[tuple[ReadyPath[Destination], int, int]]:
        """Yield each path of the campaign's flow with its weight and the total weight of the paths that it is split with."""
        if self.ready is None:
            return
        flow = self.ready.flow
        for paths in (*(rule.paths for rule in flow.rules), flow.default_paths):
            for path, start, end in paths.spans():
                yield path, end - start, paths.total

    def path(self, path_id: int) -> ReadyPath[Destination] | None:
        """Return a path of the campaign's flow or of one that it leads to; None if it has no such path, or is paused.

        One that is switched off is for visitors who are on its landing already.
        """
        if path_id in self.served_paths or self.ready is None:
            return self.served_paths.get(path_id)
        readies = (self.ready, *self.hops.values())
        found = next((path for ready in readies if (path := ready.flow.path(path_id)) is not None), None)
        found = self.served_paths[path_id] = self.resting(path_id) if found is None else found
        return found

    def own_path(self, path_id: int) -> ReadyPath[Destination] | None:
        """Return a path as ``path`` does, as if no cap were reached."""
        if self.without_caps is None:
            return self.path(path_id)
        if path_id in self.own_paths or self.ready is None:
            return self.own_paths.get(path_id)
        found = self.own_paths[path_id] = self.without_caps(path_id)
        return found


def only_target(ready: ReadyRoute) -> RedirectTarget | None:
    """Return the only destination of a flow without rules, or None if there is a choice."""
    flow = ready.flow
    if flow.rules or len(flow.default_paths.items) != 1:
        return None
    path = flow.default_paths.items[0]
    shown = path.landings.items or path.offers.items or (() if path.single is None else (path.single,))
    return shown[0].target if len(shown) == 1 and not shown[0].campaign_id else None


def simple_choices(ready: ReadyRoute) -> Choices | None:
    """Return the destinations of a flow whose only choice is among the landings or offers of its only path; None for other flows."""
    flow = ready.flow
    if flow.rules or len(flow.default_paths.items) != 1:
        return None
    path = flow.default_paths.items[0]
    if path.landings.items:
        return Choices(path.landings, LANDING_CHOICE)
    return Choices(path.offers, OFFER_CHOICE) if path.offers.items else None
