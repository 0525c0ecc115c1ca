"""Where somebody who uses the panel comes from, also behind the proxies that the operator names."""

import ipaddress
from typing import Any

import msgspec
from litestar.connection import ASGIConnection

from clickloop.web.proxies import client_behind, first_of
from clickloop.web.untrusted_proxy import UntrustedProxies

IpNetworks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


class Browser(msgspec.Struct, frozen=True, kw_only=True):
    """A browser. ``host``: the one that it asked for, lower case, with port if any. ``secure``: it came over https."""

    address: str
    useragent: str = ""
    host: str = ""
    secure: bool = False


def browser_of(connection: ASGIConnection[Any, Any, Any, Any], proxies: IpNetworks = ()) -> Browser:
    """Who asks. ``X-Forwarded-…`` is believed from these proxies alone."""
    headers = connection.headers
    address = connection.client.host if connection.client else ""
    host, secure = headers.get("host", ""), connection.scope["scheme"] == "https"
    if _is_one_of(address, proxies):
        host = first_of(_all_lines(connection, "x-forwarded-host")).decode("latin-1") or host
        secure = secure or first_of(_all_lines(connection, "x-forwarded-proto")).lower() == b"https"
        forwarded_for = _all_lines(connection, "x-forwarded-for")
        address = client_behind(forwarded_for, address, lambda hop: _is_one_of(hop, proxies))
    return Browser(
        address=address[:64], useragent=headers.get("user-agent", "")[:400], host=host[:253].lower(), secure=secure
    )


def note_forwarded(
    connection: ASGIConnection[Any, Any, Any, Any], proxies: IpNetworks, untrusted: UntrustedProxies
) -> None:
    """Count a request, and its peer where that forwards for others without being one of the proxies."""
    untrusted.count()
    headers = connection.headers
    if ("x-forwarded-for" in headers or "forwarded" in headers) and connection.client is not None:
        peer = connection.client.host
        if not _is_one_of(peer, proxies):
            untrusted.note(peer)


def _all_lines(connection: ASGIConnection[Any, Any, Any, Any], name: str) -> bytes:
    """Return a header's lines as one list (RFC 9110, 5.3).

    Some proxies add a line of their own behind what came: a stranger's line that stands first must not hide it.
    """
    return ", ".join(connection.headers.getall(name, [])).encode("latin-1", "replace")


def _is_one_of(address: str, networks: IpNetworks) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)
