"""Recover the values that a notice's sender meant: a click id with text around it, and the name that counts among several."""

import re
from collections.abc import Callable, Mapping, Sequence

from clickloop.click_id import is_shaped_like_click_id
from clickloop.macro import unreplaced_macro
from clickloop.macro.parameter_name import intended_name

_MAX_AROUND = 20
"""Maximum number of punctuation characters on each side of a click id."""
_CLICK_ID = re.compile(rf"[^0-9A-Za-z]{{0,{_MAX_AROUND}}}(01[0-9A-Za-z]{{24}})(?![0-9A-Za-z])")
_PAIRS = re.compile(r"[^0-9A-Za-z&?;#]{0,5}([&?;])")


def chosen_name(values: Mapping[str, str], names: Sequence[str], is_good: Callable[[str], bool]) -> str:
    """Return the first name with a good value, else the first with any value; empty if none.

    So an unreplaced macro or a ``null`` does not hide a value under another name.
    """
    first = ""
    for name in names:
        text = values.get(name)
        if not text or not (text := text.strip()):
            continue
        if not first:
            first, good = name, text
            continue
        if is_good(good):
            break
        if is_good(text):
            return name
    return first


def is_replaced(value: str) -> bool:
    """Return whether a value is not an unreplaced macro."""
    return not unreplaced_macro(value)


def mended_click_id(text: str) -> tuple[str, dict[str, str]] | None:
    """Return the click id in a text, and the parameters after it; None: there is nothing to repair, or it is not repairable.

    Networks put quotes and braces around it, and pass on parameters that were encoded as a part of it: ``ID}``, ``ID?payout=5``,
    ``ID&payout=5&txid=1`` (from ``%26``), ``ID;payout=5``. Text that is neither punctuation nor a parameter is never skipped: it
    may be a payout that would be lost. Takes time linear in the length of the text.
    """
    found = _CLICK_ID.match(text)
    if found is None or len(text) == len(found[1]) or not is_shaped_like_click_id(found[1]):
        return None
    rest = text[found.end() :].partition("#")[0]
    pairs = _PAIRS.match(rest)
    if pairs is None:
        around = rest.strip()
        is_harmless = len(around) <= _MAX_AROUND and not any(character.isalnum() for character in around)
        return (found[1], {}) if is_harmless else None
    separator = ";" if pairs[1] == ";" and "&" not in rest else "&"
    values: dict[str, str] = {}
    for pair in rest[pairs.end() :].split(separator):
        name, equals, value = pair.partition("=")
        name = intended_name(name.strip()).strip().lower()
        if name and not equals:
            return None
        if name and value.strip():
            values[name] = value
    return found[1], values
