"""Exports in the ledger: what each is to hold, who asked for it, and how far its file is; ``tx`` is an open transaction."""

import enum
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, select, update

from clickloop.campaign.user import Actor, Right
from clickloop.store.ledger.tables import exports


class ExportNoun(enum.StrEnum):
    """The logs that can be exported."""

    CLICKS = "clicks"
    CONVERSIONS = "conversions"
    NOTICES = "notices"
    POSTBACKS = "postbacks"


class ExportState(enum.StrEnum):
    """Where an export stands."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to it."""
        return self not in (ExportState.WAITING, ExportState.RUNNING)


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """One export as it stands: the file holds ``rows_written`` rows in ``octets``, and goes on at ``next_cursor``."""

    export_id: str
    noun: ExportNoun
    filters: bytes
    """As JSON, in the words of the log's filters."""
    columns: str
    """Their keys with commas between."""
    user_id: int
    """Who asked for it; 0: no user, but a command or an unowned token, by its name."""
    asked_by: str
    state: ExportState = ExportState.WAITING
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


def insert_export(tx: Connection, export: Export) -> None:
    """Adds an export."""
    tx.execute(insert(exports).values(**_values(export)))


def find_export(tx: Connection, export_id: str) -> Export | None:
    """The export of that id."""
    row = tx.execute(select(exports).where(exports.c.export_id == export_id)).one_or_none()
    return None if row is None else _of_row(row)


def exports_of_ids(tx: Connection, export_ids: Sequence[str]) -> list[Export]:
    """Those of the exports that are in the ledger."""
    return [_of_row(row) for row in tx.execute(select(exports).where(exports.c.export_id.in_(export_ids)))]


def exports_before(tx: Connection, actor: Actor, before_id: str | None, limit: int) -> list[Export]:
    """At most ``limit`` exports that somebody may see, newest first; of the next page those before the last id of this one."""
    query = select(exports).order_by(exports.c.export_id.desc()).limit(limit)
    if not actor.role.may(Right.ADMINISTER):
        query = query.where(_asked_by(actor))
    if before_id is not None:
        query = query.where(exports.c.export_id < before_id)
    return [_of_row(row) for row in tx.execute(query)]


def unfinished_exports(tx: Connection, limit: int) -> list[Export]:
    """At most ``limit`` exports that are not at their end, the oldest first."""
    query = select(exports).where(exports.c.finished_at.is_(None)).order_by(exports.c.export_id).limit(limit)
    return [_of_row(row) for row in tx.execute(query)]


def count_unfinished(tx: Connection, actor: Actor) -> int:
    """How many exports that somebody asked for are not at their end."""
    query = select(func.count()).select_from(exports).where(exports.c.finished_at.is_(None), _asked_by(actor))
    return tx.scalar(query) or 0


def update_unfinished(tx: Connection, export: Export) -> bool:
    """Writes how an export stands now, unless it has come to an end meanwhile; answers whether it was written."""
    statement = update(exports).where(exports.c.export_id == export.export_id, exports.c.finished_at.is_(None))
    return tx.execute(statement.values(**_values(export))).rowcount == 1


def stop_export(tx: Connection, export_id: str, now_ms: int) -> bool:
    """Ends an export where it is; answers whether it was not at its end already."""
    statement = update(exports).where(exports.c.export_id == export_id, exports.c.finished_at.is_(None))
    return tx.execute(statement.values(state=ExportState.STOPPED.value, finished_at=now_ms)).rowcount == 1


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


def _of_row(row: Row[Any]) -> Export:
    values = dict(row._mapping)  # noqa: SLF001 – SQLAlchemy's documented name
    return Export(**values | {"noun": ExportNoun(row.noun), "state": ExportState(row.state)})
