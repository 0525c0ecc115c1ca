"""Jobs over many records that the user asked for, and answers that are kept so that asking twice does nothing twice.

One statement per function; ``tx`` is an open transaction.
"""

import enum

import msgspec
from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from clickloop.clock import DAY_MS
from clickloop.store.ledger.tables import bulk_jobs, kept_answers

KEPT_MS = 2 * DAY_MS
"""So long an answer is kept under its key."""

_encode = msgspec.json.Encoder().encode
_left_out = msgspec.json.Decoder(dict[str, int])


class JobKind(enum.StrEnum):
    """What a job does with each record."""

    RESEND = "resend"
    RERUN = "rerun"
    CANCEL = "cancel"


class BulkJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job: it covers what matched up to ``last_id``, and has done all up to ``done_id``."""

    bulk_job_id: str
    kind: JobKind
    asked: bytes
    """What for, as JSON."""
    last_id: str
    done_id: str = ""
    matched: int
    """How many records matched when it was asked for."""
    done: int = 0
    made: int = 0
    """Postbacks made or cancelled, or notices that came to something new."""
    left_out: dict[str, int] = {}
    """How many were left alone, by why."""
    created_at: int
    finished_at: int | None = None
    """When it ended or was stopped."""
    stopped: bool = False
    """Somebody stopped it: what is left is not done."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will be done."""
        return self.finished_at is not None


class KeptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered to a request that carried a key. ``question``: digest of what it asked."""

    key: str
    question: str
    status: int
    answer: bytes
    created_at: int


def insert_job(tx: Connection, job: BulkJob) -> None:
    """Adds a job."""
    tx.execute(insert(bulk_jobs).values(bulk_job_id=job.bulk_job_id, **_columns(job)))


def update_job(tx: Connection, job: BulkJob) -> None:
    """Rewrites how far a job is; one that was stopped meanwhile stays as it is."""
    running = update(bulk_jobs).where(bulk_jobs.c.bulk_job_id == job.bulk_job_id, bulk_jobs.c.state == "running")
    tx.execute(running.values(**_columns(job)))


def stop_job(tx: Connection, bulk_job_id: str, kind: JobKind, now_ms: int) -> bool:
    """Ends a job where it is; what it has done stays. False: it is not running (any more)."""
    running = update(bulk_jobs).where(
        bulk_jobs.c.bulk_job_id == bulk_job_id, bulk_jobs.c.kind == kind.value, bulk_jobs.c.state == "running"
    )
    return tx.execute(running.values(state="stopped", finished_at=now_ms)).rowcount > 0


def find_job(tx: Connection, bulk_job_id: str, kind: JobKind) -> BulkJob | None:
    """The job of that id, if it is of that kind."""
    query = select(bulk_jobs).where(bulk_jobs.c.bulk_job_id == bulk_job_id, bulk_jobs.c.kind == kind.value)
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else _job(row)


def jobs_before(tx: Connection, kind: JobKind, before_id: str | None, limit: int) -> list[BulkJob]:
    """At most ``limit`` jobs of a kind, the newest first, older than ``before_id``; None: from the newest."""
    query = select(bulk_jobs).where(bulk_jobs.c.kind == kind.value).order_by(bulk_jobs.c.bulk_job_id.desc())
    if before_id is not None:
        query = query.where(bulk_jobs.c.bulk_job_id < before_id)
    return [_job(row) for row in tx.execute(query.limit(limit)).mappings()]


def next_job(tx: Connection) -> BulkJob | None:
    """The oldest job that is not finished."""
    query = select(bulk_jobs).where(bulk_jobs.c.finished_at.is_(None), bulk_jobs.c.state == "running")
    row = tx.execute(query.order_by(bulk_jobs.c.bulk_job_id).limit(1)).mappings().one_or_none()
    return None if row is None else _job(row)


def unfinished_jobs(tx: Connection, limit: int) -> list[BulkJob]:
    """At most ``limit`` jobs that are not finished, the oldest first."""
    query = select(bulk_jobs).where(bulk_jobs.c.finished_at.is_(None), bulk_jobs.c.state == "running")
    return [_job(row) for row in tx.execute(query.order_by(bulk_jobs.c.bulk_job_id).limit(limit)).mappings()]


def find_answer(tx: Connection, key: str) -> KeptAnswer | None:
    """The answer that is kept under a key."""
    row = tx.execute(select(kept_answers).where(kept_answers.c.key == key)).mappings().one_or_none()
    return None if row is None else KeptAnswer(**row)


def insert_answer(tx: Connection, answer: KeptAnswer) -> None:
    """Keeps an answer; a key that is taken raises IntegrityError."""
    tx.execute(insert(kept_answers).values(**msgspec.structs.asdict(answer)))


def forget_answers(tx: Connection, before_ms: int) -> int:
    """Removes answers kept since before that moment; answers how many."""
    return tx.execute(delete(kept_answers).where(kept_answers.c.created_at < before_ms)).rowcount


def _columns(job: BulkJob) -> dict[str, object]:
    return {
        "kind": job.kind.value,
        "asked": job.asked,
        "state": "stopped" if job.stopped else "finished" if job.is_finished else "running",
        "last_id": job.last_id,
        "done_id": job.done_id,
        "matched": job.matched,
        "done": job.done,
        "made": job.made,
        "left_out": _encode(job.left_out),
        "created_at": job.created_at,
        "finished_at": job.finished_at,
    }


def _job(row: RowMapping) -> BulkJob:
    fields = {name: row[name] for name in BulkJob.__struct_fields__ if name != "stopped"}
    read = {"kind": JobKind(row["kind"]), "left_out": _left_out.decode(row["left_out"])}
    return BulkJob(**fields | read, stopped=row["state"] == "stopped")
