"""Reading form bodies within limits, before anything is built from them.

Litestar's own reader limits neither the number of fields nor the depth of names, and trusts the charset that a part claims;
anyone can reach it through the sign-in page.
"""

import re
from typing import Any

from litestar import Request
from litestar.exceptions import HTTPException
from multipart import MultipartError, MultipartSegment, PushMultipartParser  # type: ignore[import-untyped]  # ships no types

from clickloop.conversion.multipart_body import MAX_BOUNDARY, header_parameters

MAX_FIELDS = 1_000
"""Maximum number of fields; the largest usual form, a campaign with all possible rows, has fewer."""
FIELD_LIMIT = "fields"
"""The ``opt`` of a page with another maximum."""
MAX_NAME_LENGTH = 200  # our own names are shorter
MAX_LEVELS = 10  # each dot of a name nests a record, and anyone may send names
MAX_ANONYMOUS_BODY_BYTES = 512 * 1024
"""Limit for pages that need no sign-in; the sign-in form also carries the draft of a user whose session ended."""

_READ = "clickloop_form"
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")

Pairs = tuple[tuple[str, str], ...]


async def form_pairs(request: Request[Any, Any, Any]) -> Pairs:
    """Return the names and values of a request's form, in order; read once, for the guard and the page.

    Raise HTTPException 400 for an unreadable body, 413 for one that is too long.
    """
    read: Pairs | None = request.scope.get(_READ)  # type: ignore[assignment]  # our own key of the scope
    if read is None:
        most = request.route_handler.opt.get(FIELD_LIMIT, MAX_FIELDS)
        read = read_form(await request.body(), request.headers.get("content-type", ""), most)
        request.scope[_READ] = read  # type: ignore[literal-required]  # our own key of the scope
    return read


def read_form(body: bytes, content_type: str, most: int = MAX_FIELDS) -> Pairs:
    """Return the names and values of an urlencoded or multipart body, as UTF-8 whatever charset it claims, without its files.

    A body of another type has none. ``most``: maximum number of fields. Raise HTTPException 400, with the reason, for an unreadable one.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        pairs = _urlencoded(body, most)
    elif kind == "multipart/form-data":
        pairs = _multipart(body, boundary_of(content_type), most)
    else:
        return ()
    for name, _ in pairs:
        if len(name) > MAX_NAME_LENGTH:
            raise _unreadable(f"a field name has {len(name)} characters; the maximum is {MAX_NAME_LENGTH}")
        if name.count(".") + name.count("[") >= MAX_LEVELS:
            raise _unreadable(f"a field name has more than {MAX_LEVELS} levels")
    return tuple(pairs)


def boundary_of(content_type: str) -> str:
    """Return the boundary of a multipart body. Raise HTTPException 400 if the header has none."""
    boundary = header_parameters(content_type.encode("utf-8", "replace")).get(b"boundary", b"")
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        raise _unreadable("its Content-Type has no boundary")
    return boundary.decode("utf-8", "replace")


def _urlencoded(body: bytes, most: int) -> list[tuple[str, str]]:
    if body.count(b"&") >= most:
        raise _too_many(most)
    pairs = [pair.partition(b"=") for pair in body.split(b"&") if pair]
    return [(_decoded(name), _decoded(value)) for name, _, value in pairs]


def _decoded(encoded: bytes) -> str:
    # Not urllib's: it splits at every percent sign, so a megabyte of them takes a quarter of a second.
    decoded = _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), encoded.replace(b"+", b" "))
    return decoded.decode("utf-8", "replace")


def _multipart(body: bytes, boundary: str, most: int) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    segment: MultipartSegment | None = None
    value = b""
    try:
        with PushMultipartParser(boundary, max_segment_count=most) as parser:
            # The whole body is one chunk, so a segment's value is one event.
            for event in parser.parse(body):
                if isinstance(event, MultipartSegment):
                    segment, value = event, b""
                elif event is not None:
                    value = bytes(event)
                elif segment is not None and segment.name is not None and segment.filename is None:
                    pairs.append((segment.name, value.decode("utf-8", "replace")))
    except (MultipartError, UnicodeError) as fault:
        raise _unreadable(str(fault)) from None
    return pairs


def _too_many(most: int) -> HTTPException:
    return _unreadable(f"it has more than {most} fields")


def _unreadable(reason: str) -> HTTPException:
    return HTTPException(status_code=400, detail=f"The form cannot be read: {reason}. Nothing was saved.")
