"""The self-audit of single rows: a conversion has its whole history, a postback its change, a delivered one its delivered attempt.

Bounded reads by id, so that a running server can go round and round. Only reads, but for its own memory. ``tx`` is an open transaction.
"""

from collections.abc import Collection, Iterator

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, func, not_, or_, select

from clickloop.clock import DAY_MS
from clickloop.explained import Explained
from clickloop.postback.retry import Result
from clickloop.postback.state import UNFINISHED, PostbackState
from clickloop.store.ledger.audit.row_checks import (
    accept_conversions,
    accept_postbacks,
    wrong_conversions,
    wrong_postbacks,
)
from clickloop.store.ledger.schema.tables import attempts, conversion_changes, conversions, postbacks
from clickloop.store.ledger.setup.settings import read_setting, write_setting

REMEMBERED = 100
"""Maximum number of wrong rows of each kind that are remembered and checked again until they are right."""

ROWS_PER_BATCH = 2_000  # short transactions: other writers get their turn in between
MAX_WAIT_MS = 20 * 366 * DAY_MS
"""A postback may wait long for a paused receiver, and a clock may have been wrong by years; a flipped high bit is centuries."""

_SETTING = "audit_rows"


class Lack(Explained):
    """What a row lacks. The closed list; each has a sentence for people."""

    HISTORY = "history", "A conversion does not have as many changes as its version says."
    CHANGE = "change", "A postback is for a change that is not there."
    DELIVERED_ATTEMPT = "delivered_attempt", "A postback counts as delivered, and no attempt of it was."
    FAILED_ATTEMPT = "failed_attempt", "A postback counts as failed, and no attempt of it did."
    DELIVERED_STATE = "delivered_state", "A postback was delivered, and does not count as such: it may be sent again."
    CONVERSION_CHECK = (
        "conversion_check",
        "A conversion does not match its checksum: its row was damaged, or changed by hand.",
    )
    POSTBACK_CHECK = (
        "postback_check",
        "A postback does not match its checksum: its row was damaged, or changed by hand.",
    )
    MOMENT = "moment", "A postback waits for a moment that no schedule gives: its row was damaged, or changed by hand."


OF_CONVERSIONS = frozenset({Lack.HISTORY, Lack.CONVERSION_CHECK})
"""The lacks of conversions; the others are of postbacks."""


class Lacking(msgspec.Struct, frozen=True):
    """A conversion or postback that lacks something. ``row_id``: its conversion_id or postback_id."""

    lack: Lack
    row_id: str


class Looked(msgspec.Struct, frozen=True):
    """What a look at some rows found. ``next_after``: behind which id the next look goes on; empty: these were the last, begin anew."""

    next_after: str
    lacking: tuple[Lacking, ...]


class RowsMemory(msgspec.Struct, frozen=True):
    """Up to where the rows were looked at in this round, and which lacked something when they were last looked at."""

    conversions_to: str = ""
    postbacks_to: str = ""
    conversions: tuple[str, ...] = ()
    postbacks: tuple[str, ...] = ()


def conversions_from(tx: Connection, after_id: str, limit: int) -> Looked:
    """Looks at the conversions behind an id, in the order of ids."""
    query = _HISTORY.where(conversions.c.conversion_id > after_id).order_by(conversions.c.conversion_id)
    return _conversions(tx, query.limit(limit), limit)


def newest_conversions(tx: Connection, limit: int) -> Looked:
    """Looks at the newest conversions."""
    return _conversions(tx, _HISTORY.order_by(conversions.c.conversion_id.desc()).limit(limit))


def conversions_of_ids(tx: Connection, ids: Collection[str]) -> Looked:
    """Looks at these conversions."""
    return _conversions(tx, _HISTORY.where(conversions.c.conversion_id.in_(ids))) if ids else Looked("", ())


def postbacks_from(tx: Connection, after_id: str, limit: int) -> Looked:
    """Looks at the postbacks behind an id, in the order of ids."""
    query = _ENDING.where(postbacks.c.postback_id > after_id).order_by(postbacks.c.postback_id)
    return _postbacks(tx, query.limit(limit), limit)


