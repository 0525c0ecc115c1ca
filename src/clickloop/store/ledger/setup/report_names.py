"""Names for reports: of records by number, of statuses, and of parameter rows. ``tx`` is an open transaction."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Select, func, select

from clickloop.report.query import Dimension, Parameter
from clickloop.store.ledger.schema.tables import (
    campaigns,
    flow_parts,
    flows,
    landings,
    networks,
    offers,
    source_parameters,
    statuses,
    traffic_sources,
)

_TABLES = {
    Dimension.CAMPAIGN: campaigns,
    Dimension.SOURCE: traffic_sources,
    Dimension.OFFER: offers,
    Dimension.NETWORK: networks,
    Dimension.LANDING: landings,
    Dimension.FLOW: flows,
    Dimension.RULE: flow_parts,
    Dimension.PATH: flow_parts,
}


def record_names(tx: Connection, dimension: Dimension, numbers: Collection[int]) -> dict[int, str]:
    """Return the names of records by number, archived ones and removed rules and paths too. ``dimension``: one of numbers."""
    wanted = {number for number in numbers if number}
    if not wanted:
        return {}
    query = _names(dimension).where(_TABLES[dimension].c.id.in_(wanted))
    return {row.id: row.name for row in tx.execute(query)}


def newest_record_names(tx: Connection, dimension: Dimension, limit: int) -> dict[int, str]:
    """Return the names of the ``limit`` newest records by number, sorted by name. ``dimension``: one of numbers."""
    rows = tx.execute(_names(dimension).order_by(_TABLES[dimension].c.id.desc()).limit(limit))
    return {row.id: row.name for row in sorted(rows, key=lambda row: (row.name, row.id))}


def _names(dimension: Dimension) -> Select[Any]:
    """Return the query of all numbers and names. A campaign's own flow goes by the campaign's name."""
    table = _TABLES[dimension]
    if dimension is Dimension.FLOW:
        name = func.coalesce(func.nullif(flows.c.name, ""), campaigns.c.name, "").label("name")
        return select(flows.c.id, name).outerjoin(campaigns, campaigns.c.id == flows.c.campaign_id)
    query = select(table.c.id, table.c.name)
    # Rules and paths are numbered together.
    return query.where(flow_parts.c.kind == dimension.value) if table is flow_parts else query


def status_names(tx: Connection) -> dict[str, str]:
    """Return the names of statuses by key, in the user's order."""
    rows = tx.execute(select(statuses.c.key, statuses.c.name).order_by(statuses.c.position, statuses.c.key))
    return {row.key: row.name for row in rows}


def parameter_names(tx: Connection, source_id: int) -> dict[int, str]:
    """Return the names of a source's rows V1… by number; an unnamed row goes by its parameter."""
    table = source_parameters.c
    query = select(table.number, table.name, table.parameter).where(table.source_id == source_id, table.number > 0)
    return {row.number: row.name or row.parameter for row in tx.execute(query)}


def parameter_dimensions(tx: Connection, source_id: int | None, campaign_id: int | None) -> dict[str, Dimension]:
    """Return the dimensions V1… of a source, or of a campaign's source, by the names and parameters of its rows in lower case."""
    table = source_parameters.c
    query = select(table.number, table.name, table.parameter).where(table.number > 0)
    if source_id:
        query = query.where(table.source_id == source_id)
    else:
        of_campaign = select(campaigns.c.source_id).where(campaigns.c.id == (campaign_id or 0)).scalar_subquery()
        query = query.where(table.source_id == of_campaign)
    found: dict[str, Dimension] = {}
    for row in tx.execute(query.order_by(table.number)):
        for name in (row.name, row.parameter):
            if name:
                found.setdefault(name.strip().lower(), Dimension(f"v{row.number}"))
    return found


def parameters_of_owners(
    tx: Connection, source_ids: Collection[int], campaign_ids: Collection[int]
) -> dict[str, frozenset[Dimension]]:
    """Return the dimensions V1… that sources, and those of campaigns, know by a name or parameter, by that in lower case."""
    wanted = set(source_ids)
    numbers = sorted(campaign_ids)
    for start in range(0, len(numbers), _IDS_PER_QUERY):
        of_campaigns = select(campaigns.c.source_id).where(campaigns.c.id.in_(numbers[start : start + _IDS_PER_QUERY]))
        wanted |= {row.source_id for row in tx.execute(of_campaigns)}
    found: dict[str, set[Dimension]] = {}
    for source_id in sorted(wanted):
        for name, dimension in parameter_dimensions(tx, source_id, None).items():
            found.setdefault(name, set()).add(dimension)
    return {name: frozenset(dimensions) for name, dimensions in found.items()}


_IDS_PER_QUERY = 500  # engines limit the parameters of one statement


class LedgerNames:
    """The names of the ledger, for parsing a report's parameters. ``tx`` is an open transaction."""

    def __init__(self, tx: Connection) -> None:
        self._tx = tx
        self._statuses: dict[str, str] | None = None
        self._parameters: dict[str, Parameter] | None = None

    def records(self, dimension: Dimension, name: str, *, is_part: bool) -> tuple[int, ...]:
        """Return the numbers of the records with a name, or whose name contains it, in any case."""
        wanted = name.strip().casefold()
        if not wanted:
            return ()
        rows = self._tx.execute(_names(dimension))
        # In Python: the engines compare cases of ASCII letters only.
        folded = ((int(row.id), str(row.name).strip().casefold()) for row in rows)
        return tuple(sorted(number for number, text in folded if (wanted in text if is_part else wanted == text)))

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter with a name in any case, over all traffic sources; rows also go by their parameter in the link."""
        if self._parameters is None:
            self._parameters = _parameters(self._tx)
        return self._parameters.get(name.strip().casefold())

    def parameters(self) -> tuple[str, ...]:
        """Return the names of all parameters."""
        if self._parameters is None:
            self._parameters = _parameters(self._tx)
        return tuple(dict.fromkeys(parameter.name for parameter in self._parameters.values()))

    def statuses(self) -> dict[str, str]:
        """Return the names of statuses by key, in the user's order."""
        if self._statuses is None:
            self._statuses = status_names(self._tx)
        return self._statuses


def _parameters(tx: Connection) -> dict[str, Parameter]:
    """Return the parameters of all sources by name and by parameter in the link, in lower case, as the newest source writes them.

    Where a source has both, a name comes before another row's parameter.
    """
    table = source_parameters.c
    query = select(table.source_id, table.number, table.name, table.parameter).where(table.number > 0)
    titles: dict[str, str] = {}
    rows: dict[str, list[tuple[int, int]]] = {}
    found = tx.execute(query.order_by(table.source_id, table.number)).all()
    words = [(row, row.name or row.parameter) for row in found] + [(row, row.parameter) for row in found if row.name]
    for row, word in words:
        title = word.strip()
        titles[title.casefold()] = title if word != row.parameter else titles.get(title.casefold(), title)
        of_word = rows.setdefault(title.casefold(), [])
        # A source may have the name twice: the first row counts.
        if all(source_id != row.source_id for source_id, _ in of_word):
            of_word.append((row.source_id, row.number))
    return {folded: Parameter(title, tuple(sorted(rows[folded]))) for folded, title in titles.items()}
