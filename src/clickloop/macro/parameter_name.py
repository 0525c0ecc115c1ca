"""Names of parameters as their sender meant them, behind what copying a link leaves in front of them."""

_LEFTOVERS = ("amp;", "#38;", "#038;", "#x26;")
"""The rest of an ampersand's entity behind the ``&`` of a pair, in links that were copied out of HTML."""
_MAX_LEFTOVER_LENGTH = max(map(len, _LEFTOVERS))


def meant_name(name: str) -> str:
    """Return the name without entity leftovers (in any case, also repeated) and further question marks in front of it.

    A name that has none is returned as the same object. No value is ever touched: in one, these characters may be meant.
    """
    if ";" not in name and name[:1] != "?":  # nearly every name: this runs for each parameter of each notice
        return name
    at = 0
    while at < len(name):
        if name[at] == "?":  # `??cid=`: somebody appended a query with its question mark to an address that had one
            at += 1
            continue
        ahead = name[at : at + _MAX_LEFTOVER_LENGTH].lower()
        leftover = next((text for text in _LEFTOVERS if ahead.startswith(text)), "")
        if not leftover:
            break
        at += len(leftover)
    return name[at:] if at else name
