"""What is to be said of a template beside what its macros are, while it is typed: the same as saving says of it."""

import msgspec

from clickloop.macro import parse
from clickloop.macro.known import TOKENS

ROW_MACROS = frozenset(f"token{number}" for number in range(1, TOKENS + 1))
"""The macros of V1 … V30."""


class Remark(msgspec.Struct, frozen=True):
    """One sentence and what to do. ``tone``: ``fault`` (saving refuses it), ``warning``, or ``dim`` (worth knowing)."""

    tone: str
    sentence: str
    remedy: str = ""


def source_remarks(text: str) -> tuple[Remark, ...]:
    """What to know of a template that is filled for clicks of any source, by the rows that it uses."""
    used = [f"{{{name}}}" for name in parse(text).names if name in ROW_MACROS]
    if not used:
        return ()
    sentence = f"What {' and '.join(used)} brings depends on the traffic source of each click: it is empty where that has no such row."
    return (Remark("dim", sentence),)
