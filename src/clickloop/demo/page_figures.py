"""Compares what visitors of the pages did, and the partners saw, with what the tracker reports. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal

from clickloop.demo.check import Check, check, check_number
from clickloop.demo.observed import ArrivalPlace, ObservedTraffic, PageVisit
from clickloop.demo.page_plan import LANDING_COUNTRIES, PAGE_OFFERS, PlannedRoute
from clickloop.demo.page_setup import RULE, PageSetup
from clickloop.demo.reported import ApiFigures, ApiReportRow, PageData, TrackerData
from clickloop.demo.standins import NetworkVisit
from clickloop.text import escape_bytes, readable

_PLACES = {
    PlannedRoute.OVER_LANDING: ArrivalPlace.LANDING,
    PlannedRoute.PAST_LANDING: ArrivalPlace.OFFER,
    PlannedRoute.STRAIGHT_TO_PAGE: ArrivalPlace.PAGE,
}


def check_pages(seen: ObservedTraffic, page_setup: PageSetup, pages: PageData, data: TrackerData) -> tuple[Check, ...]:
    """Return all checks of landings and pages."""
    visits = seen.page_visits
    return (
        *_route_checks(visits, page_setup, pages),
        *_press_checks(visits, seen.page_arrivals, page_setup, pages),
        *_click_checks(visits, page_setup, pages),
        *_conversion_checks(seen, page_setup, data),
    )


def _route_checks(visits: tuple[PageVisit, ...], page_setup: PageSetup, pages: PageData) -> list[Check]:
    by_link = [visit for visit in visits if visit.planned.route is not PlannedRoute.STRAIGHT_TO_PAGE]
    from_rule = sum(visit.planned.country in LANDING_COUNTRIES for visit in by_link)
    return [
        check(
            "Visitors sent where the rule by country says",
            Counter((visit.planned.country, visit.place) for visit in by_link),
            Counter((visit.planned.country, _PLACES[visit.planned.route]) for visit in by_link),
            f"{' and '.join(LANDING_COUNTRIES)} to the landing: {from_rule:,}, others to offers: {len(by_link) - from_rule:,}",
        ),
        check(
            "Clicks reported by country and landing",
            _figures(pages.by_country, lambda figures: figures.clicks),
            Counter(
                (
                    visit.planned.country,
                    str(page_setup.landing_id if visit.planned.route is PlannedRoute.OVER_LANDING else 0),
                )
                for visit in by_link
            ),
        ),
        check(
            "Routes explained by the rule that took the visitor",
            {
                click_id: (route.agrees, tuple(flow.rule_name for flow in route.flows))
                for click_id, route in pages.routes.items()
            },
            {
                visit.click_id: (True, (RULE if visit.planned.route is PlannedRoute.OVER_LANDING else "",))
                for visit in by_link
                if visit.click_id in pages.routes
            },
        ),
    ]


def _press_checks(
    visits: tuple[PageVisit, ...], arrivals: tuple[NetworkVisit, ...], page_setup: PageSetup, pages: PageData
) -> list[Check]:
    presses = [(visit, press) for visit in visits for press in visit.presses]
    planned = Counter((visit.click_id, PAGE_OFFERS[button - 1]) for visit in visits for button in visit.planned.presses)
    direct = Counter((visit.click_id, visit.offer) for visit in visits if visit.place is ArrivalPlace.OFFER)
    pressed_once = {(visit.click_id, page_setup.offer_ids[press.button - 1]) for visit, press in presses}
    landing_clicks = Counter(str(offer_id) for _, offer_id in pressed_once)
    direct_visits = Counter(str(page_setup.offer_id(offer)) for _, offer in direct.elements())
    return [
        check(
            "Buttons lead to their offers, repeated presses too",
            Counter((press.click_id, press.offer) for _, press in presses),
            planned,
        ),
        check(
            "Arrivals at the network, with external IDs",
            Counter((arrival.click_id, arrival.external_id, arrival.offer) for arrival in arrivals),
            Counter(
                (visit.click_id, visit.planned.visitor.external_id, offer)
                for visit in visits
                for offer in (*(press.offer for press in visit.presses), *([visit.offer] if visit.offer else ()))
            ),
        ),
        check(
            "Landing clicks by button, repeated presses counted once",
            _figures(pages.by_offer, lambda figures: figures.landing_clicks),
            landing_clicks,
            " : ".join(f"{landing_clicks[str(offer_id)]:,}" for offer_id in page_setup.offer_ids),
        ),
        check(
            "Offer visits = landing clicks + direct visitors",
            _figures(pages.by_offer, lambda figures: figures.offer_visits),
            landing_clicks + direct_visits,
            f"{landing_clicks.total():,} + {direct_visits.total():,}",
        ),
    ]


def _click_checks(visits: tuple[PageVisit, ...], page_setup: PageSetup, pages: PageData) -> list[Check]:
    straight = [visit for visit in visits if visit.planned.route is PlannedRoute.STRAIGHT_TO_PAGE]
    costs = {
        # An address of a page is not believed about its cost: anybody could open it.
        visit.click_id: 0 if visit in straight else int(Decimal(visit.planned.visitor.cost).scaleb(6))
        for visit in visits
    }
    return [
        check_number(
            "Landing views",
            sum(row.figures.landing_views for row in pages.by_path),
            sum(visit.planned.views for visit in visits),
        ),
        check_number(
            "Clicks tracked directly, reloads not counted",
            sum(click.campaign_id == page_setup.page_campaign_id and not click.screening for click in pages.clicks),
            len(straight),
        ),
        check(
            "Clicks of all of them recorded, with external IDs",
            Counter((click.click_id, click.external_id) for click in pages.clicks),
            Counter((visit.click_id, readable(escape_bytes(visit.planned.visitor.external_id))) for visit in visits),
        ),
        check(
            "Cost of each click, none if tracked directly",
            {click.click_id: click.cost.micros for click in pages.clicks},
            costs,
        ),
    ]


def _conversion_checks(seen: ObservedTraffic, page_setup: PageSetup, data: TrackerData) -> list[Check]:
    visits = {visit.click_id: visit for visit in seen.page_visits}
    converting = [visit for visit in seen.page_visits if visit.planned.visitor.steps]
    found = [conversion for conversion in data.conversions if conversion.click_id in visits]
    offers = {visit.click_id: _offer_of_conversion(visit) for visit in converting}
    external_ids = {visit.planned.visitor.external_id for visit in seen.page_visits}
    return [
        check(
            "Conversions belong to the offer of the last button",
            Counter((conversion.click_id, conversion.offer_id) for conversion in found),
            Counter((click_id, page_setup.offer_id(offer)) for click_id, offer in offers.items() if offer),
            ", ".join(
                f"{number:,} {place}" for place, number in sorted(Counter(visit.place for visit in converting).items())
            ),
        ),
        check(
            "Conversions that the source learned of, by external ID",
            Counter(call.external_id for call in seen.calls if call.accepted and call.external_id in external_ids),
            Counter(visit.planned.visitor.external_id for visit in converting),
        ),
    ]


def _offer_of_conversion(visit: PageVisit) -> str:
    return visit.presses[-1].offer if visit.presses else visit.offer


def _figures(
    rows: Iterable[ApiReportRow], figure: Callable[[ApiFigures], int]
) -> Counter[tuple[str, ...]] | Counter[str]:
    """Return a figure of each row that has one, by its keys."""
    found = {tuple(key.value for key in row.keys): figure(row.figures) for row in rows}
    if all(len(keys) == 1 for keys in found):
        return Counter({keys[0]: number for keys, number in found.items() if number})
    return Counter({keys: number for keys, number in found.items() if number})
