"""Presets of traffic sources and networks, from their public documents.

The data is in ``sources.toml`` and ``networks.toml`` next to this file, read once on first use. A preset is a recommendation:
everything that it fills in remains editable.
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
    """Who wrote the document that a preset is based on."""

    OFFICIAL = "official"
    """The source or network itself."""
    THIRD_PARTY_DOCS = "third_party_docs"
    """Another vendor's documentation of it."""
    THIRD_PARTY_LIST = "third_party_list"
    """A list without explanations; check before use."""

    @property
    def words(self) -> str:
        """Return a description of the document."""
        return _CONFIDENCE_WORDS[self]


_CONFIDENCE_WORDS = {
    Confidence.OFFICIAL: "official documentation",
    Confidence.THIRD_PARTY_DOCS: "third-party documentation",
    Confidence.THIRD_PARTY_LIST: "third-party list, check before use",
}


class PostbackSupport(Explained):
    """The way in which a source receives conversions. The sentence says where to find the postback URL; empty: in the preset."""

    POSTBACK = "postback", ""
    """By the postback URL in the preset."""
    IN_ACCOUNT = (
        "in_account",
        "Copy the postback URL from your account at the source, and put {externalid} where it expects its own click ID.",
    )
    """By a postback URL that the source shows in the user's account."""
    API = "api", "The source receives conversions only by its own API; it has no postback URL."
    """Only by the source's own API."""
    UNKNOWN = (
        "unknown",
        (
            "The source's documents do not say how it receives conversions. Look for a postback or S2S URL in your account "
            "there, or ask its support."
        ),
    )
    """Not documented."""

    @property
    def words(self) -> str:
        """Return a description to show in place of a postback URL."""
        return _WAY_WORDS[self]


_WAY_WORDS = {
    PostbackSupport.POSTBACK: "a postback URL",
    PostbackSupport.IN_ACCOUNT: "in your account at the source",
    PostbackSupport.API: "conversions by API only, no postback",
    PostbackSupport.UNKNOWN: "not documented",
}


class PresetRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parameter row: its name in our link, the source's macro (empty: the source adds the value) and its name in reports."""

    parameter: str
    placeholder: str
    name: str


class SourcePreset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A traffic source as its documents describe it."""

    key: str
    """Permanent, because sources created from the preset store it."""
    name: str
    external_id: str = ""
    """Placeholder of ``external_id``: the source's macro for its click id; empty if unknown."""
    appends: str = ""
    """The parameter in which the source itself adds its click id to the link."""
    cost: str = ""
    """Placeholder of ``cost``."""
    rows: tuple[PresetRow, ...] = ()
    """V1, V2, … in order; at most 30."""
    way_back: PostbackSupport
    postback_url: str = ""
    """With our macros. Set if and only if ``way_back`` is ``POSTBACK``."""
    replace: tuple[str, ...] = ()
    """Words in ``postback_url`` to replace with values from the user's account."""
    notes: str = ""
    source_url: str
    """The document that the preset is based on."""
    more_sources: tuple[str, ...] = ()
    confidence: Confidence


class NetworkPreset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network as its documents describe it."""

    key: str
    """Permanent, because networks created from the preset store it."""
    name: str
    click_id_parameter: str = ""
    """The parameter in the network's offer links for our click id; empty if unknown."""
    postback: dict[str, str] = {}
    """The network's macro by parameter of our postback URL."""
    status_words: dict[str, str] = {}
    """Key of our status by the network's word."""
    statuses_by_url: tuple[str, ...] = ()
    """If there is no macro for the status: words, each with a postback URL ending in ``&status=<word>``."""
    other_macros: tuple[str, ...] = ()
    notes: str = ""
    source_url: str
    """The document that the preset is based on."""
    more_sources: tuple[str, ...] = ()
    confidence: Confidence

    def offer_url_addition(self) -> str:
        """Return what to add to an offer link's query, such as ``sub1={clickid}``; empty if the parameter is unknown."""
        return f"{self.click_id_parameter}={{clickid}}" if self.click_id_parameter else ""


class _Named(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def name(self) -> str: ...


_Preset = TypeVar("_Preset", bound=_Named)


@cache
def source_presets() -> Mapping[str, SourcePreset]:
    """Return all presets of traffic sources by key, sorted by name."""
    return _by_key(msgspec.convert(_entries("sources.toml"), tuple[SourcePreset, ...]))


@cache
def network_presets() -> Mapping[str, NetworkPreset]:
    """Return all presets of networks by key, sorted by name."""
    return _by_key(msgspec.convert(_entries("networks.toml"), tuple[NetworkPreset, ...]))


def find_sources(words: str) -> tuple[SourcePreset, ...]:
    """Return the sources whose name or key contains all words, ignoring case; those starting with the first word come first."""
    return _found(words, source_presets().values())


def find_networks(words: str) -> tuple[NetworkPreset, ...]:
    """Return the networks whose name or key contains all words, ignoring case; those starting with the first word come first."""
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
