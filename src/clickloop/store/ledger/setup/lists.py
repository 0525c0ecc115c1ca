"""Named lists in the ledger. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection

from sqlalchemy import Connection, and_

from clickloop.setup.named_list import NamedList
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.schema.tables import lists
from clickloop.store.ledger.setup.conditions import in_state

LISTS = RecordTable(lists, NamedList)


def lists_after(
    tx: Connection, after_id: int, limit: int, *, archived: bool = False, words: str = ""
) -> list[NamedList]:
    """Return at most ``limit`` live or archived lists with numbers above ``after_id``, ascending."""
    return LISTS.after(tx, after_id, limit, archived=archived, words=words)


def live_lists(tx: Connection, list_ids: Collection[int]) -> list[NamedList]:
    """Return the live lists among these numbers, ascending."""
    is_live = and_(lists.c.id.in_(list_ids), in_state(lists, archived=False))
    return LISTS.select(tx, LISTS.all.where(is_live).order_by(lists.c.id))
