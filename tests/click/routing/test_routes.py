"""From a campaign's key to an offer."""

import math
import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.place import NOWHERE
from clickloop.click.routing.arriving_visitor import ArrivingVisitor
from clickloop.click.routing.destination import RedirectTarget
from clickloop.click.routing.flow import derived
from clickloop.click.routing.route import Route
from clickloop.click.routing.routes import Routes
from clickloop.click.useragent import Device
from clickloop.macro import EncodingContext
from clickloop.setup.catalog import Catalog, CatalogCampaign, CatalogFlow, CatalogOffer, CatalogRow
from clickloop.setup.flow import MAX_DEPTH, FlowParts, Path, PathTarget
from tests.flows import flow_in_catalog

OFFERS = tuple(
    CatalogOffer(number, f"Offer {number}", f"https://o{number}.example/", 1, "Network") for number in range(1, 6)
)
ANYBODY = ArrivingVisitor(0, "", Device(), "", NOWHERE, "", {})
ALMOST_ONE = math.nextafter(1, 0)


def route(*shares: tuple[int, int], offers: tuple[CatalogOffer, ...] = OFFERS, **given: Any) -> Route:
    """Return the route of a campaign with these pairs of offer and weight."""
    usual: dict[str, Any] = {"active": True, "domain": "", "fallback_url": "", "cost_micros": None, "cost_currency": ""}
    rows = (CatalogRow(-1, "external_id"), CatalogRow(0, "cost"), CatalogRow(1, "Zone"))
    fields = usual | {key: value for key, value in given.items() if key not in {"instance_fallback", "own_hosts"}}
    campaign = CatalogCampaign(
        id=7, key="aB3xY9", name="C", source_id=3, source_name="S", rows=rows, flow_id=9, **fields
    )
    flows = (flow_in_catalog(*shares),)
    catalog = Catalog((campaign,), offers, given.get("own_hosts", ("go.example",)), flows=flows)
    found = Routes(catalog, given.get("instance_fallback", "")).find(b"aB3xY9")
    assert found is not None
    return found


def offer_of(found: Route, chance: float) -> int | None:
    target = target_of(found, chance)
    return None if target is None else target.offer_id


def target_of(found: Route, chance: float = 0.5) -> RedirectTarget | None:
    """Return the destination of any visitor whose draw makes the path's choice among offers fall at ``chance``."""
    return found.only or found.choose(ANYBODY, draw_of_offer(chance)).target


def draw_of_offer(chance: float) -> int:
    """Return a draw from which the derived number of the offer's choice is this part of 2⁶⁴."""
    wanted = min(int(chance * 2**64), 2**64 - 1)
    mixed = wanted ^ (wanted >> 31) ^ (wanted >> 62)
    mixed = mixed * pow(0x94D049BB133111EB, -1, 2**64) % 2**64
    mixed = mixed ^ (mixed >> 27) ^ (mixed >> 54)
    mixed = mixed * pow(0xBF58476D1CE4E5B9, -1, 2**64) % 2**64
    mixed = mixed ^ (mixed >> 30) ^ (mixed >> 60)
    draw = (mixed - 3 * 0x9E3779B97F4A7C15) % 2**64
    assert derived(draw, 3) == wanted
    return draw


def url_of(target: RedirectTarget | None, values: dict[str, str] | None = None) -> str:
    if target is None or target.template is None:
        return ""
    return target.template.render(values or {}, EncodingContext.URL, 0)


def test_visitors_are_split_by_weight() -> None:
    found, chance, visitors = route((1, 70), (2, 20), (3, 10)), random.Random(4711), 20_000
    counted = Counter(offer_of(found, chance.random()) for _ in range(visitors))
    for offer_id, share in ((1, 0.7), (2, 0.2), (3, 0.1)):
        four_deviations = 4 * math.sqrt(visitors * share * (1 - share))
        assert abs(counted[offer_id] - visitors * share) < four_deviations


@given(st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=5), st.floats(0, ALMOST_ONE))
def test_every_draw_selects_an_offer_with_a_weight(weights: list[int], chance: float) -> None:
    found = route(*enumerate(weights, 1))
    with_weight = {number for number, weight in enumerate(weights, 1) if weight}
    assert (offer_of(found, chance) in with_weight) if with_weight else (offer_of(found, chance) is None)


