"""Exports: a log is written to a file page by page, the newest rows first. Killed at any point, it goes on where it was.

A page is on disk before the ledger hears of it. So what a crash kept the ledger from hearing of stands behind the end that the
ledger knows, and is cut off when that page is written again.
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

PARALLEL_EXPORTS = 4
"""Exports that take turns, a page each: a short one is done soon beside a long one."""
_IDS_PER_QUERY = 500  # engines limit the parameters of one statement
_AGAIN = "Export it again when there is room."


class ExportedPage(msgspec.Struct, frozen=True):
    """The lines of a page, with the table's head before the first ones. ``next_cursor`` None: it was the last."""

    lines: bytes
    rows: int
    next_cursor: str | None
    reached_at: int | None
    """The moment of its last row; None: it has none."""


PageOf = Callable[[Export], ExportedPage]
"""Reads the page at which an export stands. Raises InvalidInputError for filters that cannot be taken any more."""


class ExportWork:
    """Writes the exports that are not at their end, in turns. For one thread, and the only one that does so on a ledger."""

    def __init__(self, ledger: Ledger, files: ExportFiles, page_of: PageOf, clock: Clock) -> None:
        self._ledger = ledger
        self._files = files
        self._page_of = page_of
        self._clock = clock
        self._last = ""

    def step(self) -> bool:
        """Writes one page of the export whose turn it is; False: there is none. A store that fails raises: call again later."""
        with self._ledger.read() as tx:
            unfinished = EXPORTS.unfinished(tx, PARALLEL_EXPORTS)
        if not unfinished:
            return False
        # In turns by id, so that a long export does not keep the short ones waiting.
        export = next((export for export in unfinished if export.export_id > self._last), unfinished[0])
        self._last = export.export_id
        try:
            page = self._page_of(export)
        except InvalidInputError as error:
            self._fail(export, f"It cannot be exported any more. {error.faults[0].message}")
            return True
        self._write(export, page)
        return True

    def _write(self, export: Export, page: ExportedPage) -> None:
        try:
            # File, then ledger: after a crash the page is written again over itself.
            octets = self._files.write(export.export_id, export.octets, page.lines)
        except LostFileError as error:
            log("export begins anew", export_id=export.export_id, fault=str(error))
            self._keep(_from_the_beginning(export))
        except NoRoomError as error:
            self._fail(export, f"{error} {_AGAIN}")
        except OSError as error:
            self._fail(export, f"Its file could not be written: {error.strerror or error}. {_AGAIN}")
        else:
            self._keep(_with_page(export, page, octets, self._clock()))

    def _keep(self, export: Export) -> None:
        """Writes down how far an export is. Its file goes when somebody has stopped it meanwhile."""
        with self._ledger.write() as tx:
            written = EXPORTS.keep(tx, export)
        if not written:
            self._files.delete(export.export_id)
        elif export.state.is_final:
            log("export ended", export_id=export.export_id, state=export.state, rows=export.rows_written)

    def _fail(self, export: Export, error: str) -> None:
        self._keep(msgspec.structs.replace(export, state=JobState.FAILED, finished_at=self._clock(), error=error[:500]))
        self._files.delete(export.export_id)


def tidy_exports(ledger: Ledger, files: ExportFiles, now_ms: int, keep_ms: int) -> None:
    """Removes the files of exports that ended ``keep_ms`` ago, or otherwise than well, and those that no export knows."""
    kept = files.kept()
    known: dict[str, Export] = {}
    for start in range(0, len(kept), _IDS_PER_QUERY):
        with ledger.read() as tx:
            found = EXPORTS.of_ids(tx, kept[start : start + _IDS_PER_QUERY])
        known |= {export.export_id: export for export in found}
    for export_id in kept:
        export = known.get(export_id)
        if export is None or (export.finished_at is not None and not _is_kept(export, now_ms - keep_ms)):
            files.delete(export_id)


def _is_kept(export: Export, since: int) -> bool:
    return export.state is JobState.FINISHED and (export.finished_at or 0) >= since


def _with_page(export: Export, page: ExportedPage, octets: int, now_ms: int) -> Export:
    is_last = page.next_cursor is None
    return msgspec.structs.replace(
        export,
        state=JobState.FINISHED if is_last else JobState.RUNNING,
        next_cursor=page.next_cursor or "",
        rows_written=export.rows_written + page.rows,
        octets=octets,
        reached_at=export.reached_at if page.reached_at is None else page.reached_at,
        finished_at=now_ms if is_last else None,
    )


def _from_the_beginning(export: Export) -> Export:
    return msgspec.structs.replace(
        export, state=JobState.WAITING, next_cursor="", rows_written=0, octets=0, reached_at=None
    )
