"""The edge's two steps of the loop: take_click and take_notice. Nothing is answered before it is in the journal."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from clickloop.click.click import Click, Flag
from clickloop.click.click_values import click_values
from clickloop.click.marks.request_marks import bits_text, marks_of_request
from clickloop.click.page.carried_values import carried_of_fields
from clickloop.click.page.landing_paths import carried_macros
from clickloop.click.page.recent_visits import RecentVisits
from clickloop.click.passed_query import PLATFORM_CLICK_IDS, with_passed_query
from clickloop.click.query import read_query
from clickloop.click.routing.arriving_visitor import ArrivingVisitor
from clickloop.click.routing.destination import RedirectTarget
from clickloop.click.routing.recall import Memory
from clickloop.click.routing.route import Route
from clickloop.click.routing.routes import Routes
from clickloop.click.routing.visitor_route import route_visitor
from clickloop.click.screening import screen
from clickloop.click.trial_mark import TEST_BYTES, is_test
from clickloop.click.visitor import EncodedDevice, EncodedLanguage, EncodedPlace, Visitors
from clickloop.click.visitor_cookie import (
    NOBODY,
    Visit,
    VisitorCookies,
    VisitorState,
    remember_campaign,
)
from clickloop.click.visitor_hash import VisitorHashes
from clickloop.click.visitor_memory import memory_of
from clickloop.click_id import ClickIds
from clickloop.clock import Clock
from clickloop.macro import EncodingContext
from clickloop.money import amount_text
from clickloop.record_id import RecordIds
from clickloop.setup.redirect import RedirectMode
from clickloop.store.journal.writer import JournalFull
from clickloop.text import escape_bytes
from clickloop.tracking.link_fields import MAX_VALUE_CHARACTERS, add_flag, click_from_link
from clickloop.tracking.notice_limits import NoticeRates
from clickloop.tracking.recognising import add_uniqueness


class EdgeRequest(Protocol):
    """A request to a public endpoint: ``edge.message.HttpRequest``. ``ip`` and ``host`` are the visitor's, not a proxy's."""

    method: bytes
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    ip: str
    host: str


class ClickRedirect(msgspec.Struct, gc=False):
    """A redirect of the visitor to ``location``, which is empty if the campaign has no destination."""

    click_id: str
    location: str
    mode: RedirectMode = RedirectMode.FOUND
    hop_domain: str = ""
    """Host of a double meta refresh's second page; empty for the request's host."""
    visitor_cookie: str = ""
    """Value of the visitor's signed cookie to set; empty for none."""


class Appender(Protocol):
    """A journal stream."""

    def append(self, record: bytes) -> int:
        """Write a record and return its position. Raise JournalFull or JournalBroken."""
        ...


class BatchAppender(Protocol):
    """A journal stream that writes many records at once."""

    @property
    def gathered(self) -> int:
        """The number of buffered records."""
        ...

    def gather(self, record: bytes) -> None:
        """Buffer a record until the next ``flush``."""
        ...

    def flush(self) -> None:
        """Write the buffered records. Raise JournalFull or JournalBroken."""
        ...


class Edge(msgspec.Struct):
    """The state of an edge process. ``routes`` is replaced as a whole when the set-up changes."""

    routes: Routes
    visitors: Visitors
    click_ids: ClickIds
    notice_ids: RecordIds
    clicks: BatchAppender
    notices: Appender
    deferred: Appender
    """The stream of notices settled after the others: those without a genuine click id, or too many for a click."""
    page_events: BatchAppender
    clock: Clock
    draw: Callable[[], int]
    """Returns a random number of 63 bits."""
    cookies: VisitorCookies
    visitor_hashes: VisitorHashes
    currency: str
    click_id_names: frozenset[str] = PLATFORM_CLICK_IDS
    """Parameters that campaigns pass on as click ids of ad platforms, in lower case."""
    secure: bool = False
    """Whether visitors use https even if no proxy says so. Cookies are then marked Secure."""
    strangers: NoticeRates = msgspec.field(default_factory=NoticeRates)
    """Counters of recent notices, for the limits of what is stored of them."""
    recent_visits: RecentVisits = msgspec.field(default_factory=RecentVisits)
    """For landing clicks from browsers that store no cookie."""
    unrecorded: int = 0
    """Number of visitors redirected without a record because the disk was full."""
    unstored: int = 0
    """Number of notices answered 503 because they could not be stored."""


_encode = msgspec.json.Encoder().encode
_decode_click = msgspec.json.Decoder(Click).decode


