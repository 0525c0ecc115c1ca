"""Enter cost, preview it, and undo it. The worker puts entries into effect."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.report.cost.entry import CostEntry
from clickloop.report.cost.entry_input import CostBody, CostDefaults, read_entry
from clickloop.report.cost.overlap import EntryIndex
from clickloop.report.cost.segment import CostKind, SegmentClicks
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.facts.cost_facts import CostReader
from clickloop.store.ledger.jobs.cost_entries import (
    entries_of_upload,
    entries_with_keys,
    entry_with_key,
    find_entry,
    insert_entries,
    live_entries,
    name_successors,
    replace_entries,
    set_upload,
    undo_entries,
)
from clickloop.store.ledger.logs.audit_entry import ActorContext, record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.setup.names import RecordKind, names_of
from clickloop.store.ledger.setup.report_names import parameter_dimensions

NOUN = "costs"


class EntryPreview(msgspec.Struct, frozen=True, kw_only=True):
    """The effect that an entry would have."""

    entry: CostEntry
    clicks: SegmentClicks
    overlaps: tuple[CostEntry, ...] = ()
    """Entries in effect that cover clicks of the same owner and time."""
    is_repeat: bool = False
    """True if an equal entry with its key is in effect, so that nothing would change."""


def requested_entry(tx: Connection, body: CostBody, kind: CostKind, defaults: CostDefaults) -> CostEntry:
    """Return the requested entry, not stored. Raise InvalidInputError."""
    names = parameter_dimensions(tx, body.source_id, body.campaign_id)
    entry = read_entry(body, kind, defaults, names)
    faults: list[FieldFault] = []
    for field, record, number in (
        ("campaign_id", RecordKind.CAMPAIGN, entry.segment.campaign_id),
        ("source_id", RecordKind.SOURCE, entry.segment.source_id),
    ):
        if number and not names_of(tx, record, [number]):
            faults.append(FieldFault(field, FaultCode.NOT_FOUND, f"There is no {record} {number}."))
    if faults:
        raise InvalidInputError(tuple(faults))
    return entry


def preview_cost(
    context: ActorContext, facts: CostReader, body: CostBody, kind: CostKind, defaults: CostDefaults
) -> EntryPreview:
    """Return what an entry would do. Raise InvalidInputError."""
    with context.ledger.read() as tx:
        entry = requested_entry(tx, body, kind, defaults)
        segment = entry.segment
        live = live_entries(tx, segment.from_at, segment.until_at)
        known = entry_with_key(tx, entry.key) if entry.key else None
    return EntryPreview(
        entry=entry,
        clicks=facts.count(segment),
        overlaps=EntryIndex(live).overlapping(entry),
        is_repeat=known is not None and known.same_cost(entry),
    )


def enter_cost(context: ActorContext, body: CostBody, kind: CostKind, defaults: CostDefaults) -> CostEntry:
    """Store an entry and return it; with the key of an equal one, return that. Raise InvalidInputError."""
    with context.ledger.write() as tx:
        entry = requested_entry(tx, body, kind, defaults)
        return store_entry(tx, context, entry)


class StoredEntries(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of storing entries."""

    entries: tuple[CostEntry, ...]
    """In the order in which they were requested; equal ones in effect in place of those that change nothing."""
    repeated: int
    """Number of entries that changed nothing."""
    replaced: int
    """Number of entries that replace one with another amount."""


def store_entry(tx: Connection, context: ActorContext, entry: CostEntry) -> CostEntry:
    """Store an entry in place of the one with its key, and return it; return that one if it is equal."""
    found = store_entries(tx, context, [entry])
    stored = found.entries[0]
    if not found.repeated:
        record_change(tx, context, NOUN, stored.entry_id, after=stored)
    return stored


def store_entries(tx: Connection, context: ActorContext, entries: Sequence[CostEntry]) -> StoredEntries:
    """Store entries in place of those with their keys, unless those are equal. Their keys differ.

    The caller writes the log of changes.
    """
    known = entries_with_keys(tx, [entry.key for entry in entries])
    equal = {
        entry.key: known[entry.key] for entry in entries if entry.key in known and known[entry.key].same_cost(entry)
    }
    # Undoing the upload that says so last takes them back.
    uploads = {entry.key: entry.upload_id for entry in entries if entry.upload_id}
    for upload_id in set(uploads.values()):
        set_upload(tx, [one.entry_id for key, one in equal.items() if uploads.get(key) == upload_id], upload_id)
    fresh = [entry for entry in entries if entry.key not in equal]
    replaced = {entry.key: known[entry.key].entry_id for entry in fresh if entry.key in known}
    replace_entries(tx, list(replaced.values()))
    made = {"user_id": context.actor.user_id, "entered_by": context.actor.name[:200], "created_at": context.clock()}
    stored = insert_entries(tx, [replace(entry, **made) for entry in fresh])
    name_successors(tx, {replaced[entry.key]: entry.entry_id for entry in stored if entry.key in replaced})
    in_order = iter(stored)
    return StoredEntries(
        entries=tuple(equal[entry.key] if entry.key in equal else next(in_order) for entry in entries),
        repeated=len(equal),
        replaced=len(replaced),
    )


def undo_cost(context: ActorContext, entry_id: int) -> CostEntry | None:
    """Have an entry taken back, and return it; None if there is none. One that has ended is left alone."""
    with context.ledger.write() as tx:
        entry = find_entry(tx, entry_id)
        if entry is not None and undo_entries(tx, [entry_id]):
            record_change(tx, context, NOUN, entry_id, before=entry, action=Action.UNDONE)
        return find_entry(tx, entry_id)


def undo_upload(context: ActorContext, upload_id: str) -> Sequence[CostEntry]:
    """Have all entries of an upload taken back, and return them."""
    with context.ledger.write() as tx:
        entries = entries_of_upload(tx, upload_id)
        if undone := undo_entries(tx, [entry.entry_id for entry in entries]):
            after = {"entries": undone}
            record_change(tx, context, f"{NOUN}/uploads", upload_id, after=after, action=Action.UNDONE)
        return entries_of_upload(tx, upload_id)
