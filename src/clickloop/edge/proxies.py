"""Headers of trusted proxies: the visitor's address, the requested host, and whether the request came over https.

X-Forwarded-For is read from the right, up to the first address that is not a trusted proxy: anything further left may be forged.
"""

import ipaddress
from collections.abc import Callable, Sequence

MAX_HOPS = 50
"""Maximum number of proxies in a chain. Anything further left is ignored."""
MAX_HOST = 253  # characters of a DNS name
_MAX_PEERS = 10_000  # anyone may connect: bounds the cache
_MAX_HOSTS = 1_000  # anyone may send any Host: bounds the cache

IpNetworks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


def is_in(address: str, networks: IpNetworks) -> bool:
    """Return whether an address is in one of the networks; False if it is not an address. IPv4-mapped IPv6 counts as IPv4."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in networks)


class Proxies:
    """The networks of trusted proxies. Results are cached, since a proxy sends many requests."""

    def __init__(self, networks: IpNetworks) -> None:
        self._networks = tuple(networks)
        self._trusted: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trust(self, peer: str) -> bool:
        """Return whether a peer is a trusted proxy."""
        if not self._networks:
            return False
        trusted = self._trusted.get(peer)
        if trusted is None:
            trusted = is_in(peer, self._networks)
            if len(self._trusted) >= _MAX_PEERS:
                self._trusted.clear()
            self._trusted[peer] = trusted
        return trusted


def client_behind(forwarded_for: bytes, peer: str, trust: Callable[[str], bool]) -> str:
    """Return the right-most address of X-Forwarded-For that is not trusted, or the left-most trusted one if there is none."""
    for part in reversed(forwarded_for.rsplit(b",", MAX_HOPS)[-MAX_HOPS:]):
        hop = address_in(part)
        if hop is None:
            return peer
        if not trust(hop):
            return hop
        peer = hop
    return peer


def address_in(part: bytes) -> str | None:
    """Return the address in an element of X-Forwarded-For, or None. Quotes, brackets and ports that gateways add are removed.

    ``203.0.113.9:51008`` (Azure), ``"[2001:db8::1]:4711"`` (RFC 7239), ``[2001:db8::1]``. IPv4-mapped IPv6 is returned as IPv4.
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
        address = ipaddress.ip_address(text.partition("%")[0])  # an IPv6 zone is meaningful on the proxy only
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _is_port(text: str) -> bool:
    return text[:1] == ":" and len(text) <= 6 and text[1:].isascii() and text[1:].isdigit()


def first_of(header: bytes) -> bytes:
    """Return the first element of a list written by several proxies: the one nearest to the visitor."""
    return header.partition(b",")[0].strip(b' \t"')


class Hosts:
    """A cache of normalized Host headers: lower case, without the default port and the trailing dot."""

    def __init__(self) -> None:
        self._known: dict[bytes, str] = {}

    def __call__(self, header: bytes) -> str:
        """Return the normalized host, at most ``MAX_HOST`` characters."""
        known = self._known.get(header)
        if known is None:
            known = host_of(header)
            if len(header) <= MAX_HOST + 10:
                if len(self._known) >= _MAX_HOSTS:
                    self._known.clear()
                self._known[header] = known
        return known


def host_of(header: bytes) -> str:
    """Return the normalized host of a Host or X-Forwarded-Host header; the first one of a list."""
    host = first_of(header[: 2 * MAX_HOST]).decode("latin-1").lower()
    for port in (":443", ":80"):
        if host.endswith(port) and (host.startswith("[") or host.count(":") == 1):
            host = host.removesuffix(port)
            break
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit() and name.endswith("."):
        host = f"{name.rstrip('.')}:{port}"
    return host.rstrip(".")[:MAX_HOST]
