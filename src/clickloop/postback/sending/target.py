"""The target of a request: the one URL parser, used when a rule is saved and again when a request leaves.

It is strict. In path and query it only escapes what a request line cannot contain. It normalizes the host to the form that the
address guard judges and a resolver sees: lower-case ASCII without a trailing dot, addresses in the usual notation.
"""

import ipaddress
import re

import idna
import msgspec

from clickloop.explained import Explained
from clickloop.text import unescape_bytes

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URL = 8_192
"""Maximum size of a URL in bytes."""


class TargetFault(Explained):
    """The reason why nothing can be sent to a URL."""

    TOO_LONG = "too_long", f"The URL is longer than {MAX_URL} bytes."
    CHARACTER = "character", "The URL contains a space, a control character or a backslash. Percent-encode it."
    SCHEME = "scheme", "The URL must start with http:// or https://."
    CREDENTIALS = "credentials", "The URL contains a user name or password. Use an Authorization header instead."
    HOST = (
        "host",
        "The URL has no valid host. Write IPv4 addresses as four decimal numbers, and IPv6 addresses in brackets.",
    )
    PORT = "port", "The URL's port is not a number from 1 to 65535."
    FRAGMENT = (
        "fragment",
        "The URL contains a #, and what follows it never reaches a receiver. Write %23 if you mean the character.",
    )


class RequestTarget(msgspec.Struct, frozen=True):
    """The target of a request. ``host`` is lower-case ASCII without a trailing dot: a name, IPv4 as four decimal numbers, or IPv6
    without brackets. ``path`` and ``query`` are escaped.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def receiver(self) -> str:
        """Return the receiver, ``host:port``: what fails and recovers together."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}" + (f"?{self.query}" if self.query else "")

    @property
    def authority(self) -> str:
        """Return host and port as written in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


_ESCAPED = [f"%{byte:02X}" for byte in range(256)]
_MAX_HOST = 1_000
"""Maximum number of characters of a host to convert to ASCII, which takes more than linear time."""
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


def target_of(url: str) -> RequestTarget | TargetFault:
    """Return the target of a URL, or why nothing can be sent to it. The text is not stripped first."""
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
    target = RequestTarget(scheme, host, port, escaped(parts["path"]) or "/", escaped(parts["query"] or ""))
    if len(scheme) + len(target.authority) + len(target.path) + len(target.query) + 4 > MAX_URL:
        return TargetFault.TOO_LONG
    return target


def escaped(text: str) -> str:
    """Return the text with every character percent-encoded that a request line cannot contain.

    Stand-ins for bytes that are not UTF-8 (``text.escape_bytes``) become those bytes.
    """
    if text.isascii() and not _UNSENDABLE.search(text):
        return text
    return _TO_ESCAPE.sub(lambda found: "".join([_ESCAPED[byte] for byte in unescape_bytes(found[0])]), text)


def escaped_url(url: str) -> str:
    """Return a URL whose macros have been filled in, escaped after its host, so that a raw value cannot end the request line."""
    authority = _AUTHORITY.match(url)
    end = authority.end() if authority else 0
    return url[:end] + escaped(url[end:]).replace("#", "%23")


def _port_of(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        return None
    port = int(text)
    return port if 1 <= port <= 65_535 else None


def _host_of(text: str) -> str | None:
    """Return the normalized host, or None. Letters of other scripts and full-width digits become what a resolver would see.

    A host that ends in a number is an IPv4 address (https://url.spec.whatwg.org/#ends-in-a-number-checker), and only the usual
    notation is accepted: not ``127.1``, ``0x7f.1``, ``0177.0.0.1`` or ``2130706433``, which C libraries read as loopback.
    """
    if text.startswith("["):
        if not text.endswith("]") or "%" in text:  # a zone (RFC 6874) is meaningless beyond this machine
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
