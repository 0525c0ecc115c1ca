"""The demo's checks of landings and pages fail if a single figure is wrong, and its plan has every kind of visitor."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from clickloop.demo.observed import ArrivalPlace, ButtonPress, ObservedTraffic, PageVisit
from clickloop.demo.page_figures import check_pages
from clickloop.demo.page_plan import LANDING_COUNTRIES, PageVisitor, PlannedRoute, make_page_plan
from clickloop.demo.page_setup import RULE, PageSetup
from clickloop.demo.plan import ConversionStep, PlannedVisitor, make_plan
from clickloop.demo.reported import (
    ApiClick,
    ApiConversion,
    ApiFigures,
    ApiKey,
    ApiMoney,
    ApiReportRow,
    ApiRoute,
    ApiRouteFlow,
    ApiStatus,
    PageData,
    TrackerData,
)
from clickloop.demo.standins import NetworkVisit, ReceivedPostback

CAMPAIGN, PAGE_CAMPAIGN, LANDING, FIRST, SECOND = 2, 3, 1, 13, 14
SETUP = PageSetup(
    link="http://tracker.example/c/Ab12Cd",
    page_link="http://pages.example/shop",
    campaign_id=CAMPAIGN,
    page_campaign_id=PAGE_CAMPAIGN,
    landing_id=LANDING,
    offer_ids=(FIRST, SECOND),
    codes={},
)
SALE = ConversionStep(txid="T1", word="1", cents=500, micros=5_000_000)


def _planned(
    name: str, country: str, way: PlannedRoute, presses: tuple[int, ...], *, reloads: bool = False
) -> PageVisitor:
    visitor = PlannedVisitor(
        number=1,
        external_id=name.encode() + b"\xff",
        in_link="",
        cost="0.0100",
        useragent="Mozilla/5.0",
        language="en",
        ip="198.51.100.7",
        macro_values={"{geo}": country},
        steps=(SALE,),
    )
    return PageVisitor(visitor=visitor, route=way, presses=presses, reloads=reloads)


OVER_LANDING = PageVisit(
    planned=_planned("a", "DE", PlannedRoute.OVER_LANDING, (1, 2, 2)),
    place=ArrivalPlace.LANDING,
    click_id="c1",
    presses=(ButtonPress(1, "3", "c1"), ButtonPress(2, "4", "c1"), ButtonPress(2, "4", "c1")),
    views=1,
)
PAST_LANDING = PageVisit(
    planned=_planned("b", "US", PlannedRoute.PAST_LANDING, ()), place=ArrivalPlace.OFFER, click_id="c2", offer="3"
)
STRAIGHT = PageVisit(
    planned=_planned("c", "FR", PlannedRoute.STRAIGHT_TO_PAGE, (1,), reloads=True),
    place=ArrivalPlace.PAGE,
    click_id="c3",
    presses=(ButtonPress(1, "3", "c3"),),
    views=1,
)


def _observed(*visits: PageVisit) -> ObservedTraffic:
    seen = visits or (OVER_LANDING, PAST_LANDING, STRAIGHT)
    return ObservedTraffic(
        visits=(),
        page_visits=seen,
        arrivals=(),
        page_arrivals=(
            NetworkVisit("c1", b"a\xff", "3"),
            *[NetworkVisit("c1", b"a\xff", "4")] * 2,
            NetworkVisit("c2", b"b\xff", "3"),
            NetworkVisit("c3", b"c\xff", "3"),
        ),
        sent=(),
        sent_steps=(),
        calls=tuple(ReceivedPostback(f"p{name}", b"", True, name.encode() + b"\xff", "5") for name in "abc"),
        own_calls=(),
        source_rule_id=1,
        own_rule_id=2,
        weights=(),
    )


def _row(*keys: str, **figures: int) -> ApiReportRow:
    none = {"clicks": 0, "landing_views": 0, "landing_clicks": 0, "offer_visits": 0, "conversions": 0}
    return ApiReportRow(tuple(ApiKey(key, key) for key in keys), ApiFigures(**(none | figures)))


BY_OFFER = (
    _row("0", clicks=2),
    _row(str(FIRST), clicks=1, landing_clicks=2, offer_visits=3),
    _row(str(SECOND), landing_clicks=1, offer_visits=1),
)


def _pages() -> PageData:
    cost = ApiMoney("0.01", "USD")
    return PageData(
        clicks=(
            ApiClick("c1", "a�", cost, "", "mobile", "DE", CAMPAIGN),
            ApiClick("c2", "b�", cost, "", "mobile", "US", CAMPAIGN),
            ApiClick("c3", "c�", ApiMoney("", ""), "", "mobile", "FR", PAGE_CAMPAIGN),
        ),
        by_country=(_row("DE", str(LANDING), clicks=1), _row("US", "0", clicks=1)),
        by_offer=BY_OFFER,
        by_path=(_row("2", "1", landing_views=1), _row("2", "2"), _row("3", "3", landing_views=1)),
        routes={"c1": ApiRoute(True, (ApiRouteFlow(RULE),)), "c2": ApiRoute(True, (ApiRouteFlow(""),))},
    )


def _data(**offers: int) -> TrackerData:
    sale, money = ApiStatus("sale", "Sale", "confirmed"), ApiMoney("5", "USD")
    found = {"c1": SECOND, "c2": FIRST, "c3": FIRST} | offers
    return TrackerData(
        clicks=(),
        notices=(),
        conversions=tuple(ApiConversion(f"v{name}", name, "T1", sale, money, offer) for name, offer in found.items()),
        postbacks=(),
    )


def _failed_checks(seen: ObservedTraffic, pages: PageData, data: TrackerData) -> set[str]:
    return {check.name for check in check_pages(seen, SETUP, pages, data) if not check.passed}


def test_matching_figures_of_pages_pass() -> None:
    assert _failed_checks(_observed(), _pages(), _data()) == set()


def _without_view() -> PageData:
    return replace(_pages(), by_path=_pages().by_path[:2])


def _with_clicks(change: Callable[[ApiClick], ApiClick]) -> PageData:
    *others, last = _pages().clicks
    return replace(_pages(), clicks=(*others, change(last)))


WRONG = {
    "a visitor of the rule's country was sent to an offer": (
        (_observed(replace(OVER_LANDING, place=ArrivalPlace.OFFER), PAST_LANDING, STRAIGHT), _pages(), _data()),
        "Visitors sent where the rule by country says",
    ),
    "a click is reported of another country": (
        (_observed(), replace(_pages(), by_country=(_row("DE", "0", clicks=1), _pages().by_country[1])), _data()),
        "Clicks reported by country and landing",
    ),
    "a route is explained by no rule": (
        (_observed(), replace(_pages(), routes={"c1": ApiRoute(True, (ApiRouteFlow(""),))}), _data()),
        "Routes explained by the rule that took the visitor",
    ),
    "a repeated press led to another offer": (
        (
            _observed(
                replace(OVER_LANDING, presses=(*OVER_LANDING.presses[:2], ButtonPress(2, "3", "c1"))),
                PAST_LANDING,
                STRAIGHT,
            ),
            _pages(),
            _data(),
        ),
        "Buttons lead to their offers, repeated presses too",
    ),
    "the network got another external ID": (
        (
            replace(_observed(), page_arrivals=(NetworkVisit("c1", b"a", "3"), *_observed().page_arrivals[1:])),
            _pages(),
            _data(),
        ),
        "Arrivals at the network, with external IDs",
    ),
    "a repeated press is counted": (
        (
            _observed(),
            replace(_pages(), by_offer=(*BY_OFFER[:2], _row(str(SECOND), landing_clicks=2, offer_visits=1))),
            _data(),
        ),
        "Landing clicks by button, repeated presses counted once",
    ),
    "a visitor who went directly is missing": (
        (
            _observed(),
            replace(_pages(), by_offer=(BY_OFFER[0], _row(str(FIRST), landing_clicks=2, offer_visits=2), BY_OFFER[2])),
            _data(),
        ),
        "Offer visits = landing clicks + direct visitors",
    ),
    "a landing view is missing": ((_observed(), _without_view(), _data()), "Landing views"),
    "a page's click is missing": (
        (_observed(), replace(_pages(), clicks=_pages().clicks[:2]), _data()),
        "Clicks tracked directly, reloads not counted",
    ),
    "a page's click has another external ID": (
        (_observed(), _with_clicks(lambda click: replace(click, external_id="c")), _data()),
        "Clicks of all of them recorded, with external IDs",
    ),
    "a page's address set a cost": (
        (_observed(), _with_clicks(lambda click: replace(click, cost=ApiMoney("0.01", "USD"))), _data()),
        "Cost of each click, none if tracked directly",
    ),
    "a conversion has the offer of an earlier button": (
        (_observed(), _pages(), _data(c1=FIRST)),
        "Conversions belong to the offer of the last button",
    ),
    "the source did not learn of a conversion": (
        (replace(_observed(), calls=_observed().calls[1:]), _pages(), _data()),
        "Conversions that the source learned of, by external ID",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_figure_of_pages_fails_a_check(case: str) -> None:
    figures, name = WRONG[case]
    assert name in _failed_checks(*figures)


def test_every_check_of_pages_has_a_case_in_which_it_fails() -> None:
    checked = {check.name for check in check_pages(_observed(), SETUP, _pages(), _data())}
    assert checked == {name for _, name in WRONG.values()}


@pytest.mark.parametrize("visitors", [100, 300, 3_000])
def test_every_plan_of_pages_has_every_kind_of_visitor(visitors: int) -> None:
    plan = make_page_plan(visitors, first_number=visitors)
    over_landing = [planned for planned in plan if planned.route is PlannedRoute.OVER_LANDING]
    assert {planned.route for planned in plan} == set(PlannedRoute)
    assert {(planned.keeps_cookies, planned.runs_scripts) for planned in over_landing} == {
        (True, True),
        (True, False),
        (False, True),
    }
    for way in (PlannedRoute.OVER_LANDING, PlannedRoute.STRAIGHT_TO_PAGE):
        pressed = [planned.presses for planned in plan if planned.route is way]
        assert any(len(set(presses)) < len(presses) for presses in pressed)
        assert {presses[-1] for presses in pressed if presses} == {1, 2}
        assert any(planned.reloads for planned in plan if planned.route is way)
        assert any(planned.visitor.steps for planned in plan if planned.route is way)


def test_visitors_of_pages_come_from_the_country_of_their_way_and_convert_only_at_an_offer() -> None:
    plan = make_page_plan(3_000, first_number=3_000)
    for planned in plan:
        if planned.route is not PlannedRoute.STRAIGHT_TO_PAGE:
            assert (planned.country in LANDING_COUNTRIES) == (planned.route is PlannedRoute.OVER_LANDING)
        if planned.visitor.steps:
            assert planned.presses or planned.route is PlannedRoute.PAST_LANDING


def test_visitors_of_pages_share_no_transaction_id_with_other_visitors() -> None:
    others = {step.txid for visitor in make_plan(300).visitors for step in visitor.steps}
    of_pages = {step.txid for planned in make_page_plan(300, first_number=300) for step in planned.visitor.steps}
    assert of_pages
    assert not others & of_pages
