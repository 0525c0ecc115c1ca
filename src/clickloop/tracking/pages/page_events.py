"""The edge's steps on a landing: find_visit and take_landing_click. Landing clicks are journaled before the visitor is redirected.

The visitor's signed cookie has everything that a landing click needs. For browsers without it the edge remembers its latest visits,
and looks up others in the core (``click_lookup``).
"""

from functools import partial

import msgspec
from msgspec.structs import replace

from clickloop.click.click import Click, Screening
from clickloop.click.click_values import click_values
from clickloop.click.page.buttons import offer_pressed_before, offers_of_buttons
from clickloop.click.page.carried_values import AT_HAND, CARRIED, carried_values
from clickloop.click.page.landing_click import (
    OfferChoice,
    PageQuery,
    button_of,
    choose_offer,
    click_id_in_referrer,
    with_pressed,
    without_own_parameters,
)
from clickloop.click.page.landing_paths import carried_macros
from clickloop.click.page.page_event import ClickSource, PageEvent, PageEventFlag, PageEventKind
from clickloop.click.passed_query import with_passed_query
from clickloop.click.redirect import cookie_values
from clickloop.click.routing.destination import Destination, RedirectTarget
from clickloop.click.routing.flow import ReadyPath, choose_again, draw_after_hop
from clickloop.click.routing.recall import OFFER_CHOICE, Recall, RecallEffect
from clickloop.click.routing.route import Route
from clickloop.click.routing.shown import shown_offer
from clickloop.click.screening import screen
from clickloop.click.visitor_cookie import NOBODY, Visit, VisitorState, remember_campaign, unique_since
from clickloop.click.visitor_memory import memory_of, with_memory
from clickloop.click_id import ClickId
from clickloop.macro import EncodingContext
from clickloop.setup.redirect import PassQuery
from clickloop.tracking.recognising import visitor_state
from clickloop.tracking.take import ClickRedirect, Edge, EdgeRequest

_OF_LANDING = frozenset({"landing.id", "landing.name"})
_EFFECT_FLAGS = {RecallEffect.SAME: PageEventFlag.SAME_OFFER, RecallEffect.UNSEEN: PageEventFlag.UNSEEN_OFFER}
_encode = msgspec.json.Encoder().encode
_decode_click = msgspec.json.Decoder(Click).decode


class VisitSearch(msgspec.Struct, frozen=True, gc=False):
    """The visit that a request belongs to. ``visit`` is None if the edge does not know it, ``click_id`` if there is no genuine one."""

    state: VisitorState
    click_id: ClickId | None
    found_by: ClickSource
    visit: Visit | None
    is_own: bool = False
    """Whether the visit is in the visitor's cookie."""

    @property
    def needs_core(self) -> bool:
        """Return whether to look up the click in the core."""
        return self.click_id is not None and (self.visit is None or self.visit.values is None)


def find_visit(edge: Edge, arrival: EdgeRequest, page: PageQuery) -> VisitSearch:
    """Return the visit of a request from a landing, by ``cid`` in its query, else in the referrer, else by the visitor's cookies.

    Forged and mistyped click ids are ignored.
    """
    headers = arrival.headers
    state = visitor_state(edge, headers) if b"cookie" in headers else NOBODY
    own = state.visit(page.click_id_text)
    if own is not None and own.values is not None:  # signed, so the click id is ours
        return VisitSearch(state, ClickId(own.click_id, own.at * 1000), ClickSource.CID, own, is_own=True)
    click_id, found_by = genuine_click_id(edge, page.click_id_text), ClickSource.CID
    if click_id is None and b"referer" in headers:
        click_id, found_by = genuine_click_id(edge, click_id_in_referrer(headers[b"referer"])), ClickSource.REFERRER
    if click_id is None:
        found_by = ClickSource.COOKIE
        if not state.visits:
            click_ids = (genuine_click_id(edge, text) for text in cookie_values(headers.get(b"cookie", b"")))
            click_id = next((one for one in click_ids if one is not None), None)
        else:
            own = state.visits[0]
            click_id = ClickId(own.click_id, own.at * 1000)
            if own.values is not None:
                return VisitSearch(state, click_id, found_by, own, is_own=True)
    visit, is_own = None, False
    if click_id is not None:
        visit = state.visit(click_id.text)
        is_own = visit is not None
        if visit is None or visit.values is None:  # values too long for a cookie may be in memory
            recent = edge.recent_visits.find(click_id.text)
            if visit is None:
                visit = recent
            elif recent is not None:
                visit = replace(visit, values=recent.values)
    return VisitSearch(state, click_id, found_by, visit, is_own)


