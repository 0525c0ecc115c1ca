"""The parameters of a request as names and values: query, form and JSON body merged, within limits."""

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

import msgspec

from clickloop.octets import text_of

MAX_OCTETS = 16_384
"""Of the query and of the body each; what is beyond is not read."""
MAX_KEYS = 100
MAX_KEY_LENGTH = 200

_BOUNDARY = re.compile(rb'boundary="?([^";\s]{1,70})', re.IGNORECASE)
_PART_NAME = re.compile(rb'\bname="([^"]*)"', re.IGNORECASE)
_JSON_OBJECT: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_JSON_TEXT: msgspec.json.Decoder[str] = msgspec.json.Decoder(str)


class Pairs(msgspec.Struct, frozen=True):
    """Values by lower-case name, in order of appearance; of a repeated name the last. Texts as in ``octets``."""

    values: dict[str, str]
    query_cut: bool = False
    body_cut: bool = False
    body_unreadable: bool = False
    too_many_keys: bool = False


def read_pairs(query: bytes, body: bytes, content_type: str) -> Pairs:
    """The parameters of a request; the body's count after the query's. Never raises.

    JSON numbers keep their digits as written; a value that is itself an object or a list is kept as JSON text, nested
    at most as deep as the decoder bears (about a thousand levels, deeper is unreadable). Form bodies may be urlencoded
    or multipart. A body that claims to be a form and is JSON, or has no type, is read as what it looks like.
    """
    values: dict[str, str] = {}
    query_kept, query_cut = _cut(query, b"&")
    too_many = _merge(values, _urlencoded(query_kept))
    body_cut = unreadable = False
    if body and not body.isspace():
        pairs, body_cut, unreadable = _body_pairs(body, content_type)
        too_many = _merge(values, pairs) or too_many
    return Pairs(values, query_cut, body_cut, unreadable, too_many)


def _cut(octets: bytes, separator: bytes) -> tuple[bytes, bool]:
    """The leading octets, up to the last whole pair within the limit, and whether something was left out."""
    if len(octets) <= MAX_OCTETS:
        return octets, False
    kept = octets[:MAX_OCTETS]
    return kept[: max(kept.rfind(separator), 0)], True


def _merge(values: dict[str, str], pairs: Iterator[tuple[str, str]]) -> bool:
    """Puts pairs over the values; answers whether names were left out because there were too many."""
    too_many = False
    for key, value in pairs:
        name = key.strip().lower()[:MAX_KEY_LENGTH]
        if name in values or len(values) < MAX_KEYS:
            values[name] = value
        else:
            too_many = True
    return too_many


def _urlencoded(octets: bytes) -> Iterator[tuple[str, str]]:
    for pair in octets.split(b"&"):
        if pair:
            key, _, value = pair.partition(b"=")
            yield _decoded(key), _decoded(value)


def _decoded(octets: bytes) -> str:
    if b"+" in octets:
        octets = octets.replace(b"+", b" ")
    return text_of(unquote_to_bytes(octets) if b"%" in octets else octets)


def _body_pairs(body: bytes, content_type: str) -> tuple[Iterator[tuple[str, str]], bool, bool]:
    """The body's pairs, whether it was cut, and whether it could not be read."""
    kind = content_type.lower()
    if "multipart/form-data" in kind:
        boundary = _BOUNDARY.search(content_type.encode("utf-8", "replace"))
        if boundary is None:
            return iter(()), False, True
        delimiter = b"--" + boundary[1]
        kept, was_cut = _cut(body, delimiter)
        return _multipart(kept, delimiter), was_cut, delimiter not in body
    if "json" in kind or body.lstrip()[:1] == b"{":
        if len(body) > MAX_OCTETS:
            return iter(()), True, True
        pairs = _json(body)
        return (iter(()), False, True) if pairs is None else (iter(pairs), False, False)
    kept, was_cut = _cut(body, b"&")
    return _urlencoded(kept.strip()), was_cut, False


def _json(body: bytes) -> list[tuple[str, str]] | None:
    try:
        return [(_plain(key), _json_value(bytes(value))) for key, value in _JSON_OBJECT.decode(body).items()]
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


def _json_value(raw: bytes) -> str:
    raw = raw.strip()
    if raw[:1] == b'"':
        return _plain(_JSON_TEXT.decode(raw))
    return "" if raw == b"null" else text_of(raw)


def _plain(text: str) -> str:
    return text if text.isascii() and "\0" not in text else text_of(text.encode("utf-8", "surrogatepass"))


def _multipart(body: bytes, delimiter: bytes) -> Iterator[tuple[str, str]]:
    for part in body.split(delimiter)[1:]:
        head, blank, value = part.partition(b"\r\n\r\n")
        name = _PART_NAME.search(head)
        if blank and name:
            yield text_of(name[1]), text_of(value.removesuffix(b"\r\n"))
