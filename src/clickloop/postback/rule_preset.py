"""Presets of postback rules: messengers and a webhook, ready but for what the user fills in. The data is ``rule_presets.toml``."""

import enum
import json
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from urllib.parse import urlsplit

import msgspec

from clickloop.postback.checking import MAX_SECRET_LENGTH, MIN_SECRET_LENGTH
from clickloop.postback.pattern import pattern_of
from clickloop.postback.rule import BodyKind, Header, Method, RequestTemplate, Success
from clickloop.setup.preset.preset import Confidence

MAX_VALUE_LENGTH = 2_000  # it goes into a URL


class Secrecy(enum.StrEnum):
    """What of a value must never be shown."""

    NONE = "none"
    VALUE = "value"
    PATH = "path"
    """Of an address all behind the host."""


class FillIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A word that the user fills in."""

    name: str
    sentence: str
    example: str
    pattern: str
    """What the whole value must match, in RE2's syntax."""
    secret: Secrecy = Secrecy.NONE
    default: str | None = None
    """What stands there when it is left out; None: it must be given."""

    def accepts(self, value: str) -> bool:
        """Whether the value can be filled in."""
        return len(value) <= MAX_VALUE_LENGTH and pattern_of(rf"\A(?:{self.pattern})\z").search(value) is not None


class RulePreset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A postback rule as the receiver's documents describe it. ``<word>`` in url, headers and body is filled in."""

    key: str
    """Lasting."""
    name: str
    fill: tuple[FillIn, ...]
    method: Method
    url: str
    headers: tuple[Header, ...] = ()
    body_kind: BodyKind = BodyKind.NONE
    body: str = ""
    alarm_body: str = ""
    """The body of a rule that is sent for alarms."""
    success: Success
    notes: str
    source_url: str
    """The document that the preset is from."""
    more_sources: tuple[str, ...] = ()
    confidence: Confidence


class FillFault(enum.StrEnum):
    """Why a preset cannot be filled in with what was given."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    UNFIT = "unfit"


class FilledWrong(msgspec.Struct, frozen=True):
    """A word that is filled in wrong; ``sentence`` is for people and never holds the value, which may be a secret."""

    name: str
    fault: FillFault
    sentence: str


@cache
def rule_presets() -> Mapping[str, RulePreset]:
    """All presets of postback rules by key, in the order of the file."""
    text = (files("clickloop.postback") / "rule_presets.toml").read_text("utf-8")
    entries = [{"key": key, **entry} for key, entry in tomllib.loads(text).items()]
    return MappingProxyType({preset.key: preset for preset in msgspec.convert(entries, tuple[RulePreset, ...])})


def request_of_preset(
    preset: RulePreset, given: Mapping[str, str], *, for_alarms: bool = False
) -> RequestTemplate | tuple[FilledWrong, ...]:
    """The request with what was ``given`` filled in, its secrets marked; or everything that is wrong with what was given.

    A header whose value comes out empty is left out.
    """
    wrong = _faults(preset, given)
    if wrong:
        return wrong
    values = {fill.name: given.get(fill.name, fill.default or "") for fill in preset.fill}
    headers = [Header(header.name, _filled(header.value, values)) for header in preset.headers]
    in_body = {name: json.dumps(value)[1:-1] for name, value in values.items()}
    return RequestTemplate(
        method=preset.method,
        url=_filled(preset.url, values),
        headers=tuple(header for header in headers if header.value),
        body_kind=preset.body_kind,
        body=_filled(preset.alarm_body if for_alarms else preset.body, in_body),
        secrets=tuple(
            dict.fromkeys(secret for fill in preset.fill if (secret := _secret_of(fill.secret, values[fill.name])))
        ),
    )


def _faults(preset: RulePreset, given: Mapping[str, str]) -> tuple[FilledWrong, ...]:
    known = {fill.name: fill for fill in preset.fill}
    wrong = [
        FilledWrong(name[:100], FillFault.UNKNOWN, f"There is no such word to fill in; known are {', '.join(known)}.")
        for name in given
        if name not in known
    ]
    for name, fill in known.items():
        if name not in given:
            if fill.default is None:
                wrong.append(FilledWrong(name, FillFault.MISSING, f"It is missing. {fill.sentence}"))
        elif given[name] != fill.default and not fill.accepts(given[name]):
            sentence = f"It does not look like this one: {fill.example}. {fill.sentence}"
            wrong.append(FilledWrong(name, FillFault.UNFIT, sentence))
    return tuple(wrong)


def _filled(text: str, values: Mapping[str, str]) -> str:
    """The text with each word replaced once; what stands in a value is left as it is."""
    parts = text.split("<")
    filled = [parts[0]]
    for part in parts[1:]:
        word, closing, rest = part.partition(">")
        filled.append(values[word] + rest if closing and word in values else f"<{part}")
    return "".join(filled)


def _secret_of(secrecy: Secrecy, value: str) -> str:
    """The part of a value that is never shown; empty where there is none, or too little to tell apart."""
    if secrecy is Secrecy.NONE:
        return ""
    if secrecy is Secrecy.PATH:
        parts = urlsplit(value)
        value = value[value.index(parts.netloc) + len(parts.netloc) :]
    return value[:MAX_SECRET_LENGTH] if len(value) >= MIN_SECRET_LENGTH else ""
