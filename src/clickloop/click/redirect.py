"""The redirect response, and the cookie that remembers the click."""

from collections.abc import Iterator
from email.utils import formatdate

COOKIE = "clickloop"
"""The cookie with the id of the latest click, by which a pixel finds it."""
VISITOR_COOKIE = "clickloop_v"
"""The visitor's signed cookie, see ``visitor_cookie``."""
MAX_COOKIE_BYTES = 4_096  # browsers store no longer one
MAX_SAME_COOKIES = 5
VISITOR_COOKIE_SECONDS = 400 * 24 * 3600  # browsers keep none longer; a visitor may be unique once a year
COOKIE_SECONDS = 90 * 24 * 3600  # as long as networks usually attribute a conversion to a click


def redirect_response(location: str, cookie: bytes, keep_alive: bool, date: bytes) -> bytes:
    """Return an uncacheable 302. ``location`` is ASCII without control characters; ``cookie`` a whole header line or empty."""
    return _ANSWER % (location.encode("ascii"), date, cookie, b"" if keep_alive else b"connection: close\r\n")


_ANSWER = (
    b"HTTP/1.1 302 Found\r\nlocation: %b\r\ncache-control: no-store, max-age=0\r\nx-robots-tag: noindex\r\n"
    b"x-content-type-options: nosniff\r\n%b%bcontent-length: 0\r\n%b\r\n"
)


def cookie_line(click_id: str, secure: bool) -> bytes:
    """Return the Set-Cookie line by which a pixel finds the click.

    Over https it is SameSite=None, so that browsers that allow it send it from a pixel on another site. It is not Partitioned: a
    partitioned cookie is bound to the top-level site that set it and would not be sent from the advertiser's. Browsers accept
    SameSite=None only with Secure, so over http it is Lax and works on our own site only.
    """
    return (_SECURE_COOKIE if secure else _COOKIE) % click_id.encode("ascii")


_COOKIE = b"set-cookie: %b=%%b; Max-Age=%d; Path=/; HttpOnly; SameSite=Lax\r\n" % (COOKIE.encode(), COOKIE_SECONDS)
_SECURE_COOKIE = _COOKIE.replace(b"SameSite=Lax", b"SameSite=None; Secure")


def visitor_cookie_line(value: str, secure: bool) -> bytes:
    """Return the Set-Cookie line of the visitor's signed cookie."""
    return (_SECURE_VISITOR_COOKIE if secure else _OWN_VISITOR_COOKIE) % value.encode("ascii")


_AGES = b"Max-Age=%d" % COOKIE_SECONDS, b"Max-Age=%d" % VISITOR_COOKIE_SECONDS
_OWN_VISITOR_COOKIE = _COOKIE.replace(COOKIE.encode(), VISITOR_COOKIE.encode(), 1).replace(*_AGES)
_SECURE_VISITOR_COOKIE = _SECURE_COOKIE.replace(COOKIE.encode(), VISITOR_COOKIE.encode(), 1).replace(*_AGES)


def cookie_value(header: bytes, name: str = COOKIE) -> str:
    """Return a cookie's value in a Cookie header, at most ``MAX_COOKIE_BYTES``; empty if there is none."""
    wanted = name.encode() + b"="
    at = _start(header, wanted, 0)
    return "" if at < 0 else _value(header, at + len(wanted), name)


def cookie_values(header: bytes, name: str = COOKIE) -> Iterator[str]:
    """Yield the values of the cookies of a name, at most ``MAX_SAME_COOKIES``.

    A neighbour on the same domain can set one beside ours, which browsers may send first.
    """
    wanted = name.encode() + b"="
    at = -1
    for _ in range(MAX_SAME_COOKIES):
        at = _start(header, wanted, at + 1)
        if at < 0:
            return
        yield _value(header, at + len(wanted), name)


def _start(header: bytes, wanted: bytes, at: int) -> int:
    at = header.find(wanted, at)
    while at > 0 and header[at - 1] not in b"; ":  # a match at the end of another cookie's name
        at = header.find(wanted, at + 1)
    return at


def _value(header: bytes, at: int, name: str) -> str:
    value = header[at:].split(b";", 1)[0].strip()
    return value[: 64 if name == COOKIE else MAX_COOKIE_BYTES].decode("ascii", "replace")


def date_line(now_seconds: int) -> bytes:
    """Return the Date header line for a time in Unix seconds (RFC 9110, 6.6.1)."""
    return f"date: {formatdate(now_seconds, usegmt=True)}\r\n".encode("ascii")
