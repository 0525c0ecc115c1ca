"""A template: parsed once, rendered in about a microsecond.

One parser reads for ``parse`` and for ``checking.check``. ``{{name}}`` and ``${NAME}`` in capitals are other systems'
macros and stay as they stand; ``${payout}`` is a dollar sign and our macro. Of a name, the canonical spelling wins over
a row of the source, and a row over an alias. Also understood: Keitaro's ``{_name}`` (raw) and ``{random:1,100}``,
Voluum's ``{var:row}``, Binom's ``{t1_md5}``, and ``{random}``.
"""

import enum
import random
import re
from collections.abc import Iterator, Mapping

import msgspec

from clickloop.macro.filters import NAMES, Apply, Chance, Expected, build
from clickloop.macro.known import BY_NAME, CANONICAL_OF_ALIAS
from clickloop.macro.place import Place, json_value, without_line_breaks
from clickloop.macro.values import Values

BRACES = re.compile(r"\{\{[^{}]*\}\}|\$\{[^{}]*\}|\{[^{}]*\}")
_NAME = re.compile(r"\s*[A-Za-z_!][\w.:!\-]*\s*", re.ASCII)
_TOKEN_MD5 = re.compile(r"t([1-9][0-9]?)_md5")
_STRING_MARK = re.compile(r'\\.|"', re.DOTALL)
_MAX_NAME_LENGTH = 300  # longer text between braces is no name, and is left as it is


class Fault(enum.Enum):
    """Why a pair of braces is left untouched."""

    UNKNOWN_NAME = "unknown_name"
    UNKNOWN_FILTER = "unknown_filter"
    WRONG_ARGUMENT = "wrong_argument"
    OTHER_STYLE = "other_style"


class Braces(msgspec.Struct, frozen=True):
    """What stands at ``text[start:end]``: a macro by its canonical ``name``, or what looks like one, with its fault.

    ``detail`` names what is faulty: the name, the filter, or the sentence about the argument.
    """

    start: int
    end: int
    name: str = ""
    filters: tuple[Apply, ...] = ()
    raw: bool = False
    fault: Fault | None = None
    detail: str = ""


class Slot(msgspec.Struct, frozen=True):
    """The place of a macro among the pieces. ``quoted``: whether it stands inside a string, if the template is JSON."""

    index: int
    name: str
    filters: tuple[Apply, ...]
    raw: bool
    quoted: bool
    special: bool
    """Whether it takes more than encoding its value: ``|raw``, filters, a value of the moment."""


class Template(msgspec.Struct, frozen=True, eq=False):
    """A parsed template. Make it with ``parse``."""

    text: str
    names: tuple[str, ...]
    """Canonical names of the macros in it, each once, in order."""
    unknown: tuple[str, ...]
    """What looks like a macro and is left untouched: between its braces, or whole where it is in another style."""
    pieces: tuple[str, ...]
    """The texts between the macros, and an empty text at each macro's index."""
    plain: tuple[tuple[int, str], ...]
    """Index and name of the macros that only need encoding."""
    special: tuple[Slot, ...]
    """The other macros."""
    slots: tuple[Slot, ...]
    """All macros."""

    def render(self, values: Mapping[str, str], place: Place, now_ms: int = 0, chance: Chance | None = None) -> str:
        """The template with its macros filled in, encoded for ``place``.

        ``values``: canonical name to text in the form of ``text.text_of``; missing and empty are the same. ``now_ms``
        is what ``{now}`` says unless ``values`` does. Without ``chance`` the machine's is used. Never raises.
        """
        if place.looks_around:
            return self.fill(Values.of(values), place, now_ms, chance)
        pieces = [*self.pieces]
        for index, name in self.plain:
            value = values.get(name)
            if value:
                pieces[index] = value if value.isalnum() and value.isascii() else place.encode(value)
        for slot in self.special:
            value = _filtered(slot, values.get(slot.name) or "", now_ms, chance)
            pieces[slot.index] = place.encode_raw(value) if slot.raw else place.encode(value)
        return "".join(pieces)

    def fill(self, values: Values, place: Place, now_ms: int = 0, chance: Chance | None = None) -> str:
        """What ``render`` answers, for values that many templates share: each is encoded once."""
        encoded = values.encoded(place)
        if place.looks_around and place is Place.JSON:
            return self._fill_json(values, encoded, now_ms, chance)
        pieces = [*self.pieces]
        for index, name in self.plain:
            pieces[index] = encoded[name]
        for slot in self.special:
            value = _filtered(slot, values[slot.name], now_ms, chance)
            pieces[slot.index] = place.encode_raw(value) if slot.raw else place.encode(value)
        filled = "".join(pieces)
        return without_line_breaks(filled) if place.looks_around else filled

    def _fill_json(self, values: Values, encoded: Mapping[str, str], now_ms: int, chance: Chance | None) -> str:
        pieces = [*self.pieces]
        for slot in self.slots:
            plain = slot.quoted and not slot.special
            pieces[slot.index] = encoded[slot.name] if plain else _in_json(slot, values, now_ms, chance)
        return "".join(pieces)

    def renamed(self, names: Mapping[str, str]) -> "Template":
        """The same template for values under other names: for who has them at hand under names of his own."""
        return msgspec.structs.replace(
            self,
            names=tuple(names.get(name, name) for name in self.names),
            plain=tuple((index, names.get(name, name)) for index, name in self.plain),
            special=tuple(_renamed(slot, names) for slot in self.special),
            slots=tuple(_renamed(slot, names) for slot in self.slots),
        )

    def filled(self, values: Mapping[str, str], place: Place) -> "Template":
        """A template with those macros of ``values`` filled in for good that only need encoding; the others stay macros.

        For what is the same at every rendering. ``place`` is one that does not look around.
        """
        pieces = [*self.pieces]
        for index, name in self.plain:
            if name in values:
                pieces[index] = place.encode(values[name])
        return msgspec.structs.replace(
            self,
            pieces=tuple(pieces),
            plain=tuple((index, name) for index, name in self.plain if name not in values),
            names=tuple(dict.fromkeys(slot.name for slot in self.slots if slot.name not in values or slot.special)),
        )


