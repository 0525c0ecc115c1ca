"""Read the parameters of a request: query, form and JSON body merged, within limits."""

from collections.abc import Iterable, Iterator
from itertools import islice
from urllib.parse import unquote_to_bytes

import msgspec

from clickloop.conversion.lenient_json import MAX_MEMBERS, object_items, surrogate_bytes, text_in
from clickloop.conversion.mended_json import mended_items
from clickloop.conversion.multipart_body import boundary_of, form_fields
from clickloop.macro.parameter_name import intended_name
from clickloop.text import escape_bytes

MAX_INPUT_BYTES = 16_384
"""Maximum size of the query and of the body each; the rest is not read. Of a longer JSON object the members that fit are read."""
MAX_KEYS = 100  # anyone can send these, and each costs time
MAX_KEY_LENGTH = 200  # longer than any network's parameter

_JSON_OBJECT: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_JSON_LIST: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])
_JSON_TEXT: msgspec.json.Decoder[str] = msgspec.json.Decoder(str)


class Pairs(msgspec.Struct, frozen=True):
    """Values by lower-case name in order of appearance; of a repeated name the last non-empty one.

    Texts are in the form of ``text.escape_bytes``.
    """

    values: dict[str, str]
    query_cut: bool = False
    body_cut: bool = False
    body_unreadable: bool = False
    too_many_keys: bool = False
    name_mended: bool = False
    """A name had extra characters in front (see ``parameter_name``), or the query was percent-encoded once too often."""
    body_mended: bool = False
    """The body was not valid JSON but unambiguous: see ``mended_json``."""


class _PairsBuilder:
    """A builder of ``Pairs``."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.too_many = False
        self.mended = False

    def take(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Add pairs, replacing earlier values of the same name."""
        values = self.values
        for key, value in pairs:
            stripped = key.strip()
            meant = intended_name(stripped)
            if meant is not stripped:
                self.mended = True
                meant = meant.strip()
                if not meant:
                    continue
            name = meant.lower()[:MAX_KEY_LENGTH]
            if not value and values.get(name):
                continue  # an empty value counts as not sent and replaces nothing
            if name in values or len(values) < MAX_KEYS:
                values[name] = value
            else:
                self.too_many = True


def read_pairs(query: bytes, body: bytes, content_type: str) -> Pairs:
    """Return the parameters of a request; the body's override the query's. Never raises.

    JSON numbers keep their digits as written; nested objects and lists are kept as JSON text, up to the decoder's maximum depth
    (about a thousand levels; deeper ones are unreadable). Form bodies may be urlencoded or multipart. A body whose content
    type is missing or wrong is detected by its contents.
    """
    builder = _PairsBuilder()
    if len(query) <= MAX_INPUT_BYTES and b"=" not in query and b"%3d" in query.lower():
        # The whole query was percent-encoded when the URL was built.
        query, builder.mended = unquote_to_bytes(query), True
    query_kept, query_cut = _cut(query, b"&")
    builder.take(_urlencoded(query_kept))
    read = _NO_BODY
    if body and not body.isspace():
        read = _read_body(_as_utf8(body, content_type), content_type)
        builder.take(read.pairs)
    return Pairs(builder.values, query_cut, read.cut, read.unreadable, builder.too_many, builder.mended, read.mended)


class _Body(msgspec.Struct, frozen=True):
    """The pairs of a body, and its irregularities."""

    pairs: Iterable[tuple[str, str]] = ()
    cut: bool = False
    unreadable: bool = False
    mended: bool = False


_NO_BODY = _Body()


def _cut(data: bytes, separator: bytes) -> tuple[bytes, bool]:
    """Return the leading bytes up to the last whole pair within the limit, and whether anything was cut off."""
    if len(data) <= MAX_INPUT_BYTES:
        return data, False
    head = data[:MAX_INPUT_BYTES]
    return head[: max(head.rfind(separator), 0)], True


