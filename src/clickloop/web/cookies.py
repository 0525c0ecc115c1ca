"""A cookie of a request to the panel, read in linear time.

Litestar reads all cookies at once with ``http.cookies``, whose unquoting takes quadratic time (CVE-2024-7592): one header of 64 KB
held up the core for seconds. It also remembers the last 1,024 headers, however long they are.
"""

from typing import Any

from litestar.connection import ASGIConnection


def cookie_of(connection: ASGIConnection[Any, Any, Any, Any], name: str) -> str:
    """Return the value of a cookie; empty where there is none.

    Of several with the same name the first counts: browsers send the one with the longest path first (RFC 6265, section 5.4), so
    another program on the same host cannot put one of its own over ours by setting it for ``/``.
    """
    wanted = name.encode()
    for header, line in connection.scope["headers"]:
        if header == b"cookie":
            for pair in line.split(b";"):
                given, equals, value = pair.partition(b"=")
                if equals and given.strip() == wanted:
                    return value.strip().decode("latin-1")
    return ""
