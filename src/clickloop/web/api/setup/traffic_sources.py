"""/traffic-sources: where visitors come from, with link parameters and postback URL."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from litestar import Router
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.diagnosis.check.records import postback_url_findings, source_findings
from clickloop.logs.page import Page
from clickloop.logs.view import view_of
from clickloop.postback.masking import masked_text
from clickloop.saving import traffic_sources as saving
from clickloop.setup.traffic_source import NewSource, SourceChange, SourceFields, TrafficSource
from clickloop.store.ledger.setup.postback_rules import StoredRule, first_rules_of_sources
from clickloop.store.ledger.setup.traffic_sources import sources_after
from clickloop.text import readable
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Limit, Words
from clickloop.web.api.setup.records import Records, record_routes
from clickloop.web.api.wire import Advice, warnings_of

NOUN = saving.NOUN.name


class SourceView(SourceFields, frozen=True, kw_only=True):
    """A traffic source."""

    postback_rule_id: Annotated[int | None, Meta(description="Postback rule that contains the postback URL.")]
    warnings: Annotated[list[Advice], Meta(description="Likely mistakes. They do not prevent saving.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


def create_source(context: Context, data: JSONBody[NewSource]) -> SourceView:
    """Create a traffic source from a preset or from the given fields."""
    return SOURCES.create(context, lambda tx: saving.new_source(context, tx, data))


def list_sources(
    context: Context, limit: Limit = 50, cursor: Cursor = "", archived: Archived = False, words: Words = ""
) -> Page[SourceView]:
    """List traffic sources in order of creation."""
    return SOURCES.page(context, limit, cursor, partial(sources_after, archived=archived, words=words))


def read_source(context: Context, number: Id) -> SourceView:
    """Return a traffic source, archived or not."""
    return SOURCES.read(context, number)


def change_source(context: Context, number: Id, data: JSONBody[SourceChange]) -> SourceView:
    """Change the given fields. Omitted fields stay unchanged."""
    return SOURCES.change(context, number, lambda tx, source: saving.changed_source(context, tx, source, data))


def remove_source(context: Context, number: Id) -> SourceView:
    """Archive a traffic source. Nothing is deleted. Fails while a live campaign uses it."""
    return SOURCES.archive(context, number)


def restore_source(context: Context, number: Id) -> SourceView:
    """Restore an archived traffic source."""
    return SOURCES.restore(context, number)


def _views(_context: ApiContext, tx: Connection, sources: Sequence[TrafficSource]) -> list[SourceView]:
    rules = first_rules_of_sources(tx, [source.id for source in sources])
    return [_view(source, rules.get(source.id)) for source in sources]


def _view(source: TrafficSource, rule: StoredRule | None) -> SourceView:
    url = source.postback_url
    findings = source_findings(source, rule.rule if rule and not rule.is_archived else None)
    return view_of(
        SourceView,
        source,
        postback_url=readable(masked_text(url, rule.rule.request.secrets if rule else ())),
        postback_rule_id=rule.id if rule else None,
        warnings=warnings_of([*findings, *postback_url_findings(source, url)]),
    )


SOURCES = Records(saving.NOUN, _views)


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