def take_click(edge: Edge, arrival: EdgeRequest, key: bytes, link_flag: Flag | None = None) -> ClickRedirect | None:
    """Buffer the click of a visitor who follows the campaign link ``key``, and return their redirect; None if there is no such campaign.

    ``link_flag``: a flag for an irregular path of the link.

    The visitor may be redirected only after ``record_clicks``, which writes all clicks that came at the same moment. The
    record is assembled from pieces that are encoded once per offer, browser and address.
    """
    route = edge.routes.find(key)
    if route is None:
        return None
    headers = arrival.headers
    parameters, flags = read_query(arrival.query, route.fields, "external_id")
    device = edge.visitors.device_of(headers.get(b"user-agent", b""))
    now_ms = edge.clock()
    test = TEST_BYTES in arrival.query and is_test(edge.click_ids, key, arrival.query, now_ms)
    screening = screen(arrival.method, headers.get(b"purpose", b""), device.device.screening, test=test)
    if link_flag is not None:
        flags = (*flags, link_flag)
    click = click_from_link(edge.currency, route, parameters, flags, len(arrival.query))
    click["click_id"] = click_id = edge.click_ids.new(now_ms)
    if b"referer" in headers:
        click["referrer"] = escape_bytes(headers[b"referer"][:MAX_VALUE_CHARACTERS])
    state, since = add_uniqueness(edge, headers, arrival.ip, route, click, now_ms)
    click["domain"] = arrival.host
    place = edge.visitors.place_of(arrival.ip)
    language = edge.visitors.language_of(headers.get(b"accept-language", b""))
    mark_click(click, route, device, place, language)
    target, draw, memory = route.only, 0, None
    if target is None or target.landing_id:
        visitor = ArrivingVisitor(now_ms, arrival.ip, device.device, device.useragent, place.place, language.tag, click)
        target, draw, memory = _destination(edge, route, visitor, click, state, since)
    if target is route.fallback:
        add_flag(click, Flag.FALLBACK)
    if screening is not None:
        click["screening"] = screening
    fragment = target.json if target is not None else route.json
    head = b'{"at":%d%b%b%b%b,' % (now_ms, fragment, device.json, place.json, language.json)
    location = ""
    if target is not None and target.template is not None:
        location = _location(target, click, head, now_ms)
        if target.passes_query:
            location = with_passed_query(location, arrival.query, target.place.pass_query, edge.click_id_names)
        click["target"] = location
    # Buffered: one write for all clicks of an event loop iteration. None is redirected before it.
    edge.clicks.gather(head + _encode(click)[1:])
    if target is None:
        return ClickRedirect(click_id, "")
    redirect = ClickRedirect(click_id, location, target.place.redirect, route.campaign.redirect_domain)
    if target.landing_id:
        state = state.with_visit(remembered_visit(edge, route, target, click, now_ms, draw).for_cookie())
    if screening is None:
        state = remember_campaign(state, route.campaign, now_ms // 1000, since, click_id, memory)
    if state is not NOBODY:
        redirect.visitor_cookie = edge.cookies.write(state)
    return redirect


def mark_click(
    click: dict[str, Any], route: Route, device: EncodedDevice, place: EncodedPlace, language: EncodedLanguage
) -> None:
    """Add the marks of the request to a click, before rules read them."""
    marks = marks_of_request(
        route.marks, device.marks, place.marks, "referrer" in click, language.tag, place.place.country
    )
    if marks:
        click["marks"] = bits_text(marks)


def _destination(
    edge: Edge,
    route: Route,
    visitor: ArrivingVisitor,
    click: dict[str, Any],
    state: VisitorState,
    since: int | None,
) -> tuple[RedirectTarget | None, int, Memory | None]:
    """Return the destination of a visitor, its draw, and what to remember of them if the campaign does.

    ``state``: the contents of their cookie. ``since``: the result of ``visitor_cookie.unique_since``.
    """
    draw = edge.draw()
    if route.only is not None:
        click["draw"] = draw  # chooses the offer when the visitor presses a button
        return route.only, draw, None
    if route.simple is not None:
        click["draw"] = draw
        chosen = route.simple.items.choose(draw, route.simple.choice)
        return None if chosen is None else chosen.target, draw, None
    if route.counts_visits:
        click["visit_number"] = state.visits_of(route.campaign.id) + 1
    memory = memory_of(state, route.campaign.id, since) if route.remembers else None
    routing = route_visitor(route, visitor, click, draw, memory)
    return routing.target, routing.draw, routing.memory


def remembered_visit(
    edge: Edge,
    route: Route,
    target: RedirectTarget,
    click: dict[str, Any],
    now_ms: int,
    draw: int,
    *,
    by_page: bool = False,
) -> Visit:
    """Return the visit of a click that landing clicks may follow, and remember it for browsers that store no cookie."""
    path_id = target.place.path_id
    values = carried_of_fields(carried_macros(route, path_id), click)
    visit = Visit(
        click["click_id"],
        now_ms // 1000,
        route.campaign.id,
        path_id,
        target.landing_id,
        draw,
        values=values,
        by_page=by_page,
    )
    edge.recent_visits.remember(visit)
    return visit


def record_clicks(edge: Edge) -> None:
    """Write the clicks and page events buffered since the last call to the journal. Promise 1: no redirect before this.

    A full disk costs the record, never the redirect. Raise JournalBroken if the journal can no longer be trusted.
    """
    for stream in (edge.clicks, edge.page_events):
        buffered = stream.gathered
        if not buffered:
            continue
        try:
            stream.flush()
        except JournalFull:
            # Redirect anyway: the visitor is worth more than the record.
            edge.unrecorded += buffered


def _location(target: RedirectTarget, click: dict[str, Any], head: bytes, now_ms: int) -> str:
    """Return the URL of a target that has one for this click. Link parameters are at hand; other macros need the decoded click."""
    quick, template = target.quick, target.template
    if quick is None:
        assert template is not None
        whole = _decode_click(head + _encode(click)[1:])
        return template.render(click_values(template.names, whole, target.setup), EncodingContext.URL, now_ms)
    if "cost" in quick.names and "cost_micros" in click:
        return quick.render({**click, "cost": amount_text(click["cost_micros"])}, EncodingContext.URL, now_ms)
    return quick.render(click, EncodingContext.URL, now_ms)
