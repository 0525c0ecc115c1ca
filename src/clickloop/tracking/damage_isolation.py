"""Isolate damage: a notice that needs a damaged record of the ledger waits alone, and all others are registered.

A batch that fails because of a record's contents is bisected down to the notices that cannot be registered. Each is stored as
waiting, flagged, and rechecked: its record may be repaired. When the store itself fails, nothing is bisected: the notices stay
in the journal.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import msgspec
from sqlalchemy.exc import DBAPIError

from clickloop.clock import MINUTE_MS
from clickloop.conversion.attribution import MAX_OVERDUE_RECHECK_MS
from clickloop.conversion.notice import NoticeFlag, RawNotice
from clickloop.conversion.notice_log import NoticeOutcome, StoredNotice
from clickloop.machine.log import RateLimitedLog, log
from clickloop.machine.secret_box import SecretError
from clickloop.store.file_fault import RESTORE_BACKUP
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.notices import count_waiting_flagged, defer_notice, insert_notices, is_stored
from clickloop.store.ledger.logs.segments import insert_settled, settled_among
from clickloop.tracking.notices import (
    Intake,
    NoticeResult,
    notices_to_recheck,
    recheck_notices,
    take_notices,
)
from clickloop.tracking.registering import parse_raw_notice

RECHECK_MS = MINUTE_MS
"""Delay before the first recheck of a notice that could not be registered."""

T = TypeVar("T")
_log_recheck = RateLimitedLog("notices wait on: a record of the ledger that they need cannot be read", 60)


def take_notices_isolating_damage(
    intake: Intake, raws: Sequence[RawNotice], now_ms: int, segments: Sequence[str] = ()
) -> list[NoticeResult]:
    """Take notices as ``take_notices`` does; those that cannot be registered wait. Errors of the store itself propagate."""
    try:
        return take_notices(intake, raws, now_ms, segments)
    except Exception as error:
        if not is_record_fault(error):
            raise
    results, failed = _bisected(raws, lambda part: take_notices(intake, part, now_ms))
    _store_waiting(intake, failed, now_ms)
    # After the notices, in a separate transaction: after a crash in between, the notices are recognised by their ids.
    with intake.ledger.write() as tx:
        insert_settled(tx, sorted(set(segments) - settled_among(tx, segments)), now_ms)
    return results


def recheck_isolating_damage(
    intake: Intake, now_ms: int, click_ids: Collection[str] | None = None, notice_ids: Sequence[str] | None = None
) -> list[NoticeResult]:
    """Recheck these waiting notices, else those that ``recheck_due`` would, and defer the ones that cannot be registered."""
    ids = notices_to_recheck(intake, now_ms, click_ids) if notice_ids is None else notice_ids
    results, failed = _bisected(ids, lambda part: recheck_notices(intake, part, now_ms))
    _defer_again(intake, failed, now_ms)
    return results


def is_record_fault(error: Exception) -> bool:
    """Return whether a record's contents caused an error, rather than a store that is unreachable, locked or full."""
    if isinstance(error, DBAPIError):
        return "UTF-8" in str(error.orig)  # a text that SQLite's driver cannot decode
    faults = (msgspec.MsgspecError, SecretError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
    return isinstance(error, faults)


def damaged_record_alarms(ledger: Ledger) -> tuple[str, ...]:
    """Return the alarm about notices that wait because a record that they need is damaged; empty if none do."""
    with ledger.read() as tx:
        waiting = count_waiting_flagged(tx, NoticeFlag.HELD_BY_DAMAGE)
    if not waiting:
        return ()
    sentence = (
        # The number is a separate word: alarms are compared without their numbers, so this one does not restart when it changes.
        f"incoming postbacks waiting because a ledger record is damaged: {waiting}; the log lists them. "
        f"Run clickloop doctor, then {RESTORE_BACKUP} or correct the record. They are registered once it can be read"
    )
    return (sentence,)


def _bisected(
    items: Sequence[T], act: Callable[[Sequence[T]], list[NoticeResult]]
) -> tuple[list[NoticeResult], list[tuple[T, Exception]]]:
    """Apply ``act`` to as many items as possible. Return its results, and the items that failed with their errors."""
    try:
        return act(items), []
    except Exception as error:
        if not is_record_fault(error):
            raise
        if len(items) <= 1:
            return [], [(item, error) for item in items]
    middle = len(items) // 2
    (results, failed), (more_results, more_failed) = _bisected(items[:middle], act), _bisected(items[middle:], act)
    return results + more_results, failed + more_failed


def _store_waiting(intake: Intake, failed: Sequence[tuple[RawNotice, Exception]], now_ms: int) -> None:
    with intake.ledger.write() as tx:
        fresh = [(raw, fault) for raw, fault in failed if not is_stored(tx, raw.notice_id)]
        if fresh:
            insert_notices(tx, [_waiting(intake, raw, now_ms) for raw, _ in fresh])
    for raw, fault in fresh:
        _log_waiting(raw.notice_id, fault)


def _waiting(intake: Intake, raw: RawNotice, now_ms: int) -> StoredNotice:
    reading = parse_raw_notice(raw, intake.click_ids)
    return StoredNotice(
        raw=raw,
        click_id=reading.click_id,
        status_word=reading.notice.status_word,
        outcome=NoticeOutcome.WAITING,
        flags=(NoticeFlag.HELD_BY_DAMAGE,),
        look_again_at=now_ms + RECHECK_MS,
        first_look_at=now_ms,
    )


def _defer_again(intake: Intake, failed: Sequence[tuple[str, Exception]], now_ms: int) -> None:
    if not failed:
        return
    # One transaction for all: many may need the same damaged record, and each commit waits for the disk.
    with intake.ledger.write() as tx:
        for notice_id, _ in failed:
            defer_notice(tx, notice_id, NoticeFlag.HELD_BY_DAMAGE, now_ms + MAX_OVERDUE_RECHECK_MS)
    _log_recheck(count=len(failed), first=failed[0][0], fault=f"{type(failed[0][1]).__name__}: {failed[0][1]}")


def _log_waiting(notice_id: str, fault: Exception) -> None:
    log(
        "a notice waits: a record of the ledger that it needs cannot be read",
        notice=notice_id,
        fault=f"{type(fault).__name__}: {fault}",
    )
