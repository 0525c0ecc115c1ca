"""Exports in the ledger: what each is to hold, who asked for it, and how far its file is; ``tx`` is an open transaction."""

import enum
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select

from clickloop.people.user import Actor, Right
from clickloop.store.ledger.jobs.jobs import JobState, JobTable
from clickloop.store.ledger.schema.tables import exports


class ExportNoun(enum.StrEnum):
    """The logs that can be exported."""

    CLICKS = "clicks"
    CONVERSIONS = "conversions"
    NOTICES = "notices"
    POSTBACKS = "postbacks"


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """One export as it stands: the file holds ``rows_written`` rows in ``text``, and goes on at ``next_cursor``."""

    export_id: str
    noun: ExportNoun
    filters: bytes
    """As JSON, in the words of the log's filters."""
    columns: str
    """Their keys with commas between."""
    user_id: int
    """Who asked for it; 0: no user, but a command or an unowned token, by its name."""
    asked_by: str
    state: JobState = JobState.WAITING
    next_cursor: str = ""
    rows_written: int = 0
    octets: int = 0
    reached_at: int | None = None
    """The moment of the last row that is written: the newest come first."""
    created_at: int
    finished_at: int | None = None
    error: str | None = None
    """Set exactly when it has failed."""


def may_see(actor: Actor, export: Export) -> bool:
    """Whether somebody may see and fetch an export: who asked for it, and who administers."""
    is_his = export.user_id == actor.user_id and (actor.user_id != 0 or export.asked_by == _name(actor))
    return is_his or actor.role.may(Right.ADMINISTER)


def exports_before(tx: Connection, actor: Actor, before_id: str | None, limit: int) -> list[Export]:
    """At most ``limit`` exports that somebody may see, newest first; of the next page those before the last id of this one."""
    own = () if actor.role.may(Right.ADMINISTER) else (_asked_by(actor),)
    return EXPORTS.before(tx, before_id, limit, *own)


def count_unfinished(tx: Connection, actor: Actor) -> int:
    """How many exports that somebody asked for are not at their end."""
    query = select(func.count()).select_from(exports).where(exports.c.finished_at.is_(None), _asked_by(actor))
    return tx.scalar(query) or 0


def asked_as(actor: Actor) -> tuple[int, str]:
    """``user_id`` and ``asked_by`` of what somebody asks for."""
    return actor.user_id, _name(actor)


def _name(actor: Actor) -> str:
    return actor.name[:200]


def _asked_by(actor: Actor) -> ColumnElement[bool]:
    if actor.user_id:
        return exports.c.user_id == actor.user_id
    return and_(exports.c.user_id == 0, exports.c.asked_by == _name(actor))


def _values(export: Export) -> dict[str, Any]:
    return msgspec.structs.asdict(export) | {"noun": export.noun.value, "state": export.state.value}


def _of_row(row: RowMapping) -> Export:
    return Export(**{**row, "noun": ExportNoun(row["noun"]), "state": JobState(row["state"])})


EXPORTS = JobTable(exports, exports.c.finished_at.is_(None), _of_row, _values)
"""The exports."""