def _urlencoded(data: bytes) -> Iterator[tuple[str, str]]:
    for pair in data.split(b"&"):
        if pair:
            key, _, value = pair.partition(b"=")
            yield _decoded(key), _decoded(value)


def _decoded(data: bytes) -> str:
    if b"+" in data:
        data = data.replace(b"+", b" ")
    return escape_bytes(unquote_to_bytes(data) if b"%" in data else data)


def _as_utf8(body: bytes, content_type: str) -> bytes:
    """Return the body without its byte order mark (RFC 8259, 8.1 allows ignoring it), UTF-16 converted to UTF-8.

    UTF-16 is recognised by its mark, the charset, or the zero byte next to the first brace (RFC 4627, 3).
    """
    if body.startswith(b"\xef\xbb\xbf"):
        return body[3:]
    encoding = ""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif body[:2] in (b"{\0", b"[\0"):
        encoding = "utf-16-le"
    elif body[:2] in (b"\0{", b"\0["):
        encoding = "utf-16-be"
    elif "utf-16" in content_type.lower() and b"\0" in body[:4]:
        encoding = "utf-16-le" if body[1:2] == b"\0" else "utf-16-be"
    return body.decode(encoding, "replace").encode("utf-8", "replace") if encoding else body


def _read_body(body: bytes, content_type: str) -> _Body:
    kind = content_type.lower()
    if "multipart/" in kind or body.lstrip()[:2] == b"--":
        boundary = boundary_of(content_type.encode("utf-8", "replace"), body)
        delimiter = b"--" + boundary
        if boundary and delimiter in body:
            kept, was_cut = _cut(body, delimiter)
            return _Body(form_fields(kept, boundary), was_cut)
        if "multipart/" in kind:
            return _Body(unreadable=True)
    first_byte = body.lstrip()[:1]
    if first_byte in (b"{", b"[") or ("json" in kind and (first_byte == b'"' or b"=" not in body)):
        is_long = len(body) > MAX_INPUT_BYTES
        items, mended = _json_items(body)
        if items is not None:
            fitting = _fitting(items) if is_long else items
            return _Body([(_plain(key), _json_value(raw)) for key, raw in fitting], is_long, mended=mended)
        if "json" in kind or first_byte == b"{":
            return _Body((), is_long, unreadable=True)
    kept, was_cut = _cut(body, b"&")
    return _Body(_urlencoded(kept.strip()), was_cut)


def _json_items(body: bytes) -> tuple[list[tuple[str, bytes]] | None, bool]:
    """Return the names of an object, each with its value's JSON, and whether it was repaired; None: unreadable.

    The object may also be the only element of a list, or encoded twice and so a string.
    """
    try:
        if body.lstrip()[:1] == b'"':
            body = _JSON_TEXT.decode(body).encode("utf-8", "surrogatepass")
        try:
            members = body
            if body.lstrip()[:1] == b"[":
                (only,) = _JSON_LIST.decode(body)
                members = bytes(only)
            # Only as many members as are used: a body can have tens of thousands.
            first = islice(_JSON_OBJECT.decode(members).items(), MAX_MEMBERS)
            return [(key, bytes(raw)) for key, raw in first], False
        # The fast decoder is strict; the ones below are lenient.
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
        try:
            return object_items(body), False
        except ValueError:
            return mended_items(body), True
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None, False


def _fitting(items: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield the members that fit, in order. One that is too long (such as a basket) is skipped; later ones may still fit."""
    room = MAX_INPUT_BYTES
    for key, raw in items:
        size = len(key) + len(raw)
        if size <= room:
            room -= size
            yield key, raw


def _json_value(raw: bytes) -> str:
    raw = raw.strip()
    if raw[:1] == b'"':
        try:
            return _plain(_JSON_TEXT.decode(raw))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return text_in(raw)
    return "" if raw == b"null" else escape_bytes(raw)


def _plain(text: str) -> str:
    return text if text.isascii() and "\0" not in text else escape_bytes(surrogate_bytes(text))
