"""Find live records by table. ``tx`` is an open transaction."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from clickloop.store.ledger.schema.tables import metadata


def live_ids(tx: Connection, table_name: str, ids: Collection[int]) -> set[int]:
    """Return the numbers of the live records among these."""
    if not ids:
        return set()
    table = metadata.tables[table_name]
    return set(tx.scalars(select(table.c.id).where(table.c.id.in_(ids), table.c.archived_at.is_(None))))
