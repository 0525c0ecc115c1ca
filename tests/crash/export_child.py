"""Writes all exports of a folder, to be killed at any moment."""

import sys
from pathlib import Path

from clickloop.report.spreadsheet import csv_line
from clickloop.store.export_files import ExportFiles
from clickloop.store.ledger.jobs.exports import Export
from clickloop.store.ledger.ledger import Ledger
from clickloop.tracking.jobs.export_work import ExportedPage, ExportWorker

NOW = 1_772_366_400_000
ROWS, A_PAGE = 2_000, 5


def page_of(export: Export) -> ExportedPage:
    """A log of so many numbered rows."""
    begin = int(export.next_cursor or "0")
    end = min(ROWS, begin + A_PAGE)
    head = b"" if begin else csv_line(["number", "text"])
    lines = b"".join(csv_line([number, "x" * (number % 97)]) for number in range(begin, end))
    return ExportedPage(head + lines, end - begin, str(end) if end < ROWS else None, NOW - end)


def main(folder: Path) -> None:
    """Write page after page until nothing is left; say so after each one."""
    files = ExportFiles(folder / "exports", min_free_bytes=0)
    work = ExportWorker(Ledger.open(folder / "ledger.sqlite"), files, page_of, lambda: NOW)
    while work.step():
        print("page", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
