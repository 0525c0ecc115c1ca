"""/presets: traffic sources, networks and postback rules as publicly documented, to start from."""

from collections.abc import Callable, Iterable
from typing import Annotated, TypeVar

import msgspec
from litestar import Router, get
from litestar.params import QueryParameter
from msgspec import Meta

from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.logs.view import view_of
from clickloop.postback.rule_preset import FillIn, RulePreset, Secrecy, rule_presets
from clickloop.setup.preset.preset import (
    Confidence,
    NetworkPreset,
    PostbackSupport,
    SourcePreset,
    find_networks,
    find_sources,
    network_presets,
    source_presets,
)
from clickloop.web.api.paging import Cursor, KeyPath, Limit
from clickloop.web.api.problem import not_found

P = TypeVar("P", SourcePreset, NetworkPreset, RulePreset)
V = TypeVar("V")

Words = Annotated[
    str, QueryParameter(max_length=200, description="Return only presets whose name contains all these words.")
]
PresetKey = Annotated[str, Meta(description="Key to send as preset when creating a record.", examples=["propellerads"])]
Macro = Annotated[str, Meta(description="The source's own macro.", examples=["{zoneid}"])]
Document = Annotated[str, Meta(description="URL of the document that the preset is based on.")]
Trust = Annotated[Confidence, Meta(description="Who wrote that document.")]


class PresetRowView(msgspec.Struct, kw_only=True):
    """A parameter that the preset adds."""

    parameter: str
    placeholder: Macro
    name: str


class SourcePresetView(msgspec.Struct, kw_only=True):
    """A traffic source as documented."""

    key: PresetKey
    name: str
    external_id: Annotated[str, Meta(description="The source's macro for its click ID. Empty if unknown.")]
    appends: Annotated[str, Meta(description="Parameter in which the source adds its click ID automatically.")]
    cost: Annotated[str, Meta(description="The source's macro for the cost of a click. Empty if unknown.")]
    rows: list[PresetRowView]
    way_back: Annotated[PostbackSupport, Meta(description="How the source accepts conversions.")]
    postback_url: Annotated[str, Meta(description="The source's postback URL with our macros.")]
    replace: Annotated[
        list[str], Meta(description="Words in the postback URL to replace with values from your account.")
    ]
    notes: str
    source_url: Document
    more_sources: list[str]
    confidence: Trust


class NetworkPresetView(msgspec.Struct, kw_only=True):
    """A network as documented."""

    key: PresetKey
    name: str
    click_id_parameter: Annotated[str, Meta(description="Parameter in the network's offer links for our click ID.")]
    offer_url_addition: Annotated[
        str, Meta(description="Query string to add to its offer links.", examples=["sub1={clickid}"])
    ]
    postback_parameters: Annotated[
        dict[str, str], Meta(description="Parameters of our postback URL and the network's macro for each.")
    ]
    status_words: Annotated[dict[str, str], Meta(description="The network's status words and our status for each.")]
    statuses_by_url: Annotated[
        list[str], Meta(description="One postback URL per status, for networks without a status macro.")
    ]
    other_macros: list[str]
    notes: str
    source_url: Document
    more_sources: list[str]
    confidence: Trust


class FillInView(msgspec.Struct, kw_only=True):
    """A placeholder to fill in."""

    name: Annotated[str, Meta(examples=["bot_token"])]
    description: str
    example: str
    pattern: Annotated[str, Meta(description="Regular expression (RE2) that the whole value must match.")]
    secret: Annotated[Secrecy, Meta(description="Which part of the value is never shown again.")]
    default: Annotated[str | None, Meta(description="Value to use if omitted; null if it is required.")]


class PresetHeaderView(msgspec.Struct, kw_only=True):
    """A request header."""

    name: str
    value: str


