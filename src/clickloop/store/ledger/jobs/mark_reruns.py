"""Reruns of marks in the ledger: what is judged anew, what it does now, and how far it is; ``tx`` is an open transaction."""

import enum
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, delete, select

from clickloop.store.ledger.jobs.jobs import JobState, JobTable
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.schema.tables import mark_reruns


class RerunStage(enum.StrEnum):
    """What a rerun does, or did last."""

    PREVIEW = "preview"
    APPLY = "apply"
    UNDO = "undo"


class MarkRerun(msgspec.Struct, frozen=True, kw_only=True):
    """A rerun of marks. What it has applied is in the facts, by its id."""

    rerun_id: str
    request: bytes
    """Which clicks and marks, as JSON."""
    user_id: int
    """Who requested it; 0: a command or a token without a user, named in ``asked_by``."""
    asked_by: str
    stage: RerunStage = RerunStage.PREVIEW
    state: JobState = JobState.WAITING
    """Of the stage."""
    total: int = 0
    done: int = 0
    next_cursor: str = ""
    """The last click id that was judged."""
    result: bytes | None = None
    """That of the preview as JSON."""
    created_at: int
    applied_at: int | None = None
    """When applying it began."""
    undone_at: int | None = None
    """When it was undone."""
    finished_at: int | None = None
    """When the stage ended."""
    error: str | None = None


def reruns_before(tx: Connection, before_id: str | None, limit: int) -> list[MarkRerun]:
    """Return at most ``limit`` reruns, newest first, before an id; None: from the newest."""
    return MARK_RERUNS.before(tx, before_id, limit)


def unfinished_rerun(tx: Connection) -> MarkRerun | None:
    """Return the rerun that waits or runs."""
    return next(iter(MARK_RERUNS.unfinished(tx, 1)), None)


def newest_applied_rerun(tx: Connection) -> MarkRerun | None:
    """Return the rerun that was applied last, all or part of it, and not undone."""
    query = (
        select(mark_reruns)
        .where(mark_reruns.c.applied_at.is_not(None), mark_reruns.c.undone_at.is_(None))
        .order_by(mark_reruns.c.applied_at.desc(), mark_reruns.c.rerun_id.desc())
        .limit(1)
    )
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else _of_row(row)


def resume_rerun(tx: Connection, rerun: MarkRerun) -> None:
    """Store the next stage of a rerun that had ended its last one. Raise RowCountError if it does not exist."""
    stored = mark_reruns.update().where(mark_reruns.c.rerun_id == rerun.rerun_id).values(**_values(rerun))
    expect_rows(tx.execute(stored), 1, "the rerun of marks")


def delete_previews_before(tx: Connection, before_ms: int) -> int:
    """Delete reruns that ended before a time and were never applied. Return their number."""
    old = delete(mark_reruns).where(mark_reruns.c.finished_at < before_ms, mark_reruns.c.applied_at.is_(None))
    return tx.execute(old).rowcount


def _values(rerun: MarkRerun) -> dict[str, Any]:
    return msgspec.structs.asdict(rerun) | {"stage": rerun.stage.value, "state": rerun.state.value}


def _of_row(row: RowMapping) -> MarkRerun:
    return MarkRerun(**{**row, "stage": RerunStage(row["stage"]), "state": JobState(row["state"])})


MARK_RERUNS = JobTable(mark_reruns, mark_reruns.c.finished_at.is_(None), _of_row, _values)
