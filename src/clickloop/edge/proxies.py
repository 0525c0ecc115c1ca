"""Headers of trusted proxies: the visitor's address, the host of the request, and whether it was over https.

X-Forwarded-For is read from the right until an address is none of our proxies: what is left of that anybody may have written.
"""

import ipaddress
from collections.abc import Callable, Sequence

MAX_HOPS = 50
"""Proxies in a chain; what is further left is not looked at."""
MAX_HOST = 253  # of a name in DNS
_MAX_PEERS = 10_000  # peers are strangers when the port is open: the memory of them is bounded
_MAX_HOSTS = 1_000  # anybody may send any Host: the memory of them is bounded

IpNetworks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


def is_in(address: str, networks: IpNetworks) -> bool:
    """Return whether an address is in one of the networks. An IPv4 address within IPv6 is IPv4; what is no address is in none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in networks)


class Proxies:
    """The proxies that the operator trusts, by network. Judgements are remembered: a proxy sends many requests."""

    def __init__(self, networks: IpNetworks) -> None:
        self._networks = tuple(networks)
        self._trusted: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trust(self, peer: str) -> bool:
        """Return whether a peer is one of them."""
        if not self._networks:
            return False
        trusted = self._trusted.get(peer)
        if trusted is None:
            trusted = is_in(peer, self._networks)
            if len(self._trusted) >= _MAX_PEERS:  # anybody may connect
                self._trusted.clear()
            self._trusted[peer] = trusted
        return trusted


def client_behind(forwarded_for: bytes, peer: str, trust: Callable[[str], bool]) -> str:
    """Return the right-most address of X-Forwarded-For that is not trusted; the last trusted one where there is none."""
    for part in reversed(forwarded_for.rsplit(b",", MAX_HOPS)[-MAX_HOPS:]):
        hop = address_in(part)
        if hop is None:
            return peer
        if not trust(hop):
            return hop
        peer = hop
    return peer


def address_in(part: bytes) -> str | None:
    """Return the address in an element of X-Forwarded-For, without the quotes, brackets and port that gateways add.

    ``203.0.113.9:51008`` (Azure), ``"[2001:db8::1]:4711"`` (RFC 7239), ``[2001:db8::1]``. An IPv4 address within IPv6 is IPv4.
    """
    text = part.strip(b' \t"').decode("latin-1")
    if text.startswith("["):
        text, _, behind = text[1:].partition("]")
        if behind and not _is_port(behind):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(f":{port}"):
            return None
    try:
        address = ipaddress.ip_address(text.partition("%")[0])  # a zone means nothing beyond the proxy
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _is_port(text: str) -> bool:
    return text[:1] == ":" and len(text) <= 6 and text[1:].isascii() and text[1:].isdigit()


def first_of(header: bytes) -> bytes:
    """Return the first element of a list that several proxies wrote: the one nearest to the visitor."""
    return header.partition(b",")[0].strip(b' \t"')


class Hosts:
    """Host headers in their one form: lower case, without the default port and the dot of a fully qualified name."""

    def __init__(self) -> None:
        self._known: dict[bytes, str] = {}

    def __call__(self, header: bytes) -> str:
        """Return the host of a header; at most ``MAX_HOST`` characters of it."""
        known = self._known.get(header)
        if known is None:
            known = host_of(header)
            if len(header) <= MAX_HOST + 10:
                if len(self._known) >= _MAX_HOSTS:  # anybody may send any host
                    self._known.clear()
                self._known[header] = known
        return known


def host_of(header: bytes) -> str:
    """Return the host that a Host or X-Forwarded-Host header asks for; of a list the first."""
    host = first_of(header[: 2 * MAX_HOST]).decode("latin-1").lower()
    for port in (":443", ":80"):
        if host.endswith(port) and (host.startswith("[") or host.count(":") == 1):
            host = host.removesuffix(port)
            break
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit() and name.endswith("."):
        host = f"{name.rstrip('.')}:{port}"
    return host.rstrip(".")[:MAX_HOST]
