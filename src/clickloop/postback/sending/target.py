"""The target of a request: the one URL parser, used when a rule is saved and again when a request leaves.

It is strict. Path and query are changed in nothing but what cannot stand in a request line. A host is brought into the one form
in which the address guard judges it and a resolver sees it: lower-case ASCII, without the dot at its end, addresses as usual.
"""

import ipaddress
import re

import idna
import msgspec

from clickloop.explained import Explained
from clickloop.text import octets_of

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URL = 8_192
"""Bytes of a URL that is still sent."""


class TargetFault(Explained):
    """Why a URL is not sent to."""

    TOO_LONG = "too_long", f"The URL is longer than {MAX_URL} bytes."
    CHARACTER = "character", "The URL holds a space, a control character or a backslash: write them percent-encoded."
    SCHEME = "scheme", "The URL does not begin with http:// or https://."
    CREDENTIALS = "credentials", "The URL holds a user name or password: put them into an Authorization header."
    HOST = (
        "host",
        "The URL has no host, or one that cannot exist. An IPv4 address is four decimal numbers, IPv6 stands in brackets.",
    )
    PORT = "port", "The URL's port is not a number from 1 to 65535."
    FRAGMENT = (
        "fragment",
        "The URL holds a #: nothing behind it ever reaches a receiver, write it as %23 if it is meant.",
    )


class Target(msgspec.Struct, frozen=True):
    """Where a request goes. ``host`` is lower-case ASCII without a dot at its end: a name, IPv4 as four decimal numbers, or IPv6
    without brackets. ``path`` and ``query`` are as they came.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def lane(self) -> str:
        """The receiver, ``host:port``: what fails and recovers together."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL as it is sent."""
        return f"{self.scheme}://{self.authority}{self.path}" + (f"?{self.query}" if self.query else "")

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


_ESCAPED = [f"%{octet:02X}" for octet in range(256)]
_MAX_HOST = 1_000
"""Characters of a host before its letters are made ASCII, which takes more than linear time."""
_UNSENDABLE = re.compile(r"[\x00-\x20\x7f\\]")
_TO_ESCAPE = re.compile(r"[^\x21-\x5b\x5d-\x7e]+")
_AUTHORITY = re.compile(r"[^/?#]*//[^/?#]*")
_PARTS = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?P<fragment>#.*)?",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_IPV4 = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})(?:\.(?!$)|$)){4}")


def target_of(url: str) -> Target | TargetFault:
    """Where a URL leads, or why nothing may be sent there. The text is looked at as it is: nothing is stripped first."""
    if len(url) > MAX_URL:
        return TargetFault.TOO_LONG
    if _UNSENDABLE.search(url):
        return TargetFault.CHARACTER
    parts = _PARTS.fullmatch(url)
    if parts is None:
        return TargetFault.SCHEME
    if "@" in parts["authority"]:
        return TargetFault.CREDENTIALS
    if parts["fragment"] is not None:
        return TargetFault.FRAGMENT
    scheme = parts["scheme"].lower()
    bracketed = parts["authority"].startswith("[")
    host_text, separator, port_text = parts["authority"].rpartition(":")
    if not separator or (bracketed and not host_text.endswith("]")):
        host_text, port_text = parts["authority"], ""
    host = _host_of(host_text)
    if host is None:
        return TargetFault.HOST
    port = _port_of(port_text) if port_text else DEFAULT_PORTS[scheme]
    if port is None:
        return TargetFault.PORT
    target = Target(scheme, host, port, escaped(parts["path"]) or "/", escaped(parts["query"] or ""))
    if len(scheme) + len(target.authority) + len(target.path) + len(target.query) + 4 > MAX_URL:
        return TargetFault.TOO_LONG
    return target


def escaped(text: str) -> str:
    """The text with every character that cannot stand in a request line percent-encoded; all else untouched.

    What stands for a byte that is not UTF-8 (``text.text_of``) becomes that byte.
    """
    if text.isascii() and not _UNSENDABLE.search(text):
        return text
    return _TO_ESCAPE.sub(lambda found: "".join([_ESCAPED[octet] for octet in octets_of(found[0])]), text)


def escaped_url(url: str) -> str:
    """A URL whose macros have been filled in, escaped behind its host, so that a raw value cannot end the request line."""
    authority = _AUTHORITY.match(url)
    end = authority.end() if authority else 0
    return url[:end] + escaped(url[end:]).replace("#", "%23")


def _port_of(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        return None
    port = int(text)
    return port if 1 <= port <= 65_535 else None


def _host_of(text: str) -> str | None:
    """A host in its one form, or None. Other scripts' letters and full-width digits become what a resolver would see.

    What ends in a number is an IPv4 address (as https://url.spec.whatwg.org/#ends-in-a-number-checker has it), and only its
    usual form is one: ``127.1``, ``0x7f.1``, ``0177.0.0.1`` and ``2130706433``, which C libraries read as loopback, are none.
    """
    if text.startswith("["):
        if not text.endswith("]") or "%" in text:  # a zone (RFC 6874) means nothing beyond this machine
            return None
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            return None
    if len(text) > _MAX_HOST:
        return None
    host = text.lower()
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except UnicodeError:
            return None
    host = host.removesuffix(".").lower()
    if len(host) > 253 or not _NAME.fullmatch(host):
        return None
    if not _ENDS_IN_NUMBER.fullmatch(host):
        return host
    return host if _IPV4.fullmatch(host) and all(int(part) <= 255 for part in host.split(".")) else None