def newest_postbacks(tx: Connection, limit: int) -> Looked:
    """Looks at the newest postbacks."""
    return _postbacks(tx, _ENDING.order_by(postbacks.c.postback_id.desc()).limit(limit))


def postbacks_of_ids(tx: Connection, ids: Collection[str]) -> Looked:
    """Looks at these postbacks."""
    return _postbacks(tx, _ENDING.where(postbacks.c.postback_id.in_(ids))) if ids else Looked("", ())


def wrong_rows(tx: Connection) -> Iterator[Lacking]:
    """Yield the conversions and postbacks that do not match their checksums. Looks at every one: some 20 seconds for a million."""
    for key, wrong, lack in (
        (conversions.c.conversion_id, wrong_conversions, Lack.CONVERSION_CHECK),
        (postbacks.c.postback_id, wrong_postbacks, Lack.POSTBACK_CHECK),
    ):
        after = ""
        while ids := tx.scalars(select(key).where(key > after).order_by(key).limit(ROWS_PER_BATCH)).all():
            yield from (Lacking(lack, row_id) for row_id in wrong(tx, ids))
            after = ids[-1]


def accept_wrong_rows(tx: Connection) -> tuple[Lacking, ...]:
    """Accept the rows that do not match their checksums as they are now, and return which those were."""
    wrong = tuple(wrong_rows(tx))
    for lack, accept in ((Lack.CONVERSION_CHECK, accept_conversions), (Lack.POSTBACK_CHECK, accept_postbacks)):
        ids = [found.row_id for found in wrong if found.lack is lack]
        for start in range(0, len(ids), ROWS_PER_BATCH):
            accept(tx, ids[start : start + ROWS_PER_BATCH])
    return wrong


def count_lacking(tx: Connection) -> dict[Lack, int]:
    """Return the number of rows by what they lack, other than their right checksum (``wrong_rows``). Looks at every one."""
    history = select(func.count()).select_from(conversions).where(conversions.c.version != _CHANGES)
    change = select(func.count()).select_from(postbacks).where(~_HAS_CHANGE)
    attempt = select(func.count()).select_from(postbacks).where(_IS_DELIVERED, ~_HAS_DELIVERED_ATTEMPT)
    failed = select(func.count()).select_from(postbacks).where(_IS_FAILED, ~_HAS_FAILED_ATTEMPT)
    state = select(func.count()).select_from(postbacks).where(~_IS_DELIVERED, _HAS_DELIVERED_ATTEMPT)
    moment = select(func.count()).select_from(postbacks).where(_HAS_NO_MOMENT)
    counted = {
        Lack.HISTORY: history,
        Lack.CHANGE: change,
        Lack.DELIVERED_ATTEMPT: attempt,
        Lack.FAILED_ATTEMPT: failed,
        Lack.DELIVERED_STATE: state,
        Lack.MOMENT: moment,
    }
    return {lack: tx.scalar(query) or 0 for lack, query in counted.items()}


def some_lacking(tx: Connection, limit: int) -> list[Lacking]:
    """At most ``limit`` rows of each kind that lack something. Looks at every one until then."""
    history = _conversions(tx, _HISTORY.where(conversions.c.version != _CHANGES).limit(limit), checked=False)
    lost = or_(
        ~_HAS_CHANGE, _IS_DELIVERED != _HAS_DELIVERED_ATTEMPT, and_(_IS_FAILED, ~_HAS_FAILED_ATTEMPT), _HAS_NO_MOMENT
    )
    return [*history.lacking, *_postbacks(tx, _ENDING.where(lost).limit(limit), checked=False).lacking]


def clicks_of_rows(tx: Connection, ids: Collection[str]) -> dict[str, str]:
    """The click_id of each conversion and each postback with one of these ids."""
    found: dict[str, str] = {}
    for key, table in ((conversions.c.conversion_id, conversions.c), (postbacks.c.postback_id, postbacks.c)):
        found |= {
            row.id: row.click_id for row in tx.execute(select(key.label("id"), table.click_id).where(key.in_(ids)))
        }
    return found


def read_rows_memory(tx: Connection) -> RowsMemory:
    """How far the audit of rows is."""
    return read_setting(tx, _SETTING, RowsMemory) or RowsMemory()


