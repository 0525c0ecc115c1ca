"""A template: parsed once, rendered in about a microsecond.

``parse`` and ``checking.check`` share one parser. ``{{name}}`` and ``${NAME}`` in capitals are other systems' macros and left as
they are; ``${payout}`` is a dollar sign and our macro. A canonical name takes precedence over a row of the source, and a row over
an alias. Also supported: Keitaro's ``{_name}`` (raw) and ``{random:1,100}``, Voluum's ``{var:row}``, Binom's ``{t1_md5}``, and
``{random}``.
"""

import enum
import random
import re
from collections.abc import Iterator, Mapping

import msgspec

from clickloop.macro.encoding_context import EncodingContext, json_value, without_line_breaks
from clickloop.macro.filters import NAMES, Apply, Chance, Expected, build
from clickloop.macro.known import BY_NAME, CANONICAL_OF_ALIAS
from clickloop.macro.values import Values

BRACES = re.compile(r"\{\{[^{}]*\}\}|\$\{[^{}]*\}|\{[^{}]*\}")
_NAME = re.compile(r"\s*[A-Za-z_!][\w.:!\-]*\s*", re.ASCII)
_TOKEN_MD5 = re.compile(r"t([1-9][0-9]?)_md5")
_STRING_MARK = re.compile(r'\\.|"', re.DOTALL)
_MAX_NAME_LENGTH = 300  # longer text between braces is not a name, and is left as it is


class MacroFault(enum.Enum):
    """The reason why a pair of braces is left as it is."""

    UNKNOWN_NAME = "unknown_name"
    UNKNOWN_FILTER = "unknown_filter"
    WRONG_ARGUMENT = "wrong_argument"
    OTHER_STYLE = "other_style"


class Braces(msgspec.Struct, frozen=True):
    """The braces at ``text[start:end]``: a macro with its canonical ``name``, or something like one with its fault.

    ``detail``: the faulty name or filter, or a sentence about the argument.
    """

    start: int
    end: int
    name: str = ""
    filters: tuple[Apply, ...] = ()
    raw: bool = False
    fault: MacroFault | None = None
    detail: str = ""


class Slot(msgspec.Struct, frozen=True):
    """A macro's position among the pieces. ``quoted``: whether it is inside a string, if the template is JSON."""

    index: int
    name: str
    filters: tuple[Apply, ...]
    raw: bool
    quoted: bool
    special: bool
    """Whether it needs more than encoding its value: ``|raw``, filters, ``now``."""


