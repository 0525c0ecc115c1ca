"""Traffic sources in the ledger: one statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, delete, func, insert, select, update

from clickloop.campaign.traffic_source import CostModel, SourceParameter, TrafficSource
from clickloop.setup.source_rows import ROW_MACROS
from clickloop.store.ledger.finding import in_state, named_like
from clickloop.store.ledger.tables import campaign_offers, campaigns, source_parameters, traffic_sources
from clickloop.store.ledger.versions import later_version, update_record

MOST_ROW_NAMES = 5_000
"""So many names of rows are known at once to what belongs to no source."""


def insert_source(tx: Connection, source: TrafficSource) -> int:
    """Adds a source without its parameters; answers its number. A name that is taken raises IntegrityError."""
    result = tx.execute(
        insert(traffic_sources)
        .values(
            name=source.name,
            preset=source.preset,
            cost_model=source.cost_model.value,
            cost_currency=source.cost_currency,
            used_numbers=list(source.used_numbers),
            created_at=source.created_at,
            updated_at=source.updated_at,
            version=source.version,
        )
        .returning(traffic_sources.c.id)
    )
    return int(result.scalar_one())


def update_source(tx: Connection, source: TrafficSource) -> int:
    """Rewrite a source, but for its parameters, over the version that it was read at, and return the new version.

    Raise StaleRecordError.
    """
    values: dict[str, object] = {
        "name": source.name,
        "preset": source.preset,
        "cost_model": source.cost_model.value,
        "cost_currency": source.cost_currency,
        "used_numbers": list(source.used_numbers),
        "updated_at": source.updated_at,
        "archived_at": source.archived_at,
    }
    return update_record(tx, traffic_sources, source.id, source.version, source.updated_at, values)


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


def find_source(tx: Connection, source_id: int) -> TrafficSource | None:
    """The source of that number, archived or not."""
    row = tx.execute(select(traffic_sources).where(traffic_sources.c.id == source_id)).mappings().one_or_none()
    return None if row is None else _source(row, parameters_of(tx, [source_id])[source_id])


def find_source_named(tx: Connection, name: str) -> int | None:
    """The number of the source of that name, archived or not."""
    return tx.execute(select(traffic_sources.c.id).where(traffic_sources.c.name == name)).scalar()


def sources_after(
    tx: Connection, after_id: int, limit: int, *, archived: bool = False, words: str = ""
) -> list[TrafficSource]:
    """At most ``limit`` sources with higher numbers, ascending; the live ones, or the archived ones; ``words``: in their name."""
    query = select(traffic_sources).where(
        and_(traffic_sources.c.id > after_id, in_state(traffic_sources, archived=archived))
    )
    if words:
        query = query.where(named_like(traffic_sources, words))
    return _sources(tx, query.limit(limit))


def sources_of_offers(tx: Connection, offer_ids: Collection[int]) -> dict[int, list[TrafficSource]]:
    """Return, by offer, the live sources of the live campaigns that send visitors to it; without a key when there is none."""
    pairs = tx.execute(
        select(campaign_offers.c.offer_id, campaigns.c.source_id)
        .distinct()
        .join(campaigns, campaigns.c.id == campaign_offers.c.campaign_id)
        .where(campaign_offers.c.offer_id.in_(offer_ids), in_state(campaigns, archived=False))
    ).all()
    wanted = traffic_sources.c.id.in_({pair.source_id for pair in pairs})
    sources = _sources(tx, select(traffic_sources).where(wanted, in_state(traffic_sources, archived=False)))
    found: dict[int, list[TrafficSource]] = {}
    for source in sources:
        for pair in pairs:
            if pair.source_id == source.id:
                found.setdefault(pair.offer_id, []).append(source)
    return found


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


def any_row_macros(tx: Connection) -> dict[str, str]:
    """Return the macros that rows of any source fill, by their parameters in lower case: for what belongs to no source.

    Of a parameter with several numbers the lowest counts here; a click's own source decides.
    """
    name = func.lower(source_parameters.c.parameter)
    query = select(name, func.min(source_parameters.c.number)).group_by(name).limit(MOST_ROW_NAMES)
    return {row[0]: ROW_MACROS[row[1]] for row in tx.execute(query)}


def _sources(tx: Connection, query: Select[Any]) -> list[TrafficSource]:
    """Return the sources that a query over their table finds, ascending."""
    rows = tx.execute(query.order_by(traffic_sources.c.id)).mappings().all()
    parameters = parameters_of(tx, [row["id"] for row in rows])
    return [_source(row, parameters[row["id"]]) for row in rows]


def _source(row: RowMapping, parameters: tuple[SourceParameter, ...]) -> TrafficSource:
    return TrafficSource(
        id=row["id"],
        name=row["name"],
        preset=row["preset"],
        cost_model=CostModel(row["cost_model"]),
        cost_currency=row["cost_currency"],
        parameters=parameters,
        used_numbers=tuple(row["used_numbers"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        archived_at=row["archived_at"],
        version=row["version"],
    )
