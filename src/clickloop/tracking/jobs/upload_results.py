"""Results of an upload: each line, reread from the file, with its current outcome from the ledger."""

from collections.abc import Iterator
from itertools import islice, takewhile

import msgspec

from clickloop.conversion.notice import RefusalReason
from clickloop.conversion.upload.columns import RESULT_PREFIX, column_name
from clickloop.conversion.upload.lines import UnreadableLine, UploadLine, lines_of, notice_id_of
from clickloop.report.spreadsheet import csv_line
from clickloop.store.ledger.jobs.uploads import LineVerdict, Upload
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.notices import notices_of_ids
from clickloop.store.upload_files import UploadFiles
from clickloop.text import escape_bytes
from clickloop.tracking.jobs.upload_work import LineFinding, layout_of, line_finding, unreadable_line
from clickloop.tracking.notices import BATCH

RESULT_COLUMNS = ("line", "verdict", "reason", "message", "flags", "conversion_id", "notice_id")
_REFUSALS = {reason.value: reason for reason in RefusalReason}
_finding = msgspec.json.Decoder(LineFinding)


class LineResult(msgspec.Struct, frozen=True):
    """A line and its result, or the result that it would have in a preview."""

    finding: LineFinding
    sentence: str
    cells: tuple[bytes, ...]
    """The cells as they came; of an unreadable line its beginning."""

    @property
    def text(self) -> str:
        """The line as it came, without its quotes, in the form of ``text.escape_bytes``."""
        return escape_bytes(b",".join(self.cells))


def line_results(ledger: Ledger, files: UploadFiles, upload: Upload) -> Iterator[LineResult]:
    """Yield the lines processed so far, in order, in constant memory. Raise FileNotFoundError if the file was deleted.

    A preview yields its stored results; otherwise results are those of the notices now: one that waited may be registered since,
    one that was rerun may have changed.
    """
    layout = layout_of(files, upload)
    pieces = files.pieces(upload.upload_id, layout.begins_at)
    lines = takewhile(lambda line: line.ends_at <= upload.octets_read, lines_of(layout, pieces))
    previewed = map(_finding.decode, files.verdicts(upload.upload_id)) if upload.preview else None
    try:
        while batch := list(islice(lines, BATCH)):
            # A preview that has just been restarted may have fewer results than lines.
            pairs = (
                zip(batch, previewed, strict=False) if previewed is not None else _with_findings(ledger, upload, batch)
            )
            for line, finding in pairs:
                yield LineResult(finding, _sentence(line, finding), line.cells)
    finally:
        pieces.close()


def payout_totals(files: UploadFiles, upload: Upload, limit: int) -> dict[str, int]:
    """Return the payouts (in millionths) by currency of a preview's first ``limit`` lines. Raise FileNotFoundError as above."""
    totals: dict[str, int] = {}
    for finding in map(_finding.decode, islice(files.verdicts(upload.upload_id), limit)):
        if finding.payout is not None:
            totals[finding.payout.currency] = totals.get(finding.payout.currency, 0) + finding.payout.micros
    return totals


def result_table(ledger: Ledger, files: UploadFiles, upload: Upload) -> Iterator[bytes]:
    """Yield the results as CSV, our columns first, then the file's own. Raise FileNotFoundError before the first piece."""
    columns = layout_of(files, upload).columns
    own_columns = [at for at, column in enumerate(columns) if not column_name(column).startswith(RESULT_PREFIX)]
    header = [f"{RESULT_PREFIX}{name}" for name in RESULT_COLUMNS]
    yield csv_line([*header, *([columns[at] for at in own_columns] if columns else ["text"])])
    results = line_results(ledger, files, upload)
    while batch := list(islice(results, BATCH)):
        yield b"".join(_table_line(result, own_columns) for result in batch)


def _table_line(result: LineResult, own_columns: list[int]) -> bytes:
    finding = result.finding
    cells = result.cells
    is_whole = bool(own_columns) and finding.verdict is not LineVerdict.UNREADABLE
    own = [cells[at] for at in own_columns if at < len(cells)] if is_whole else cells
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


def _with_findings(
    ledger: Ledger, upload: Upload, batch: list[UploadLine | UnreadableLine]
) -> Iterator[tuple[UploadLine | UnreadableLine, LineFinding]]:
    """Yield the lines of a batch with their current results."""
    ids = {line.number: notice_id_of(upload.upload_id, upload.created_at, line.number) for line in batch}
    with ledger.read() as tx:
        notices = {notice.raw.notice_id: notice for notice in notices_of_ids(tx, list(ids.values()))}
    for line in batch:
        if isinstance(line, UnreadableLine):
            yield line, unreadable_line(line)
        elif notice := notices.get(ids[line.number]):
            yield line, line_finding(line, notice)


def _sentence(line: UploadLine | UnreadableLine, finding: LineFinding) -> str:
    if isinstance(line, UnreadableLine):
        return line.sentence
    refusal = _REFUSALS.get(finding.reason)
    return refusal.sentence if refusal else finding.verdict.sentence
