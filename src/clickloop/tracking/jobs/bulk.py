"""List, show and cancel jobs over many records, the same way for every kind of job."""

from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.logs.view import view_of
from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, BulkJob, JobKind, jobs_before
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.logs.audit_entry import ActorContext, record_change
from clickloop.store.ledger.logs.audit_log import Action


class BulkView(msgspec.Struct, kw_only=True):
    """The progress of a job over many records."""

    finished: Annotated[bool, Meta(description="true once nothing more will be done.")]
    stopped: Annotated[bool, Meta(description="true if a user stopped it.")]
    created_at: Moment | None
    finished_at: Moment | None


OF_PREVIEW: dict[str, Any] = {"finished": False, "stopped": False, "created_at": None, "finished_at": None}
"""The same fields in the view of a preview."""

V = TypeVar("V", bound=BulkView)


def job_view(kind: type[V], job: BulkJob, **own: object) -> V:
    """Return the view of a job; ``own`` are the fields that only this kind of view has."""
    return view_of(kind, job, finished=job.state.is_final, stopped=job.state is JobState.STOPPED, **own)


class Jobs(Generic[V]):
    """The jobs of one kind. ``noun``: their path under /api/v1, which is also their name in the log of changes."""

    def __init__(self, kind: JobKind, noun: str, view: Callable[[BulkJob], V]) -> None:
        self._kind = kind
        self._noun = noun
        self._view = view

    def started(
        self, tx: Connection, context: ActorContext, job: BulkJob, request: msgspec.Struct, action: Action
    ) -> V:
        """Write into the log of changes that a job was started by a request, and return its view."""
        after = msgspec.to_builtins(request) | {"matched": job.matched}
        record_change(tx, context, self._noun, job.bulk_job_id, after=after, action=action)
        return self._view(job)

    def page(self, context: ActorContext, limit: int, cursor: str) -> Page[V]:
        """Return a page of jobs, newest first."""
        before = read_cursor(self._noun, cursor) or None
        with context.ledger.read() as tx:
            found = jobs_before(tx, self._kind, before, limit + 1)
        return page_of(found, limit, self._noun, lambda job: job.bulk_job_id, self._view)

    def find(self, context: ActorContext, job_id: str) -> V | None:
        """Return the job of that id, if it is of this kind."""
        with context.ledger.read() as tx:
            return self._find(tx, job_id)

    def stop(self, context: ActorContext, job_id: str) -> V | None:
        """End a job where it is, and return it. One that has ended stays as it is."""
        with context.ledger.write() as tx:
            before = self._find(tx, job_id)
            if before is None:
                return None
            BULK_JOBS.stop(tx, job_id, context.clock())
            after = self._find(tx, job_id)
            record_change(tx, context, self._noun, job_id, before, after)
        return after

    def _find(self, tx: Connection, job_id: str) -> V | None:
        job = BULK_JOBS.find(tx, job_id)
        return self._view(job) if job is not None and job.kind is self._kind else None