class RulePresetView(msgspec.Struct, kw_only=True):
    """A postback rule to create: send its key as preset, with fill, to POST /postback-rules."""

    key: Annotated[str, Meta(examples=["telegram"])]
    name: str
    fill: list[FillInView]
    method: str
    url: Annotated[str, Meta(description="URL with our macros, and <name> for each value to fill in.")]
    headers: list[PresetHeaderView]
    body_kind: str
    body: str
    alarm_body: Annotated[str, Meta(description="Body of a rule that sends alarms.")]
    must_match: Annotated[
        str,
        Meta(description="Pattern that a 2xx response must match to count as delivered. Empty if any does."),
    ]
    must_not_match: str
    notes: str
    source_url: Document
    more_sources: list[str]
    confidence: Trust


def list_source_presets(q: Words = "", limit: Limit = 50, cursor: Cursor = "") -> Page[SourcePresetView]:
    """List presets in alphabetical order. With q, names that start with its first word come first."""
    return _page(find_sources(q), "source-presets", limit, cursor, _source_view)


def read_source_preset(key: KeyPath) -> SourcePresetView:
    """Return a traffic source preset."""
    return _source_view(_found(source_presets().get(key)))


def list_network_presets(q: Words = "", limit: Limit = 50, cursor: Cursor = "") -> Page[NetworkPresetView]:
    """List presets in alphabetical order. With q, names that start with its first word come first."""
    return _page(find_networks(q), "network-presets", limit, cursor, _network_view)


def read_network_preset(key: KeyPath) -> NetworkPresetView:
    """Return a network preset."""
    return _network_view(_found(network_presets().get(key)))


def list_rule_presets(limit: Limit = 50, cursor: Cursor = "") -> Page[RulePresetView]:
    """List presets for messengers, and a webhook for your own systems."""
    return _page(rule_presets().values(), "rule-presets", limit, cursor, _rule_view)


def read_rule_preset(key: KeyPath) -> RulePresetView:
    """Return a postback rule preset."""
    return _rule_view(_found(rule_presets().get(key)))


def _page(presets: Iterable[P], name: str, limit: int, cursor: str, view: Callable[[P], V]) -> Page[V]:
    found, after = list(presets), read_cursor(name, cursor)
    start = next((place for place, preset in enumerate(found, 1) if preset.key == after), 0)
    return page_of(found[start : start + limit + 1], limit, name, lambda preset: preset.key, view)


def _found(preset: P | None) -> P:
    if preset is None:
        raise not_found("preset of that key")
    return preset


def _source_view(preset: SourcePreset) -> SourcePresetView:
    return view_of(SourcePresetView, preset)


def _network_view(preset: NetworkPreset) -> NetworkPresetView:
    return view_of(
        NetworkPresetView,
        preset,
        offer_url_addition=preset.offer_url_addition(),
        postback_parameters=dict(preset.postback),
    )


def _rule_view(preset: RulePreset) -> RulePresetView:
    return view_of(
        RulePresetView,
        preset,
        fill=[_fill_view(fill) for fill in preset.fill],
        must_match=preset.success.must_match,
        must_not_match=preset.success.must_not_match,
    )


def _fill_view(fill: FillIn) -> FillInView:
    return view_of(FillInView, fill, description=fill.sentence)


router = Router(
    "/presets",
    route_handlers=[
        get("/traffic-sources", sync_to_thread=False, summary="List traffic source presets")(list_source_presets),
        get("/traffic-sources/{key:str}", sync_to_thread=False, summary="Get a traffic source preset")(
            read_source_preset
        ),
        get("/networks", sync_to_thread=False, summary="List network presets")(list_network_presets),
        get("/networks/{key:str}", sync_to_thread=False, summary="Get a network preset")(read_network_preset),
        get("/postback-rules", sync_to_thread=False, summary="List postback rule presets")(list_rule_presets),
        get("/postback-rules/{key:str}", sync_to_thread=False, summary="Get a postback rule preset")(read_rule_preset),
    ],
    tags=["Presets"],
)