def test_the_ends_of_the_draw_are_the_first_and_the_last_offer() -> None:
    found = route((1, 1), (2, 1))
    assert [offer_of(found, chance) for chance in (0.0, 0.499, 0.5, ALMOST_ONE)] == [1, 1, 2, 2]


def test_an_offer_that_is_gone_or_has_no_weight_gets_no_visitors() -> None:
    assert {offer_of(route((1, 0), (99, 100), (2, 1)), chance) for chance in (0.0, 0.5, ALMOST_ONE)} == {2}


@pytest.mark.parametrize(
    "url", ["https://go.example/c/aB3xY9", "http://GO.example/c/other?x={clickid}", "//go.example/c/aB3xY9"]
)
def test_an_offer_that_is_our_own_link_gets_no_visitors(url: str) -> None:
    ourselves = CatalogOffer(1, "Ourselves", url, 1, "Network")
    found = route((1, 1), offers=(ourselves,), fallback_url="https://fallback.example/")
    assert target_of(found) is found.fallback


@pytest.mark.parametrize(
    "url",
    [
        "http://LOCALHOST:8080/c/aB3xY9",
        "http://127.1:8080/c/aB3xY9",
        "http://2130706433:8080/c/aB3xY9",
        "http://0x7f.1:8080/c/aB3xY9",
        "http://0177.0.0.1:8080/c/aB3xY9",
        "http://\uff11\uff12\uff17.0.0.1:8080/c/aB3xY9",
        "http://127.0.0.1.:8080/c/aB3xY9",
        "http://[::1]:8080/c/aB3xY9",
        "http://[::ffff:127.0.0.1]:8080/c/aB3xY9",
        "http://go.localhost:8080/c/aB3xY9",
        "https://GO.example.:443/c/aB3xY9",
        "https://\uff47\uff4f.example/c/aB3xY9",
        "https://go.example:/c/aB3xY9",
        "https://go%2Eexample/c/aB3xY9",
        "https://b\u00fccher.example/c/aB3xY9",
        "https://xn--bcher-kva.example/c/aB3xY9",
        "https://go.example//c//aB3xY9/",
        "https://go.example/x/../c/aB3xY9",
        "https://go.example/%2e/c/aB3xY9&external_id=x",
        "https://go.example/c/{token1}",
    ],
)
def test_our_own_link_is_recognised_however_its_host_and_path_are_written(url: str) -> None:
    ourselves = CatalogOffer(1, "Ourselves", url, 1, "Network")
    own_hosts = ("go.example", "0.0.0.0:8080", "xn--bcher-kva.example")
    found = route((1, 1), offers=(ourselves,), fallback_url="https://fallback.example/", own_hosts=own_hosts)
    assert target_of(found) is found.fallback


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8081/c/aB3xY9",
        "https://go.example:8443/c/aB3xY9",
        "https://go.example.com/c/aB3xY9",
        "https://go.example/C/aB3xY9",
        "https://go.example/cc/aB3xY9",
        "https://go.example/c/../x",
        "https://go.example/?u=/c/aB3xY9",
        "https://other.example/?u=https://go.example/c/aB3xY9",
        "https://128.1/c/aB3xY9",
        "https://1.2.3.4.5/c/aB3xY9",
        "https://999999999999/c/aB3xY9",
    ],
)
def test_another_url_is_not_our_own_link(url: str) -> None:
    other = CatalogOffer(1, "Other", url, 1, "Network")
    assert offer_of(route((1, 1), offers=(other,), own_hosts=("go.example", "127.0.0.1:8080")), 0.5) == 1


def test_a_fallback_that_leads_back_to_the_campaign_is_ignored() -> None:
    found = route(fallback_url="https://GO.example/c/aB3xY9?x=1", instance_fallback="https://all.example/")
    assert found.fallback is not None
    assert url_of(found.fallback) == "https://all.example/"
    assert route(instance_fallback="https://go.example/c/aB3xY9").fallback is None


