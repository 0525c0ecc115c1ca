"""Jobs: work that the user asked for and that goes on in the background. What uploads, exports and bulk jobs have in common.

``tx`` is an open transaction.
"""

import enum
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, Table, insert, select, update

J = TypeVar("J", bound=msgspec.Struct)


class JobState(enum.StrEnum):
    """The state of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    """Somebody stopped it; what it has done stays."""

    @property
    def is_final(self) -> bool:
        """Return whether nothing more happens to it."""
        return self not in (JobState.WAITING, JobState.RUNNING)


class JobTable(Generic[J]):
    """A table of jobs: each has an id that sorts by time, a state, and the moment of its end."""

    def __init__(
        self,
        table: Table,
        is_unfinished: ColumnElement[bool],
        record_of: Callable[[RowMapping], J],
        columns_of: Callable[[J], dict[str, Any]],
    ) -> None:
        """``is_unfinished`` repeats the condition of the table's partial index word for word: SQLite uses it only then."""
        self._table = table
        (self._key,) = table.primary_key.columns
        self._is_unfinished = is_unfinished
        self._record_of = record_of
        self._columns_of = columns_of

    def insert(self, tx: Connection, job: J) -> None:
        """Add a job."""
        tx.execute(insert(self._table).values(**self._columns_of(job)))

    def find(self, tx: Connection, job_id: str) -> J | None:
        """Return the job of that id."""
        return next(iter(self.of_ids(tx, [job_id])), None)

    def of_ids(self, tx: Connection, job_ids: Sequence[str]) -> list[J]:
        """Return those of the jobs that are in the ledger."""
        rows = tx.execute(select(self._table).where(self._key.in_(job_ids))).mappings()
        return [self._record_of(row) for row in rows]

    def before(self, tx: Connection, before_id: str | None, limit: int, *narrowed: ColumnElement[bool]) -> list[J]:
        """Return at most ``limit`` jobs, the newest first; of the next page those before the last id of this one."""
        query = select(self._table).where(*narrowed).order_by(self._key.desc()).limit(limit)
        if before_id is not None:
            query = query.where(self._key < before_id)
        return [self._record_of(row) for row in tx.execute(query).mappings()]

    def unfinished(self, tx: Connection, limit: int) -> list[J]:
        """Return at most ``limit`` jobs that have not ended, the oldest first."""
        # By id, which is by time: what began first is not overtaken for ever.
        query = select(self._table).where(self._is_unfinished).order_by(self._key).limit(limit)
        return [self._record_of(row) for row in tx.execute(query).mappings()]

    def keep(self, tx: Connection, job: J) -> bool:
        """Write how far a job is, unless it has ended meanwhile. Return whether it was written."""
        columns = self._columns_of(job)
        of_job = update(self._table).where(self._key == columns[self._key.name], self._is_unfinished)
        return tx.execute(of_job.values(**columns)).rowcount == 1

    def stop(self, tx: Connection, job_id: str, now_ms: int) -> bool:
        """End a job where it is. Return whether it had not ended already."""
        of_job = update(self._table).where(self._key == job_id, self._is_unfinished)
        return tx.execute(of_job.values(state=JobState.STOPPED.value, finished_at=now_ms)).rowcount == 1
