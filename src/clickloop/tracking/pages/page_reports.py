"""The edge's steps for pages with ``track.js``: a report is a click, a landing view, or events on the page.

A page that is reached by a campaign link knows its click, so its report is a view. Any other visit is a click of its own, recorded
by the rules of a campaign link, but without a cost, since anyone can run the script.
"""

from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from clickloop.click.click import Flag
from clickloop.click.click_json import click_json
from clickloop.click.country import country_name
from clickloop.click.page.landing_click import click_id_in_referrer, read_events
from clickloop.click.page.landing_paths import max_offers
from clickloop.click.page.page_event import PageEvent, PageEventFlag, PageEventKind
from clickloop.click.page.page_report import PageReport
from clickloop.click.query import read_query
from clickloop.click.routing.arriving_visitor import ArrivingVisitor
from clickloop.click.routing.route import Route
from clickloop.click.routing.visitor_route import route_visitor
from clickloop.click.screening import screen
from clickloop.click.visitor_cookie import NOBODY, Visit, remember_campaign
from clickloop.click.visitor_memory import memory_of
from clickloop.click_id import ClickId
from clickloop.clock import MINUTE_MS
from clickloop.text import escape_bytes
from clickloop.tracking.link_fields import MAX_VALUE_CHARACTERS, add_flag, click_from_link
from clickloop.tracking.pages.page_events import genuine_click_id
from clickloop.tracking.recognising import add_uniqueness
from clickloop.tracking.take import (
    Edge,
    EdgeRequest,
    mark_click,
    remembered_visit,
)

RELOAD_MS = 30 * MINUTE_MS
"""Time after a click within which another load of the page is a view of that click."""
MAX_QUERY_BYTES_OVER_RATE = 256
MAX_LINKS = 50  # the maximum number of a landing's buttons

_encode = msgspec.json.Encoder().encode


class PageRequest(EdgeRequest, Protocol):
    """A request from a page. ``secure``: whether it came over https."""

    secure: bool


class ButtonLink(msgspec.Struct, frozen=True):
    """The link to the ``n``-th offer."""

    n: int
    url: str


class PageAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a report. ``cid`` is empty if there is no such campaign. ``values``: the visitor's, for the page to show."""

    cid: str = ""
    offers: tuple[ButtonLink, ...] = ()
    values: dict[str, str] = {}


class TakenReport(msgspec.Struct, frozen=True):
    """The result of a report. ``visitor_cookie``: to be set on the tracker's domain where the browser allows it; empty for none."""

    answer: PageAnswer
    visitor_cookie: str = ""


def take_page_report(edge: Edge, arrival: PageRequest, report: PageReport) -> TakenReport:
    """Buffer a page's report and return the answer, which may be sent only after ``record_clicks``."""
    click_id = genuine_click_id(edge, report.cid)
    if report.events:
        if click_id is not None:
            _take_events(edge, arrival, click_id, report)
        return TakenReport(PageAnswer(click_id.text if click_id is not None else ""))
    route = edge.routes.find(report.campaign.encode()) if report.campaign else None
    if click_id is not None and _is_view(edge, click_id, report, route):
        _take_landing_view(edge, arrival, click_id, report)
        return TakenReport(_answer(edge, arrival, click_id.text, route))
    if route is None:
        return TakenReport(PageAnswer())
    return _take_tracked_click(edge, arrival, report, route)


def _is_view(edge: Edge, click_id: ClickId, report: PageReport, route: Route | None) -> bool:
    """Return whether a report is a view of a click: the one in the page's URL, or a recent one of the same campaign."""
    named = genuine_click_id(edge, click_id_in_referrer(report.url.encode("utf-8", "replace")))
    if named is not None and named.text == click_id.text:
        return True
    if not 0 <= edge.clock() - click_id.at < RELOAD_MS:
        return route is None
    visit = edge.recent_visits.find(click_id.text)
    return visit is None or route is None or visit.campaign_id == route.campaign.id


def _take_landing_view(edge: Edge, arrival: EdgeRequest, click_id: ClickId, report: PageReport) -> None:
    _gather(edge, arrival, PageEventKind.LANDING_VIEW, click_id, loaded_ms=round(report.loaded))


def _take_events(edge: Edge, arrival: EdgeRequest, click_id: ClickId, report: PageReport) -> None:
    events, is_unreadable = read_events({f"event{number}": text for number, text in report.events.items()})
    flags = PageEventFlag.EVENT_UNREADABLE if is_unreadable else ""
    _gather(edge, arrival, PageEventKind.EVENT, click_id, events=events, flags=flags)


def _gather(edge: Edge, arrival: EdgeRequest, kind: PageEventKind, click_id: ClickId, **more: Any) -> None:
    headers = arrival.headers
    device = edge.visitors.device_of(headers.get(b"user-agent", b"")).device
    screening = screen(
        b"GET" if arrival.method == b"POST" else arrival.method, headers.get(b"purpose", b""), device.screening
    )
    event = PageEvent(
        event_id=edge.notice_ids(),
        at=edge.clock(),
        kind=kind,
        click_id=click_id.text,
        screening=screening or "",
        **more,
    )
    edge.page_events.gather(_encode(event))


