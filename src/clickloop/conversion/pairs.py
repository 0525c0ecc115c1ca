"""The parameters of a request as names and values: query, form and JSON body merged, within limits."""

from collections.abc import Iterable, Iterator
from itertools import islice
from urllib.parse import unquote_to_bytes

import msgspec

from clickloop.conversion.lenient_json import MAX_MEMBERS, object_items, octets_in, text_in
from clickloop.conversion.mended_json import mended_items
from clickloop.conversion.multipart_body import boundary_of, form_fields
from clickloop.macro.parameter_name import meant_name
from clickloop.text import text_of

MAX_INPUT_BYTES = 16_384
"""Maximum size of the query and of the body each; the rest is not read. Of a longer JSON object the first members that fit are."""
MAX_KEYS = 100  # strangers send these: each costs time when the notice is read
MAX_KEY_LENGTH = 200  # no parameter of a network is longer

_JSON_OBJECT: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_JSON_LIST: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])
_JSON_TEXT: msgspec.json.Decoder[str] = msgspec.json.Decoder(str)


class Pairs(msgspec.Struct, frozen=True):
    """Values by lower-case name, in order of appearance; of a repeated name the last that is not empty. Texts as in ``text``."""

    values: dict[str, str]
    query_cut: bool = False
    body_cut: bool = False
    body_unreadable: bool = False
    too_many_keys: bool = False
    name_mended: bool = False
    """A name had leftovers in front of it (see ``parameter_name``), or the query was encoded once too often."""
    body_mended: bool = False
    """The body was no JSON, but it was plain what was meant: see ``mended_json``."""


class _Collected:
    """Values on their way into ``Pairs``."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.too_many = False
        self.mended = False

    def take(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Put pairs over the values that are there."""
        values = self.values
        for key, value in pairs:
            stripped = key.strip()
            meant = meant_name(stripped)
            if meant is not stripped:
                self.mended = True
                meant = meant.strip()
                if not meant:
                    continue
            name = meant.lower()[:MAX_KEY_LENGTH]
            if not value and values.get(name):
                continue  # empty is as if it had not been sent: it takes nothing away
            if name in values or len(values) < MAX_KEYS:
                values[name] = value
            else:
                self.too_many = True


def read_pairs(query: bytes, body: bytes, content_type: str) -> Pairs:
    """The parameters of a request; the body's count after the query's. Never raises.

    JSON numbers keep their digits as written; a value that is itself an object or a list is kept as JSON text, nested
    at most as deep as the decoder bears (about a thousand levels, deeper is unreadable). Form bodies may be urlencoded
    or multipart. A body whose type is missing or wrong is read as what it unmistakably looks like.
    """
    collected = _Collected()
    if len(query) <= MAX_INPUT_BYTES and b"=" not in query and b"%3d" in query.lower():
        # Encoded as a whole by whoever put the address together.
        query, collected.mended = unquote_to_bytes(query), True
    query_kept, query_cut = _cut(query, b"&")
    collected.take(_urlencoded(query_kept))
    read = _NO_BODY
    if body and not body.isspace():
        read = _read_body(_as_utf8(body, content_type), content_type)
        collected.take(read.pairs)
    return Pairs(
        collected.values, query_cut, read.cut, read.unreadable, collected.too_many, collected.mended, read.mended
    )


class _Body(msgspec.Struct, frozen=True):
    """The pairs of a body, and what was odd about it."""

    pairs: Iterable[tuple[str, str]] = ()
    cut: bool = False
    unreadable: bool = False
    mended: bool = False


_NO_BODY = _Body()


def _cut(octets: bytes, separator: bytes) -> tuple[bytes, bool]:
    """The leading octets, up to the last whole pair within the limit, and whether something was left out."""
    if len(octets) <= MAX_INPUT_BYTES:
        return octets, False
    kept = octets[:MAX_INPUT_BYTES]
    return kept[: max(kept.rfind(separator), 0)], True


def _urlencoded(octets: bytes) -> Iterator[tuple[str, str]]:
    for pair in octets.split(b"&"):
        if pair:
            key, _, value = pair.partition(b"=")
            yield _decoded(key), _decoded(value)


def _decoded(octets: bytes) -> str:
    if b"+" in octets:
        octets = octets.replace(b"+", b" ")
    return text_of(unquote_to_bytes(octets) if b"%" in octets else octets)


def _as_utf8(body: bytes, content_type: str) -> bytes:
    """Return the body without its byte order mark (RFC 8259, 8.1 allows to ignore it), and UTF-16 as UTF-8.

    UTF-16 is recognised by its mark, by the charset, or by the zero beside the first brace (RFC 4627, 3).
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
    looks = body.lstrip()[:1]
    if looks in (b"{", b"[") or ("json" in kind and (looks == b'"' or b"=" not in body)):
        is_long = len(body) > MAX_INPUT_BYTES
        items, mended = _json_items(body)
        if items is not None:
            fitting = _fitting(items) if is_long else items
            return _Body([(_plain(key), _json_value(raw)) for key, raw in fitting], is_long, mended=mended)
        if "json" in kind or looks == b"{":
            return _Body((), is_long, unreadable=True)
    kept, was_cut = _cut(body, b"&")
    return _Body(_urlencoded(kept.strip()), was_cut)


def _json_items(body: bytes) -> tuple[list[tuple[str, bytes]] | None, bool]:
    """Return the names of an object, each with its value's JSON, and whether it had to be mended; None: unreadable.

    An object that stands alone in a list, or was encoded twice and so is a text, is read too.
    """
    try:
        if body.lstrip()[:1] == b'"':
            body = _JSON_TEXT.decode(body).encode("utf-8", "surrogatepass")
        try:
            members = body
            if body.lstrip()[:1] == b"[":
                (only,) = _JSON_LIST.decode(body)
                members = bytes(only)
            # No more than can be kept are looked at: a body has room for tens of thousands.
            first = islice(_JSON_OBJECT.decode(members).items(), MAX_MEMBERS)
            return [(key, bytes(raw)) for key, raw in first], False
        # The fast way refuses anything odd; what follows is more lenient.
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
        try:
            return object_items(body), False
        except ValueError:
            return mended_items(body), True
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None, False


def _fitting(items: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield the members for which there is room, in order. A long one, a basket say, takes none from those behind it."""
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
    return "" if raw == b"null" else text_of(raw)


def _plain(text: str) -> str:
    return text if text.isascii() and "\0" not in text else text_of(octets_in(text))
