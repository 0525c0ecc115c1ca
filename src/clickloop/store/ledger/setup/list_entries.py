"""The history of lists' entries in the ledger. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, update

from clickloop.setup.list_entry import Judged, ListEntry
from clickloop.store.ledger.schema.tables import list_entries

_TABLE = list_entries.c
_VALUES_PER_STATEMENT = 500  # engines limit the parameters of one statement


def insert_entries(tx: Connection, entries: Sequence[ListEntry]) -> None:
    """Write new entries. Raise IntegrityError if a value is in the list."""
    if not entries:
        return
    rows = [
        {
            "list_id": entry.list_id,
            "value": entry.value,
            "added_at": entry.added_at,
            "added_by": entry.added_by,
            **msgspec.structs.asdict(entry.judged),
        }
        for entry in entries
    ]
    tx.execute(insert(list_entries), rows)


def remove_entries(tx: Connection, list_id: int, values: Sequence[str], removed_at: int, removed_by: str) -> None:
    """Note that values left a list."""
    for start in range(0, len(values), _VALUES_PER_STATEMENT):
        part = values[start : start + _VALUES_PER_STATEMENT]
        chosen = update(list_entries).where(
            _TABLE.list_id == list_id, _TABLE.removed_at.is_(None), _TABLE.value.in_(part)
        )
        tx.execute(chosen.values(removed_at=removed_at, removed_by=removed_by))


def entries_before(tx: Connection, list_id: int, before_id: int | None, limit: int) -> list[ListEntry]:
    """Return at most ``limit`` entries of a list with ids below ``before_id``, removed ones too, newest first."""
    query = select(list_entries).where(_TABLE.list_id == list_id).order_by(_TABLE.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(_TABLE.id < before_id)
    return [_entry(row) for row in tx.execute(query)]


def present_entries(tx: Connection, list_id: int) -> list[ListEntry]:
    """Return the entries that are in a list, in the order in which they were added."""
    query = select(list_entries).where(_TABLE.list_id == list_id, _TABLE.removed_at.is_(None)).order_by(_TABLE.id)
    return [_entry(row) for row in tx.execute(query)]


def last_changed_at(tx: Connection, list_id: int) -> int | None:
    """Return when a value was last added to a list or removed from it, Unix milliseconds; None if it never had one."""
    query = select(func.max(_TABLE.added_at), func.max(_TABLE.removed_at)).where(_TABLE.list_id == list_id)
    return max((moment for moment in tx.execute(query).one() if moment is not None), default=None)


def _entry(row: Row[Any]) -> ListEntry:
    judged = Judged(
        clicks=row.clicks,
        cost_micros=row.cost_micros,
        conversions=row.conversions,
        revenue_micros=row.revenue_micros,
        currency=row.currency,
        from_at=row.from_at,
        until_at=row.until_at,
    )
    return ListEntry(
        id=row.id,
        list_id=row.list_id,
        value=row.value,
        added_at=row.added_at,
        added_by=row.added_by,
        judged=judged,
        removed_at=row.removed_at,
        removed_by=row.removed_by,
    )
