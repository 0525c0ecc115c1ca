"""/health: how the tracker is: the journal's lag, the disk, the workers, the audit, what is under way."""

import threading
from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.exceptions import HTTPException
from litestar.params import QueryParameter
from msgspec import Meta

from clickloop.alarm.alarms import Alarm
from clickloop.clock import Moment
from clickloop.diagnosis.health import under_way
from clickloop.people.user import Right
from clickloop.store.ledger.jobs.bulk_jobs import BulkJob, JobKind
from clickloop.store.ledger.jobs.exports import may_see
from clickloop.store.ledger.jobs.uploads import Upload
from clickloop.store.ledger.logs.audit_entry import note_change
from clickloop.store.unknown_links import UnknownLinks
from clickloop.tracking.jobs.exports import ExportView, export_view
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.rights import RIGHT
from clickloop.web.api.wire import moment_text, optional_moment_text, shown

VERIFY_SECONDS = 5.0  # a request's time; the rest is read by the next one
MAX_DAMAGES = 100
"""Maximum number of damages that are listed."""
_verifying = threading.Lock()
"""One reads at a time: reading everything takes a core and much of the engine's memory."""


class LagView(msgspec.Struct, kw_only=True):
    """What of a stream of the journal is not settled yet."""

    stream: Annotated[str, Meta(examples=["clicks"])]
    segments: int
    octets: int
    seconds: Annotated[float, Meta(description="The age of the oldest of it.")]


class DiskView(msgspec.Struct, kw_only=True):
    """The disk of the data folder."""

    free_octets: int
    octets: int
    free_percent: float
    reserve_octets: Annotated[int, Meta(description="Held back, to be released when the disk is full.")]
    reserve_held: Annotated[bool, Meta(description="false: it was released, or there is no room for it.")]


class WorkerView(msgspec.Struct, kw_only=True):
    """A worker of the core."""

    name: str
    running: bool
    failing_since: Annotated[Moment | None, Meta(description="null: its last step went well.")]
    fault: str


class AuditView(msgspec.Struct, kw_only=True):
    """Whether every change of a conversion has the postbacks that it owes, looked at in the background."""

    changes: Annotated[int, Meta(description="How many there are.")]
    audited: Annotated[int, Meta(description="How many were looked at.")]
    mismatches: Annotated[list[int], Meta(description="Numbers of changes that do not add up.")]


class JobView(msgspec.Struct, kw_only=True):
    """A job over many records that is under way."""

    bulk_job_id: str
    kind: JobKind
    matched: int
    done: int
    created_at: Moment


class UploadUnderWayView(msgspec.Struct, kw_only=True):
    """An upload that is under way."""

    upload_id: str
    name: str
    octets: int
    octets_read: int
    created_at: Moment


class VersionView(msgspec.Struct, kw_only=True):
    """What runs, and in which version."""

    name: str
    version: str


class ClockView(msgspec.Struct, kw_only=True):
    """Whether the machine's clock is trusted to delete by what is too old."""

    trusted: bool
    why: Annotated[str, Meta(description="Why not, and what to do; empty if it is trusted.")]


class AlarmView(msgspec.Struct, kw_only=True):
    """An alarm."""

    code: Annotated[str, Meta(description="Stable, for programs.", examples=["journal_lag"])]
    sentence: str
    since: Annotated[Moment | None, Meta(description="null: unknown.")]


class UnreadableRangeView(msgspec.Struct, kw_only=True):
    """Rows of a column of the facts that cannot be read."""

    table: str
    column: str
    first_row: int
    last_row: int
    why: str


class VerificationView(msgspec.Struct, kw_only=True):
    """What was read of the facts."""

    columns: int
    rows: int
    unreadable: list[UnreadableRangeView]
    next_column: Annotated[int | None, Meta(description="Where to continue; null: everything has been read.")]


class DamagesView(msgspec.Struct, kw_only=True):
    """Damage of the journal that nobody has confirmed yet."""

    count: int
    sentences: Annotated[list[str], Meta(description=f"The first {MAX_DAMAGES}, each with its file and range.")]


FirstColumn = Annotated[int, QueryParameter(ge=0, le=10_000, description="The number of the column to begin with.")]


class UnknownLinkView(msgspec.Struct, kw_only=True):
    """A key that no campaign has."""

    key: Annotated[str, Meta(description="Empty: what was in its place began with no letter or digit.")]
    count: int
    last_at: Moment


class UnknownLinksView(msgspec.Struct, kw_only=True):
    """Requests for campaign links that were answered 404: of a key that is mistyped, cut, or of another tracker."""

    total: int
    since: Annotated[Moment | None, Meta(description="null: there was none.")]
    latest: Annotated[list[UnknownLinkView], Meta(description="The latest distinct keys, newest first.")]


class HealthView(msgspec.Struct, kw_only=True):
    """How the tracker is."""

    alarms: Annotated[list[AlarmView], Meta(description="What an operator has to look at.")]
    started_at: Annotated[Moment | None, Meta(description="When the core was started.")]
    journal: list[LagView]
    disk: DiskView
    unknown_links: UnknownLinksView
    workers: list[WorkerView]
    audit: AuditView
    clock: ClockView
    jobs: list[JobView]
    uploads: list[UploadUnderWayView]
    exports: Annotated[list[ExportView], Meta(description="One's own; who administers sees those of everybody.")]
    versions: list[VersionView]


