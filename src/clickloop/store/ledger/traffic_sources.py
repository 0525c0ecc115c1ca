"""Traffic sources in the ledger: one statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, func, insert, select, update

from clickloop.setup.traffic_source import SourceParameter, TrafficSource
from clickloop.store.ledger.postback_rules import first_rules_of_sources, postback_url_of
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.tables import source_parameters, traffic_sources
from clickloop.store.ledger.versions import later_version

MOST_ROW_NAMES = 5_000
"""So many names of rows are known at once to what belongs to no source."""


def renew_source_version(tx: Connection, source_id: int, now_ms: int) -> None:
    """Give a source a new version after its postback URL was changed, which another table holds."""
    version = later_version(traffic_sources, now_ms)
    tx.execute(update(traffic_sources).where(traffic_sources.c.id == source_id).values(version=version))


def delete_parameters(tx: Connection, source_id: int) -> None:
    """Removes the rows of a source, to be written anew in the same transaction."""
    tx.execute(delete(source_parameters).where(source_parameters.c.source_id == source_id))


def insert_parameters(tx: Connection, source_id: int, rows: Iterable[SourceParameter]) -> None:
    """Adds rows to a source."""
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
    """At most ``limit`` sources with higher numbers, ascending; the live ones, or the archived ones; ``words``: in their name."""
    return SOURCES.after(tx, after_id, limit, archived=archived, words=words)


def parameters_of(tx: Connection, source_ids: list[int]) -> dict[int, tuple[SourceParameter, ...]]:
    """The rows of each source by its number, sorted."""
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
    """Return the postback URL of each source by its number; empty: it has none."""
    rules = first_rules_of_sources(tx, source_ids)
    return {source_id: postback_url_of(rules.get(source_id)) for source_id in source_ids}


SOURCES = RecordTable(traffic_sources, TrafficSource, {"parameters": parameters_of, "postback_url": postback_urls_of})


def find_sources(tx: Connection, ids: Collection[int]) -> list[TrafficSource]:
    """Return the sources of these numbers, archived ones too."""
    return SOURCES.select(tx, SOURCES.all.where(traffic_sources.c.id.in_(ids)))


def row_numbers(tx: Connection) -> dict[str, int]:
    """The number of each row of any source by its lower-case parameter; of a name with several the lowest."""
    name = func.lower(source_parameters.c.parameter)
    query = select(name, func.min(source_parameters.c.number)).group_by(name).limit(MOST_ROW_NAMES)
    return {row[0]: row[1] for row in tx.execute(query)}
