"""Cost entries in the ledger; ``tx`` is an open transaction."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, func, insert, select, update

from clickloop.report.cost.entry import CostEntry, EntryState
from clickloop.report.cost.segment import CostFilter, CostKind, CostSegment, SpreadOver
from clickloop.store.ledger.schema.tables import cost_entries

# As in the table's partial index, or SQLite does not use it.
_IS_PENDING = cost_entries.c.state.in_(["waiting", "undoing", "retiring"])
MAX_IDS = 500
"""Maximum number of ids per query: engines limit the parameters of a statement."""


class EntryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of entries. None and empty mean: not filtered by this."""

    campaign_id: int | None = None
    source_id: int | None = None
    upload_id: str = ""
    unattributed: bool = False


def insert_entry(tx: Connection, entry: CostEntry) -> CostEntry:
    """Store a new entry, and return it with its id."""
    key = tx.execute(insert(cost_entries).values(**_values(entry))).inserted_primary_key
    return msgspec.structs.replace(entry, entry_id=int(key[0]) if key else 0)


def find_entry(tx: Connection, entry_id: int) -> CostEntry | None:
    """Return the entry with that id."""
    row = tx.execute(select(cost_entries).where(cost_entries.c.id == entry_id)).mappings().first()
    return None if row is None else _of_row(row)


def entry_with_key(tx: Connection, key: str) -> CostEntry | None:
    """Return the entry with that key that no other replaces and that is not undone."""
    query = select(cost_entries).where(
        cost_entries.c.key == key,
        cost_entries.c.key != "",
        cost_entries.c.replaced_by.is_(None),
        cost_entries.c.ended_at.is_(None),
        cost_entries.c.state != EntryState.UNDOING.value,
    )
    row = tx.execute(query).mappings().first()
    return None if row is None else _of_row(row)