class Template(msgspec.Struct, frozen=True, eq=False):
    """A parsed template. Create it with ``parse``."""

    text: str
    names: tuple[str, ...]
    """Canonical names of its macros, each once, in order."""
    unknown: tuple[str, ...]
    """Text that looks like a macro and stays unchanged: the part between the braces, or all of it for other styles."""
    pieces: tuple[str, ...]
    """The texts between the macros, and an empty one at each macro's index."""
    plain: tuple[tuple[int, str], ...]
    """Index and name of the macros that only need encoding."""
    special: tuple[Slot, ...]
    """The other macros."""
    slots: tuple[Slot, ...]
    """All macros."""

    def render(
        self, values: Mapping[str, str], context: EncodingContext, now_ms: int = 0, chance: Chance | None = None
    ) -> str:
        """Return the text with the macros filled in, encoded for ``context``. Never raise.

        ``values``: canonical name to text as ``text.escape_bytes`` returns it; missing and empty are the same. ``now_ms`` is the value
        of ``{now}``, unless it is in ``values``. ``chance`` defaults to the machine's.
        """
        if context.is_contextual:
            return self.fill(Values.of(values), context, now_ms, chance)
        pieces = [*self.pieces]
        for index, name in self.plain:
            value = values.get(name)
            if value:
                pieces[index] = value if value.isalnum() and value.isascii() else context.encode(value)
        for slot in self.special:
            value = _filtered(slot, values.get(slot.name) or "", now_ms, chance)
            pieces[slot.index] = context.encode_raw(value) if slot.raw else context.encode(value)
        return "".join(pieces)

    def fill(self, values: Values, context: EncodingContext, now_ms: int = 0, chance: Chance | None = None) -> str:
        """Like ``render``, for values that many templates share: each is encoded once."""
        encoded = values.encoded(context)
        if context.is_contextual and context is EncodingContext.JSON:
            return self._fill_json(values, encoded, now_ms, chance)
        pieces = [*self.pieces]
        for index, name in self.plain:
            pieces[index] = encoded[name]
        for slot in self.special:
            value = _filtered(slot, values[slot.name], now_ms, chance)
            pieces[slot.index] = context.encode_raw(value) if slot.raw else context.encode(value)
        filled = "".join(pieces)
        return without_line_breaks(filled) if context.is_contextual else filled

    def _fill_json(self, values: Values, encoded: Mapping[str, str], now_ms: int, chance: Chance | None) -> str:
        pieces = [*self.pieces]
        for slot in self.slots:
            plain = slot.quoted and not slot.special
            pieces[slot.index] = encoded[slot.name] if plain else _in_json(slot, values, now_ms, chance)
        return "".join(pieces)

    def renamed(self, names: Mapping[str, str]) -> "Template":
        """Return the same template with macros renamed, for callers that use their own names."""
        return msgspec.structs.replace(
            self,
            names=tuple(names.get(name, name) for name in self.names),
            plain=tuple((index, names.get(name, name)) for index, name in self.plain),
            special=tuple(_renamed(slot, names) for slot in self.special),
            slots=tuple(_renamed(slot, names) for slot in self.slots),
        )

    def filled(self, values: Mapping[str, str], context: EncodingContext) -> "Template":
        """Return a template with the macros in ``values`` filled in permanently, if they only need encoding.

        For values that are the same at every rendering. ``context`` must not be contextual.
        """
        pieces = [*self.pieces]
        for index, name in self.plain:
            if name in values:
                pieces[index] = context.encode(values[name])
        return msgspec.structs.replace(
            self,
            pieces=tuple(pieces),
            plain=tuple((index, name) for index, name in self.plain if name not in values),
            names=tuple(dict.fromkeys(slot.name for slot in self.slots if slot.name not in values or slot.special)),
        )


def parse(text: str, rows: Mapping[str, str] = {}) -> Template:
    """Return the template in ``text``. Never raise; takes linear time.

    ``rows``: lower-case parameter name of each row of the source to its canonical macro, such as ``token3`` or ``externalid``.
    """
    pieces: list[str] = []
    slots: list[Slot] = []
    unknown: list[str] = []
    done, quoted = 0, False
    for braces in read(text, rows):
        if braces.fault is not None:
            whole = text[braces.start : braces.end]
            unknown.append(whole if braces.fault is MacroFault.OTHER_STYLE else whole[1:-1])
            continue
        before = text[done : braces.start]
        quoted ^= sum(mark == '"' for mark in _STRING_MARK.findall(before)) % 2 == 1
        pieces += (before, "")
        special = braces.raw or bool(braces.filters) or braces.name == "now"
        slots.append(Slot(len(pieces) - 1, braces.name, braces.filters, braces.raw, quoted, special))
        done = braces.end
    pieces.append(text[done:])
    return Template(
        text=text,
        names=tuple(dict.fromkeys(slot.name for slot in slots)),
        unknown=tuple(dict.fromkeys(unknown)),
        pieces=tuple(pieces),
        plain=tuple((slot.index, slot.name) for slot in slots if not slot.special),
        special=tuple(slot for slot in slots if slot.special),
        slots=tuple(slots),
    )


def _renamed(slot: Slot, names: Mapping[str, str]) -> Slot:
    return msgspec.structs.replace(slot, name=names.get(slot.name, slot.name))


