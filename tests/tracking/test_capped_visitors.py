"""Visitors of offers whose caps are reached: on the campaign link, on a landing, and at a button pressed before."""

from collections import Counter

from msgspec.structs import replace

from clickloop.click.click import Flag
from clickloop.click.page.page_event import PageEventFlag
from clickloop.setup.catalog import Catalog, CatalogFlow, CatalogOffer
from clickloop.setup.flow import FlowParts, Path
from clickloop.setup.routing_state import CappedOffer, RoutingState
from tests.landings import DIRECT, FIRST, OTHER_KEY, OTHER_PATH, PATH, SECOND, catalog
from tests.tracking.landing_edge import LandingEdge, Visitor, site, values

STAND_IN = 14


def with_stand_in(*paths: Path) -> Catalog:
    """Return the landing's set-up in which an offer that no path names stands in for the first. ``paths``: of the campaign."""
    found = catalog()
    url = "https://stand-in.example/o?s={clickid}&v={zone}&q={externalid}"
    offers = tuple(replace(one, alternative_id=STAND_IN) if one.id == FIRST else one for one in found.offers)
    stand_in = CatalogOffer(STAND_IN, "Stand-in", url, 6, "Other network")
    flows = (CatalogFlow(9, 1, FlowParts(default_paths=paths or (PATH,))), *found.flows[1:])
    return replace(found, offers=(*offers, stand_in), flows=flows)


def reach(edge: LandingEdge, *capped: tuple[int, int]) -> None:
    """Let caps be reached: pairs of offer and the one that takes its visitors."""
    state = RoutingState(version=5, capped=tuple(CappedOffer(*one) for one in capped))
    edge.edge.routes = edge.edge.routes.with_state(state)


def test_a_direct_visitor_goes_to_the_alternative_and_the_click_says_so() -> None:
    edge = LandingEdge(with_stand_in())
    reach(edge, (DIRECT, STAND_IN))
    Visitor(edge).visit(key=OTHER_KEY)
    click = edge.recorded_clicks()[0]
    assert (click.offer_id, click.network_id, click.instead_of, click.routing_state) == (STAND_IN, 6, DIRECT, 5)
    assert click.target.startswith("https://stand-in.example/")


def test_caps_of_other_offers_leave_no_trace_on_a_click() -> None:
    edge = LandingEdge(with_stand_in())
    reach(edge, (FIRST, STAND_IN))
    Visitor(edge).visit(key=OTHER_KEY)
    click = edge.recorded_clicks()[0]
    assert (click.offer_id, click.instead_of, click.routing_state) == (DIRECT, 0, 0)


def test_a_path_whose_offers_are_all_out_of_the_rotation_leaves_it() -> None:
    other = replace(OTHER_PATH, weight=1)
    edge = LandingEdge(with_stand_in(replace(PATH, weight=1_000_000), other))
    reach(edge, (FIRST, 0), (SECOND, 0))
    for _ in range(20):
        Visitor(edge).visit()
    assert {(click.path_id, click.landing_id, click.offer_id) for click in edge.recorded_clicks()} == {
        (other.id, 0, DIRECT)
    }


def test_visitors_go_to_the_fallback_if_caps_leave_no_path() -> None:
    edge = LandingEdge(with_stand_in())
    reach(edge, (DIRECT, 0))
    Visitor(edge).visit(key=OTHER_KEY)
    click = edge.recorded_clicks()[0]
    assert (click.offer_id, click.flags, click.routing_state) == (0, Flag.FALLBACK, 5)


def test_the_draws_of_the_other_offers_stay_where_they_are() -> None:
    paths = Path(id=22, offers=(replace(PATH.offers[0], weight=1), replace(PATH.offers[1], weight=3)))
    draws = [number << 40 for number in range(0, 1 << 23, 1 << 15)]

    def went_to(*capped: tuple[int, int]) -> list[int]:
        edge = LandingEdge(with_stand_in(paths))
        reach(edge, *capped)
        route = edge.edge.routes.by_id(7)
        assert route is not None
        assert route.simple is not None
        chosen = [route.simple.items.choose(draw, route.simple.choice) for draw in draws]
        return [one.target.offer_id for one in chosen if one is not None]

    before, after = went_to(), went_to((FIRST, STAND_IN))
    assert after == [STAND_IN if offer_id == FIRST else offer_id for offer_id in before]
    assert Counter(before)[FIRST] > 0


def test_a_button_leads_to_the_alternative_with_the_values_of_the_visit() -> None:
    edge = LandingEdge(with_stand_in())
    visitor = Visitor(edge)
    cid = visitor.visit()
    reach(edge, (FIRST, STAND_IN))
    gone = visitor.press(cid, "1")
    assert site(gone) == "stand-in.example"
    # Carried by the visit from before the cap was reached, although only the alternative's URL needs them.
    assert values(gone) == {"s": cid, "v": "z 1", "q": "e&x"}
    event = edge.recorded_events()[0]
    assert (event.offer_id, event.network_id, event.instead_of, event.flags) == (STAND_IN, 6, FIRST, "")


def test_a_button_pressed_before_keeps_its_offer() -> None:
    edge = LandingEdge(with_stand_in())
    visitor = Visitor(edge)
    cid = visitor.visit()
    assert site(visitor.press(cid, "1")) == "first.example"
    for capped in ((FIRST, STAND_IN), (FIRST, 0)):
        reach(edge, capped, (SECOND, 0))
        assert site(visitor.press(cid, "1")) == "first.example"
    reach(edge)
    assert {(event.offer_id, event.instead_of) for event in edge.recorded_events()} == {(FIRST, 0)}


def test_a_button_that_led_to_the_alternative_keeps_it_when_there_is_room_again() -> None:
    edge = LandingEdge(with_stand_in())
    visitor = Visitor(edge)
    cid = visitor.visit()
    reach(edge, (FIRST, STAND_IN))
    visitor.press(cid, "1")
    reach(edge)
    assert site(visitor.press(cid, "1")) == "stand-in.example"
    assert edge.recorded_events()[1].flags == PageEventFlag.REPEATED


def test_a_button_whose_offer_is_out_of_the_rotation_leads_to_another_and_moves_no_other_button() -> None:
    edge = LandingEdge(with_stand_in())
    visitor = Visitor(edge)
    cid = visitor.visit()
    reach(edge, (FIRST, 0))
    assert site(visitor.press(cid, "2")) == "second.example"
    assert site(visitor.press(cid, "1")) == "second.example"
    assert [(event.button, event.flags) for event in edge.recorded_events()] == [
        (2, ""),
        (1, PageEventFlag.CAP_REACHED),
    ]


def test_a_visitor_already_on_the_landing_goes_to_the_fallback_if_all_its_offers_are_out() -> None:
    edge = LandingEdge(with_stand_in())
    visitor = Visitor(edge)
    cid = visitor.visit()
    reach(edge, (FIRST, 0), (SECOND, 0))
    for button in ("", "1"):
        assert site(visitor.press(cid, button)) == "campaign.example"
    flags = f"{PageEventFlag.CAP_REACHED},{PageEventFlag.FALLBACK}"
    assert [event.flags for event in edge.recorded_events()] == [flags, flags]
