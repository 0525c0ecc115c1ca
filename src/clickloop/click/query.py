"""Parses the query of a campaign link, leniently and in bounded time: a bad query never costs a visitor."""

from urllib.parse import unquote_to_bytes

from clickloop.click.click import Flag
from clickloop.macro.parameter_name import intended_name
from clickloop.text import escape_bytes

MAX_QUERY_BYTES = 16 * 1024  # real links have a few hundred; bounds the time per click
MAX_PAIRS = 100  # thirty tokens and some parameters of a network; bounds the time per click


def read_query(query: bytes, wanted: dict[str, str], literal_plus: str) -> tuple[dict[str, str], tuple[Flag, ...]]:
    """Return the values of the ``wanted`` parameters (name → field) by field, and what was odd about the query.

    ``wanted`` must also contain each name in lower case, since names match in any case. ``query`` is ASCII, other bytes
    percent-encoded. The first value of a repeated parameter wins. ``+`` is a space except in the field ``literal_plus``: sources
    insert base64 ids unescaped. Invalid percent escapes are left unchanged. Values are in the form of ``text.escape_bytes``.
    """
    cut = mended = False
    if len(query) > MAX_QUERY_BYTES:
        query = query[:MAX_QUERY_BYTES]
        query = query[: max(query.rfind(b"&"), 0)] or query  # a truncated value would pass for a whole one
        cut = True
    text = query.decode("ascii", "replace")
    pairs = text.split("&", MAX_PAIRS)
    if len(pairs) > MAX_PAIRS:
        pairs.pop()
        cut = True
    values: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        field = wanted.get(name)
        if field is None and not (
            name.isidentifier() and name.islower()
        ):  # a plain lower-case name has no other reading
            plain = _unescaped(name) if "%" in name or "+" in name else name
            meant = intended_name(plain)
            mended = mended or meant is not plain
            field = wanted.get(meant) or wanted.get(meant.lower())
        if field is None or field in values:
            continue
        if "+" in value and field != literal_plus:
            value = value.replace("+", " ")
        values[field] = escape_bytes(unquote_to_bytes(value)) if "%" in value else value
    if not (cut or mended):
        return values, ()
    return values, (Flag.QUERY_CUT,) * cut + (Flag.NAME_MENDED,) * mended


def _unescaped(name: str) -> str:
    return escape_bytes(unquote_to_bytes(name.replace("+", " ")))
