"""Jobs: work that a user requested and that runs in the background. What uploads, exports and bulk jobs have in common.

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
    """Stopped by a user; what it has done stays."""

    @property
    def is_final(self) -> bool:
        """Return whether the job has ended."""
        return self not in (JobState.WAITING, JobState.RUNNING)


class JobTable(Generic[J]):
    """A table of jobs: each has an id that sorts by time, a state, and the time it ended."""

    def __init__(
        self,
        table: Table,
        is_unfinished: ColumnElement[bool],
        record_of: Callable[[RowMapping], J],
        columns_of: Callable[[J], dict[str, Any]],
    ) -> None:
        """``is_unfinished`` must repeat the condition of the table's partial index word for word, or SQLite does not use it."""
        self._table = table
        (self._key,) = table.primary_key.columns
        self._is_unfinished = is_unfinished
        self._record_of = record_of
        self._columns_of = columns_of

    def insert(self, tx: Connection, job: J) -> None:
        """Insert a job."""
        tx.execute(insert(self._table).values(**self._columns_of(job)))

    def find(self, tx: Connection, job_id: str) -> J | None:
        """Return the job with that id."""
        return next(iter(self.of_ids(tx, [job_id])), None)

    def of_ids(self, tx: Connection, job_ids: Sequence[str]) -> list[J]:
        """Return those jobs that are in the ledger."""
        rows = tx.execute(select(self._table).where(self._key.in_(job_ids))).mappings()
        return [self._record_of(row) for row in rows]

    def before(self, tx: Connection, before_id: str | None, limit: int, *only: ColumnElement[bool]) -> list[J]:
        """Return at most ``limit`` matching jobs, newest first, before an id; None: from the newest."""
        query = select(self._table).where(*only).order_by(self._key.desc()).limit(limit)
        if before_id is not None:
            query = query.where(self._key < before_id)
        return [self._record_of(row) for row in tx.execute(query).mappings()]

    def unfinished(self, tx: Connection, limit: int) -> list[J]:
        """Return at most ``limit`` jobs that have not ended, oldest first."""
        # By id, and so by time: newer jobs must not starve an old one.
        query = select(self._table).where(self._is_unfinished).order_by(self._key).limit(limit)
        return [self._record_of(row) for row in tx.execute(query).mappings()]

    def keep(self, tx: Connection, job: J) -> bool:
        """Store the progress of a job. Return False, and store nothing, if it has ended in the meantime."""
        columns = self._columns_of(job)
        of_job = update(self._table).where(self._key == columns[self._key.name], self._is_unfinished)
        return tx.execute(of_job.values(**columns)).rowcount == 1

    def stop(self, tx: Connection, job_id: str, now_ms: int) -> bool:
        """Stop a job where it is. Return False if it had ended already."""
        of_job = update(self._table).where(self._key == job_id, self._is_unfinished)
        return tx.execute(of_job.values(state=JobState.STOPPED.value, finished_at=now_ms)).rowcount == 1
