"""Mangled campaign links: what people and programs put between the key and the query. A paid visitor is not turned away for it."""

from urllib.parse import unquote_to_bytes

import msgspec

from clickloop.click.click import Flag

KEY_CHARACTERS = 6
MAX_PUNCTUATION = 200
"""Bytes of punctuation that are stepped over, one by one; what is longer was not added by mistake."""


class Link(msgspec.Struct, frozen=True, gc=False):
    """A campaign link as it was meant. ``flag``: what was odd about it, where something was meant."""

    key: bytes
    query: bytes
    flag: Flag | None = None


def mended_link(path: bytes, query: bytes) -> Link | None:
    """Return what a link that names no campaign was meant to be; None: unknown.

    ``path`` is what follows ``/c/``, percent-encoded. Browsers, mail programs and ad panels add slashes, punctuation and
    spaces; links put together by hand have ``&`` in place of the question mark, or an encoded one. Where letters or digits
    follow directly, it is another key. The cost is linear in the length.
    """
    path = path.lstrip(b"/")
    key, behind = path[:KEY_CHARACTERS], path[KEY_CHARACTERS:]
    if len(key) < KEY_CHARACTERS or not key.isalnum() or b"%00" in behind:
        return None
    if unquote_to_bytes(behind[:3])[:1].isalnum():
        return None
    tail = tail_of(behind)
    if not tail:
        return Link(key, query)
    if b"=" not in tail:
        return Link(key, query, Flag.PATH_IGNORED)
    return Link(key, tail + b"&" + query if query else tail, Flag.LINK_MENDED)


def tail_of(behind: bytes) -> bytes:
    """Return what is left of a path's end without the punctuation and spaces in front, which may be percent-encoded.

    What was encoded as a whole (``%3Fexternal_id%3Dx``) is decoded once. Behind too much punctuation nothing is read.
    """
    at = 0
    while at < len(behind) and not (behind[at : at + 1].isalnum() or behind[at] == ord("_")):
        if behind[at] == ord("%"):
            plain = unquote_to_bytes(behind[at : at + 3])
            if plain.isalnum():
                break
            at += 3 if len(plain) == 1 else 1
        else:
            at += 1
        if at >= MAX_PUNCTUATION:
            return b""
    tail = behind[at:]
    if b"=" not in tail and b"%3d" in tail.lower():
        return unquote_to_bytes(tail)
    return tail
