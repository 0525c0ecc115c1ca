"""What became of each line of an upload, beside the line itself: read again from the file, and from the ledger as it is now."""

from collections.abc import Iterator
from itertools import islice, takewhile

import msgspec

from clickloop.conversion.notice import RefusalReason
from clickloop.conversion.upload import BadLine, Line, lines_of, notice_id_of
from clickloop.conversion.upload_columns import RESULT_PREFIX, column_name
from clickloop.report.spreadsheet import csv_line
from clickloop.store.ledger.jobs.uploads import Upload, Verdict
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.notices import notices_of_ids
from clickloop.store.upload_files import UploadFiles
from clickloop.text import text_of
from clickloop.tracking.notices import BATCH
from clickloop.tracking.uploads import Finding, finding_of, layout_of, unreadable

RESULT_COLUMNS = ("line", "verdict", "reason", "message", "flags", "conversion_id", "notice_id")
_REFUSALS = {reason.value: reason for reason in RefusalReason}
_finding = msgspec.json.Decoder(Finding)


class LineResult(msgspec.Struct, frozen=True):
    """A line and what became of it, or would."""

    finding: Finding
    sentence: str
    cells: tuple[bytes, ...]
    """As they came; of one that cannot be read its beginning."""

    @property
    def text(self) -> str:
        """The line as it came, but for its quotes, in the form of ``text.text_of``."""
        return text_of(b",".join(self.cells))


def line_results(ledger: Ledger, files: UploadFiles, upload: Upload) -> Iterator[LineResult]:
    """The lines that have been taken so far, in order. Memory stays flat. Raises FileNotFoundError when the file is no longer kept.

    Of a preview what was foreseen; else what the notices have come to by now: one that waited may be registered, one that was run
    again may have changed.
    """
    layout = layout_of(files, upload)
    pieces = files.pieces(upload.upload_id, layout.begins_at)
    lines = takewhile(lambda line: line.ends_at <= upload.octets_read, lines_of(layout, pieces))
    foreseen = map(_finding.decode, files.verdicts(upload.upload_id)) if upload.preview else None
    try:
        while batch := list(islice(lines, BATCH)):
            # Of a preview that has just begun anew there may be fewer findings than lines.
            found = zip(batch, foreseen, strict=False) if foreseen is not None else _found(ledger, upload, batch)
            for line, finding in found:
                yield LineResult(finding, _sentence(line, finding), line.cells)
    finally:
        pieces.close()


def payout_totals(files: UploadFiles, upload: Upload, most: int) -> dict[str, int]:
    """Return by currency the payouts, in millionths, of the first ``most`` lines of a preview. Raise FileNotFoundError as above."""
    totals: dict[str, int] = {}
    for finding in map(_finding.decode, islice(files.verdicts(upload.upload_id), most)):
        if finding.payout is not None:
            totals[finding.payout.currency] = totals.get(finding.payout.currency, 0) + finding.payout.micros
    return totals


def result_table(ledger: Ledger, files: UploadFiles, upload: Upload) -> Iterator[bytes]:
    """The result as CSV in pieces: our columns first, then the file's own. Raises FileNotFoundError before the first piece is given."""
    columns = layout_of(files, upload).columns
    kept = [at for at, column in enumerate(columns) if not column_name(column).startswith(RESULT_PREFIX)]
    header = [f"{RESULT_PREFIX}{name}" for name in RESULT_COLUMNS]
    yield csv_line([*header, *([columns[at] for at in kept] if columns else ["text"])])
    results = line_results(ledger, files, upload)
    while batch := list(islice(results, BATCH)):
        yield b"".join(_table_line(result, kept) for result in batch)


def _table_line(result: LineResult, kept: list[int]) -> bytes:
    finding = result.finding
    cells = result.cells
    is_whole = bool(kept) and finding.verdict is not Verdict.UNREADABLE
    own = [cells[at] for at in kept if at < len(cells)] if is_whole else cells
    return csv_line(
        [
            finding.number,
            finding.verdict.value,
            finding.reason,
            result.sentence,
            " ".join(finding.flags),
            finding.conversion_id,
            finding.notice_id,
            *own,
        ]
    )


def _found(ledger: Ledger, upload: Upload, batch: list[Line | BadLine]) -> Iterator[tuple[Line | BadLine, Finding]]:
    """What the lines of a batch have come to by now."""
    ids = {line.number: notice_id_of(upload.upload_id, upload.created_at, line.number) for line in batch}
    with ledger.read() as tx:
        notices = {notice.raw.notice_id: notice for notice in notices_of_ids(tx, list(ids.values()))}
    for line in batch:
        if isinstance(line, BadLine):
            yield line, unreadable(line)
        elif notice := notices.get(ids[line.number]):
            yield line, finding_of(line, notice)


def _sentence(line: Line | BadLine, finding: Finding) -> str:
    if isinstance(line, BadLine):
        return line.sentence
    refusal = _REFUSALS.get(finding.reason)
    return refusal.sentence if refusal else finding.verdict.sentence