def read_health(context: Context) -> HealthView:
    """How the tracker is. The public doors' own /health tells whether clicks are taken."""
    core, work = context.core_health(), under_way(context.ledger)
    return HealthView(
        alarms=alarm_views(core.alarms),
        started_at=optional_moment_text(core.started_at or None),
        journal=[
            LagView(stream=lag.stream, segments=lag.segments, octets=lag.octets, seconds=lag.oldest_ms / 1000)
            for lag in core.lags
        ],
        disk=DiskView(
            free_octets=core.free_octets,
            octets=core.disk_octets,
            free_percent=round(100 * core.free_octets / max(1, core.disk_octets), 1),
            reserve_octets=core.reserve_octets,
            reserve_held=core.reserve_held,
        ),
        unknown_links=_unknown_links_view(core.unknown_links),
        workers=[
            WorkerView(
                name=worker.name,
                running=worker.running,
                failing_since=optional_moment_text(worker.failing_since),
                fault=worker.fault,
            )
            for worker in core.workers
        ],
        audit=AuditView(
            changes=work.newest_change,
            audited=min(work.audit.looked_to, work.newest_change),
            mismatches=list(work.audit.mismatched),
        ),
        clock=_clock_view(context),
        jobs=[_job_view(job) for job in work.jobs],
        uploads=[_upload_view(upload) for upload in work.uploads],
        exports=[export_view(context, export) for export in work.exports if may_see(context.actor, export)],
        versions=[VersionView(name=name, version=version) for name, version in core.versions],
    )


def confirm_clock(context: Context) -> ClockView:
    """Trust the machine's clock as it is now.

    After a jump, or at a start long after the last sign of life, nothing is deleted for its age until the clock has been steady for
    a day or somebody has confirmed it here. Look at the machine's time first: what is too old by it is deleted at once.
    """
    guard = context.clock_guard
    if guard is not None and guard.doubt is not None:
        before = _clock_view(context)
        guard.confirm()
        with context.ledger.write() as tx:
            note_change(tx, context, "health", "clock", before, _clock_view(context))
    return _clock_view(context)


def _clock_view(context: ApiContext) -> ClockView:
    doubt = context.clock_guard.doubt if context.clock_guard is not None else None
    return ClockView(trusted=doubt is None, why=doubt.sentence if doubt is not None else "")


def read_damages(context: Context) -> DamagesView:
    """Return the damage of the journal that nobody has confirmed: its alarm goes on until somebody does."""
    sentences = context.journal_damages.unconfirmed()
    return DamagesView(count=len(sentences), sentences=[shown(one) for one in sentences[:MAX_DAMAGES]])


def confirm_damages(context: Context) -> DamagesView:
    """End the alarm of the journal's damage, once you have seen it and dealt with it. ``clickloop doctor --confirm`` does the same.

    Nothing is repaired or deleted by it. What is found later raises a new alarm.
    """
    before = read_damages(context)
    if context.journal_damages.confirm(context.clock()):
        with context.ledger.write() as tx:
            note_change(tx, context, "health", "journal", before, read_damages(context))
    context.on_damages_confirmed()
    return read_damages(context)


def verify_facts(context: Context, first_column: FirstColumn = 0) -> VerificationView:
    """Reads the facts to find what cannot be read: as many columns as some seconds allow; go on at next_column.

    One at a time: another gets 429 meanwhile. Blocks that the server has in its memory are not read from the disk again.
    """
    if not _verifying.acquire(blocking=False):
        raise HTTPException(
            status_code=429,
            detail="The facts are being read already: try again in a moment.",
            headers={"Retry-After": "2"},
        )
    try:
        read = context.facts.verify(first_column, VERIFY_SECONDS)
    finally:
        _verifying.release()
    return VerificationView(
        columns=read.columns,
        rows=read.rows,
        unreadable=[
            UnreadableRangeView(
                table=one.table, column=one.column, first_row=one.first_row, last_row=one.last_row, why=shown(one.why)
            )
            for one in read.unreadable
        ],
        next_column=read.next_column,
    )


def alarm_views(alarms: Sequence[Alarm]) -> list[AlarmView]:
    """Return alarms for JSON."""
    return [
        AlarmView(code=alarm.code, sentence=shown(alarm.sentence), since=optional_moment_text(alarm.since or None))
        for alarm in alarms
    ]


def _unknown_links_view(links: UnknownLinks) -> UnknownLinksView:
    return UnknownLinksView(
        total=links.total,
        since=moment_text(links.since) if links.total else None,
        latest=[
            UnknownLinkView(key=link.key, count=link.count, last_at=moment_text(link.last_at)) for link in links.latest
        ],
    )


def _job_view(job: BulkJob) -> JobView:
    return JobView(
        bulk_job_id=job.bulk_job_id,
        kind=job.kind,
        matched=job.matched,
        done=job.done,
        created_at=moment_text(job.created_at),
    )


def _upload_view(upload: Upload) -> UploadUnderWayView:
    return UploadUnderWayView(
        upload_id=upload.upload_id,
        name=shown(upload.name),
        octets=upload.octets,
        octets_read=upload.octets_read,
        created_at=moment_text(upload.created_at),
    )


router = Router(
    "/health",
    route_handlers=[
        get("/", sync_to_thread=True, summary="Read how the tracker is")(read_health),
        post(
            "/clock",
            status_code=200,
            opt={RIGHT: Right.ADMINISTER},
            sync_to_thread=True,
            summary="Confirm that the machine's clock is right",
        )(confirm_clock),
        get("/damages", sync_to_thread=True, summary="Read what is damaged in the journal")(read_damages),
        post(
            "/damages/confirm",
            status_code=200,
            opt={RIGHT: Right.ADMINISTER},
            sync_to_thread=True,
            summary="Confirm the journal's damage",
        )(confirm_damages),
        post(
            "/facts",
            status_code=200,
            sync_to_thread=True,
            opt={RIGHT: Right.ADMINISTER},
            summary="Read every block of the facts",
        )(verify_facts),
    ],
    tags=["Diagnosis"],
)
