"""Presets: what is publicly documented of traffic sources and networks, with the address of each document.

The data are ``sources.toml`` and ``networks.toml`` beside this file, read once when first asked for. A preset is a
recommendation: everything that it fills in stays editable.
"""

import enum
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Protocol, TypeVar

import msgspec

from clickloop.explained import Explained


class Confidence(enum.StrEnum):
    """Who wrote the document that a preset is from."""

    OFFICIAL = "official"
    """The source or network itself."""
    THIRD_PARTY_DOCS = "third_party_docs"
    """Another vendor's documentation of it."""
    THIRD_PARTY_LIST = "third_party_list"
    """A list without explanations; check before use."""

    @property
    def words(self) -> str:
        """The same for people, of the document itself."""
        return _CONFIDENCE_WORDS[self]


_CONFIDENCE_WORDS = {
    Confidence.OFFICIAL: "official document",
    Confidence.THIRD_PARTY_DOCS: "document by others",
    Confidence.THIRD_PARTY_LIST: "list by others, check before use",
}


class WayBack(Explained):
    """How a source takes conversions. The sentence says where to find the postback URL; empty: the preset has it."""

    POSTBACK = "postback", ""
    """By the postback URL in the preset."""
    IN_ACCOUNT = (
        "in_account",
        "Your account there shows the postback URL: copy it from there, and put {externalid} where it takes its own click id.",
    )
    """By a postback URL that the source shows in the user's account."""
    API = "api", "It takes conversions by its own API only: there is no postback URL to copy."
    """Not by a plain postback URL, but by the source's own API."""
    UNKNOWN = (
        "unknown",
        (
            "Its documents do not say how it takes conversions: look for a postback or S2S URL in your account there, "
            "or ask its support."
        ),
    )
    """The documents read do not say."""

    @property
    def words(self) -> str:
        """The same for people, where a postback URL would stand."""
        return _WAY_WORDS[self]


_WAY_WORDS = {
    WayBack.POSTBACK: "a postback URL",
    WayBack.IN_ACCOUNT: "your account there shows it",
    WayBack.API: "takes conversions by API only, no postback",
    WayBack.UNKNOWN: "not documented",
}


class PresetRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parameter row: its name in our link, the source's macro (empty: the source fills it by itself), a name for reports."""

    parameter: str
    placeholder: str
    name: str


class SourcePreset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A traffic source as its documents describe it."""

    key: str
    """Lasting; a source made from the preset carries it."""
    name: str
    external_id: str = ""
    """The placeholder of ``external_id``: the source's macro for its click id; empty: none is known."""
    appends: str = ""
    """The parameter in which the source adds its click id to the link by itself."""
    cost: str = ""
    """The placeholder of ``cost``."""
    rows: tuple[PresetRow, ...] = ()
    """V1, V2, … in order; at most 30."""
    way_back: WayBack
    postback_url: str = ""
    """With our macros; filled in exactly when the way back is ``POSTBACK``."""
    replace: tuple[str, ...] = ()
    """Words in ``postback_url`` that stand for values from the user's account."""
    notes: str = ""
    source_url: str
    """The document that the preset is from."""
    more_sources: tuple[str, ...] = ()
    confidence: Confidence


class NetworkPreset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network as its documents describe it."""

    key: str
    """Lasting; a network made from the preset carries it."""
    name: str
    click_id_parameter: str = ""
    """The parameter of its offer links that takes our click id; empty: none is known."""
    postback: dict[str, str] = {}
    """Parameter of our postback URL to the network's macro."""
    status_words: dict[str, str] = {}
    """The network's word to the key of our status."""
    statuses_by_url: tuple[str, ...] = ()
    """Where there is no macro for the status: one postback URL per word, ending in ``&status=<word>``."""
    other_macros: tuple[str, ...] = ()
    notes: str = ""
    source_url: str
    """The document that the preset is from."""
    more_sources: tuple[str, ...] = ()
    confidence: Confidence

    def offer_url_addition(self) -> str:
        """What an offer link needs in its query, ``sub1={clickid}``; empty when no parameter is known."""
        return f"{self.click_id_parameter}={{clickid}}" if self.click_id_parameter else ""


class _Named(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def name(self) -> str: ...


_Preset = TypeVar("_Preset", bound=_Named)


@cache
def source_presets() -> Mapping[str, SourcePreset]:
    """All presets of traffic sources by key, in alphabetical order of their names."""
    return _by_key(msgspec.convert(_entries("sources.toml"), tuple[SourcePreset, ...]))


@cache
def network_presets() -> Mapping[str, NetworkPreset]:
    """All presets of networks by key, in alphabetical order of their names."""
    return _by_key(msgspec.convert(_entries("networks.toml"), tuple[NetworkPreset, ...]))


def find_sources(words: str) -> tuple[SourcePreset, ...]:
    """The sources whose name or key holds all the words, in any case; those that begin with the first word come first."""
    return _found(words, source_presets().values())


def find_networks(words: str) -> tuple[NetworkPreset, ...]:
    """The networks whose name or key holds all the words, in any case; those that begin with the first word come first."""
    return _found(words, network_presets().values())


def _entries(file_name: str) -> list[dict[str, object]]:
    text = (files("clickloop.setup.preset") / file_name).read_text("utf-8")
    return [{"key": key, **entry} for key, entry in tomllib.loads(text).items()]


def _by_key(presets: Iterable[_Preset]) -> Mapping[str, _Preset]:
    return MappingProxyType({preset.key: preset for preset in sorted(presets, key=lambda preset: preset.name.lower())})


def _found(words: str, presets: Iterable[_Preset]) -> tuple[_Preset, ...]:
    wanted = words.lower().split()
    found = [preset for preset in presets if all(word in f"{preset.name} {preset.key}".lower() for word in wanted)]
    return tuple(sorted(found, key=lambda preset: not preset.name.lower().startswith(wanted[0]) if wanted else False))
