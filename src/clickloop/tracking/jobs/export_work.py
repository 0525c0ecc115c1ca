"""Export a log to a file page by page, newest rows first. An export resumes after a crash at any point.

A page is on disk before its end is recorded in the ledger. A page that a crash left unrecorded is behind the recorded end, and is
truncated when it is written again.
"""

from collections.abc import Callable

import msgspec

from clickloop.clock import Clock
from clickloop.machine.log import log
from clickloop.setup.fault import InvalidInputError
from clickloop.store.disk_room import NoRoomError
from clickloop.store.export_files import ExportFiles, LostFileError
from clickloop.store.ledger.jobs.exports import EXPORTS, Export
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.ledger import Ledger

MAX_PARALLEL_EXPORTS = 4
"""Maximum number of exports processed in turns, a page each: a short one need not wait for a long one."""
_IDS_PER_QUERY = 500  # engines limit the parameters of one statement
_AGAIN = "Export it again when there is room."


class ExportedPage(msgspec.Struct, frozen=True):
    """The lines of a page; the first page begins with the header. ``next_cursor`` None: the last page."""

    lines: bytes
    rows: int
    next_cursor: str | None
    reached_at: int | None
    """The moment of the last row; None if there are no rows."""


ExportPageReader = Callable[[Export], ExportedPage]
"""Reads an export's next page. Raises InvalidInputError for filters that are no longer valid."""


class ExportWorker:
    """A worker that writes unfinished exports in turns. One per ledger, in one thread: two would write the same file."""

    def __init__(self, ledger: Ledger, files: ExportFiles, page_of: ExportPageReader, clock: Clock) -> None:
        self._ledger = ledger
        self._files = files
        self._page_of = page_of
        self._clock = clock
        self._last = ""

    def step(self) -> bool:
        """Write one page of the next export; return False if there is none. Errors of a store propagate: call again later."""
        with self._ledger.read() as tx:
            unfinished = EXPORTS.unfinished(tx, MAX_PARALLEL_EXPORTS)
        if not unfinished:
            return False
        # Round-robin by id, so that short exports do not wait for a long one.
        export = next((export for export in unfinished if export.export_id > self._last), unfinished[0])
        self._last = export.export_id
        try:
            page = self._page_of(export)
        except InvalidInputError as error:
            self._fail(export, f"The filters are no longer valid. {error.faults[0].message}")
            return True
        self._write(export, page)
        return True

    def _write(self, export: Export, page: ExportedPage) -> None:
        try:
            # File first, then ledger: after a crash the page overwrites itself.
            size = self._files.write(export.export_id, export.octets, page.lines)
        except LostFileError as error:
            log("export begins anew", export_id=export.export_id, fault=str(error))
            self._update(_restarted(export))
        except NoRoomError as error:
            self._fail(export, f"{error} {_AGAIN}")
        except OSError as error:
            self._fail(export, f"The file could not be written: {error.strerror or error}. {_AGAIN}")
        else:
            self._update(_with_page(export, page, size, self._clock()))

    def _update(self, export: Export) -> None:
        """Record an export's progress; delete its file if the export was cancelled meanwhile."""
        with self._ledger.write() as tx:
            written = EXPORTS.keep(tx, export)
        if not written:
            self._files.delete(export.export_id)
        elif export.state.is_final:
            log("export ended", export_id=export.export_id, state=export.state, rows=export.rows_written)

    def _fail(self, export: Export, error: str) -> None:
        self._update(
            msgspec.structs.replace(export, state=JobState.FAILED, finished_at=self._clock(), error=error[:500])
        )
        self._files.delete(export.export_id)


def delete_old_export_files(ledger: Ledger, files: ExportFiles, now_ms: int, keep_ms: int) -> None:
    """Delete the files of exports that finished over ``keep_ms`` ago, failed or were cancelled, and files without an export."""
    stored = files.ids_on_disk()
    known: dict[str, Export] = {}
    for start in range(0, len(stored), _IDS_PER_QUERY):
        with ledger.read() as tx:
            found = EXPORTS.of_ids(tx, stored[start : start + _IDS_PER_QUERY])
        known |= {export.export_id: export for export in found}
    for export_id in stored:
        export = known.get(export_id)
        if export is None or (export.finished_at is not None and not _is_retained(export, now_ms - keep_ms)):
            files.delete(export_id)


def _is_retained(export: Export, since: int) -> bool:
    return export.state is JobState.FINISHED and (export.finished_at or 0) >= since


def _with_page(export: Export, page: ExportedPage, size: int, now_ms: int) -> Export:
    is_last = page.next_cursor is None
    return msgspec.structs.replace(
        export,
        state=JobState.FINISHED if is_last else JobState.RUNNING,
        next_cursor=page.next_cursor or "",
        rows_written=export.rows_written + page.rows,
        octets=size,
        reached_at=export.reached_at if page.reached_at is None else page.reached_at,
        finished_at=now_ms if is_last else None,
    )


def _restarted(export: Export) -> Export:
    return msgspec.structs.replace(
        export, state=JobState.WAITING, next_cursor="", rows_written=0, octets=0, reached_at=None
    )
