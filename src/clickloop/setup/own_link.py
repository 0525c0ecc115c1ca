"""Recognize our own campaign links in URLs, parsed like a browser (https://url.spec.whatwg.org).

A browser understands ``LOCALHOST``, ``127.1``, ``0x7f000001``, full-width digits, Punycode, a trailing dot and the default port.
Our own sender refuses most of them, so this is not the parser for postbacks.
"""

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import unquote

import idna

_DEFAULT_PORTS = {"http:": 80, "https:": 443}
_PARTS = re.compile(r"(https?:)?[/\\]{2,}([^/\\?#]*)([^?#]*)", re.IGNORECASE)
_LOOPBACK = "127.0.0.1"
_MAX_HOST = 4_096
"""Enough for 253 characters, each percent-encoded. Longer ones do not exist, and parsing them costs time at every click."""


class OwnLinks:
    """The hosts of this tracker, as in ``InstanceSettings.own_hosts``, with port if any."""

    def __init__(self, own_hosts: Iterable[str]) -> None:
        self._own: set[tuple[str, int]] = set()
        for host in own_hosts:
            name, port = _host_and_port(host)
            canonical = browser_host(name)
            if canonical is not None:
                self._own |= {(canonical, port)} if port else {(canonical, 80), (canonical, 443)}

    def key_in(self, url: str) -> str | None:
        """Return the campaign key in a URL if it is a campaign link of this tracker; otherwise None."""
        parts = _PARTS.match(url)
        if parts is None:
            return None
        name, port = _host_and_port(parts[2].rpartition("@")[2])
        host = browser_host(name)
        if host is None:
            return None
        ports = (port,) if port else (_DEFAULT_PORTS[parts[1].lower()],) if parts[1] else (80, 443)
        if not any((host, one) in self._own for one in ports):
            return None
        segments = _segments(parts[3])
        return segments[1][:6] if len(segments) > 1 and segments[0] == "c" else None


def browser_host(text: str) -> str | None:
    """Return a host as browsers normalize it, all of loopback as ``127.0.0.1``; None if browsers reject it."""
    if len(text) > _MAX_HOST:
        return None
    if text.startswith("["):
        address = _ip(text.strip("[]"))
        return None if address is None else _plain(address)
    try:
        host = unquote(text, errors="strict") if "%" in text else text
        host = idna.uts46_remap(host, std3_rules=False, transitional=False)
        if not host.isascii():
            host = idna.encode(host).decode("ascii")
    except (UnicodeError, idna.IDNAError):
        return None
    host = host.lower().removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return _LOOPBACK
    if not _ends_in_number(host):
        return host or None
    number = _ipv4_number(host)
    return None if number is None else _plain(ipaddress.IPv4Address(number))


def _host_and_port(authority: str) -> tuple[str, int]:
    """Return host and port; port 0 if there is none."""
    name, colon, port = authority.rpartition(":")
    if colon and not port.endswith("]") and port.isascii() and (port.isdigit() or not port) and len(port) <= 5:
        return name, int(port or 0)
    return authority, 0


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # A connection to 0.0.0.0 or :: goes to this machine.
    return _LOOPBACK if address.is_loopback or address.is_unspecified else str(address)


def _ends_in_number(host: str) -> bool:
    last = host.rpartition(".")[2]
    return last.isdigit() or (last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:]))


def _ipv4_number(host: str) -> int | None:
    """Return the IPv4 address in one to four parts, each decimal, octal or hexadecimal; the last fills the remaining bytes."""
    numbers = [_number(part) for part in host.split(".")]
    if len(numbers) > 4 or None in numbers:
        return None
    *first, last = [number for number in numbers if number is not None]
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return sum(number << (24 - 8 * place) for place, number in enumerate(first)) + last


def _number(part: str) -> int | None:
    if len(part) > 20:
        return None
    base, digits = (16, part[2:]) if part.startswith("0x") else (8, part[1:]) if part[:1] == "0" else (10, part)
    try:
        return int(digits or "0", base) if part and "_" not in digits else None
    except ValueError:
        return None


def _segments(path: str) -> list[str]:
    """Return the segments of a path, dots resolved. Empty ones are left out, because our server ignores them."""
    segments: list[str] = []
    for segment in path.replace("\\", "/").split("/"):
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            segments[-1:] = []
        elif plain not in ("", "."):
            segments.append(segment)
    return segments
