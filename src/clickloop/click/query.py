"""The query of a campaign link, read leniently and in bounded time: a visitor is never turned away for it."""

from urllib.parse import unquote_to_bytes

from clickloop.click.click import Flag
from clickloop.macro.parameter_name import meant_name
from clickloop.text import text_of

MAX_QUERY_BYTES = 16 * 1024  # a link of a source has some hundred; the rest would only cost time per click
MAX_PAIRS = 100  # thirty tokens and some of a network's; each costs time per click


def read_query(query: bytes, wanted: dict[str, str], literal_plus: str) -> tuple[dict[str, str], tuple[Flag, ...]]:
    """Return the values of the ``wanted`` parameters (name → field), and what was odd about the query.

    ``wanted`` holds each name in lower case too: names match in any case. ``query`` is ASCII: other bytes come percent-encoded.
    Of a repeated parameter the first value counts. ``+`` is a space except in the field ``literal_plus``: sources paste base64
    ids unescaped. Percent escapes that are none stay as they are. Values are in the form of ``text.text_of``.
    """
    cut = mended = False
    if len(query) > MAX_QUERY_BYTES:
        query = query[:MAX_QUERY_BYTES]
        query = query[: max(query.rfind(b"&"), 0)] or query  # half a value would be taken for a whole one
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
        if field is None and not (name.isidentifier() and name.islower()):  # else there is no other way to read it
            plain = _unescaped(name) if "%" in name or "+" in name else name
            meant = meant_name(plain)
            mended = mended or meant is not plain
            field = wanted.get(meant) or wanted.get(meant.lower())
        if field is None or field in values:
            continue
        if "+" in value and field != literal_plus:
            value = value.replace("+", " ")
        values[field] = text_of(unquote_to_bytes(value)) if "%" in value else value
    if not (cut or mended):
        return values, ()
    return values, (Flag.QUERY_CUT,) * cut + (Flag.NAME_MENDED,) * mended


def _unescaped(name: str) -> str:
    return text_of(unquote_to_bytes(name.replace("+", " ")))