def write_rows_memory(tx: Connection, memory: RowsMemory) -> None:
    """Keeps how far the audit of rows is."""
    write_setting(tx, _SETTING, memory)


_CHANGES = (
    select(func.count()).where(conversion_changes.c.conversion_id == conversions.c.conversion_id).scalar_subquery()
)
_HISTORY: Select[tuple[str, bool]] = select(
    conversions.c.conversion_id, (conversions.c.version != _CHANGES).label("lacks_history")
)
_HAS_CHANGE: ColumnElement[bool] = (
    select(conversion_changes.c.id)
    .where(
        conversion_changes.c.conversion_id == postbacks.c.conversion_id,
        conversion_changes.c.version == postbacks.c.version,
    )
    .exists()
)
_IS_DELIVERED: ColumnElement[bool] = postbacks.c.state == PostbackState.DELIVERED
_HAS_DELIVERED_ATTEMPT: ColumnElement[bool] = (
    select(attempts.c.number)
    .where(attempts.c.postback_id == postbacks.c.postback_id, attempts.c.result == Result.DELIVERED)
    .exists()
)
_IS_FAILED: ColumnElement[bool] = postbacks.c.state == PostbackState.FAILED
_HAS_FAILED_ATTEMPT: ColumnElement[bool] = (
    select(attempts.c.number)
    .where(attempts.c.postback_id == postbacks.c.postback_id, attempts.c.result == Result.FAILED)
    .exists()
)
_HAS_NO_MOMENT: ColumnElement[bool] = and_(
    postbacks.c.state.in_(UNFINISHED),
    not_(
        func.coalesce(postbacks.c.next_attempt_at, postbacks.c.lease_until).between(
            postbacks.c.created_at - MAX_WAIT_MS, postbacks.c.created_at + MAX_WAIT_MS
        )
    ),
)
_ENDING: Select[tuple[str, bool, bool, bool, bool, bool]] = select(
    postbacks.c.postback_id,
    (~_HAS_CHANGE).label("lacks_change"),
    and_(_IS_DELIVERED, ~_HAS_DELIVERED_ATTEMPT).label("lacks_attempt"),
    and_(_IS_FAILED, ~_HAS_FAILED_ATTEMPT).label("lacks_failed_attempt"),
    and_(~_IS_DELIVERED, _HAS_DELIVERED_ATTEMPT).label("lacks_state"),
    _HAS_NO_MOMENT.label("lacks_moment"),
)


def _conversions(tx: Connection, query: Select[tuple[str, bool]], limit: int = 0, *, checked: bool = True) -> Looked:
    rows = tx.execute(query).all()
    lacking = [Lacking(Lack.HISTORY, row.conversion_id) for row in rows if row.lacks_history]
    wrong = wrong_conversions(tx, [row.conversion_id for row in rows]) if checked else []
    lacking += [Lacking(Lack.CONVERSION_CHECK, row_id) for row_id in wrong]
    return Looked(rows[-1].conversion_id if limit and len(rows) == limit else "", tuple(lacking))


def _postbacks(
    tx: Connection, query: Select[tuple[str, bool, bool, bool, bool, bool]], limit: int = 0, *, checked: bool = True
) -> Looked:
    rows = tx.execute(query).all()
    lacking = [Lacking(Lack.CHANGE, row.postback_id) for row in rows if row.lacks_change]
    lacking += [Lacking(Lack.DELIVERED_ATTEMPT, row.postback_id) for row in rows if row.lacks_attempt]
    lacking += [Lacking(Lack.FAILED_ATTEMPT, row.postback_id) for row in rows if row.lacks_failed_attempt]
    lacking += [Lacking(Lack.DELIVERED_STATE, row.postback_id) for row in rows if row.lacks_state]
    lacking += [Lacking(Lack.MOMENT, row.postback_id) for row in rows if row.lacks_moment]
    wrong = wrong_postbacks(tx, [row.postback_id for row in rows]) if checked else []
    lacking += [Lacking(Lack.POSTBACK_CHECK, row_id) for row_id in wrong]
    return Looked(rows[-1].postback_id if limit and len(rows) == limit else "", tuple(lacking))