def _take_tracked_click(edge: Edge, arrival: PageRequest, report: PageReport, route: Route) -> TakenReport:
    """Buffer the click of a visit of a page that no campaign link led to. The visitor stays; its flow chooses the offers of the page."""
    now_ms, headers = edge.clock(), arrival.headers
    query, referrer = report.query, report.referrer
    if edge.strangers.is_page_over_rate(arrival.ip, now_ms):
        query, referrer = query[:MAX_QUERY_BYTES_OVER_RATE], ""
    device = edge.visitors.hinted_device_of(headers.get(b"user-agent", b""), report.hints)
    place = edge.visitors.place_of(arrival.ip)
    language = edge.visitors.language_of((report.language or "").encode() or headers.get(b"accept-language", b""))
    parameters, flags = read_query(query, route.fields, "external_id")
    parameters.pop("cost", None)
    click = click_from_link(edge.currency, route, parameters, flags, len(query))
    click_id = click["click_id"] = edge.click_ids.new(now_ms)
    if referrer:
        click["referrer"] = escape_bytes(referrer.encode("utf-8", "replace"))[:MAX_VALUE_CHARACTERS]
    state, since = add_uniqueness(edge, headers, arrival.ip, route, click, now_ms)
    click["domain"] = arrival.host
    screening = screen(b"GET", headers.get(b"purpose", b""), device.device.screening)
    if screening is not None:
        click["screening"] = screening
    mark_click(click, route, device, place, language)
    visitor = ArrivingVisitor(now_ms, arrival.ip, device.device, device.useragent, place.place, language.tag, click)
    memory = memory_of(state, route.campaign.id, since) if route.remembers else None
    routing = route_visitor(route, visitor, click, edge.draw(), memory)
    target = routing.target
    visit: Visit | None = None
    if target is None or target is route.fallback:
        add_flag(click, Flag.FALLBACK)
        fragment = route.json
    else:
        place_of_path = target.place
        path = route.path(place_of_path.path_id)
        fragment = click_json(
            campaign_id=route.campaign.id,
            source_id=route.campaign.source_id,
            flow_id=place_of_path.flow_id or "",
            flow_version=place_of_path.flow_version or "",
            rule_id=place_of_path.rule_id or "",
            path_id=place_of_path.path_id or "",
            routing_state=place_of_path.routing_state or "",
            # The page that reports is the landing, where there is one to take it for.
            landing_id=target.landing_id if path is not None and len(path.landings.items) == 1 else "",
        )
        visit = remembered_visit(edge, route, target, click, now_ms, routing.draw, by_page=True)
    head = b'{"at":%d%b%b%b%b,' % (now_ms, fragment, device.json, place.json, language.json)
    edge.clicks.gather(head + _encode(click)[1:])
    if visit is not None:
        state = state.with_visit(visit.for_cookie())
    if screening is None:
        if memory is not None and routing.memory is not None:
            # Nobody was sent to a landing or an offer.
            memory = replace(memory, paths=routing.memory.paths, seen_paths=routing.memory.seen_paths)
        state = remember_campaign(state, route.campaign, now_ms // 1000, since, click_id, memory)
    cookie = "" if state is NOBODY else edge.cookies.write(state)
    return TakenReport(_answer(edge, arrival, click_id, route), cookie)


def _answer(edge: Edge, arrival: PageRequest, click_id: str, route: Route | None) -> PageAnswer:
    """Return the answer for a page: links to the offers of its visit, and the visitor's values in this request."""
    visit = edge.recent_visits.find(click_id)
    if visit is not None:
        route = edge.routes.by_id(visit.campaign_id) or route
    count = 1
    if route is not None:
        path = route.own_path(visit.path_id) if visit is not None else None
        count = len(path.offers.items) if path is not None else max_offers(route)
    scheme = "https" if arrival.secure else "http"
    links = (
        ButtonLink(number, f"{scheme}://{arrival.host}/click/{number}?cid={click_id}")
        for number in range(1, min(count, MAX_LINKS) + 1)
    )
    return PageAnswer(click_id, tuple(links), _page_values(edge, arrival))


def _page_values(edge: Edge, arrival: EdgeRequest) -> dict[str, str]:
    """Return the macros that a page may show its visitor, without empty ones. Other values of the click are not disclosed."""
    headers = arrival.headers
    device = edge.visitors.device_of(headers.get(b"user-agent", b"")).device
    place = edge.visitors.place_of(arrival.ip).place
    values = {
        "country": place.country,
        "country.name": country_name(place.country),
        "region": place.region,
        "city": place.city,
        "language": edge.visitors.language_of(headers.get(b"accept-language", b"")).tag,
        "device": device.kind,
        "brand": device.brand,
        "model": device.model,
        "os": device.os,
        "browser": device.browser,
    }
    return {name: value for name, value in values.items() if value}
