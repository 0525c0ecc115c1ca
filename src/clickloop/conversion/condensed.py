"""Reduce a notice to its known parameters, for storing notices that come too often or are too long."""

import msgspec

from clickloop.conversion.notice import NAMES, PLAIN_NAMES, RawNotice, effective_name, identifying_txid, read_values
from clickloop.text import escape_bytes, unescape_bytes

MAX_VALUE = 200
"""Characters stored of a value, as many as are read of most values. A txid keeps its full length."""
MAX_NUMBERED_BYTES = 1_024
"""Bytes stored of the numbered parameters, of which there may be fifty."""


def condensed(raw: RawNotice) -> RawNotice:
    """Return the notice with only its known parameters, all in the query. It registers the same conversion."""
    _, values, _ = read_values(raw)
    pairs: list[bytes] = []
    for field in NAMES:
        if name := effective_name(values, field):
            text = values[name].strip()
            pairs.append(_pair(name, identifying_txid(text) if field == "txid" else text[:MAX_VALUE]))
    pairs += [_pair(name, values[name][:MAX_VALUE]) for name in sorted(PLAIN_NAMES & values.keys())]
    room = MAX_NUMBERED_BYTES
    for name, value in values.items():
        if name.startswith(("param", "event")) and name[5:].isdecimal():
            pair = _pair(name, value[:MAX_VALUE])
            room -= len(pair)
            if room >= 0:
                pairs.append(pair)
    return msgspec.structs.replace(raw, query=escape_bytes(b"&".join(pairs)), body="", content_type="", condensed=True)


def _pair(name: str, value: str) -> bytes:
    encoded = unescape_bytes(value).replace(b"%", b"%25").replace(b"&", b"%26").replace(b"+", b"%2B")
    return name.encode() + b"=" + encoded
