"""Jobs over many records, and responses stored by idempotency key so that a repeated request changes nothing twice.

One statement per function; ``tx`` is an open transaction.
"""

import enum
from collections.abc import Sequence
from typing import Any, Self

import msgspec
from sqlalchemy import Connection, RowMapping, delete, insert, literal_column, select

from clickloop.clock import DAY_MS
from clickloop.store.ledger.jobs.jobs import JobState, JobTable
from clickloop.store.ledger.schema.tables import bulk_jobs, kept_answers

ANSWER_RETENTION_MS = 2 * DAY_MS
"""How long a response is stored under its idempotency key."""

_encode = msgspec.json.Encoder().encode
_left_out = msgspec.json.Decoder(dict[str, int])


class JobKind(enum.StrEnum):
    """The operation of a job on each record."""

    RESEND = "resend"
    RERUN = "rerun"
    CANCEL = "cancel"


class BulkJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job over the matching records up to ``last_id``; those up to ``done_id`` are done."""

    bulk_job_id: str
    kind: JobKind
    asked: bytes
    """The request as JSON."""
    last_id: str
    done_id: str = ""
    matched: int
    """Number of records that matched when it was requested."""
    done: int = 0
    made: int = 0
    """Number of postbacks created or cancelled, or of notices with a new outcome."""
    left_out: dict[str, int] = {}
    """Number of records that were skipped, by reason."""
    created_at: int
    finished_at: int | None = None
    """When it ended or was stopped."""
    state: JobState = JobState.RUNNING

    def after(self, ids: Sequence[str], batch: int, made: int, now_ms: int) -> Self:
        """Return the job after a batch of records; finished if they were fewer than ``batch``."""
        is_finished = len(ids) < batch
        return msgspec.structs.replace(
            self,
            state=JobState.FINISHED if is_finished else JobState.RUNNING,
            done_id=ids[-1] if ids else self.done_id,
            done=self.done + len(ids),
            made=self.made + made,
            finished_at=now_ms if is_finished else None,
        )


class StoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The response to a request with an idempotency key. ``question``: digest of the request body."""

    key: str
    question: str
    status: int
    answer: bytes
    created_at: int


def find_answer(tx: Connection, key: str) -> StoredAnswer | None:
    """Return the response stored under a key."""
    row = tx.execute(select(kept_answers).where(kept_answers.c.key == key)).mappings().one_or_none()
    return None if row is None else StoredAnswer(**row)


def insert_answer(tx: Connection, answer: StoredAnswer) -> None:
    """Store a response. Raise IntegrityError for a key that is taken."""
    tx.execute(insert(kept_answers).values(**msgspec.structs.asdict(answer)))


def delete_answers_before(tx: Connection, before_ms: int) -> int:
    """Delete responses stored before a time. Return their number."""
    return tx.execute(delete(kept_answers).where(kept_answers.c.created_at < before_ms)).rowcount


def jobs_before(tx: Connection, kind: JobKind, before_id: str | None, limit: int) -> list[BulkJob]:
    """Return at most ``limit`` jobs of a kind, newest first, before an id; None: from the newest."""
    return BULK_JOBS.before(tx, before_id, limit, bulk_jobs.c.kind == kind.value)


def _columns(job: BulkJob) -> dict[str, Any]:
    own = {"kind": job.kind.value, "state": job.state.value, "left_out": _encode(job.left_out)}
    return msgspec.structs.asdict(job) | own


def _job(row: RowMapping) -> BulkJob:
    read = {
        "kind": JobKind(row["kind"]),
        "state": JobState(row["state"]),
        "left_out": _left_out.decode(row["left_out"]),
    }
    return BulkJob(**{**row, **read})


# A literal, not a parameter: else SQLite would not use the partial index of running jobs.
BULK_JOBS = JobTable(bulk_jobs, bulk_jobs.c.state == literal_column("'running'"), _job, _columns)
