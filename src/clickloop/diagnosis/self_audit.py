"""Audit the ledger in the background: what is new since the last step, a slice of older rows, and earlier mismatches."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from clickloop.clock import MINUTE_MS, Clock, wall_clock
from clickloop.postback.sending.address_guard import AddressGuard, RefusedAddress
from clickloop.postback.values import ready_request
from clickloop.store.delivery_hold import StoredHold
from clickloop.store.ledger.audit.changes import (
    BATCH,
    MAX_REMEMBERED_CHANGES,
    OVERLAP,
    ChangeAudit,
    ChangeAuditProgress,
    Mismatch,
    audit_changes,
    changes_between,
    changes_numbered,
    newest_change_number,
    read_change_audit_progress,
    write_change_audit_progress,
)
from clickloop.store.ledger.audit.rows import (
    CONVERSION_FAULTS,
    MAX_REMEMBERED_ROWS,
    FaultyRow,
    RowAuditProgress,
    read_row_audit_progress,
    scan_conversions,
    scan_conversions_after,
    scan_newest_conversions,
    scan_newest_postbacks,
    scan_postbacks,
    scan_postbacks_after,
    write_row_audit_progress,
)
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.postbacks import count_unfinished
from clickloop.store.ledger.queue.holding import paused_rules
from clickloop.store.ledger.queue.receivers import stored_receivers, waiting_counts
from clickloop.store.ledger.setup.postback_rules import stored_rules_after

MAX_RULES = 10_000
"""Maximum number of rules whose addresses are checked."""
LONG_WAIT_MS = 10 * MINUTE_MS
"""Minimum wait requested by a receiver (Retry-After) that raises an alarm."""
SLICE = 500
"""Older rows re-checked per step, in an endless cycle, so that later damage is found too."""


def audit_step(ledger: Ledger) -> tuple[Mismatch, ...]:
    """Audit the changes in one bounded step and return all current mismatches, at most ``MAX_REMEMBERED_CHANGES``.

    Reads without blocking writers, and writes one row.
    """
    with ledger.read() as tx:
        memory = read_change_audit_progress(tx)
        newest = newest_change_number(tx)
        start = max(0, memory.looked_to - OVERLAP)
        end = min(newest, start + BATCH)
        found = list(changes_between(tx, start, end))
        again_from = memory.again_to if memory.again_to < start else 0
        again_to = min(start, again_from + SLICE)
        found += changes_between(tx, again_from, again_to)
        known = set(memory.mismatched) - {change.number for change in found}
        found += changes_numbered(tx, known) if known else []
    mismatches = audit_changes(found).mismatches[:MAX_REMEMBERED_CHANGES]
    numbers = tuple(sorted(mismatch.number for mismatch in mismatches))
    after = ChangeAuditProgress(max(memory.looked_to, end), again_to, numbers)
    if after != memory:
        with ledger.write() as tx:
            write_change_audit_progress(tx, after)
    return mismatches


def audit_rows_step(ledger: Ledger, at_once: int = SLICE) -> tuple[FaultyRow, ...]:
    """Audit conversions and postbacks in one bounded step, and return all rows now known to be incomplete.

    Checks the newest ``at_once``, the next ``at_once`` of the cycle over all, and those that were incomplete before.
    """
    with ledger.read() as tx:
        memory = read_row_audit_progress(tx)
        conversion_slice = scan_conversions_after(tx, memory.conversions_to, at_once)
        postback_slice = scan_postbacks_after(tx, memory.postbacks_to, at_once)
        looks = (
            scan_newest_conversions(tx, at_once),
            conversion_slice,
            scan_conversions(tx, memory.conversions),
            scan_newest_postbacks(tx, at_once),
            postback_slice,
            scan_postbacks(tx, memory.postbacks),
        )
    faulty = tuple(dict.fromkeys(found for look in looks for found in look.faulty))
    conversion_ids = dict.fromkeys(found.row_id for found in faulty if found.fault in CONVERSION_FAULTS)
    postback_ids = dict.fromkeys(found.row_id for found in faulty if found.fault not in CONVERSION_FAULTS)
    after = RowAuditProgress(
        conversion_slice.next_after,
        postback_slice.next_after,
        tuple(sorted(conversion_ids)[:MAX_REMEMBERED_ROWS]),
        tuple(sorted(postback_ids)[:MAX_REMEMBERED_ROWS]),
    )
    if after != memory:
        with ledger.write() as tx:
            write_row_audit_progress(tx, after)
    return faulty


def audit_everything(ledger: Ledger) -> ChangeAudit:
    """Audit all changes, a batch at a time. Takes about 20 seconds for a million."""
    total = ChangeAudit()
    with ledger.read() as tx:
        newest = newest_change_number(tx)
    for start in range(0, newest, BATCH):
        with ledger.read() as tx:
            total += audit_changes(changes_between(tx, start, min(newest, start + BATCH)))
    return total


def audit_alarms(mismatches: Sequence[Mismatch]) -> tuple[str, ...]:
    """Return the alarm about mismatches for /health, without ids because anyone may read it."""
    if not mismatches:
        return ()
    count = f"{MAX_REMEMBERED_CHANGES} or more" if len(mismatches) >= MAX_REMEMBERED_CHANGES else str(len(mismatches))
    return (f"self-audit: changes of conversions whose postbacks do not add up: {count}; run clickloop doctor",)


def rows_alarms(faulty: Sequence[FaultyRow]) -> tuple[str, ...]:
    """Return the alarms about incomplete rows for /health, without ids because anyone may read it."""
    by_lack = Counter(found.fault for found in faulty)
    return tuple(
        f"self-audit: rows that do not add up: {_rows(count)}; run clickloop doctor. {fault.sentence}"
        for fault, count in sorted(by_lack.items())
    )


def _rows(count: int) -> str:
    return f"{MAX_REMEMBERED_ROWS} or more" if count >= MAX_REMEMBERED_ROWS else str(count)


def paused_alarms(ledger: Ledger, clock: Clock = wall_clock) -> tuple[str, ...]:
    """Return the alarms about paused receivers and rules for /health, with the number of postbacks that wait for each.

    A receiver without waiting postbacks raises no alarm: the next postback for it is a probe. A paused rule always does, because
    the postback that got the 410 has failed already. So does a receiver that requests a long wait: a maintenance page may request
    a day and be gone in a minute.
    """
    long_wait_until = clock() + LONG_WAIT_MS
    with ledger.read() as tx:
        stored = stored_receivers(tx)
        paused = {receiver.receiver for receiver in stored if receiver.pause is not None}
        held = {receiver.receiver for receiver in stored if (receiver.held_until or 0) > long_wait_until} - paused
        waiting = waiting_counts(tx, [*paused, *held])
        rules = paused_rules(tx)
    alarms = [
        f"receiver {receiver} is paused: {_waiting(count)}"
        if receiver in paused
        else f"receiver {receiver} requested a long wait (Retry-After): {_waiting(count)}; resume it to send at once"
        for receiver, count in sorted(waiting.items())
    ]
    for rule in rules:
        archived = " and archived" if rule.archived else ""
        alarms.append(
            f"postback rule {rule.rule_id} {rule.name!r} is paused{archived}: its receiver answered 410 Gone; "
            f"{_waiting(rule.waiting)}"
        )
    return tuple(alarms)


def held_alarms(ledger: Ledger, hold: StoredHold | None) -> tuple[str, ...]:
    """Return the alarm for /health while all postbacks are on hold; empty if they are not."""
    if hold is None:
        return ()
    with ledger.read() as tx:
        waiting = count_unfinished(tx)
    return (
        f"all postbacks are on hold: {hold.why}; {_waiting(waiting)}; release them on the Health page or with: clickloop release",
    )


class RefusedRule(msgspec.Struct, frozen=True):
    """A live rule whose receiver's address is blocked, so that all its postbacks are skipped (``address_refused``), and why."""

    rule_id: int
    name: str
    sentence: str


def refused_rules(ledger: Ledger, guard: AddressGuard) -> tuple[RefusedRule, ...]:
    """Return the active rules whose address the guard refuses; host names are not resolved."""
    with ledger.read() as tx:
        rules = [kept.rule for kept in stored_rules_after(tx, 0, MAX_RULES) if kept.rule.active]
    judged = ((rule, guard.judge_target(ready_request(rule.request, ()).target)) for rule in rules)
    return tuple(
        RefusedRule(rule.rule_id, rule.name, judgement.sentence)
        for rule, judgement in judged
        if isinstance(judgement, RefusedAddress)
    )


def refused_alarms(refused: Sequence[RefusedRule]) -> tuple[str, ...]:
    return tuple(
        f"postback rule {rule.rule_id} {rule.name!r} sends nothing: its address is blocked" for rule in refused
    )


def _waiting(count: int) -> str:
    # The same words for one and for many: alarms are compared without their numbers, and different words would restart this one.
    return f"postbacks waiting: {count}"