def parse(text: str, rows: Mapping[str, str] = {}) -> Template:
    """The template in ``text``. Never raises; linear in the length of the text.

    ``rows``: lower-cased parameter name of each row of the source to the canonical macro, ``token3`` or ``externalid``.
    """
    pieces: list[str] = []
    slots: list[Slot] = []
    unknown: list[str] = []
    done, quoted = 0, False
    for braces in read(text, rows):
        if braces.fault is not None:
            whole = text[braces.start : braces.end]
            unknown.append(whole if braces.fault is Fault.OTHER_STYLE else whole[1:-1])
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
    """Every macro in the text, and all that looks like one. Other braces (JSON's, CSS's) are passed over."""
    for found in BRACES.finditer(text):
        start, end, whole = found.start(), found.end(), found[0]
        if whole.startswith("{{"):
            if _NAME.fullmatch(whole, 2, len(whole) - 2):
                yield Braces(start, end, fault=Fault.OTHER_STYLE, detail=whole[2:-2])
            continue
        if whole.startswith("${"):
            if whole.upper() == whole and _NAME.fullmatch(whole, 2, len(whole) - 1):
                yield Braces(start, end, fault=Fault.OTHER_STYLE, detail=whole[2:-1])
                continue
            start += 1
        braces = _read_one(text[start + 1 : end - 1], start, end, rows)
        if braces is not None:
            yield braces


def _read_one(inside: str, start: int, end: int, rows: Mapping[str, str]) -> Braces | None:
    """What ``{inside}`` is; None when it does not even look like a macro."""
    name, *filter_texts = inside.split("|")
    if len(name) > _MAX_NAME_LENGTH:
        return None
    meant = resolve(name, rows)
    if meant is None:
        stem, colon, _ = name.partition(":")
        if not _NAME.fullmatch(name) and not (colon and resolve(stem, rows)):
            return None
        return Braces(start, end, fault=Fault.UNKNOWN_NAME, detail=name)
    canonical, implied = meant
    filters: list[Apply] = []
    raw = False
    for filter_text in (*implied, *filter_texts):
        filter_name, colon, argument = filter_text.partition(":")
        filter_name = filter_name.strip().lower()
        if filter_name not in NAMES:
            return Braces(start, end, fault=Fault.UNKNOWN_FILTER, detail=filter_name)
        if filter_name == "raw" and not colon:
            raw = True
            continue
        applied = (
            Expected("raw takes no argument")
            if filter_name == "raw"
            else build(filter_name, argument if colon else None)
        )
        if isinstance(applied, Expected):
            return Braces(start, end, fault=Fault.WRONG_ARGUMENT, detail=applied.sentence)
        filters.append(applied)
    return Braces(start, end, canonical, tuple(filters), raw)


def resolve(name: str, rows: Mapping[str, str]) -> tuple[str, tuple[str, ...]] | None:
    """The canonical name that a spelling means, and the filters it implies; None when it is unknown."""
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
    """A macro's text in a JSON body: inside a string its characters, outside of one a whole value."""
    value = _filtered(slot, values[slot.name], now_ms, chance)
    if slot.raw:
        return Place.JSON.encode_raw(value)
    return Place.JSON.encode(value) if slot.quoted else json_value(value)


def _machine_chance() -> int:
    return random.getrandbits(64)
