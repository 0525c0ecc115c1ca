"""/presets: what is publicly documented of traffic sources and networks, to start from."""

from typing import Annotated

import msgspec
from litestar import Router, get
from litestar.params import QueryParameter
from msgspec import Meta

from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.postback.rule_preset import RulePreset, Secrecy, rule_presets
from clickloop.setup.preset.preset import (
    Confidence,
    NetworkPreset,
    SourcePreset,
    WayBack,
    find_networks,
    find_sources,
    network_presets,
    source_presets,
)
from clickloop.web.api.paging import Cursor, KeyPath, Limit
from clickloop.web.api.problem import not_found

Words = Annotated[str, QueryParameter(max_length=200, description="Only those whose name holds all these words.")]
PresetKey = Annotated[str, Meta(description="Give it as preset when creating.", examples=["propellerads"])]
Macro = Annotated[str, Meta(description="The source's own macro.", examples=["{zoneid}"])]
Document = Annotated[str, Meta(description="The document that the facts are from.")]
Trust = Annotated[Confidence, Meta(description="Who wrote that document.")]


class PresetRowView(msgspec.Struct, kw_only=True):
    """A parameter row that the preset fills in."""

    parameter: str
    placeholder: Macro
    name: str


class SourcePresetView(msgspec.Struct, kw_only=True):
    """A traffic source as its documents describe it."""

    key: PresetKey
    name: str
    external_id: Annotated[str, Meta(description="Its macro for its click id; empty: none is known.")]
    appends: Annotated[str, Meta(description="The parameter in which it adds its click id by itself.")]
    cost: Annotated[str, Meta(description="Its macro for the price of a click; empty: none is known.")]
    rows: list[PresetRowView]
    way_back: Annotated[WayBack, Meta(description="How it takes conversions.")]
    postback_url: Annotated[str, Meta(description="Its postback URL with our macros.")]
    replace: Annotated[list[str], Meta(description="Words in the postback URL to replace by values of your account.")]
    notes: str
    source_url: Document
    more_sources: list[str]
    confidence: Trust


class NetworkPresetView(msgspec.Struct, kw_only=True):
    """A network as its documents describe it."""

    key: PresetKey
    name: str
    click_id_parameter: Annotated[str, Meta(description="The parameter of its offer links that takes our click id.")]
    offer_url_addition: Annotated[str, Meta(description="What its offer links need.", examples=["sub1={clickid}"])]
    postback_parameters: Annotated[dict[str, str], Meta(description="Our parameter and its macro.")]
    status_words: Annotated[dict[str, str], Meta(description="Its words for statuses and our status for each.")]
    statuses_by_url: Annotated[list[str], Meta(description="One postback URL per word, where it has no status macro.")]
    other_macros: list[str]
    notes: str
    source_url: Document
    more_sources: list[str]
    confidence: Trust


class FillInView(msgspec.Struct, kw_only=True):
    """A word to fill in."""

    name: Annotated[str, Meta(examples=["bot_token"])]
    description: str
    example: str
    pattern: Annotated[str, Meta(description="What the whole value must match (RE2).")]
    secret: Annotated[Secrecy, Meta(description="What of it is never shown again.")]
    default: Annotated[str | None, Meta(description="What stands there when it is left out; null: it must be given.")]


class PresetHeaderView(msgspec.Struct, kw_only=True):
    """A header line."""

    name: str
    value: str


class RulePresetView(msgspec.Struct, kw_only=True):
    """A postback rule to make: give its key as preset, and fill, to POST /postback-rules."""

    key: Annotated[str, Meta(examples=["telegram"])]
    name: str
    fill: list[FillInView]
    method: str
    url: Annotated[str, Meta(description="With our macros, and <word> for what is filled in.")]
    headers: list[PresetHeaderView]
    body_kind: str
    body: str
    alarm_body: Annotated[str, Meta(description="The body of a rule that is sent for alarms.")]
    must_match: Annotated[str, Meta(description="What a 2xx answer must match to mean success; empty: nothing.")]
    must_not_match: str
    notes: str
    source_url: Document
    more_sources: list[str]
    confidence: Trust


def list_source_presets(q: Words = "", limit: Limit = 50, cursor: Cursor = "") -> Page[SourcePresetView]:
    """Presets in alphabetical order; with q, those that begin with its first word come first."""
    found = find_sources(q)
    start = _start([preset.key for preset in found], read_cursor("source-presets", cursor))
    return page_of(found[start : start + limit + 1], limit, "source-presets", lambda preset: preset.key, _source_view)