def entries_before(tx: Connection, wanted: EntryFilter, before_id: int | None, limit: int) -> list[CostEntry]:
    """Return at most ``limit`` entries, newest first, before an id."""
    table = cost_entries.c
    query = select(cost_entries).order_by(table.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(table.id < before_id)
    if wanted.campaign_id is not None:
        query = query.where(table.campaign_id == wanted.campaign_id)
    if wanted.source_id is not None:
        query = query.where(table.source_id == wanted.source_id)
    if wanted.upload_id:
        query = query.where(table.upload_id == wanted.upload_id)
    if wanted.unattributed:
        query = query.where(table.state == EntryState.APPLIED.value, table.shared == 0, table.micros > 0)
    return [_of_row(row) for row in tx.execute(query).mappings()]


def oldest_pending(tx: Connection) -> CostEntry | None:
    """Return the oldest entry with work left. Entries to take back come first: they only undo what is there."""
    order = (cost_entries.c.state == EntryState.WAITING.value, cost_entries.c.id)
    row = tx.execute(select(cost_entries).where(_IS_PENDING).order_by(*order).limit(1)).mappings().first()
    return None if row is None else _of_row(row)


def live_entries(tx: Connection, from_at: int, until_at: int) -> list[CostEntry]:
    """Return the entries whose spans overlap a period, and that are in effect or will be."""
    table = cost_entries.c
    query = select(cost_entries).where(
        table.until_at > from_at,
        table.from_at < until_at,
        table.replaced_by.is_(None),
        table.state.in_([EntryState.WAITING.value, EntryState.APPLIED.value]),
    )
    return [_of_row(row) for row in tx.execute(query.order_by(table.id)).mappings()]


def applied_entries_after(tx: Connection, after_id: int, limit: int) -> list[CostEntry]:
    """Return entries that are in effect, in the order of their ids, after an id."""
    query = select(cost_entries).where(cost_entries.c.state == EntryState.APPLIED.value, cost_entries.c.id > after_id)
    return [_of_row(row) for row in tx.execute(query.order_by(cost_entries.c.id).limit(limit)).mappings()]


def entries_of_upload(tx: Connection, upload_id: str) -> list[CostEntry]:
    """Return the entries of an upload."""
    query = select(cost_entries).where(cost_entries.c.upload_id == upload_id, cost_entries.c.upload_id != "")
    return [_of_row(row) for row in tx.execute(query.order_by(cost_entries.c.id)).mappings()]


def kinds_of(tx: Connection, entry_ids: Collection[int]) -> dict[int, str]:
    """Return the kinds of entries by id."""
    ids, found = sorted(entry_ids), dict[int, str]()
    for start in range(0, len(ids), MAX_IDS):
        query = select(cost_entries.c.id, cost_entries.c.kind).where(
            cost_entries.c.id.in_(ids[start : start + MAX_IDS])
        )
        found |= {row.id: row.kind for row in tx.execute(query)}
    return found


def count_pending(tx: Connection) -> int:
    """Return the number of entries with work left."""
    return tx.scalar(select(func.count()).select_from(cost_entries).where(_IS_PENDING)) or 0


def set_progress(tx: Connection, entry: CostEntry) -> bool:
    """Store an entry's progress and state, unless the user changed its state meanwhile. Return whether it was stored.

    ``entry`` must have been read in state waiting, undoing or retiring, or applied.
    """
    values = {
        "state": entry.state.value,
        "generation": entry.generation,
        "covered": entry.covered,
        "shared": entry.shared,
        "done": entry.done,
        "ended_at": entry.ended_at,
    }
    return tx.execute(update(cost_entries).where(cost_entries.c.id == entry.entry_id).values(**values)).rowcount == 1


def change_state(tx: Connection, entry_id: int, of: Collection[EntryState], to: EntryState) -> bool:
    """Change the state of an entry that is in one of some states. Return whether it was."""
    changed = (
        update(cost_entries)
        .where(cost_entries.c.id == entry_id, cost_entries.c.state.in_([state.value for state in of]))
        .values(state=to.value)
    )
    return tx.execute(changed).rowcount == 1


def replace_entry(tx: Connection, entry_id: int) -> None:
    """Make room for an entry with the same key, whose id ``name_successor`` stores."""
    tx.execute(update(cost_entries).where(cost_entries.c.id == entry_id).values(replaced_by=0))


def name_successor(tx: Connection, entry_id: int, successor_id: int) -> None:
    """Store which entry replaces another."""
    tx.execute(update(cost_entries).where(cost_entries.c.id == entry_id).values(replaced_by=successor_id))


def set_upload(tx: Connection, entry_id: int, upload_id: str) -> None:
    """Store which upload an entry belongs to."""
    tx.execute(update(cost_entries).where(cost_entries.c.id == entry_id).values(upload_id=upload_id))


def retire_replaced(tx: Connection, successor_id: int) -> None:
    """Have the entries taken back that one replaces."""
    states = [EntryState.WAITING.value, EntryState.APPLIED.value]
    of_successor = update(cost_entries).where(
        cost_entries.c.replaced_by == successor_id, cost_entries.c.state.in_(states)
    )
    tx.execute(of_successor.values(state=EntryState.RETIRING.value))


def spread_anew(tx: Connection, entry_ids: Sequence[int]) -> None:
    """Have entries in effect spread over the clicks that they have now."""
    for start in range(0, len(entry_ids), MAX_IDS):
        applied = update(cost_entries).where(
            cost_entries.c.id.in_(entry_ids[start : start + MAX_IDS]),
            cost_entries.c.state == EntryState.APPLIED.value,
            cost_entries.c.replaced_by.is_(None),
        )
        tx.execute(applied.values(state=EntryState.WAITING.value, generation=cost_entries.c.generation + 1, done=0))


def _values(entry: CostEntry) -> dict[str, Any]:
    segment = entry.segment
    return {
        "kind": entry.kind.value,
        "key": entry.key,
        "upload_id": entry.upload_id,
        "source_id": segment.source_id,
        "campaign_id": segment.campaign_id,
        "filters": msgspec.to_builtins(segment.filters),
        "from_at": segment.from_at,
        "until_at": segment.until_at,
        "zone": entry.zone,
        "micros": entry.micros,
        "currency": entry.currency,
        "spread_over": entry.over.value,
        "note": entry.note,
        "state": entry.state.value,
        "generation": entry.generation,
        "covered": entry.covered,
        "shared": entry.shared,
        "done": entry.done,
        "replaced_by": entry.replaced_by,
        "user_id": entry.user_id,
        "entered_by": entry.entered_by,
        "created_at": entry.created_at,
        "ended_at": entry.ended_at,
    }


def _of_row(row: RowMapping) -> CostEntry:
    fields: dict[str, Any] = dict(row)
    segment = CostSegment(
        source_id=fields.pop("source_id"),
        campaign_id=fields.pop("campaign_id"),
        filters=msgspec.convert(fields.pop("filters"), tuple[CostFilter, ...]),
        from_at=fields.pop("from_at"),
        until_at=fields.pop("until_at"),
    )
    return CostEntry(
        entry_id=fields.pop("id"),
        segment=segment,
        kind=CostKind(fields.pop("kind")),
        over=SpreadOver(fields.pop("spread_over")),
        state=EntryState(fields.pop("state")),
        **fields,
    )
