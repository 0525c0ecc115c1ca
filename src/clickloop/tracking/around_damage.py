"""Registering around damage: a notice that needs a damaged record of the ledger waits alone, and all others are registered.

A batch that fails for what a record holds is halved until the notices are found that cannot be registered. Each is stored as
waiting, flagged, and looked at again: its record may be repaired. When the store itself fails, nothing is halved: the notices stand
in the journal.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import msgspec
from sqlalchemy.exc import DBAPIError

from clickloop.clock import MINUTE_MS
from clickloop.conversion.attribution import MAX_OVERDUE_LOOK_MS
from clickloop.conversion.notice import NoticeFlag, RawNotice
from clickloop.conversion.notice_log import Outcome, StoredNotice
from clickloop.machine.log import Sparingly, log
from clickloop.machine.secret_box import SecretError
from clickloop.store.file_fault import RESTORE_BACKUP
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.notices import count_waiting_flagged, hold_notice, insert_notices, is_stored
from clickloop.store.ledger.logs.segments import insert_settled, settled_among
from clickloop.tracking.notices import (
    Desk,
    NoticeResult,
    look_again_at_notices,
    notices_to_look_at,
    take_notices,
)
from clickloop.tracking.registering import read

AGAIN_MS = MINUTE_MS
"""Time to the first look at a notice that could not be registered."""

T = TypeVar("T")
_told_again = Sparingly("notices wait on: a record of the ledger that they need cannot be read", 60)


def take_notices_around_damage(
    desk: Desk, raws: Sequence[RawNotice], now_ms: int, segments: Sequence[str] = ()
) -> list[NoticeResult]:
    """Take notices as ``take_notices`` does; those that cannot be registered wait. Raise what the store itself raises."""
    try:
        return take_notices(desk, raws, now_ms, segments)
    except Exception as error:
        if not is_fault_of_record(error):
            raise
    results, held = _halved(raws, lambda part: take_notices(desk, part, now_ms))
    _hold_new(desk, held, now_ms)
    # After the notices, in a transaction of its own: killed in between, all of them are known by their ids.
    with desk.ledger.write() as tx:
        insert_settled(tx, sorted(set(segments) - settled_among(tx, segments)), now_ms)
    return results


def look_again_around_damage(
    desk: Desk, now_ms: int, click_ids: Collection[str] | None = None, notice_ids: Sequence[str] | None = None
) -> list[NoticeResult]:
    """Look again at waiting notices: at these, else as ``look_again`` does. Those that cannot be registered are put off."""
    ids = notices_to_look_at(desk, now_ms, click_ids) if notice_ids is None else notice_ids
    results, held = _halved(ids, lambda part: look_again_at_notices(desk, part, now_ms))
    _hold_again(desk, held, now_ms)
    return results


def is_fault_of_record(error: Exception) -> bool:
    """Return whether an error came from what a record holds, and not from a store that is away, locked or full."""
    if isinstance(error, DBAPIError):
        return "UTF-8" in str(error.orig)  # a text that SQLite's driver cannot decode
    faults = (msgspec.MsgspecError, SecretError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
    return isinstance(error, faults)


def held_notice_alarms(ledger: Ledger) -> tuple[str, ...]:
    """Return the alarm about notices that wait because a record that they need is damaged, if there are any."""
    with ledger.read() as tx:
        held = count_waiting_flagged(tx, NoticeFlag.HELD_BY_DAMAGE)
    if not held:
        return ()
    sentence = (
        # The number is a word of its own: the alarm stays the same one while it changes.
        f"incoming postbacks that wait because a record of the ledger is damaged: {held}; see the log for which, "
        f"run clickloop doctor, and {RESTORE_BACKUP} or correct the record. They are registered once it can be read"
    )
    return (sentence,)


def _halved(
    items: Sequence[T], act: Callable[[Sequence[T]], list[NoticeResult]]
) -> tuple[list[NoticeResult], list[tuple[T, Exception]]]:
    """Return the results of those for which it could be done, and those for which it could not, with why."""
    try:
        return act(items), []
    except Exception as error:
        if not is_fault_of_record(error):
            raise
        if len(items) <= 1:
            return [], [(item, error) for item in items]
    middle = len(items) // 2
    (results, held), (more_results, more_held) = _halved(items[:middle], act), _halved(items[middle:], act)
    return results + more_results, held + more_held


def _hold_new(desk: Desk, held: Sequence[tuple[RawNotice, Exception]], now_ms: int) -> None:
    with desk.ledger.write() as tx:
        fresh = [(raw, fault) for raw, fault in held if not is_stored(tx, raw.notice_id)]
        if fresh:
            insert_notices(tx, [_waiting(desk, raw, now_ms) for raw, _ in fresh])
    for raw, fault in fresh:
        _tell(raw.notice_id, fault)


def _waiting(desk: Desk, raw: RawNotice, now_ms: int) -> StoredNotice:
    reading = read(raw, desk.click_ids)
    return StoredNotice(
        raw=raw,
        click_id=reading.click_id,
        status_word=reading.notice.status_word,
        outcome=Outcome.WAITING,
        flags=(NoticeFlag.HELD_BY_DAMAGE,),
        look_again_at=now_ms + AGAIN_MS,
        first_look_at=now_ms,
    )


def _hold_again(desk: Desk, held: Sequence[tuple[str, Exception]], now_ms: int) -> None:
    if not held:
        return
    # One transaction for all of them: many may be held by one damaged record, and each commit waits for the disk.
    with desk.ledger.write() as tx:
        for notice_id, _ in held:
            hold_notice(tx, notice_id, NoticeFlag.HELD_BY_DAMAGE, now_ms + MAX_OVERDUE_LOOK_MS)
    _told_again(count=len(held), first=held[0][0], fault=f"{type(held[0][1]).__name__}: {held[0][1]}")


def _tell(notice_id: str, fault: Exception) -> None:
    log(
        "a notice waits: a record of the ledger that it needs cannot be read",
        notice=notice_id,
        fault=f"{type(fault).__name__}: {fault}",
    )
