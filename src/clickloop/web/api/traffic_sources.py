"""/traffic-sources: where visitors come from, the parameters of its links and its postback URL."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from litestar import Router
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.macro import check
from clickloop.preset.preset import source_presets
from clickloop.report.check.finding import Kind, Place
from clickloop.report.check.static import placeholder_findings
from clickloop.report.masking import masked_text
from clickloop.saving import traffic_sources as saving
from clickloop.setup.traffic_source import NewSource, SourceChange, SourceFields, TrafficSource
from clickloop.store.ledger.postback_rules import KeptRule, first_rules_of_sources
from clickloop.store.ledger.traffic_sources import row_numbers, sources_after
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Limit, Page, Words
from clickloop.web.api.records import Records, record_routes, view_of
from clickloop.web.api.wire import Advice, Moment, shown, warnings_of

NOUN = saving.NOUN.name

_ROW_MACROS = {-1: "externalid", 0: "cost"} | {number: f"token{number}" for number in range(1, 31)}


class SourceView(SourceFields, frozen=True, kw_only=True):
    """A traffic source."""

    postback_rule_id: Annotated[int | None, Meta(description="The postback rule that holds the postback URL.")]
    warnings: Annotated[list[Advice], Meta(description="What will probably not do what was meant.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


def create_source(context: Context, data: JSONBody[NewSource]) -> SourceView:
    """Creates a traffic source, from a preset or from what is given."""
    return SOURCES.create(context, lambda tx: saving.new_source(context, tx, data))


def list_sources(
    context: Context, limit: Limit = 50, cursor: Cursor = "", archived: Archived = False, words: Words = ""
) -> Page[SourceView]:
    """Traffic sources in the order in which they were made."""
    return SOURCES.page(context, limit, cursor, partial(sources_after, archived=archived, words=words))


def read_source(context: Context, number: Id) -> SourceView:
    """One traffic source, archived or not."""
    return SOURCES.read(context, number)


def change_source(context: Context, number: Id, data: JSONBody[SourceChange]) -> SourceView:
    """Changes what is given and leaves the rest."""
    return SOURCES.change(context, number, lambda tx, source: saving.changed_source(context, tx, source, data))


def remove_source(context: Context, number: Id) -> SourceView:
    """Takes a traffic source out of use; nothing is deleted. Refused while a live campaign needs it."""
    return SOURCES.archive(context, number)


def restore_source(context: Context, number: Id) -> SourceView:
    """Takes an archived traffic source into use again."""
    return SOURCES.restore(context, number)


def _views(_context: ApiContext, tx: Connection, sources: Sequence[TrafficSource]) -> list[SourceView]:
    rules = first_rules_of_sources(tx, [source.id for source in sources])
    return [_view(source, rules.get(source.id)) for source in sources]


def _view(source: TrafficSource, rule: KeptRule | None) -> SourceView:
    url = source.postback_url
    findings = (
        check(url, row_macros(source), wants_external_id=True, off=rows_off(source), missing=rows_missing(source))
        if url
        else ()
    )
    computed = {
        "postback_url": shown(masked_text(url, rule.rule.request.secrets if rule else ())),
        "postback_rule_id": rule.id if rule else None,
        "warnings": _row_warnings(source) + _preset_warnings(source, url) + warnings_of("postback_url", findings),
    }
    return view_of(SourceView, source, computed)


SOURCES = Records(saving.NOUN, _views)


def row_macros(source: TrafficSource) -> dict[str, str]:
    """By the lower-case name of each row of a source, the macro that it fills."""
    return {row.parameter.lower(): _ROW_MACROS[row.number] for row in source.parameters}


def any_row_macros(tx: Connection) -> dict[str, str]:
    """The same over all sources, for what belongs to none: a click's own source decides."""
    return {name: _ROW_MACROS[number] for name, number in row_numbers(tx).items()}


def rows_off(source: TrafficSource) -> set[str]:
    """The macros of the rows whose slider is off."""
    return {_ROW_MACROS[row.number] for row in source.parameters if not row.tracked}


def rows_missing(source: TrafficSource) -> set[str]:
    """The macros of V1 … V30 for which a source has no row."""
    return set(_ROW_MACROS.values()) - {_ROW_MACROS[row.number] for row in source.parameters}


def _row_warnings(source: TrafficSource) -> list[Advice]:
    first = source.parameters[0]
    if first.placeholder:
        field = "parameters[0].placeholder"
        found = placeholder_findings(first, Place(kind=Kind.TRAFFIC_SOURCE, id=source.id, field=field))
        return [Advice(field, finding.code, shown(finding.sentence), finding.remedy) for finding in found]
    sentence = "The row external_id has no placeholder: the source will not put its click id into the campaign link."
    remedy = "Set the placeholder to the source's macro for its click id, such as ${SUBID}."
    return [Advice("parameters", "external_id_without_placeholder", sentence, remedy)]


def _preset_warnings(source: TrafficSource, url: str) -> list[Advice]:
    preset = source_presets().get(source.preset)
    left = [word for word in preset.replace if word in url] if preset else []
    if not left or preset is None:
        return []
    sentence = (
        f"The postback URL still holds {', '.join(left)} from the preset: values of your own account belong there."
    )
    return [Advice("postback_url", "preset_word_left", sentence, preset.notes)]


router = Router(
    f"/{NOUN}",
    route_handlers=record_routes(
        "a traffic source",
        "traffic sources",
        create=create_source,
        show_list=list_sources,
        read=read_source,
        change=change_source,
        archive=remove_source,
        restore=restore_source,
    ),
    tags=["Traffic sources"],
)
