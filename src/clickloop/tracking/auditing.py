"""Auditing in the background: what is new since the last step, a slice of what is old, and what did not add up before."""

from collections.abc import Sequence

from clickloop.store.ledger.audit import (
    BATCH,
    OVERLAP,
    REMEMBERED,
    Audited,
    AuditMemory,
    Mismatch,
    audit_changes,
    changes_between,
    changes_numbered,
    newest_change,
    read_memory,
    write_memory,
)
from clickloop.store.ledger.holding import rules_that_hold
from clickloop.store.ledger.lanes import kept_lanes
from clickloop.store.ledger.ledger import Ledger

SLICE = 500
"""So many old changes are looked at again by each step, round and round, so that later damage is found too."""


def audit_step(ledger: Ledger) -> tuple[Mismatch, ...]:
    """One bounded step; answers all that does not add up now, at most ``REMEMBERED``. Reads beside the writers; writes one row."""
    with ledger.read() as tx:
        memory = read_memory(tx)
        newest = newest_change(tx)
        start = max(0, memory.looked_to - OVERLAP)
        end = min(newest, start + BATCH)
        found = list(changes_between(tx, start, end))
        again_from = memory.again_to if memory.again_to < start else 0
        again_to = min(start, again_from + SLICE)
        found += changes_between(tx, again_from, again_to)
        known = set(memory.mismatched) - {change.number for change in found}
        found += changes_numbered(tx, known) if known else []
    mismatches = audit_changes(found).mismatches[:REMEMBERED]
    numbers = tuple(sorted(mismatch.number for mismatch in mismatches))
    after = AuditMemory(max(memory.looked_to, end), again_to, numbers)
    if after != memory:
        with ledger.write() as tx:
            write_memory(tx, after)
    return mismatches


def audit_everything(ledger: Ledger) -> Audited:
    """Every change from the first on, a batch at a time. Takes about 20 seconds for a million."""
    total = Audited()
    with ledger.read() as tx:
        newest = newest_change(tx)
    for start in range(0, newest, BATCH):
        with ledger.read() as tx:
            total += audit_changes(changes_between(tx, start, min(newest, start + BATCH)))
    return total


def audit_alarms(mismatches: Sequence[Mismatch]) -> tuple[str, ...]:
    """What /health tells of them, which anybody may read: no ids."""
    if not mismatches:
        return ()
    count = f"{REMEMBERED} or more" if len(mismatches) >= REMEMBERED else str(len(mismatches))
    return (f"self-audit: the postbacks of {count} changes of conversions do not add up; run clickloop doctor",)


def paused_alarms(ledger: Ledger) -> tuple[str, ...]:
    """What /health tells of rules and receivers that are paused: each by its name."""
    with ledger.read() as tx:
        receivers = [lane.lane for lane in kept_lanes(tx) if lane.pause is not None]
        rules = rules_that_hold(tx)
    return (
        *(f"the receiver {receiver} is paused: what it is owed waits" for receiver in receivers),
        *(f"the postback rule {rule.name!r} ({rule.rule_id}) is paused: {rule.waiting} postbacks wait" for rule in rules),
    )
