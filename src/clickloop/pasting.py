"""Pasted text, which brings invisible characters along from chats, documents and web pages."""

import re

_SPACES = "\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_UNSEEN = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
INVISIBLE = re.compile(f"[{_SPACES}{_UNSEEN}]")
"""Spaces other than the plain one, zero-width characters, and marks of the text's direction."""
_ENDS = re.compile(f"[\\s{_SPACES}{_UNSEEN}]*+")


def trimmed(text: str) -> str:
    """Return a text without spaces and invisible characters at its ends, in linear time."""
    begins_at = _ENDS.match(text).end()  # type: ignore[union-attr]  # matches the empty string, too
    ends_at = len(text)
    while ends_at > begins_at and (text[ends_at - 1].isspace() or INVISIBLE.match(text[ends_at - 1])):
        ends_at -= 1
    return text[begins_at:ends_at]
