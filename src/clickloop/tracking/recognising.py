"""Recognising visitors at the edge: by their signed cookie, and for settling by the daily hash of address and user agent."""

from typing import Any, Protocol

from clickloop.click.redirect import VISITOR_COOKIE, cookie_value, cookie_values
from clickloop.click.routing.route import Route
from clickloop.click.visitor_cookie import NOBODY, VisitorCookies, VisitorState, unique_since
from clickloop.click.visitor_hash import VisitorHashes


class RecognisingEdge(Protocol):
    """An edge, as far as it recognises visitors."""

    cookies: VisitorCookies
    visitor_hashes: VisitorHashes


def add_uniqueness(
    edge: RecognisingEdge, headers: dict[bytes, bytes], ip: str, route: Route, click: dict[str, Any], now_ms: int
) -> tuple[VisitorState, int | None]:
    """Add to the click whether it is unique by the visitor's cookie, and what settling needs to recognise visitors without one.

    Return the contents of the cookie, and the result of ``visitor_cookie.unique_since``.
    """
    state, cookie = read_visitor_cookie(edge, headers) if b"cookie" in headers else (NOBODY, "")
    since = unique_since(state, route.campaign, now_ms // 1000) if cookie else None
    useragent = headers.get(b"user-agent", b"")
    if ip:  # else all browsers of a kind would look alike
        click["visitor"] = edge.visitor_hashes.today(ip, useragent, now_ms)
    if route.campaign.unique_epoch:
        click["unique_epoch"] = route.campaign.unique_epoch
    if since is not None:
        click["known"] = True
        if route.campaign.unique_cost_only:
            click.pop("cost_micros", None)
            click.pop("cost_currency", None)
        return state, since
    click["unique"] = True
    if cookie:
        # Tabs opened at the same moment bring the same cookie, and so do its copies: settling counts it once.
        click["cookie"] = edge.cookies.fingerprint(cookie)
    elif ip:
        click["visitor_before"] = edge.visitor_hashes.yesterday(ip, useragent, now_ms)
    if route.uniqueness:
        click.update(route.uniqueness)
    return state, None


def visitor_state(edge: RecognisingEdge, headers: dict[bytes, bytes]) -> VisitorState:
    """Return the contents of the visitor's signed cookie, the first that is ours."""
    return read_visitor_cookie(edge, headers)[0]


def read_visitor_cookie(edge: RecognisingEdge, headers: dict[bytes, bytes]) -> tuple[VisitorState, str]:
    """Return the contents and the value of the visitor's signed cookie, the first that is ours; an empty value if none is."""
    header = headers.get(b"cookie", b"")
    value = cookie_value(header, VISITOR_COOKIE)
    if not value:
        return NOBODY, ""
    state = edge.cookies.read(value)
    if state is not NOBODY:
        return state, value
    for other in cookie_values(header, VISITOR_COOKIE):
        state = edge.cookies.read(other)
        if state is not NOBODY:
            return state, other
    return NOBODY, ""
