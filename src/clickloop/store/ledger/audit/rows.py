"""The self-audit of rows: a conversion has its full history, a postback its change, a delivered one its delivered attempt.

Reads are bounded and go by id, so that a running server can check all rows again and again. Read-only except for the audit's own
progress. ``tx`` is an open transaction.
"""

from collections.abc import Collection, Iterator

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, func, not_, or_, select

from clickloop.clock import DAY_MS
from clickloop.explained import Explained
from clickloop.postback.postback_log import VIEW_PREFIX
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

MAX_REMEMBERED_ROWS = 100
"""Maximum number of faulty rows of each kind to remember and re-check until they are right."""

ROWS_PER_BATCH = 2_000  # keeps transactions short, so that other writers can run in between
MAX_WAIT_MS = 20 * 366 * DAY_MS
"""Longest plausible wait: for a paused receiver, with a clock off by years. A flipped high bit is off by centuries."""

_SETTING = "audit_rows"


class RowFault(Explained):
    """A fault of a row. A closed list; each has a sentence for users."""

    HISTORY = "history", "A conversion's version and the number of its changes differ."
    CHANGE = "change", "A postback belongs to a change that does not exist."
    DELIVERED_ATTEMPT = (
        "delivered_attempt",
        "A postback is marked as delivered, but none of its attempts was delivered.",
    )
    FAILED_ATTEMPT = "failed_attempt", "A postback is marked as failed, but none of its attempts failed."
    DELIVERED_STATE = "delivered_state", "A postback was delivered but is not marked as such, so it may be sent again."
    CONVERSION_CHECK = (
        "conversion_check",
        "A conversion does not match its checksum: its row was damaged or edited by hand.",
    )
    POSTBACK_CHECK = (
        "postback_check",
        "A postback does not match its checksum: its row was damaged or edited by hand.",
    )
    MOMENT = "moment", "A postback is scheduled for an impossible time: its row was damaged or edited by hand."


CONVERSION_FAULTS = frozenset({RowFault.HISTORY, RowFault.CONVERSION_CHECK})
"""Faults of conversions; the others are faults of postbacks."""


class FaultyRow(msgspec.Struct, frozen=True):
    """A conversion or postback with a fault. ``row_id``: its conversion_id or postback_id."""

    fault: RowFault = msgspec.field(name="lack")  # as the log names it
    row_id: str


class RowScan(msgspec.Struct, frozen=True):
    """The result of checking some rows. ``next_after``: the id after which to go on; empty after the last row."""

    next_after: str
    faulty: tuple[FaultyRow, ...]


class RowAuditProgress(msgspec.Struct, frozen=True):
    """The progress of the current round, and the ids of rows that were faulty when last checked. Stored as JSON."""

    conversions_to: str = ""
    postbacks_to: str = ""
    conversions: tuple[str, ...] = ()
    postbacks: tuple[str, ...] = ()


def scan_conversions_after(tx: Connection, after_id: str, limit: int) -> RowScan:
    """Check at most ``limit`` conversions after an id, in order of ids."""
    query = _HISTORY.where(conversions.c.conversion_id > after_id).order_by(conversions.c.conversion_id)
    return _conversions(tx, query.limit(limit), limit)


def scan_newest_conversions(tx: Connection, limit: int) -> RowScan:
    """Check the ``limit`` newest conversions."""
    return _conversions(tx, _HISTORY.order_by(conversions.c.conversion_id.desc()).limit(limit))


def scan_conversions(tx: Connection, ids: Collection[str]) -> RowScan:
    """Check these conversions."""
    return _conversions(tx, _HISTORY.where(conversions.c.conversion_id.in_(ids))) if ids else RowScan("", ())


def scan_postbacks_after(tx: Connection, after_id: str, limit: int) -> RowScan:
    """Check at most ``limit`` postbacks after an id, in order of ids."""
    query = _ENDING.where(postbacks.c.postback_id > after_id).order_by(postbacks.c.postback_id)
    return _postbacks(tx, query.limit(limit), limit)


def scan_newest_postbacks(tx: Connection, limit: int) -> RowScan:
    """Check the ``limit`` newest postbacks."""
    return _postbacks(tx, _ENDING.order_by(postbacks.c.postback_id.desc()).limit(limit))


def scan_postbacks(tx: Connection, ids: Collection[str]) -> RowScan:
    """Check these postbacks."""
    return _postbacks(tx, _ENDING.where(postbacks.c.postback_id.in_(ids))) if ids else RowScan("", ())


def checksum_mismatches(tx: Connection) -> Iterator[FaultyRow]:
    """Yield the conversions and postbacks that do not match their checksums. Reads every row: some 20 seconds per million."""
    for key, wrong, fault in (
        (conversions.c.conversion_id, wrong_conversions, RowFault.CONVERSION_CHECK),
        (postbacks.c.postback_id, wrong_postbacks, RowFault.POSTBACK_CHECK),
    ):
        after = ""
        while ids := tx.scalars(select(key).where(key > after).order_by(key).limit(ROWS_PER_BATCH)).all():
            yield from (FaultyRow(fault, row_id) for row_id in wrong(tx, ids))
            after = ids[-1]


def accept_checksum_mismatches(tx: Connection) -> tuple[FaultyRow, ...]:
    """Accept the rows that do not match their checksums as they are, and return them."""
    wrong = tuple(checksum_mismatches(tx))
    for fault, accept in ((RowFault.CONVERSION_CHECK, accept_conversions), (RowFault.POSTBACK_CHECK, accept_postbacks)):
        ids = [found.row_id for found in wrong if found.fault is fault]
        for start in range(0, len(ids), ROWS_PER_BATCH):
            accept(tx, ids[start : start + ROWS_PER_BATCH])
    return wrong


