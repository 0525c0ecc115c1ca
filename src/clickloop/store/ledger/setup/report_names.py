"""Names of statuses and parameter rows for reports. ``tx`` is an open transaction."""

from sqlalchemy import Connection, select

from clickloop.store.ledger.schema.tables import source_parameters, statuses


def status_names(tx: Connection) -> dict[str, str]:
    """Return the names of statuses by key, in the user's order."""
    rows = tx.execute(select(statuses.c.key, statuses.c.name).order_by(statuses.c.position, statuses.c.key))
    return {row.key: row.name for row in rows}


def parameter_names(tx: Connection, source_id: int) -> dict[int, str]:
    """Return the names of a source's rows V1… by number; an unnamed row goes by its parameter."""
    table = source_parameters.c
    query = select(table.number, table.name, table.parameter).where(table.source_id == source_id, table.number > 0)
    return {row.number: row.name or row.parameter for row in tx.execute(query)}
