"""Reading the body of a submitted form within limits, before anything is built from it.

Litestar's own reader splits a body into as many fields as it has, trusts the charset that a part claims, and leaves names of any
depth to whoever reads them; strangers reach it at the sign-in.
"""

import re
from typing import Any

from litestar import Request
from litestar.exceptions import HTTPException
from multipart import MultipartError, MultipartSegment, PushMultipartParser  # type: ignore[import-untyped]  # ships no types

from clickloop.conversion.multipart_body import MAX_BOUNDARY, header_parameters

MAX_FIELDS = 1_000
"""The largest form of the panel, a flow with all rows that are possible, has fewer."""
MAX_NAME_LENGTH = 200  # our own names are shorter
MAX_LEVELS = 10  # a name's dots make nested records: bounded, as strangers may send them
MAX_STRANGERS_BODY_BYTES = 512 * 1024
"""Of a form that nobody has to be signed in for. The sign-in carries what somebody had typed when the session ended."""

_READ = "clickloop_form"
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")

Pairs = tuple[tuple[str, str], ...]


async def form_pairs(request: Request[Any, Any, Any]) -> Pairs:
    """Return the names and values of a request's form, in order. It is read once for the guard and the page.

    Raise HTTPException 400 for what cannot be read, 413 for what is too long.
    """
    read: Pairs | None = request.scope.get(_READ)  # type: ignore[assignment]  # our own key of the scope
    if read is None:
        read = read_form(await request.body(), request.headers.get("content-type", ""))
        request.scope[_READ] = read  # type: ignore[literal-required]  # our own key of the scope
    return read


def read_form(body: bytes, content_type: str) -> Pairs:
    """Return the names and values in a body, urlencoded or multipart, as UTF-8 whatever charset it claims; files are left out.

    A body of another kind holds none. Raise HTTPException 400, with what is wrong, for one that cannot be read.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        pairs = _urlencoded(body)
    elif kind == "multipart/form-data":
        pairs = _multipart(body, boundary_of(content_type))
    else:
        return ()
    for name, _ in pairs:
        if len(name) > MAX_NAME_LENGTH:
            raise _unreadable(f"the name of a field has {len(name)} characters, at most {MAX_NAME_LENGTH} are possible")
        if name.count(".") + name.count("[") >= MAX_LEVELS:
            raise _unreadable(f"a field lies more than {MAX_LEVELS} levels deep")
    return tuple(pairs)


def boundary_of(content_type: str) -> str:
    """Return the boundary of a multipart body. Raise HTTPException 400 where the header names none."""
    boundary = header_parameters(content_type.encode("utf-8", "replace")).get(b"boundary", b"")
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        raise _unreadable("its Content-Type names no boundary")
    return boundary.decode("utf-8", "replace")


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    if body.count(b"&") >= MAX_FIELDS:
        raise _too_many()
    pairs = [pair.partition(b"=") for pair in body.split(b"&") if pair]
    return [(_decoded(name), _decoded(value)) for name, _, value in pairs]


def _decoded(encoded: bytes) -> str:
    # Not urllib's: it splits at every percent sign, and a megabyte of them takes it a quarter of a second.
    octets = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), encoded.replace(b"+", b" "))
    return octets.decode("utf-8", "replace")


def _multipart(body: bytes, boundary: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    segment: MultipartSegment | None = None
    value = b""
    try:
        with PushMultipartParser(boundary, max_segment_count=MAX_FIELDS) as parser:
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


def _too_many() -> HTTPException:
    return _unreadable(f"it has more than {MAX_FIELDS} fields")


def _unreadable(reason: str) -> HTTPException:
    return HTTPException(status_code=400, detail=f"The form cannot be read: {reason}. Nothing was saved.")