def test_fallbacks_that_form_a_loop_are_ignored_and_one_to_an_active_campaign_is_used() -> None:
    def campaign(key: str, fallback: str) -> CatalogCampaign:
        rows = (CatalogRow(-1, "external_id"),)
        return CatalogCampaign(
            7,
            key,
            "C",
            3,
            "S",
            rows=rows,
            flow_id=0,
            active=True,
            domain="",
            fallback_url=fallback,
            cost_micros=None,
            cost_currency="",
        )

    def fallbacks(*campaigns: CatalogCampaign) -> list[bool]:
        routes = Routes(Catalog(campaigns, OFFERS, ("go.example",), flows=(flow_in_catalog((1, 1)),)), "")
        found = [routes.find(one.key.encode()) for one in campaigns]
        return [one is not None and one.fallback is not None for one in found]

    first, second = campaign("aaaaaa", "https://go.example/c/bbbbbb"), campaign("bbbbbb", "https://go.example/c/aaaaaa")
    assert fallbacks(first, second) == [False, False]
    live = msgspec.structs.replace(second, flow_id=9)
    assert fallbacks(first, live) == [True, False]


def test_our_host_without_a_campaign_link_is_not_a_loop() -> None:
    page = CatalogOffer(1, "Our page", "https://go.example/landing", 1, "Network")
    assert offer_of(route((1, 1), offers=(page,)), 0.5) == 1


def test_a_paused_campaign_uses_its_fallback_or_else_the_instances() -> None:
    def place(**given: Any) -> str:
        return url_of(target_of(route((1, 1), active=False, **given)))

    assert (
        place(fallback_url="https://own.example/", instance_fallback="https://all.example/") == "https://own.example/"
    )
    assert place(instance_fallback="https://all.example/") == "https://all.example/"
    assert place() == ""


def test_a_url_that_is_not_ascii_is_sent_percent_encoded() -> None:
    odd = CatalogOffer(1, "Odd", "https://o.example/ä b?x={externalid}&y=%20\r\n", 1, "Network")
    url = url_of(target_of(route((1, 1), offers=(odd,))), {"externalid": "ü&"})
    assert url == "https://o.example/%C3%A4%20b?x=%C3%BC%26&y=%20%0D%0A"


def test_names_of_the_set_up_and_of_rows_are_macros() -> None:
    url = (
        "https://o.example/?c={campaign.name}&k={campaign.key}&s={trafficsource.id}&o={offer.name}&z={zone}&n={unknown}"
    )
    target = target_of(route((1, 1), offers=(CatalogOffer(1, "An offer", url, 1, "Network"),)))
    rendered = url_of(target, {"token1": "4711"})
    assert rendered == "https://o.example/?c=C&k=aB3xY9&s=3&o=An%20offer&z=4711&n={unknown}"


def test_an_unknown_key_has_no_route() -> None:
    routes = Routes(Catalog(), "https://fallback.example/")
    assert [routes.find(key) for key in (b"", b"aB3xY9", b"\xff", b"x" * 10_000)] == [None] * 4


def test_keys_are_case_sensitive() -> None:
    campaign = route((1, 1)).campaign
    routes = Routes(Catalog((campaign,), OFFERS), "")
    assert (routes.find(b"ab3xy9"), len(routes)) == (None, 1)


def test_a_visitor_goes_round_in_no_loop_that_the_catalog_holds() -> None:
    found = route()
    campaign = found.campaign
    other = msgspec.structs.replace(campaign, id=8, key="Other1", flow_id=10)
    flows = tuple(
        CatalogFlow(
            flow_id, 1, FlowParts(default_paths=(Path(id=flow_id, target=PathTarget.CAMPAIGN, campaign_id=to),))
        )
        for flow_id, to in ((9, 8), (10, 7))
    )
    looping = Routes(Catalog((campaign, other), OFFERS, (), flows=flows), "https://fallback.example/").find(b"aB3xY9")
    assert looping is not None
    routing = looping.choose(ANYBODY, 1)
    assert routing.target is looping.fallback
    assert len(routing.hops) == MAX_DEPTH + 1
