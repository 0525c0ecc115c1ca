"""Auditing in the background: what is new since the last step, a slice of what is old, and what did not add up before."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from clickloop.clock import MINUTE_MS, Clock, wall_clock
from clickloop.postback.sending.address_guard import AddressGuard, RefusedAddress
from clickloop.postback.values import ready_request
from clickloop.store.delivery_hold import Hold
from clickloop.store.ledger.audit.changes import (
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
from clickloop.store.ledger.audit.rows import (
    OF_CONVERSIONS,
    Lacking,
    RowsMemory,
    conversions_from,
    conversions_of_ids,
    newest_conversions,
    newest_postbacks,
    postbacks_from,
    postbacks_of_ids,
    read_rows_memory,
    write_rows_memory,
)
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.postbacks import count_unfinished
from clickloop.store.ledger.queue.holding import rules_that_hold
from clickloop.store.ledger.queue.lanes import kept_lanes, waiting_counts
from clickloop.store.ledger.setup.postback_rules import kept_rules_after

MAX_RULES = 10_000
"""Maximum number of rules whose decisions are checked."""
LONG_WAIT_MS = 10 * MINUTE_MS
"""The wait that a receiver asks for from which on it is an alarm."""
SLICE = 500
"""Old changes per step that are checked again, round and round, so that later damage is found too."""


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


def audit_rows_step(ledger: Ledger, at_once: int = SLICE) -> tuple[Lacking, ...]:
    """One bounded step over conversions and postbacks: the newest ``at_once``, as many of all in turn, and those that lacked
    something before.

    Answers all rows that are known to lack something now.
    """
    with ledger.read() as tx:
        memory = read_rows_memory(tx)
        conversion_slice = conversions_from(tx, memory.conversions_to, at_once)
        postback_slice = postbacks_from(tx, memory.postbacks_to, at_once)
        looks = (
            newest_conversions(tx, at_once),
            conversion_slice,
            conversions_of_ids(tx, memory.conversions),
            newest_postbacks(tx, at_once),
            postback_slice,
            postbacks_of_ids(tx, memory.postbacks),
        )
    lacking = tuple(dict.fromkeys(found for look in looks for found in look.lacking))
    conversion_ids = dict.fromkeys(found.row_id for found in lacking if found.lack in OF_CONVERSIONS)
    postback_ids = dict.fromkeys(found.row_id for found in lacking if found.lack not in OF_CONVERSIONS)
    after = RowsMemory(
        conversion_slice.next_after,
        postback_slice.next_after,
        tuple(sorted(conversion_ids)[:REMEMBERED]),
        tuple(sorted(postback_ids)[:REMEMBERED]),
    )
    if after != memory:
        with ledger.write() as tx:
            write_rows_memory(tx, after)
    return lacking


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
    return (f"self-audit: changes of conversions whose postbacks do not add up: {count}; run clickloop doctor",)


def rows_alarms(lacking: Sequence[Lacking]) -> tuple[str, ...]:
    """What /health tells of rows that lack something, which anybody may read: no ids."""
    by_lack = Counter(found.lack for found in lacking)
    return tuple(
        f"self-audit: rows that do not add up: {_rows(count)}; run clickloop doctor. {lack.sentence}"
        for lack, count in sorted(by_lack.items())
    )


def _rows(count: int) -> str:
    return f"{REMEMBERED} or more" if count >= REMEMBERED else str(count)


def paused_alarms(ledger: Ledger, clock: Clock = wall_clock) -> tuple[str, ...]:
    """What /health tells of receivers and rules that are paused: which they are, and how much waits for each.

    A receiver that nothing waits for is no alarm: it is tried with the next postback that is owed to it. A rule is one as soon as it
    is paused: what was answered 410 has failed already. A receiver that asks for a long wait is one, too: the page of some
    maintenance asks for a day, and is gone in a minute.
    """
    held_beyond = clock() + LONG_WAIT_MS
    with ledger.read() as tx:
        kept = kept_lanes(tx)
        paused = {lane.lane for lane in kept if lane.pause is not None}
        held = {lane.lane for lane in kept if (lane.held_until or 0) > held_beyond} - paused
        waiting = waiting_counts(tx, [*paused, *held])
        rules = rules_that_hold(tx)
    told = [
        f"receiver {receiver} is paused: {_waiting(count)}"
        if receiver in paused
        else f"receiver {receiver} asked for a long wait (Retry-After): {_waiting(count)}; resume it to send at once"
        for receiver, count in sorted(waiting.items())
    ]
    for rule in rules:
        archived = " and archived" if rule.archived else ""
        told.append(
            f"postback rule {rule.rule_id} {rule.name!r} is paused{archived}: its receiver answered 410 Gone; {_waiting(rule.waiting)}"
        )
    return tuple(told)


def held_alarms(ledger: Ledger, hold: Hold | None) -> tuple[str, ...]:
    """Return what /health says while all postbacks are held."""
    if hold is None:
        return ()
    with ledger.read() as tx:
        waiting = count_unfinished(tx)
    return (
        f"all postbacks are on hold: {hold.why}; {_waiting(waiting)}; release them on the page Health or with: clickloop release",
    )


class RefusedRule(msgspec.Struct, frozen=True):
    """A live rule to whose receiver nothing may be sent, and why: its postbacks are all skipped (``address_refused``)."""

    rule_id: int
    name: str
    sentence: str


def refused_rules(ledger: Ledger, guard: AddressGuard) -> tuple[RefusedRule, ...]:
    """The rules that are switched on and whose address the guard refuses as it stands; names are not resolved."""
    with ledger.read() as tx:
        rules = [kept.rule for kept in kept_rules_after(tx, 0, MAX_RULES) if kept.rule.active]
    judged = ((rule, guard.judge_target(ready_request(rule.request, ()).target)) for rule in rules)
    return tuple(
        RefusedRule(rule.rule_id, rule.name, judgement.sentence)
        for rule, judgement in judged
        if isinstance(judgement, RefusedAddress)
    )


def refused_alarms(refused: Sequence[RefusedRule]) -> tuple[str, ...]:
    """What /health tells of them."""
    return tuple(
        f"postback rule {rule.rule_id} {rule.name!r} sends nothing: its address is refused" for rule in refused
    )


def _waiting(count: int) -> str:
    # The words are the same for one and for many: an alarm is known by its words without its numbers, and would begin again.
    return f"postbacks waiting: {count}"
