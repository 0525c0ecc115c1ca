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
from clickloop.counted import counted
from clickloop.log import log
from clickloop.secret_box import SecretError
from clickloop.store.file_fault import RESTORE_BACKUP
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.notices import (
    Outcome,
    StoredNotice,
    count_waiting_flagged,
    hold_notice,
    insert_notices,
    is_stored,
)
from clickloop.store.ledger.segments import insert_settled, settled_among
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


def take_notices_around_damage(
    desk: Desk, raws: Sequence[RawNotice], now_ms: int, segments: Sequence[str] = ()
) -> list[NoticeResult]:
    """Take notices as ``take_notices`` does; those that cannot be registered wait. Raise what the store itself raises."""
    try:
        return take_notices(desk, raws, now_ms, segments)
    except Exception as error:
        if not is_fault_of_record(error):
            raise
    results = _halved(
        raws, lambda part: take_notices(desk, part, now_ms), lambda raw, fault: _hold_new(desk, raw, now_ms, fault)
    )
    # After the notices, in a transaction of its own: killed in between, all of them are known by their ids.
    with desk.ledger.write() as tx:
        insert_settled(tx, sorted(set(segments) - settled_among(tx, segments)), now_ms)
    return results


def look_again_around_damage(
    desk: Desk, now_ms: int, click_ids: Collection[str] | None = None, notice_ids: Sequence[str] | None = None
) -> list[NoticeResult]:
    """Look again at waiting notices: at these, else as ``look_again`` does. Those that cannot be registered are put off."""
    ids = notices_to_look_at(desk, now_ms, click_ids) if notice_ids is None else notice_ids
    return _halved(
        ids,
        lambda part: look_again_at_notices(desk, part, now_ms),
        lambda notice_id, fault: _hold_again(desk, notice_id, now_ms, fault),
    )


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
        f"{counted(held, 'incoming postback waits', 'incoming postbacks wait')}: a record of the ledger is damaged; see the log which, "
        f"run clickloop doctor, and {RESTORE_BACKUP} or correct the record. They are registered once it can be read"
    )
    return (sentence,)


def _halved(
    items: Sequence[T], act: Callable[[Sequence[T]], list[NoticeResult]], hold: Callable[[T, Exception], None]
) -> list[NoticeResult]:
    try:
        return act(items)
    except Exception as error:
        if not is_fault_of_record(error):
            raise
        if len(items) == 1:
            hold(items[0], error)
        if len(items) <= 1:
            return []
    middle = len(items) // 2
    return _halved(items[:middle], act, hold) + _halved(items[middle:], act, hold)


def _hold_new(desk: Desk, raw: RawNotice, now_ms: int, fault: Exception) -> None:
    reading = read(raw, desk.click_ids)
    held = StoredNotice(
        raw=raw,
        click_id=reading.click_id,
        status_word=reading.notice.status_word,
        outcome=Outcome.WAITING,
        flags=(NoticeFlag.HELD_BY_DAMAGE,),
        look_again_at=now_ms + AGAIN_MS,
        first_look_at=now_ms,
    )
    with desk.ledger.write() as tx:
        if is_stored(tx, raw.notice_id):
            return
        insert_notices(tx, [held])
    _tell(raw.notice_id, fault)


def _hold_again(desk: Desk, notice_id: str, now_ms: int, fault: Exception) -> None:
    with desk.ledger.write() as tx:
        hold_notice(tx, notice_id, NoticeFlag.HELD_BY_DAMAGE, now_ms + MAX_OVERDUE_LOOK_MS)
    _tell(notice_id, fault)


def _tell(notice_id: str, fault: Exception) -> None:
    log(
        "a notice waits: a record of the ledger that it needs cannot be read",
        notice=notice_id,
        fault=f"{type(fault).__name__}: {fault}",
    )
