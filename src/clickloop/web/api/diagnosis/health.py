"""/health: the journal's lag, the disk, the workers, the audit, and work in progress."""

import threading
from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.exceptions import HTTPException
from litestar.params import QueryParameter
from msgspec import Meta

from clickloop.alarm.alarms import Alarm
from clickloop.clock import Moment, iso_text, optional_iso_text
from clickloop.diagnosis.health import CoreHealth, unfinished_work
from clickloop.logs.view import view_of
from clickloop.people.user import Right
from clickloop.store.ledger.jobs.bulk_jobs import JobKind
from clickloop.store.ledger.jobs.exports import may_see
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.text import readable
from clickloop.tracking.jobs.exports import ExportView, export_view
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis.geo_bases import GeoView, geo_view
from clickloop.web.api.rights import RIGHT

VERIFY_SECONDS = 5.0  # as long as a request may take; the next request continues
MAX_DAMAGES = 100
"""Maximum number of damages in a response."""
_verifying = threading.Lock()
"""Allows one verification at a time: reading everything takes a core and much of the engine's memory."""


class LagView(msgspec.Struct, kw_only=True):
    """The part of a journal stream that is not settled yet."""

    stream: Annotated[str, Meta(examples=["clicks"])]
    segments: int
    octets: int
    seconds: Annotated[float, Meta(description="Age of the oldest record.")]


class DiskView(msgspec.Struct, kw_only=True):
    """The disk of the data folder."""

    free_octets: int
    octets: int
    free_percent: float
    reserve_octets: Annotated[int, Meta(description="Space set aside, released when the disk is full.")]
    reserve_held: Annotated[bool, Meta(description="false if the reserve was released, or there is no room for it.")]


class WorkerView(msgspec.Struct, kw_only=True):
    """A background worker of the core."""

    name: str
    running: bool
    failing_since: Annotated[Moment | None, Meta(description="null if its last step succeeded.")]
    fault: str


class AuditView(msgspec.Struct, kw_only=True):
    """The background check that every change of a conversion has its postbacks."""

    changes: Annotated[int, Meta(description="Number of changes.")]
    audited: Annotated[int, Meta(description="Number of changes checked.")]
    mismatches: Annotated[list[int], Meta(description="Numbers of the changes whose postbacks are wrong.")]


class JobView(msgspec.Struct, kw_only=True):
    """A bulk job in progress."""

    bulk_job_id: str
    kind: JobKind
    matched: int
    done: int
    created_at: Moment


class UploadUnderWayView(msgspec.Struct, kw_only=True):
    """An upload in progress."""

    upload_id: str
    name: str
    octets: int
    octets_read: int
    created_at: Moment


class VersionView(msgspec.Struct, kw_only=True):
    """A component and its version."""

    name: str
    version: str


class ClockView(msgspec.Struct, kw_only=True):
    """Whether old data may be deleted by the machine's clock."""

    trusted: bool
    why: Annotated[str, Meta(description="Why the clock is not trusted, and what to do. Empty if it is.")]


class AlarmView(msgspec.Struct, kw_only=True):
    """An alarm."""

    code: Annotated[str, Meta(description="Stable code for programs.", examples=["journal_lag"])]
    sentence: str
    since: Annotated[Moment | None, Meta(description="null if unknown.")]


class UnreadableRangeView(msgspec.Struct, kw_only=True):
    """Rows of a column of the facts that cannot be read."""

    table: str
    column: str
    first_row: int
    last_row: int
    why: str


class VerificationView(msgspec.Struct, kw_only=True):
    """The part of the facts that was read."""

    columns: int
    rows: int
    unreadable: list[UnreadableRangeView]
    unknown_page_events: Annotated[
        int, Meta(description="Page events that are in no figure because their click is unknown, if first_column is 0.")
    ]
    next_column: Annotated[int | None, Meta(description="first_column of the next request; null at the end.")]


class DamagesView(msgspec.Struct, kw_only=True):
    """Unconfirmed damage to the journal."""

    count: int
    sentences: Annotated[list[str], Meta(description=f"The first {MAX_DAMAGES}, each with its file and byte range.")]


FirstColumn = Annotated[int, QueryParameter(ge=0, le=10_000, description="Number of the column to start with.")]


class UnknownLinkView(msgspec.Struct, kw_only=True):
    """A key that no campaign has."""

    key: Annotated[str, Meta(description="Empty if the path did not begin with a letter or digit.")]
    count: int
    last_at: Moment


class UnknownLinksView(msgspec.Struct, kw_only=True):
    """Requests for campaign links that got 404 because the key is mistyped, truncated, or from another tracker."""

    total: int
    since: Annotated[Moment | None, Meta(description="null if there were none.")]
    latest: Annotated[list[UnknownLinkView], Meta(description="Latest distinct keys, newest first.")]
    lost_landing_clicks: Annotated[
        int,
        Meta(description="Requests for /click without a click ID, which neither cid, the referrer nor a cookie gave."),
    ]


