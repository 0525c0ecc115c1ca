"""Enter cost, preview it, and undo it. The worker puts entries into effect."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.report.cost.entry import CostEntry, EntryState
from clickloop.report.cost.entry_input import CostBody, CostDefaults, read_entry
from clickloop.report.cost.segment import CostKind, CostSegment, SegmentClicks
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.facts.cost_facts import CostReader
from clickloop.store.ledger.jobs.cost_entries import (
    change_state,
    entries_of_upload,
    entry_with_key,
    find_entry,
    insert_entry,
    live_entries,
    name_successor,
    replace_entry,
    set_upload,
)
from clickloop.store.ledger.logs.audit_entry import ActorContext, record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.setup.names import RecordKind, names_of
from clickloop.store.ledger.setup.report_names import parameter_dimensions

NOUN = "costs"
MAX_OVERLAPS = 20
"""Maximum number of overlapping entries that a preview names."""


class EntryPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry would do."""

    entry: CostEntry
    clicks: SegmentClicks
    overlaps: tuple[CostEntry, ...] = ()
    """Entries in effect that cover clicks of the same owner and time."""
    is_repeat: bool = False
    """Whether an equal entry with its key is in effect, so that nothing would change."""


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
    overlaps = [one for one in live if may_overlap(one.segment, segment) and one.key != (entry.key or "-")]
    return EntryPreview(
        entry=entry,
        clicks=facts.count(segment),
        overlaps=tuple(overlaps[-MAX_OVERLAPS:]),
        is_repeat=known is not None and known.same_cost(entry),
    )


def may_overlap(one: CostSegment, other: CostSegment) -> bool:
    """Return whether a click could be in both segments. Of a campaign and a source, only the clicks can tell: True."""
    if one.until_at <= other.from_at or other.until_at <= one.from_at:
        return False
    if one.campaign_id and other.campaign_id and one.campaign_id != other.campaign_id:
        return False
    if one.source_id and other.source_id and one.source_id != other.source_id:
        return False
    values = {each.dimension: set(each.values) for each in one.filters}
    return all(
        each.dimension not in values or not values[each.dimension].isdisjoint(each.values) for each in other.filters
    )


def enter_cost(context: ActorContext, body: CostBody, kind: CostKind, defaults: CostDefaults) -> CostEntry:
    """Store an entry and return it; with the key of an equal one, return that. Raise InvalidInputError."""
    with context.ledger.write() as tx:
        entry = requested_entry(tx, body, kind, defaults)
        return store_entry(tx, context, entry)


def store_entry(tx: Connection, context: ActorContext, entry: CostEntry, *, is_logged: bool = True) -> CostEntry:
    """Store an entry in place of the one with its key, and return it; return that one if it is equal.

    ``is_logged`` False: the caller writes one entry into the log of changes for many.
    """
    known = entry_with_key(tx, entry.key) if entry.key else None
    if known is not None and known.same_cost(entry):
        if entry.upload_id:
            # Undoing the upload that says so last takes it back.
            set_upload(tx, known.entry_id, entry.upload_id)
        return known
    if known is not None:
        replace_entry(tx, known.entry_id)
    stored = insert_entry(
        tx,
        replace(
            entry,
            user_id=context.actor.user_id,
            entered_by=context.actor.name[:200],
            created_at=context.clock(),
        ),
    )
    if known is not None:
        name_successor(tx, known.entry_id, stored.entry_id)
        if known.state is EntryState.WAITING and not known.done:
            # Not in effect yet: it need not be put into effect first.
            change_state(tx, known.entry_id, (EntryState.WAITING,), EntryState.RETIRING)
    if is_logged:
        record_change(tx, context, NOUN, stored.entry_id, after=stored)
    return stored


def undo_cost(context: ActorContext, entry_id: int) -> CostEntry | None:
    """Have an entry taken back, and return it; None if there is none. One that has ended is left alone."""
    with context.ledger.write() as tx:
        entry = find_entry(tx, entry_id)
        if entry is not None:
            _undo(tx, context, [entry])
        return find_entry(tx, entry_id)


def undo_upload(context: ActorContext, upload_id: str) -> Sequence[CostEntry]:
    """Have all entries of an upload taken back, and return them."""
    with context.ledger.write() as tx:
        _undo(tx, context, entries_of_upload(tx, upload_id))
        return entries_of_upload(tx, upload_id)


def _undo(tx: Connection, context: ActorContext, entries: Sequence[CostEntry]) -> None:
    for entry in entries:
        if change_state(tx, entry.entry_id, (EntryState.WAITING, EntryState.APPLIED), EntryState.UNDOING):
            record_change(tx, context, NOUN, entry.entry_id, before=entry, action=Action.UNDONE)
