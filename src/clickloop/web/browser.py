"""The browser of a panel user, also behind trusted proxies."""

from typing import Any

from litestar.connection import ASGIConnection

from clickloop.edge.proxies import IpNetworks, client_behind, first_of, is_in
from clickloop.edge.untrusted_proxy import UntrustedProxies
from clickloop.people.browser import Browser


def browser_of(connection: ASGIConnection[Any, Any, Any, Any], proxies: IpNetworks = ()) -> Browser:
    """Return the browser of a request. ``X-Forwarded-…`` headers are only believed from these proxies."""
    headers = connection.headers
    address = connection.client.host if connection.client else ""
    host, secure = headers.get("host", ""), connection.scope["scheme"] == "https"
    if is_in(address, proxies):
        host = first_of(_all_lines(connection, "x-forwarded-host")).decode("latin-1") or host
        secure = secure or first_of(_all_lines(connection, "x-forwarded-proto")).lower() == b"https"
        forwarded_for = _all_lines(connection, "x-forwarded-for")
        address = client_behind(forwarded_for, address, lambda hop: is_in(hop, proxies))
    return Browser(
        address=address[:64], useragent=headers.get("user-agent", "")[:400], host=host[:253].lower(), secure=secure
    )


def note_forwarded(
    connection: ASGIConnection[Any, Any, Any, Any], proxies: IpNetworks, untrusted: UntrustedProxies
) -> None:
    """Count a request, and its peer if that forwards for others without being one of the proxies."""
    untrusted.count()
    headers = connection.headers
    if ("x-forwarded-for" in headers or "forwarded" in headers) and connection.client is not None:
        peer = connection.client.host
        if not is_in(peer, proxies):
            untrusted.note(peer)


def _all_lines(connection: ASGIConnection[Any, Any, Any, Any], name: str) -> bytes:
    """Return all lines of a header as one list (RFC 9110, section 5.3).

    Some proxies add a second line instead of extending the first. Reading the first alone, we would believe the client's.
    """
    return ", ".join(connection.headers.getall(name, [])).encode("latin-1", "replace")