def count_faulty_rows(tx: Connection) -> dict[RowFault, int]:
    """Return the number of rows by fault, without checksums (``checksum_mismatches``). Reads every row."""
    history = select(func.count()).select_from(conversions).where(conversions.c.version != _CHANGES)
    change = select(func.count()).select_from(postbacks).where(~_HAS_CHANGE)
    attempt = select(func.count()).select_from(postbacks).where(_IS_DELIVERED, ~_HAS_DELIVERED_ATTEMPT)
    failed = select(func.count()).select_from(postbacks).where(_IS_FAILED, ~_HAS_FAILED_ATTEMPT)
    state = select(func.count()).select_from(postbacks).where(~_IS_DELIVERED, _HAS_DELIVERED_ATTEMPT)
    moment = select(func.count()).select_from(postbacks).where(_HAS_NO_MOMENT)
    counted = {
        RowFault.HISTORY: history,
        RowFault.CHANGE: change,
        RowFault.DELIVERED_ATTEMPT: attempt,
        RowFault.FAILED_ATTEMPT: failed,
        RowFault.DELIVERED_STATE: state,
        RowFault.MOMENT: moment,
    }
    return {fault: tx.scalar(query) or 0 for fault, query in counted.items()}


def find_faulty_rows(tx: Connection, limit: int) -> list[FaultyRow]:
    """Return at most ``limit`` faulty rows of each kind, without checksums. May read every row."""
    history = _conversions(tx, _HISTORY.where(conversions.c.version != _CHANGES).limit(limit), checked=False)
    lost = or_(
        ~_HAS_CHANGE, _IS_DELIVERED != _HAS_DELIVERED_ATTEMPT, and_(_IS_FAILED, ~_HAS_FAILED_ATTEMPT), _HAS_NO_MOMENT
    )
    return [*history.faulty, *_postbacks(tx, _ENDING.where(lost).limit(limit), checked=False).faulty]


def click_ids_of_rows(tx: Connection, ids: Collection[str]) -> dict[str, str]:
    """Return the click ids of conversions and postbacks, by conversion_id or postback_id."""
    found: dict[str, str] = {}
    for key, table in ((conversions.c.conversion_id, conversions.c), (postbacks.c.postback_id, postbacks.c)):
        found |= {
            row.id: row.click_id for row in tx.execute(select(key.label("id"), table.click_id).where(key.in_(ids)))
        }
    return found


def read_row_audit_progress(tx: Connection) -> RowAuditProgress:
    """Return the progress of the audit of rows."""
    return read_setting(tx, _SETTING, RowAuditProgress) or RowAuditProgress()


def write_row_audit_progress(tx: Connection, memory: RowAuditProgress) -> None:
    """Store the progress of the audit of rows."""
    write_setting(tx, _SETTING, memory)


_CHANGES = (
    select(func.count()).where(conversion_changes.c.conversion_id == conversions.c.conversion_id).scalar_subquery()
)
_HISTORY: Select[tuple[str, bool]] = select(
    conversions.c.conversion_id, (conversions.c.version != _CHANGES).label("lacks_history")
)
_HAS_CHANGE: ColumnElement[bool] = or_(
    postbacks.c.conversion_id.startswith(VIEW_PREFIX),
    select(conversion_changes.c.id)
    .where(
        conversion_changes.c.conversion_id == postbacks.c.conversion_id,
        conversion_changes.c.version == postbacks.c.version,
    )
    .exists(),
)
"""Postbacks of scheduled views belong to no conversion."""
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


def _conversions(tx: Connection, query: Select[tuple[str, bool]], limit: int = 0, *, checked: bool = True) -> RowScan:
    rows = tx.execute(query).all()
    faulty = [FaultyRow(RowFault.HISTORY, row.conversion_id) for row in rows if row.lacks_history]
    wrong = wrong_conversions(tx, [row.conversion_id for row in rows]) if checked else []
    faulty += [FaultyRow(RowFault.CONVERSION_CHECK, row_id) for row_id in wrong]
    return RowScan(rows[-1].conversion_id if limit and len(rows) == limit else "", tuple(faulty))


def _postbacks(
    tx: Connection, query: Select[tuple[str, bool, bool, bool, bool, bool]], limit: int = 0, *, checked: bool = True
) -> RowScan:
    rows = tx.execute(query).all()
    faulty = [FaultyRow(RowFault.CHANGE, row.postback_id) for row in rows if row.lacks_change]
    faulty += [FaultyRow(RowFault.DELIVERED_ATTEMPT, row.postback_id) for row in rows if row.lacks_attempt]
    faulty += [FaultyRow(RowFault.FAILED_ATTEMPT, row.postback_id) for row in rows if row.lacks_failed_attempt]
    faulty += [FaultyRow(RowFault.DELIVERED_STATE, row.postback_id) for row in rows if row.lacks_state]
    faulty += [FaultyRow(RowFault.MOMENT, row.postback_id) for row in rows if row.lacks_moment]
    wrong = wrong_postbacks(tx, [row.postback_id for row in rows]) if checked else []
    faulty += [FaultyRow(RowFault.POSTBACK_CHECK, row_id) for row_id in wrong]
    return RowScan(rows[-1].postback_id if limit and len(rows) == limit else "", tuple(faulty))
