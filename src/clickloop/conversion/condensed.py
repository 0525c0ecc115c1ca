"""A notice reduced to the parameters that are understood: for the log of those of which too many, or too much, arrives."""

import msgspec

from clickloop.conversion.notice import NAMES, PLAIN_NAMES, RawNotice, identifying_txid, name_that_counts, read_values
from clickloop.text import octets_of, text_of

MAX_VALUE = 200
"""Characters of a value, as much as is read of most of them. A txid is as long as it may be."""
MAX_FURTHER = 1_024
"""Bytes of the numbered parameters, of which there may be fifty."""


def condensed(raw: RawNotice) -> RawNotice:
    """Return the notice with what it says of a conversion in its query, and nothing else; it registers the same conversion."""
    _, values, _ = read_values(raw)
    pairs: list[bytes] = []
    for field in NAMES:
        if name := name_that_counts(values, field):
            text = values[name].strip()
            pairs.append(_pair(name, identifying_txid(text) if field == "txid" else text[:MAX_VALUE]))
    pairs += [_pair(name, values[name][:MAX_VALUE]) for name in sorted(PLAIN_NAMES & values.keys())]
    room = MAX_FURTHER
    for name, value in values.items():
        if name.startswith(("param", "event")) and name[5:].isdecimal():
            pair = _pair(name, value[:MAX_VALUE])
            room -= len(pair)
            if room >= 0:
                pairs.append(pair)
    return msgspec.structs.replace(raw, query=text_of(b"&".join(pairs)), body="", content_type="", condensed=True)


def _pair(name: str, value: str) -> bytes:
    octets = octets_of(value).replace(b"%", b"%25").replace(b"&", b"%26").replace(b"+", b"%2B")
    return name.encode() + b"=" + octets
