"""Repair objects that are not valid JSON but unambiguous: written by hand around macros, some of which had no value.

For input that ``lenient_json`` refuses. Every function takes time linear in its input.
"""

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # the types do not know it; json itself reads texts with it

from clickloop.conversion.lenient_json import MAX_MEMBERS, VALUE_DECODER, skip_space, surrogate_bytes

_BETWEEN = re.compile(r"[ \t\r\n\0,]*")
_BARE_NAME = re.compile(r"[A-Za-z_][\w.-]{0,199}")
# A comma before a digit is a decimal comma. An unreplaced macro may have braces. The alternatives begin differently, so
# matching takes linear time.
_BARE = re.compile(
    r"""(?:[^,{}\[\]"'\n]|\{(?:\{[^{}",\n]{0,200}\}\}|[^{}",\n]{0,200}\})|\[[^\[\]",\n]{0,200}\]|,(?=\d))*"""
)
_SINGLE_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ESCAPED_QUOTE = re.compile(r"\\(['\\])")
_NOTHING = frozenset({"", "None", "nil", "undefined", "NULL", "Null"})


def mended_items(body: bytes) -> list[tuple[str, bytes]]:
    """Return the object's names, each with its value as JSON or as it came; of a repeated name the last.

    Accepts extra commas, missing or unquoted values, single quotes and unquoted names. The object may be the only element of a
    list. Raise ValueError if it is ambiguous or truncated: half an amount would be wrong.
    """
    text = body.decode("utf-8", "surrogateescape")
    at = skip_space(text, 0)
    is_in_list = text.startswith("[", at)
    if is_in_list:
        at = skip_space(text, at + 1)
    if not text.startswith("{", at):
        raise ValueError("there is no object")
    items, at = _Reader(text).members(at + 1)
    at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # always matches, if only the empty string
    if is_in_list:
        if not text.startswith("]", at):
            raise ValueError("the list has no end")
        at = skip_space(text, at + 1)
    if at != len(text):
        raise ValueError("there is text after the object")
    return [(key, surrogate_bytes(value)) for key, value in items.items()]


class _Reader:
    """A reader of the members of one object."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._nested = True
        """Whether nested objects and lists are still parsed. A broken one ends that: each further try would read to the end."""

    def members(self, at: int) -> tuple[dict[str, str], int]:
        """Return the members from ``at`` on, and the position after the object."""
        items: dict[str, str] = {}
        for _ in range(MAX_MEMBERS):
            at = _BETWEEN.match(self._text, at).end()  # type: ignore[union-attr]  # always matches, if only the empty string
            if self._text.startswith("}", at):
                return items, at + 1
            name, at = self._name(at)
            at = skip_space(self._text, at)
            if not self._text.startswith(":", at):
                raise ValueError(f"a colon is missing at {at}")
            items[name], at = self._value(skip_space(self._text, at + 1))
            at = skip_space(self._text, at)
            if self._text[at : at + 1] not in {",", "}"}:
                raise ValueError(f"a comma is missing at {at}")
        raise ValueError("there are too many members")

    def _name(self, at: int) -> tuple[str, int]:
        if self._text.startswith('"', at):
            name, end = scanstring(self._text, at + 1, False)
            return str(name), int(end)
        if quoted := _SINGLE_QUOTED.match(self._text, at):
            return _unquoted(quoted), quoted.end()
        if bare := _BARE_NAME.match(self._text, at):
            return bare[0], bare.end()
        raise ValueError(f"a name is missing at {at}")

    def _value(self, at: int) -> tuple[str, int]:
        text = self._text
        if text.startswith('"', at):
            _, end = scanstring(text, at + 1, False)
            return text[at:end], end
        if quoted := _SINGLE_QUOTED.match(text, at):
            return json.dumps(_unquoted(quoted), ensure_ascii=False), quoted.end()
        if text.startswith(("{", "["), at) and self._nested:
            try:
                _, end = VALUE_DECODER.raw_decode(text, at)
                return text[at:end], end
            # Not JSON, or nested deeper than Python's stack, as an attacker may send it: do not try again in this body.
            except (ValueError, StopIteration, RecursionError):
                self._nested = False
        bare = _BARE.match(text, at)
        value, end = (bare[0].strip(" \t\r\0"), bare.end()) if bare is not None else ("", at)
        return "null" if value in _NOTHING else value, end


def _unquoted(quoted: re.Match[str]) -> str:
    return _ESCAPED_QUOTE.sub(r"\1", quoted[1])
