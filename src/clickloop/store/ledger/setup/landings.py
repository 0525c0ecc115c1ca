"""Landings in the ledger. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection

from sqlalchemy import Connection, and_

from clickloop.setup.landing import Landing
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.schema.tables import landings
from clickloop.store.ledger.setup.conditions import in_state, tagged

LANDINGS = RecordTable(landings, Landing)


def landings_after(
    tx: Connection, after_id: int, limit: int, *, archived: bool = False, words: str = "", tag: str = ""
) -> list[Landing]:
    """Return at most ``limit`` live or archived landings with numbers above ``after_id``, ascending."""
    only = [tagged(landings.c.tags, tag)] if tag else []
    return LANDINGS.after(tx, after_id, limit, *only, archived=archived, words=words)


def live_landings(tx: Connection, landing_ids: Collection[int]) -> list[Landing]:
    """Return the live landings among these numbers, ascending."""
    is_live = and_(landings.c.id.in_(landing_ids), in_state(landings, archived=False))
    return LANDINGS.select(tx, LANDINGS.all.where(is_live).order_by(landings.c.id))
