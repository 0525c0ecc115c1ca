"""Presets of postback rules for messengers and webhooks, complete but for the user's values. Data: ``rule_presets.toml``."""

import enum
import json
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from urllib.parse import urlsplit

import msgspec

from clickloop.pattern import pattern_of
from clickloop.postback.checking import MAX_SECRET_LENGTH, MIN_SECRET_LENGTH
from clickloop.postback.rule import BodyKind, Header, Method, RequestTemplate, Success
from clickloop.setup.preset.preset import Confidence

MAX_VALUE_LENGTH = 2_000  # it goes into a URL


class Secrecy(enum.StrEnum):
    """The part of a value that must never be shown."""

    NONE = "none"
    VALUE = "value"
    PATH = "path"
    """Everything after the host of a URL."""


class FillIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A placeholder that the user fills in."""

    name: str
    sentence: str
    example: str
    pattern: str
    """A regular expression (RE2) that the whole value must match."""
    secret: Secrecy = Secrecy.NONE
    default: str | None = None
    """The value if left out; None: required."""

    def accepts(self, value: str) -> bool:
        return len(value) <= MAX_VALUE_LENGTH and pattern_of(rf"\A(?:{self.pattern})\z").search(value) is not None


class RulePreset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A postback rule as the receiver documents it. ``<name>`` in url, headers and bodies is a placeholder to fill in."""

    key: str
    """Permanent: never renamed."""
    name: str
    fill: tuple[FillIn, ...]
    method: Method
    url: str
    headers: tuple[Header, ...] = ()
    body_kind: BodyKind = BodyKind.NONE
    body: str = ""
    alarm_body: str = ""
    """The body of an alarm rule."""
    success: Success
    notes: str
    source_url: str
    """The document that the preset is based on."""
    more_sources: tuple[str, ...] = ()
    confidence: Confidence


class FillFault(enum.StrEnum):
    """The fault of a placeholder's value."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    UNFIT = "unfit"


class FillError(msgspec.Struct, frozen=True):
    """A fault of one placeholder's value. ``sentence`` never quotes the value, which may be a secret."""

    name: str
    fault: FillFault
    sentence: str


@cache
def rule_presets() -> Mapping[str, RulePreset]:
    """Return all presets of postback rules by key, in file order."""
    text = (files("clickloop.postback") / "rule_presets.toml").read_text("utf-8")
    entries = [{"key": key, **entry} for key, entry in tomllib.loads(text).items()]
    return MappingProxyType({preset.key: preset for preset in msgspec.convert(entries, tuple[RulePreset, ...])})


def request_of_preset(
    preset: RulePreset, inputs: Mapping[str, str], *, for_alarms: bool = False
) -> RequestTemplate | tuple[FillError, ...]:
    """Return the request with the ``inputs`` filled in and its secrets marked, or everything that is wrong with the values.

    A header whose value is empty once filled in is left out.
    """
    errors = _errors(preset, inputs)
    if errors:
        return errors
    values = {fill.name: inputs.get(fill.name, fill.default or "") for fill in preset.fill}
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


def _errors(preset: RulePreset, inputs: Mapping[str, str]) -> tuple[FillError, ...]:
    known = {fill.name: fill for fill in preset.fill}
    errors = [
        FillError(name[:100], FillFault.UNKNOWN, f"This placeholder does not exist. Use one of: {', '.join(known)}.")
        for name in inputs
        if name not in known
    ]
    for name, fill in known.items():
        if name not in inputs:
            if fill.default is None:
                errors.append(FillError(name, FillFault.MISSING, f"A value is required. {fill.sentence}"))
        elif inputs[name] != fill.default and not fill.accepts(inputs[name]):
            sentence = f"Enter a value like {fill.example}. {fill.sentence}"
            errors.append(FillError(name, FillFault.UNFIT, sentence))
    return tuple(errors)


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Return the text with each placeholder replaced once. Values are not expanded."""
    parts = text.split("<")
    filled = [parts[0]]
    for part in parts[1:]:
        word, closing, rest = part.partition(">")
        filled.append(values[word] + rest if closing and word in values else f"<{part}")
    return "".join(filled)


def _secret_of(secrecy: Secrecy, value: str) -> str:
    """Return the part of a value that is never shown; empty if there is none, or it is too short to be masked."""
    if secrecy is Secrecy.NONE:
        return ""
    if secrecy is Secrecy.PATH:
        parts = urlsplit(value)
        value = value[value.index(parts.netloc) + len(parts.netloc) :]
    return value[:MAX_SECRET_LENGTH] if len(value) >= MIN_SECRET_LENGTH else ""
