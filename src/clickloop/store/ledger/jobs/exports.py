"""Exports in the ledger: what each contains, who requested it, and how far its file is; ``tx`` is an open transaction."""

import enum
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select

from clickloop.people.user import Actor, Right
from clickloop.store.ledger.jobs.jobs import JobState, JobTable
from clickloop.store.ledger.schema.tables import exports


class ExportNoun(enum.StrEnum):
    """A log that can be exported."""

    CLICKS = "clicks"
    CONVERSIONS = "conversions"
    NOTICES = "notices"
    POSTBACKS = "postbacks"


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """An export. Its file holds ``rows_written`` rows in ``octets`` bytes, and continues at ``next_cursor``."""

    export_id: str
    noun: ExportNoun
    filters: bytes
    """The filter of the log as JSON."""
    columns: str
    """Comma-separated keys."""
    user_id: int
    """Who requested it; 0: a command or a token without a user, named in ``asked_by``."""
    asked_by: str
    state: JobState = JobState.WAITING
    next_cursor: str = ""
    rows_written: int = 0
    octets: int = 0
    reached_at: int | None = None
    """Time of the last row written; rows are written newest first."""
    created_at: int
    finished_at: int | None = None
    error: str | None = None
    """Set if and only if it failed."""


def may_see(actor: Actor, export: Export) -> bool:
    """Return whether a user may see and download an export: the one who requested it, and administrators."""
    is_theirs = export.user_id == actor.user_id and (actor.user_id != 0 or export.asked_by == _name(actor))
    return is_theirs or actor.role.may(Right.ADMINISTER)


def exports_before(tx: Connection, actor: Actor, before_id: str | None, limit: int) -> list[Export]:
    """Return at most ``limit`` exports that a user may see, newest first, before an id; None: from the newest."""
    own = () if actor.role.may(Right.ADMINISTER) else (_is_requested_by(actor),)
    return EXPORTS.before(tx, before_id, limit, *own)


def count_unfinished(tx: Connection, actor: Actor) -> int:
    """Return the number of unfinished exports that a user requested."""
    query = select(func.count()).select_from(exports).where(exports.c.finished_at.is_(None), _is_requested_by(actor))
    return tx.scalar(query) or 0


def requester_of(actor: Actor) -> tuple[int, str]:
    """Return ``user_id`` and ``asked_by`` for an export that an actor requests."""
    return actor.user_id, _name(actor)


def _name(actor: Actor) -> str:
    return actor.name[:200]


def _is_requested_by(actor: Actor) -> ColumnElement[bool]:
    if actor.user_id:
        return exports.c.user_id == actor.user_id
    return and_(exports.c.user_id == 0, exports.c.asked_by == _name(actor))


def _values(export: Export) -> dict[str, Any]:
    return msgspec.structs.asdict(export) | {"noun": export.noun.value, "state": export.state.value}


def _of_row(row: RowMapping) -> Export:
    return Export(**{**row, "noun": ExportNoun(row["noun"]), "state": JobState(row["state"])})


EXPORTS = JobTable(exports, exports.c.finished_at.is_(None), _of_row, _values)
