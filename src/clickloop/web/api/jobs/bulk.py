"""Jobs over many records in the API: started, listed, read and stopped in the same way, whatever they do with each record."""

from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, BulkJob, JobKind, jobs_before
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.web.api.context import ApiContext
from clickloop.web.api.noting import note_change
from clickloop.web.api.paging import Page, page_of, read_cursor
from clickloop.web.api.problem import not_found
from clickloop.web.api.wire import Moment, moment_text, optional_moment_text


class BulkView(msgspec.Struct, kw_only=True):
    """How far a job over many records is."""

    finished: Annotated[bool, Meta(description="Nothing more will be done.")]
    stopped: Annotated[bool, Meta(description="A user stopped it.")]
    created_at: Moment | None
    finished_at: Moment | None


def progress_of(job: BulkJob) -> dict[str, Any]:
    """Return what the views of all jobs say of one."""
    return {
        "matched": job.matched,
        "done": job.done,
        "made": job.made,
        "finished": job.state.is_final,
        "stopped": job.state is JobState.STOPPED,
        "created_at": moment_text(job.created_at),
        "finished_at": optional_moment_text(job.finished_at),
    }


OF_PREVIEW: dict[str, Any] = {"finished": False, "stopped": False, "created_at": None, "finished_at": None}
"""What the view of a preview says in their place."""

V = TypeVar("V", bound=BulkView)


class Jobs(Generic[V]):
    """The jobs of one kind. ``noun``: their path under /api/v1, by which the log of changes names them, too."""

    def __init__(self, kind: JobKind, noun: str, view: Callable[[BulkJob], V]) -> None:
        self._kind = kind
        self._noun = noun
        self._view = view

    def started(self, tx: Connection, context: ApiContext, job: BulkJob, asked: msgspec.Struct, action: Action) -> V:
        """Note in the log of changes that a job was started, and return its view."""
        note_change(
            tx,
            context,
            self._noun,
            job.bulk_job_id,
            after=msgspec.to_builtins(asked) | {"matched": job.matched},
            action=action,
        )
        return self._view(job)

    def page(self, context: ApiContext, limit: int, cursor: str) -> Page[V]:
        """Return a page of jobs, the newest first."""
        before = read_cursor(self._noun, cursor) or None
        with context.ledger.read() as tx:
            found = jobs_before(tx, self._kind, before, limit + 1)
        return page_of(found, limit, self._noun, lambda job: job.bulk_job_id, self._view)

    def read(self, context: ApiContext, job_id: str) -> V:
        """Return a job. Raise a 404 when there is none of that id and kind."""
        with context.ledger.read() as tx:
            return self._view(self._job(tx, job_id))

    def stop(self, context: ApiContext, job_id: str) -> V:
        """End a job where it is, and return it. One that has ended stays as it is."""
        with context.ledger.write() as tx:
            before = self._view(self._job(tx, job_id))
            BULK_JOBS.stop(tx, job_id.lower(), context.clock())
            view = self._view(self._job(tx, job_id))
            note_change(tx, context, self._noun, job_id.lower(), before, view)
        return view

    def _job(self, tx: Connection, job_id: str) -> BulkJob:
        job = BULK_JOBS.find(tx, job_id.lower())
        if job is None or job.kind is not self._kind:
            raise not_found(f"{self._kind} of that id")
        return job