def genuine_click_id(edge: Edge, text: str) -> ClickId | None:
    """Return the click id in a text, or None if there is none of ours."""
    if not text:
        return None
    found = edge.click_ids.read(text)
    return found if isinstance(found, ClickId) else None


def take_landing_click(
    edge: Edge, arrival: EdgeRequest, tail: bytes, page: PageQuery, search: VisitSearch, click: Click | None
) -> ClickRedirect | None:
    """Buffer a landing click, and return the visitor's redirect; None if there is no destination.

    ``tail``: the path after ``/click``. ``click``: the result of the look-up in the core, if any. The visitor may be redirected only after
    ``record_clicks``.
    """
    now_ms = edge.clock()
    visit = search.visit if click is None else _visit_of(edge, click, search.visit)
    flags: tuple[PageEventFlag, ...] = ()
    newer = _newer_of_the_same_landing(search, visit)
    if newer is not None:
        visit, flags = newer, (PageEventFlag.OLD_CLICK_ID,)
    if page.has_unreadable_event:
        flags = (*flags, PageEventFlag.EVENT_UNREADABLE)
    route = edge.routes.by_id(visit.campaign_id) if visit is not None else None
    if visit is None or route is None:
        return _without_visit(edge, arrival, page, search, flags)
    path = route.path(visit.path_id)
    recall = _recall_of(search, route, now_ms) if route.remembers else None
    choice = _choice(route, visit, button_of(tail), recall)
    flags = (*flags, *choice.flags)
    target = route.fallback if choice.offer is None else choice.offer.target
    location = ""
    if target is not None and target.template is not None:
        if visit.values is None and not CARRIED.isdisjoint(target.template.names):
            flags = (*flags, PageEventFlag.VALUES_UNKNOWN)
        location = _location(edge, arrival, path, target, visit, now_ms)
    screening = _screening(edge, arrival)
    event = PageEvent(
        event_id=edge.notice_ids(),
        at=now_ms,
        kind=PageEventKind.LANDING_CLICK,
        click_id=visit.click_id,
        button=choice.button,
        offer_id=target.offer_id if target is not None else 0,
        network_id=target.network_id if target is not None else 0,
        target=location,
        found_by=search.found_by,
        flags=",".join(flags),
        screening=screening or "",
        events=page.events,
        instead_of=choice.offer.place.instead_of if choice.offer is not None else 0,
    )
    edge.page_events.gather(_encode(event))
    redirect = ClickRedirect(visit.click_id, location)
    if target is not None:
        redirect.mode = target.place.redirect
        redirect.hop_domain = route.campaign.redirect_domain
    if screening is None and choice.offer is not None and PageEventFlag.REPEATED not in choice.flags:
        pressed = replace(visit, pressed=with_pressed(visit.pressed, choice.button, choice.offer.target.offer_id))
        edge.recent_visits.remember(pressed)
        state = _state_after(search.state, route, pressed, choice.offer, recall)
        redirect.visitor_cookie = edge.cookies.write(state)
    return redirect


def _state_after(
    state: VisitorState, route: Route, visit: Visit, offer: Destination, recall: Recall[Destination] | None
) -> VisitorState:
    """Return what the visitor's cookie remembers once they were sent to an offer."""
    state = state.with_visit(visit.for_cookie())
    if state.campaign(visit.campaign_id) is None:
        # The page of a visitor tracked directly could set no cookie. Without the campaign in it, they would be new again.
        state = remember_campaign(state, route.campaign, visit.at, None, visit.click_id)
    path = route.path(visit.path_id)
    if recall is not None and path is not None:
        state = with_memory(state, route.campaign.id, recall.after((shown_offer(path, offer.id),)))
    return state


def _visit_of(edge: Edge, click: Click, before: Visit | None) -> Visit:
    """Return the visit of a click from the facts. ``before``: the visit as known to the edge."""
    draw = click.draw
    for _ in click.hops.split(",") if click.hops else ():
        draw = draw_after_hop(draw)
    pressed = before.pressed if before is not None else ()
    visit = Visit(
        click.click_id,
        click.at // 1000,
        click.campaign_id,
        click.path_id,
        click.landing_id,
        draw,
        pressed,
        {},
        not click.target,
    )
    route = edge.routes.by_id(click.campaign_id)
    return (
        visit if route is None else replace(visit, values=carried_values(carried_macros(route, click.path_id), click))
    )


def _newer_of_the_same_landing(search: VisitSearch, visit: Visit | None) -> Visit | None:
    """Return the visitor's own latest visit if a page cache served an older click id than theirs; else None.

    A visit in the cookie is their own, open in another tab, and one that a page registered is in no cookie. Click ids sort by time.
    """
    click_id = search.click_id
    if click_id is None or search.found_by is ClickSource.COOKIE or search.is_own:
        return None
    if visit is not None and visit.by_page:
        return None
    for own in search.state.visits:
        if own.click_id > click_id.text and (visit is None or own.landing_id == visit.landing_id):
            return own
    return None


