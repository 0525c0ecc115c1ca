"""Named lists in the ledger. One statement per function; ``tx`` is an open transaction."""

from sqlalchemy import Connection

from clickloop.setup.named_list import NamedList
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.schema.tables import lists

LISTS = RecordTable(lists, NamedList)


def lists_after(
    tx: Connection, after_id: int, limit: int, *, archived: bool = False, words: str = ""
) -> list[NamedList]:
    """Return at most ``limit`` live or archived lists with numbers above ``after_id``, ascending."""
    return LISTS.after(tx, after_id, limit, archived=archived, words=words)
