"""Repairs mangled campaign links, such as extra characters between key and query: a paid visitor must not be lost."""

from urllib.parse import unquote_to_bytes

import msgspec

from clickloop.click.click import Flag

KEY_CHARACTERS = 6
MAX_PUNCTUATION = 200
"""Maximum number of punctuation bytes to skip. A longer run is no accident."""


class Link(msgspec.Struct, frozen=True, gc=False):
    """A repaired campaign link. ``flag``: what was odd about it, unless that was mere punctuation."""

    key: bytes
    query: bytes
    flag: Flag | None = None


def mended_link(path: bytes, query: bytes) -> Link | None:
    """Return the intended link for a path that matches no campaign, or None if it cannot be guessed.

    ``path`` is what follows ``/c/``, percent-encoded. Browsers, mail programs and ad panels add slashes, punctuation and
    spaces; hand-made links have ``&`` instead of the question mark, or an encoded one. If letters or digits follow the key
    directly, it is a different key. Takes time linear in the length.
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
    """Return the end of a path without leading punctuation and spaces, which may be percent-encoded.

    A tail encoded as a whole (``%3Fexternal_id%3Dx``) is decoded once. Return nothing after ``MAX_PUNCTUATION`` bytes.
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
