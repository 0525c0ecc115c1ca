"""The health of the running tracker: the journal's lag, the disk, the workers, unfinished work. Read-only."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from clickloop.alarm.alarms import Alarm
from clickloop.store.disk_reserve import DiskReserve
from clickloop.store.journal.listing import journal_lag
from clickloop.store.journal.segment import STREAMS
from clickloop.store.ledger.audit.changes import ChangeAuditProgress, newest_change_number, read_change_audit_progress
from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, BulkJob
from clickloop.store.ledger.jobs.exports import EXPORTS, Export
from clickloop.store.ledger.jobs.uploads import UPLOADS, Upload
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.unknown_links import UnknownLinks, read_unknown_links

MAX_UNFINISHED = 50  # far more than are ever unfinished at once


class StreamLag(msgspec.Struct, frozen=True, kw_only=True):
    """The unsettled segments of a stream of the journal."""

    stream: str
    segments: int
    octets: int
    oldest_ms: int
    """The age of the oldest one."""


class WorkerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """A worker of the core. ``failing_since`` None: its last step succeeded."""

    name: str
    running: bool
    failing_since: int | None = None
    fault: str = ""


class CoreHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The health as only the running core knows it."""

    lags: tuple[StreamLag, ...] = ()
    free_octets: int = 0
    disk_octets: int = 0
    reserve_octets: int = 0
    reserve_held: bool = False
    alarms: tuple[Alarm, ...] = ()
    unknown_links: UnknownLinks = UnknownLinks()
    """Unknown campaign links under ``/c/``, as counted by the edges."""
    workers: tuple[WorkerHealth, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    """Names and versions of the product, its interpreter and its stores."""
    started_at: int = 0


NOT_RUNNING = CoreHealth()


class UnfinishedWork(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of the audit, and unfinished jobs, uploads and exports, from the ledger."""

    audit: ChangeAuditProgress
    newest_change: int
    jobs: tuple[BulkJob, ...]
    uploads: tuple[Upload, ...]
    exports: tuple[Export, ...]


def core_health(
    folder: Path,
    reserve: DiskReserve,
    workers: Sequence[WorkerHealth],
    versions: Sequence[tuple[str, str]],
    started_at: int,
    now_ms: int,
    alarms: Sequence[Alarm] = (),
) -> CoreHealth:
    disk = shutil.disk_usage(folder)
    lags = [(stream, journal_lag(folder / "journal", stream, now_ms)) for stream in STREAMS]
    return CoreHealth(
        lags=tuple(
            StreamLag(stream=stream, segments=lag.segments, octets=lag.size, oldest_ms=max(0, lag.oldest_age_ms))
            for stream, lag in lags
        ),
        free_octets=disk.free,
        disk_octets=disk.total,
        reserve_octets=reserve.size,
        reserve_held=reserve.held,
        alarms=tuple(alarms),
        unknown_links=read_unknown_links(folder),
        workers=tuple(workers),
        versions=tuple(versions),
        started_at=started_at,
    )


def unfinished_work(ledger: Ledger) -> UnfinishedWork:
    with ledger.read() as tx:
        return UnfinishedWork(
            audit=read_change_audit_progress(tx),
            newest_change=newest_change_number(tx),
            jobs=tuple(BULK_JOBS.unfinished(tx, MAX_UNFINISHED)),
            uploads=tuple(UPLOADS.unfinished(tx, MAX_UNFINISHED)),
            exports=tuple(EXPORTS.unfinished(tx, MAX_UNFINISHED)),
        )
