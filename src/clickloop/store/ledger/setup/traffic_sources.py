"""Traffic sources in the ledger. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, func, insert, select, update

from clickloop.setup.source_rows import ROW_MACROS
from clickloop.setup.traffic_source import SourceParameter, TrafficSource
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.schema.tables import (
    campaigns,
    flow_references,
    flows,
    source_parameters,
    traffic_sources,
)
from clickloop.store.ledger.setup.conditions import in_state
from clickloop.store.ledger.setup.postback_rules import first_rules_of_sources, postback_url_of
from clickloop.store.ledger.setup.versions import later_version

MAX_ROW_NAMES = 5_000
"""Maximum number of row names that count where there is no source."""


def renew_source_version(tx: Connection, source_id: int, now_ms: int) -> None:
    """Give a source a new version after its postback URL, which is in another table, was changed."""
    version = later_version(traffic_sources, now_ms)
    tx.execute(update(traffic_sources).where(traffic_sources.c.id == source_id).values(version=version))


def delete_parameters(tx: Connection, source_id: int) -> None:
    """Delete the rows of a source, to be inserted again in the same transaction."""
    tx.execute(delete(source_parameters).where(source_parameters.c.source_id == source_id))


def insert_parameters(tx: Connection, source_id: int, rows: Iterable[SourceParameter]) -> None:
    """Insert rows of a source."""
    tx.execute(
        insert(source_parameters),
        [
            {
                "source_id": source_id,
                "number": row.number,
                "parameter": row.parameter,
                "placeholder": row.placeholder,
                "name": row.name,
                "tracked": row.tracked,
            }
            for row in rows
        ],
    )


def sources_after(
    tx: Connection, after_id: int, limit: int, *, archived: bool = False, words: str = ""
) -> list[TrafficSource]:
    """Return at most ``limit`` live or archived sources with numbers above ``after_id``. ``words``: part of the name."""
    return SOURCES.after(tx, after_id, limit, archived=archived, words=words)


def sources_of_offers(tx: Connection, offer_ids: Collection[int]) -> dict[int, list[TrafficSource]]:
    """Return by offer the live sources of the live campaigns that send visitors to it, without offers that have none."""
    own = flows.alias()
    pairs = tx.execute(
        select(flow_references.c.referenced_id.label("offer_id"), campaigns.c.source_id)
        .distinct()
        .select_from(campaigns)
        .outerjoin(own, own.c.campaign_id == campaigns.c.id)
        .join(flow_references, flow_references.c.flow_id == func.coalesce(campaigns.c.flow_id, own.c.id))
        .where(
            flow_references.c.kind == "offer",
            flow_references.c.referenced_id.in_(offer_ids),
            in_state(campaigns, archived=False),
        )
    ).all()
    is_named = traffic_sources.c.id.in_({pair.source_id for pair in pairs})
    query = SOURCES.all.where(is_named, in_state(traffic_sources, archived=False)).order_by(traffic_sources.c.id)
    found: dict[int, list[TrafficSource]] = {}
    for source in SOURCES.select(tx, query):
        for pair in pairs:
            if pair.source_id == source.id:
                found.setdefault(pair.offer_id, []).append(source)
    return found


def parameters_of(tx: Connection, source_ids: list[int]) -> dict[int, tuple[SourceParameter, ...]]:
    """Return the rows of each source by its number, sorted."""
    rows = tx.execute(
        select(source_parameters)
        .where(source_parameters.c.source_id.in_(source_ids))
        .order_by(source_parameters.c.source_id, source_parameters.c.number)
    ).mappings()
    found: dict[int, list[SourceParameter]] = {source_id: [] for source_id in source_ids}
    for row in rows:
        found[row["source_id"]].append(
            SourceParameter(row["number"], row["parameter"], row["placeholder"], row["name"], row["tracked"])
        )
    return {source_id: tuple(parameters) for source_id, parameters in found.items()}


def postback_urls_of(tx: Connection, source_ids: list[int]) -> dict[int, str]:
    """Return the postback URL of each source by its number; empty if it has none."""
    rules = first_rules_of_sources(tx, source_ids)
    return {source_id: postback_url_of(rules.get(source_id)) for source_id in source_ids}


SOURCES = RecordTable(traffic_sources, TrafficSource, {"parameters": parameters_of, "postback_url": postback_urls_of})


def find_sources(tx: Connection, ids: Collection[int]) -> list[TrafficSource]:
    """Return the sources with these numbers, including archived ones."""
    return SOURCES.select(tx, SOURCES.all.where(traffic_sources.c.id.in_(ids)))


def any_row_macros(tx: Connection) -> dict[str, str]:
    """Return the macros of the rows of all sources by parameter in lower case, for records that belong to no source.

    If a parameter has several numbers, the lowest counts here; for a click, its own source decides.
    """
    name = func.lower(source_parameters.c.parameter)
    query = select(name, func.min(source_parameters.c.number)).group_by(name).limit(MAX_ROW_NAMES)
    return {row[0]: ROW_MACROS[row[1]] for row in tx.execute(query)}