def read(text: str, rows: Mapping[str, str]) -> Iterator[Braces]:
    """Yield every macro in the text, and everything that looks like one. Other braces (of JSON, CSS) are skipped."""
    for found in BRACES.finditer(text):
        start, end, whole = found.start(), found.end(), found[0]
        if whole.startswith("{{"):
            if _NAME.fullmatch(whole, 2, len(whole) - 2):
                yield Braces(start, end, fault=MacroFault.OTHER_STYLE, detail=whole[2:-2])
            continue
        if whole.startswith("${"):
            if whole.upper() == whole and _NAME.fullmatch(whole, 2, len(whole) - 1):
                yield Braces(start, end, fault=MacroFault.OTHER_STYLE, detail=whole[2:-1])
                continue
            start += 1
        braces = _read_one(text[start + 1 : end - 1], start, end, rows)
        if braces is not None:
            yield braces


def _read_one(inside: str, start: int, end: int, rows: Mapping[str, str]) -> Braces | None:
    """Return the braces ``{inside}``; None if they do not look like a macro."""
    name, *filter_texts = inside.split("|")
    if len(name) > _MAX_NAME_LENGTH:
        return None
    meant = resolve(name, rows)
    if meant is None:
        stem, colon, _ = name.partition(":")
        if not _NAME.fullmatch(name) and not (colon and resolve(stem, rows)):
            return None
        return Braces(start, end, fault=MacroFault.UNKNOWN_NAME, detail=name)
    canonical, implied = meant
    filters: list[Apply] = []
    raw = False
    for filter_text in (*implied, *filter_texts):
        filter_name, colon, argument = filter_text.partition(":")
        filter_name = filter_name.strip().lower()
        if filter_name not in NAMES:
            return Braces(start, end, fault=MacroFault.UNKNOWN_FILTER, detail=filter_name)
        if filter_name == "raw" and not colon:
            raw = True
            continue
        applied = (
            Expected("raw takes no argument")
            if filter_name == "raw"
            else build(filter_name, argument if colon else None)
        )
        if isinstance(applied, Expected):
            return Braces(start, end, fault=MacroFault.WRONG_ARGUMENT, detail=applied.sentence)
        filters.append(applied)
    return Braces(start, end, canonical, tuple(filters), raw)


def resolve(name: str, rows: Mapping[str, str]) -> tuple[str, tuple[str, ...]] | None:
    """Return the canonical name for a spelling, and the filters it implies; None if it is unknown."""
    key = name.lower()
    if key in BY_NAME:
        return key, ()
    canonical = rows.get(key) or CANONICAL_OF_ALIAS.get(key)
    if canonical is not None:
        return canonical, ()
    if key == "random" or key.startswith("random:"):
        return "now", (key,)
    if key.startswith("var:"):
        canonical = rows.get(key[4:])
        return None if canonical is None else (canonical, ())
    if key.startswith("_") and not key.startswith("__"):
        meant = resolve(key[1:], rows)
        return None if meant is None else (meant[0], (*meant[1], "raw"))
    token = _TOKEN_MD5.fullmatch(key)
    if token is not None and f"token{token[1]}" in BY_NAME:
        return f"token{token[1]}", ("md5",)
    return None


def _filtered(slot: Slot, value: str, now_ms: int, chance: Chance | None) -> str:
    if not value and slot.name == "now":
        value = str(now_ms // 1000)
    for apply in slot.filters:
        value = apply(value, chance or _machine_chance)
    return value


def _in_json(slot: Slot, values: Values, now_ms: int, chance: Chance | None) -> str:
    """Return a macro's text in a JSON body: inside a string its characters, outside of one a whole value."""
    value = _filtered(slot, values[slot.name], now_ms, chance)
    if slot.raw:
        return EncodingContext.JSON.encode_raw(value)
    return EncodingContext.JSON.encode(value) if slot.quoted else json_value(value)


def _machine_chance() -> int:
    return random.getrandbits(64)
