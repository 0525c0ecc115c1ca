"""The query of a campaign link, read leniently and in bounded time: a visitor is never turned away for it."""

from urllib.parse import unquote_to_bytes

from clickloop.octets import text_of

KEPT_BYTES = 16 * 1024
KEPT_PAIRS = 100


def read_query(query: bytes, wanted: dict[str, str], literal_plus: str) -> tuple[dict[str, str], bool]:
    """The values of the ``wanted`` parameters (name → field), and whether the query was cut to what is kept.

    ``query`` is ASCII: other bytes come percent-encoded. Of a repeated parameter the first value counts. ``+`` is a space
    except in the field ``literal_plus``: sources paste base64 ids unescaped. Percent escapes that are none stay as they
    are. Values are in the form of ``octets.text_of``.
    """
    cut = False
    if len(query) > KEPT_BYTES:
        query = query[:KEPT_BYTES]
        query = query[: max(query.rfind(b"&"), 0)] or query  # half a value would be taken for a whole one
        cut = True
    text = query.decode("ascii", "replace")
    pairs = text.split("&", KEPT_PAIRS)
    if len(pairs) > KEPT_PAIRS:
        pairs.pop()
        cut = True
    values: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        field = wanted.get(name) or (wanted.get(_unescaped(name)) if "%" in name or "+" in name else None)
        if field is None or field in values:
            continue
        if "+" in value and field != literal_plus:
            value = value.replace("+", " ")
        values[field] = text_of(unquote_to_bytes(value)) if "%" in value else value
    return values, cut


def _unescaped(name: str) -> str:
    return text_of(unquote_to_bytes(name.replace("+", " ")))
