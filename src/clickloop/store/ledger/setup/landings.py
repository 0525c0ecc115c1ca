"""Landings in the ledger. One statement per function; ``tx`` is an open transaction."""

from sqlalchemy import Connection

from clickloop.setup.landing import Landing
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.schema.tables import landings
from clickloop.store.ledger.setup.conditions import tagged

LANDINGS = RecordTable(landings, Landing)


def landings_after(
    tx: Connection, after_id: int, limit: int, *, archived: bool = False, words: str = "", tag: str = ""
) -> list[Landing]:
    """Return at most ``limit`` live or archived landings with numbers above ``after_id``, ascending."""
    only = [tagged(landings.c.tags, tag)] if tag else []
    return LANDINGS.after(tx, after_id, limit, *only, archived=archived, words=words)
