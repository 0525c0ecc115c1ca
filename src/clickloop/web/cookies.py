"""Reading a cookie in linear time.

Litestar reads all cookies at once with ``http.cookies``, whose unquoting takes quadratic time (CVE-2024-7592): one header of
64 KB blocked the core for seconds. It also caches the last 1,024 headers, of any length.
"""

from typing import Any

from litestar.connection import ASGIConnection


def cookie_of(connection: ASGIConnection[Any, Any, Any, Any], name: str) -> str:
    """Return the value of a cookie, empty if there is none.

    Of several with the same name the first counts: browsers send the one with the longest path first (RFC 6265, section 5.4), so
    another program on the same host cannot override ours by setting a cookie for ``/``.
    """
    wanted = name.encode()
    for header, line in connection.scope["headers"]:
        if header == b"cookie":
            for pair in line.split(b";"):
                found, equals, value = pair.partition(b"=")
                if equals and found.strip() == wanted:
                    return value.strip().decode("latin-1")
    return ""