def read_source_preset(key: KeyPath) -> SourcePresetView:
    """One preset."""
    preset = source_presets().get(key)
    if preset is None:
        raise not_found("preset of that key")
    return _source_view(preset)


def list_network_presets(q: Words = "", limit: Limit = 50, cursor: Cursor = "") -> Page[NetworkPresetView]:
    """Presets in alphabetical order; with q, those that begin with its first word come first."""
    found = find_networks(q)
    start = _start([preset.key for preset in found], read_cursor("network-presets", cursor))
    return page_of(found[start : start + limit + 1], limit, "network-presets", lambda preset: preset.key, _network_view)


def read_network_preset(key: KeyPath) -> NetworkPresetView:
    """One preset."""
    preset = network_presets().get(key)
    if preset is None:
        raise not_found("preset of that key")
    return _network_view(preset)


def list_rule_presets(limit: Limit = 50, cursor: Cursor = "") -> Page[RulePresetView]:
    """Messengers, and a webhook for your own systems."""
    found = list(rule_presets().values())
    start = _start([preset.key for preset in found], read_cursor("rule-presets", cursor))
    return page_of(found[start : start + limit + 1], limit, "rule-presets", lambda preset: preset.key, _rule_view)


def read_rule_preset(key: KeyPath) -> RulePresetView:
    """One preset."""
    preset = rule_presets().get(key)
    if preset is None:
        raise not_found("preset of that key")
    return _rule_view(preset)


def _start(keys: list[str], after: str) -> int:
    return keys.index(after) + 1 if after in keys else 0


def _source_view(preset: SourcePreset) -> SourcePresetView:
    return SourcePresetView(
        key=preset.key,
        name=preset.name,
        external_id=preset.external_id,
        appends=preset.appends,
        cost=preset.cost,
        rows=[
            PresetRowView(parameter=row.parameter, placeholder=row.placeholder, name=row.name) for row in preset.rows
        ],
        way_back=preset.way_back,
        postback_url=preset.postback_url,
        replace=list(preset.replace),
        notes=preset.notes,
        source_url=preset.source_url,
        more_sources=list(preset.more_sources),
        confidence=preset.confidence,
    )


def _network_view(preset: NetworkPreset) -> NetworkPresetView:
    return NetworkPresetView(
        key=preset.key,
        name=preset.name,
        click_id_parameter=preset.click_id_parameter,
        offer_url_addition=preset.offer_url_addition(),
        postback_parameters=dict(preset.postback),
        status_words=dict(preset.status_words),
        statuses_by_url=list(preset.statuses_by_url),
        other_macros=list(preset.other_macros),
        notes=preset.notes,
        source_url=preset.source_url,
        more_sources=list(preset.more_sources),
        confidence=preset.confidence,
    )


def _rule_view(preset: RulePreset) -> RulePresetView:
    return RulePresetView(
        key=preset.key,
        name=preset.name,
        fill=[
            FillInView(
                name=fill.name,
                description=fill.sentence,
                example=fill.example,
                pattern=fill.pattern,
                secret=fill.secret,
                default=fill.default,
            )
            for fill in preset.fill
        ],
        method=preset.method,
        url=preset.url,
        headers=[PresetHeaderView(name=header.name, value=header.value) for header in preset.headers],
        body_kind=preset.body_kind,
        body=preset.body,
        alarm_body=preset.alarm_body,
        must_match=preset.success.must_match,
        must_not_match=preset.success.must_not_match,
        notes=preset.notes,
        source_url=preset.source_url,
        more_sources=list(preset.more_sources),
        confidence=preset.confidence,
    )


router = Router(
    "/presets",
    route_handlers=[
        get("/traffic-sources", sync_to_thread=False, summary="List presets of traffic sources")(list_source_presets),
        get("/traffic-sources/{key:str}", sync_to_thread=False, summary="Read a preset of a traffic source")(
            read_source_preset
        ),
        get("/networks", sync_to_thread=False, summary="List presets of networks")(list_network_presets),
        get("/networks/{key:str}", sync_to_thread=False, summary="Read a preset of a network")(read_network_preset),
        get("/postback-rules", sync_to_thread=False, summary="List presets of postback rules")(list_rule_presets),
        get("/postback-rules/{key:str}", sync_to_thread=False, summary="Read a preset of a postback rule")(
            read_rule_preset
        ),
    ],
    tags=["Presets"],
)