class HealthView(msgspec.Struct, kw_only=True):
    """The tracker's health."""

    alarms: Annotated[list[AlarmView], Meta(description="Problems that need attention.")]
    started_at: Annotated[Moment | None, Meta(description="When the core started.")]
    journal: list[LagView]
    disk: DiskView
    unknown_links: UnknownLinksView
    workers: list[WorkerView]
    audit: AuditView
    clock: ClockView
    geo: GeoView
    jobs: list[JobView]
    uploads: list[UploadUnderWayView]
    exports: Annotated[list[ExportView], Meta(description="Your exports; administrators see everyone's.")]
    versions: list[VersionView]


def read_health(context: Context) -> HealthView:
    """Return the tracker's health. Use /health on the public host to check that clicks are accepted."""
    core, work = context.core_health(), unfinished_work(context.ledger)
    return HealthView(
        alarms=alarm_views(core.alarms),
        started_at=optional_iso_text(core.started_at or None),
        journal=[view_of(LagView, lag, seconds=lag.oldest_ms / 1000) for lag in core.lags],
        disk=_disk_view(core),
        unknown_links=view_of(
            UnknownLinksView,
            core.unknown_links,
            since=iso_text(core.unknown_links.since) if core.unknown_links.since else None,
        ),
        workers=[view_of(WorkerView, worker) for worker in core.workers],
        audit=AuditView(
            changes=work.newest_change,
            audited=min(work.audit.looked_to, work.newest_change),
            mismatches=list(work.audit.mismatched),
        ),
        clock=_clock_view(context),
        geo=geo_view(context),
        jobs=[view_of(JobView, job) for job in work.jobs],
        uploads=[view_of(UploadUnderWayView, upload) for upload in work.uploads],
        exports=[export_view(context, export) for export in work.exports if may_see(context.actor, export)],
        versions=[VersionView(name=name, version=version) for name, version in core.versions],
    )


def confirm_clock(context: Context) -> ClockView:
    """Trust the machine's clock.

    After the clock has jumped, or when the tracker starts long after it last ran, nothing is deleted because of its age until
    the clock has been steady for a day or is confirmed here. Check the machine's time first: data that is too old by it is
    deleted at once.
    """
    guard = context.clock_guard
    if guard is not None and guard.doubt is not None:
        before = _clock_view(context)
        guard.confirm()
        with context.ledger.write() as tx:
            record_change(tx, context, "health", "clock", before, _clock_view(context))
    return _clock_view(context)


def _clock_view(context: ApiContext) -> ClockView:
    doubt = context.clock_guard.doubt if context.clock_guard is not None else None
    return ClockView(trusted=doubt is None, why=doubt.sentence if doubt is not None else "")


def read_damages(context: Context) -> DamagesView:
    """List unconfirmed damage to the journal. Its alarm continues until the damage is confirmed."""
    sentences = context.journal_damages.unconfirmed()
    return DamagesView(count=len(sentences), sentences=[readable(one) for one in sentences[:MAX_DAMAGES]])


def confirm_damages(context: Context) -> DamagesView:
    """End the alarm about damage to the journal, once you have dealt with it. Same as ``clickloop doctor --confirm``.

    Nothing is repaired or deleted. Damage found later raises a new alarm.
    """
    before = read_damages(context)
    if context.journal_damages.confirm(context.clock()):
        with context.ledger.write() as tx:
            record_change(tx, context, "health", "journal", before, read_damages(context))
    context.on_damages_confirmed()
    return read_damages(context)


def verify_facts(context: Context, first_column: FirstColumn = 0) -> VerificationView:
    """Read the facts to find unreadable blocks, for a few seconds per request. Continue with next_column.

    Only one request at a time; others get 429. Blocks in the server's memory are not read from disk again.
    """
    if not _verifying.acquire(blocking=False):
        raise HTTPException(
            status_code=429,
            detail="The facts are being verified already. Try again in a moment.",
            headers={"Retry-After": "2"},
        )
    try:
        read = context.facts.verify(first_column, VERIFY_SECONDS)
    finally:
        _verifying.release()
    return view_of(VerificationView, read)


def alarm_views(alarms: Sequence[Alarm]) -> list[AlarmView]:
    """Return alarms for JSON."""
    return [view_of(AlarmView, alarm, since=optional_iso_text(alarm.since or None)) for alarm in alarms]


def _disk_view(core: CoreHealth) -> DiskView:
    percent = round(100 * core.free_octets / max(1, core.disk_octets), 1)
    return view_of(DiskView, core, octets=core.disk_octets, free_percent=percent)


router = Router(
    "/health",
    route_handlers=[
        get("/", sync_to_thread=True, summary="Get the tracker's health")(read_health),
        post(
            "/clock",
            status_code=200,
            opt={RIGHT: Right.ADMINISTER},
            sync_to_thread=True,
            summary="Confirm the machine's clock",
        )(confirm_clock),
        get("/damages", sync_to_thread=True, summary="List damage to the journal")(read_damages),
        post(
            "/damages/confirm",
            status_code=200,
            opt={RIGHT: Right.ADMINISTER},
            sync_to_thread=True,
            summary="Confirm damage to the journal",
        )(confirm_damages),
        post(
            "/facts",
            status_code=200,
            sync_to_thread=True,
            opt={RIGHT: Right.ADMINISTER},
            summary="Verify the facts",
        )(verify_facts),
    ],
    tags=["Diagnosis"],
)
