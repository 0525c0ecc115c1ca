"""Where somebody who uses the panel comes from, also behind the proxies that the operator names."""

import ipaddress
from typing import Any

import msgspec
from litestar.connection import ASGIConnection

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
    host, secure = headers.get("host", ""), connection.url.scheme == "https"
    if _is_one_of(address, proxies):
        host = headers.get("x-forwarded-host", host)
        secure = secure or headers.get("x-forwarded-proto", "").strip().lower() == "https"
        address = _behind(headers.get("x-forwarded-for", ""), address, proxies)
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


def _behind(forwarded_for: str, peer: str, proxies: IpNetworks) -> str:
    """The right-most address in X-Forwarded-For that is not one of the proxies."""
    for part in reversed(forwarded_for.split(",")):
        try:
            hop = str(ipaddress.ip_address(part.strip()))
        except ValueError:
            return peer
        if not _is_one_of(hop, proxies):
            return hop
        peer = hop
    return peer


def _is_one_of(address: str, networks: IpNetworks) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)
