"""Recognize a value that is a macro that its source or network did not replace."""

import re

_MAX_LENGTH = 80  # macros are short; this runs for every parameter of every click
_FIRST = frozenset("{$[_%#@") | frozenset(map(chr, range(0x10FFA0, 0x10FFFA)))

# Braces or brackets may also enclose a real id: a GUID in Windows notation, or a bare number.
_NAME = r"(?![0-9A-Fa-f-]{32,}[}\]])[A-Za-z_!][A-Za-z0-9_.:!\- ]*"
_STYLES = (
    r"\$?(?:\{NAME\}|\{\{NAME\}\}|\{\{\{NAME\}\}\})",  # {clickid} ${SUBID} {{id}} {{{bidhash}}} {!tscode!}
    r"\$?%7[Bb](?:%7[Bb])?[A-Za-z_][A-Za-z0-9_.\-]*(?:%7[Dd])?%7[Dd]",  # the same, encoded once too often
    r"\[(?:[A-Za-z_][A-Za-z0-9_]*|=[A-Za-z_][A-Za-z0-9_]*=|\[[A-Za-z_][A-Za-z0-9_]*\])\]",  # [CID] [=SID=] [[subid]]
    r"__(?:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*|[a-z]+(?:_[a-z]+)*)__",  # __CLICKID__
    r"%[A-Za-z_][A-Za-z0-9_]+%",  # %CID%
    "[\U0010ffa0-\U0010fff9][A-Za-z0-9_]*%",  # %CAMPAIGN% after decoding, which takes %CA for a byte
    r"#[A-Za-z_][A-Za-z0-9_]*#|##[A-Za-z_][A-Za-z0-9_]*(?:\([a-z]+\))?##",  # #price# ##SUB_ID_SHORT(action)##
    r"@[A-Za-z_][A-Za-z0-9_]*@",  # @trackingid@
)
_UNREPLACED = re.compile("|".join(_STYLES).replace("NAME", _NAME))


def unreplaced_macro(value: str) -> bool:
    """Return whether the whole value is a macro in any style that sources and networks use. Takes constant time."""
    if value.isalnum():
        return False
    value = value.strip()
    return len(value) <= _MAX_LENGTH and value[:1] in _FIRST and _UNREPLACED.fullmatch(value) is not None
