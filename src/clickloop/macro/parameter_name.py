"""Parameter names without leftovers of copying a link."""

_LEFTOVERS = ("amp;", "#38;", "#038;", "#x26;")
"""Prefix of names in links copied from HTML, where ``&`` is written as an entity."""
_MAX_LEFTOVER_LENGTH = max(map(len, _LEFTOVERS))


def intended_name(name: str) -> str:
    """Return the name without leading entity leftovers (in any case, also repeated) and question marks.

    A name without any is returned as the same object. Values are never changed: there, these characters may be intended.
    """
    if ";" not in name and name[:1] != "?":  # nearly every name; this runs for each parameter of each notice
        return name
    at = 0
    while at < len(name):
        if name[at] == "?":  # `??cid=`: a query was appended with its question mark to a URL that had one
            at += 1
            continue
        ahead = name[at : at + _MAX_LEFTOVER_LENGTH].lower()
        leftover = next((text for text in _LEFTOVERS if ahead.startswith(text)), "")
        if not leftover:
            break
        at += len(leftover)
    return name[at:] if at else name
