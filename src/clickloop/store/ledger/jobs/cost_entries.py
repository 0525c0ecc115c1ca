"""Cost entries in the ledger; ``tx`` is an open transaction."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, bindparam, case, func, insert, select, text, update

from clickloop.clock import DAY_MS
from clickloop.report.cost.entry import CostEntry, EntryState
from clickloop.report.cost.segment import CostFilter, CostKind, CostSegment, SpreadOver
from clickloop.store.ledger.schema.cost_tables import HAS_KEY
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


def insert_entries(tx: Connection, entries: Sequence[CostEntry]) -> list[CostEntry]:
    """Store new entries, and return them with their ids."""
    if not entries:
        return []
    stored = insert(cost_entries).returning(cost_entries.c.id, sort_by_parameter_order=True)
    ids = tx.scalars(stored, [_values(entry) for entry in entries]).all()
    return [msgspec.structs.replace(entry, entry_id=int(number)) for entry, number in zip(entries, ids, strict=True)]


def find_entry(tx: Connection, entry_id: int) -> CostEntry | None:
    """Return the entry with that id."""
    row = tx.execute(select(cost_entries).where(cost_entries.c.id == entry_id)).mappings().first()
    return None if row is None else _of_row(row)


def entry_with_key(tx: Connection, key: str) -> CostEntry | None:
    """Return the entry with that key that no other replaces and that is not undone."""
    return entries_with_keys(tx, [key]).get(key)


def entries_with_keys(tx: Connection, keys: Collection[str]) -> dict[str, CostEntry]:
    """Return the entries with these keys that no other replaces and that are not undone."""
    wanted, found = sorted({key for key in keys if key}), dict[str, CostEntry]()
    for start in range(0, len(wanted), MAX_IDS):
        query = select(cost_entries).where(cost_entries.c.key.in_(wanted[start : start + MAX_IDS]), text(HAS_KEY))
        found |= {row["key"]: _of_row(row) for row in tx.execute(query).mappings()}
    return found


def find_entries(tx: Connection, entry_ids: Sequence[int]) -> dict[int, CostEntry]:
    """Return entries by id."""
    found = dict[int, CostEntry]()
    for start in range(0, len(entry_ids), MAX_IDS):
        query = select(cost_entries).where(cost_entries.c.id.in_(entry_ids[start : start + MAX_IDS]))
        found |= {row["id"]: _of_row(row) for row in tx.execute(query).mappings()}
    return found


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


def oldest_pending(tx: Connection, limit: int) -> list[CostEntry]:
    """Return the oldest entries with work left, all to take back or none. Those to take back come first: they only undo what is there."""
    taken_back = cost_entries.c.state.in_([EntryState.UNDOING.value, EntryState.RETIRING.value])
    for wanted in (taken_back, cost_entries.c.state == EntryState.WAITING.value):
        query = select(cost_entries).where(_IS_PENDING, wanted).order_by(cost_entries.c.id).limit(limit)
        if found := [_of_row(row) for row in tx.execute(query).mappings()]:
            return found
    return []


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


class UnattributedSum(msgspec.Struct, frozen=True, kw_only=True):
    """The sum of entries without a click to bear them, by owner, currency and first UTC day."""

    source_id: int
    campaign_id: int
    currency: str
    day: int
    entries: int
    micros: int


def unattributed_entries(tx: Connection, from_at: int, until_at: int) -> list[CostEntry]:
    """Return the entries in effect that no click bears and whose spans overlap a period."""
    query = select(cost_entries).where(_is_unattributed(from_at, until_at)).order_by(cost_entries.c.id)
    return [_of_row(row) for row in tx.execute(query).mappings()]


def unattributed_sums(tx: Connection, from_at: int, until_at: int) -> list[UnattributedSum]:
    """Return the sums of those entries: a table may have thousands."""
    table = cost_entries.c
    day = (table.from_at // DAY_MS).label("day")
    query = select(
        *(table.source_id, table.campaign_id, table.currency, day),
        *(func.count().label("entries"), func.sum(table.micros).label("micros")),
    ).where(_is_unattributed(from_at, until_at))
    rows = tx.execute(query.group_by(table.source_id, table.campaign_id, table.currency, day)).mappings()
    return [UnattributedSum(**{**row, "micros": int(row["micros"])}) for row in rows]


def _is_unattributed(from_at: int, until_at: int) -> ColumnElement[bool]:
    table = cost_entries.c
    return and_(
        table.until_at > from_at,
        table.from_at < until_at,
        table.state == EntryState.APPLIED.value,
        table.shared == 0,
        table.micros > 0,
        table.replaced_by.is_(None),
    )


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


def set_progress(tx: Connection, entries: Sequence[CostEntry]) -> None:
    """Store the progress and state of entries that were read in this transaction."""
    if not entries:
        return
    fields = ("generation", "covered", "shared", "done", "ended_at")
    values = [
        {"entry": entry.entry_id, "new_state": entry.state.value}
        | {f"new_{name}": getattr(entry, name) for name in fields}
        for entry in entries
    ]
    changed = update(cost_entries).where(cost_entries.c.id == bindparam("entry"))
    tx.execute(changed.values({name: bindparam(f"new_{name}") for name in ("state", *fields)}), values)


def undo_entries(tx: Connection, entry_ids: Sequence[int]) -> int:
    """Have entries taken back that are in effect or will be. Return how many were."""
    changed = 0
    for start in range(0, len(entry_ids), MAX_IDS):
        in_effect = update(cost_entries).where(
            cost_entries.c.id.in_(entry_ids[start : start + MAX_IDS]),
            cost_entries.c.state.in_([EntryState.WAITING.value, EntryState.APPLIED.value]),
        )
        changed += tx.execute(in_effect.values(state=EntryState.UNDOING.value)).rowcount
    return changed


def replace_entries(tx: Connection, entry_ids: Collection[int]) -> None:
    """Make room for entries with the same keys, whose ids ``name_successors`` stores."""
    if entry_ids:
        replaced = update(cost_entries).where(cost_entries.c.id == bindparam("entry")).values(replaced_by=0)
        tx.execute(replaced, [{"entry": entry_id} for entry_id in entry_ids])


def name_successors(tx: Connection, successors: Mapping[int, int]) -> None:
    """Store which entry replaces another, by the other's id. One not in effect at all need not be put into effect first."""
    if not successors:
        return
    table = cost_entries.c
    is_new = and_(table.state == EntryState.WAITING.value, table.done == 0)
    state = case((is_new, EntryState.RETIRING.value), else_=table.state)
    named = update(cost_entries).where(table.id == bindparam("entry")).values(replaced_by=bindparam("by"), state=state)
    tx.execute(named, [{"entry": entry_id, "by": successor} for entry_id, successor in successors.items()])


def set_upload(tx: Connection, entry_ids: Collection[int], upload_id: str) -> None:
    """Store which upload entries belong to."""
    if entry_ids:
        changed = (
            update(cost_entries).where(cost_entries.c.id == bindparam("entry")).values(upload_id=bindparam("upload"))
        )
        tx.execute(changed, [{"entry": entry_id, "upload": upload_id} for entry_id in entry_ids])


def retire_replaced(tx: Connection, successor_ids: Sequence[int]) -> None:
    """Have the entries taken back that others replace."""
    states = [EntryState.WAITING.value, EntryState.APPLIED.value]
    for start in range(0, len(successor_ids), MAX_IDS):
        replaced = cost_entries.c.replaced_by.in_(successor_ids[start : start + MAX_IDS])
        of_successors = update(cost_entries).where(replaced, cost_entries.c.state.in_(states))
        tx.execute(of_successors.values(state=EntryState.RETIRING.value))


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