def _recall_of(search: VisitSearch, route: Route, now_ms: int) -> Recall[Destination] | None:
    """Return what the visitor's cookie remembers now: it may be more than at the visit, by landing clicks of other tabs."""
    since = unique_since(search.state, route.campaign, now_ms // 1000)
    return route.recall(memory_of(search.state, route.campaign.id, since))


def _choice(
    route: Route, visit: Visit, button: int | None, recall: Recall[Destination] | None
) -> OfferChoice[Destination]:
    path, offers = route.path(visit.path_id), offers_of_buttons(route, visit.path_id)
    effects: list[PageEventFlag] = []

    def by_weight() -> Destination | None:
        if path is None or recall is None:
            return None if path is None else path.choose_offer(visit.draw)
        found = choose_again(path.offers, recall.id_of, recall, visit.draw, OFFER_CHOICE)
        if found[1] in _EFFECT_FLAGS:
            effects.append(_EFFECT_FLAGS[found[1]])
        return found[0]

    again = partial(offer_pressed_before, route, visit.path_id)
    choice = choose_offer(offers, by_weight, again, button, visit.pressed)
    return choice if not effects else replace(choice, flags=(*choice.flags, *effects))


def _screening(edge: Edge, arrival: EdgeRequest) -> Screening | None:
    headers = arrival.headers
    device = edge.visitors.device_of(headers.get(b"user-agent", b"")).device
    return screen(arrival.method, headers.get(b"purpose", b""), device.screening)


def _without_visit(
    edge: Edge, arrival: EdgeRequest, page: PageQuery, search: VisitSearch, flags: tuple[PageEventFlag, ...]
) -> ClickRedirect | None:
    """Return the redirect to the instance's fallback URL for a visitor whose visit is unknown. Journaled if there is a click id."""
    template = edge.routes.instance_fallback
    location = template.render({}, EncodingContext.URL, edge.clock()) if template is not None else ""
    if search.click_id is None:
        return ClickRedirect("", location) if location else None
    event = PageEvent(
        event_id=edge.notice_ids(),
        at=edge.clock(),
        kind=PageEventKind.LANDING_CLICK,
        click_id=search.click_id.text,
        target=location,
        found_by=search.found_by,
        flags=",".join((*flags, PageEventFlag.FALLBACK)),
        screening=_screening(edge, arrival) or "",
        events=page.events,
    )
    edge.page_events.gather(_encode(event))
    return ClickRedirect(search.click_id.text, location) if location else None


def _location(
    edge: Edge,
    arrival: EdgeRequest,
    path: ReadyPath[Destination] | None,
    target: RedirectTarget,
    visit: Visit,
    now_ms: int,
) -> str:
    """Return a target's URL with its macros filled in from the visit and this request."""
    template, setup = target.template, target.setup
    assert template is not None
    if not _OF_LANDING.isdisjoint(
        target.source.names
    ):  # otherwise the template has them filled in as for a direct visitor
        template, setup = target.source, replace(setup, landing_name=_landing_name(path, visit.landing_id))
    names = template.names
    values = visit.macro_values()
    if not AT_HAND.issuperset(names):
        values = click_values(names, _click_again(edge, arrival, target, visit), setup) | values
    location = template.render(values, EncodingContext.URL, now_ms)
    passing = target.place.pass_query
    if passing is PassQuery.NONE or not arrival.query:
        return location
    return with_passed_query(location, without_own_parameters(arrival.query), passing, edge.click_id_names)


def _landing_name(path: ReadyPath[Destination] | None, landing_id: int) -> str:
    landings = () if path is None else path.landings.items
    return next((one.target.setup.landing_name for one in landings if one.target.landing_id == landing_id), "")


def _click_again(edge: Edge, arrival: EdgeRequest, target: RedirectTarget, visit: Visit) -> Click:
    """Return a click with the visitor's values in this request, for the macros of a target."""
    visitors, headers = edge.visitors, arrival.headers
    click = _decode_click(
        b'{"at":%d,"click_id":"%b"%b%b%b%b}'
        % (
            visit.at * 1000,
            visit.click_id.encode("ascii"),
            target.json,
            visitors.device_of(headers.get(b"user-agent", b"")).json,
            visitors.place_of(arrival.ip).json,
            visitors.language_of(headers.get(b"accept-language", b"")).json,
        )
    )
    return replace(click, domain=arrival.host, landing_id=visit.landing_id)
