"""Uploads in the ledger: how far each file is registered, and with what results; ``tx`` is an open transaction."""

from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, func, select, update

from clickloop.conversion.notice_log import NoticeOutcome
from clickloop.conversion.upload.lines import UploadFormat
from clickloop.conversion.upload.text import UTF_8
from clickloop.explained import Explained
from clickloop.store.ledger.jobs.jobs import JobState, JobTable
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.schema.tables import notices, uploads

_encode = msgspec.json.Encoder(order="sorted").encode
_numbers = msgspec.json.Decoder(dict[str, int])


class LineVerdict(Explained):
    """The result of a line, or its result in a preview: the outcome of its notice, or that it is unreadable."""

    NEW = "new", "A new conversion."
    CHANGED = "changed", "A change to a conversion."
    REPEATED = "repeated", "Nothing new: the conversion already has these values."
    WAITING = (
        "waiting",
        "Its click has not arrived yet. Clickloop looks for it until ten minutes have passed and older clicks are processed.",
    )
    REFUSED = "refused", "Refused: nothing is registered."
    UNREADABLE = "unreadable", "The line cannot be read."


_counts = msgspec.json.Decoder(dict[LineVerdict, int])


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload."""

    upload_id: str
    name: str = ""
    format: UploadFormat
    preview: bool = False
    postbacks: bool = True
    """False: no postbacks are sent for its conversions."""
    state: JobState = JobState.WAITING
    octets: int
    octets_read: int = 0
    """Number of bytes of the file that are registered."""
    next_line: int = 1
    """Number of the line that begins after them."""
    lines: int = 0
    counts: dict[LineVerdict, int] = {}
    reasons: dict[str, int] = {}
    """Number of refused and unreadable lines by reason: values of ``RefusalReason`` and ``LineFault``."""
    flagged: int = 0
    """Number of lines with at least one flag, regardless of their result."""
    flags: dict[str, int] = {}
    """Number of lines by flag, values of ``NoticeFlag``. A line may have several."""
    created_at: int
    """When the file had arrived, which is when its conversions count as reported."""
    finished_at: int | None = None
    error: str | None = None
    """Set if and only if it failed."""
    encoding: str = UTF_8
    """The encoding with which the file was read."""
    unused_columns: tuple[str, ...] = ()
    """Headers that match no parameter, in the form of ``text.escape_bytes``."""
    missing_values: tuple[str, ...] = ()
    """Those of payout and txid that no column holds."""

    @property
    def is_incomplete(self) -> bool:
        """Return whether an unused column may hold the missing payout or transaction id."""
        return bool(self.unused_columns and self.missing_values)


def uploads_finished_between(tx: Connection, since: int, until: int) -> list[Upload]:
    """Return the uploads, not previews, that ended between ``since`` and ``until`` (exclusive), in Unix milliseconds."""
    query = select(uploads).where(
        uploads.c.finished_at >= since, uploads.c.finished_at < until, uploads.c.preview.is_(False)
    )
    return [_of_row(row) for row in tx.execute(query).mappings()]


def update_counts(tx: Connection, upload: Upload) -> None:
    """Update the counts of an upload."""
    statement = update(uploads).where(uploads.c.upload_id == upload.upload_id)
    expect_rows(tx.execute(statement.values(**_counted(upload))), 1, f"upload {upload.upload_id}")


def note_last_batch(tx: Connection, upload: Upload) -> None:
    """Write how far a stopped upload had come, where it was stopped while a batch was registered. Its state and its end stay."""
    of_upload = update(uploads).where(
        uploads.c.upload_id == upload.upload_id, uploads.c.state == JobState.STOPPED.value
    )
    progress = {"octets_read": upload.octets_read, "next_line": upload.next_line, "lines": upload.lines}
    tx.execute(of_upload.values(**progress, **_counted(upload)))


class CountedOutcome(msgspec.Struct, frozen=True):
    """Number of notices with the same outcome, reason and flags."""

    outcome: NoticeOutcome
    reason: str | None
    flags: tuple[str, ...]
    count: int


def outcomes_between(tx: Connection, first_id: str, last_id: str) -> list[CountedOutcome]:
    """Return the outcomes of the notices between two ids, inclusive."""
    table = notices.c
    query = select(table.outcome, table.reason, table.flags, func.count())
    rows = tx.execute(
        query.where(table.notice_id.between(first_id, last_id)).group_by(table.outcome, table.reason, table.flags)
    )
    return [
        CountedOutcome(NoticeOutcome(outcome), reason, tuple(filter(None, flags.split(","))), count)
        for outcome, reason, flags, count in rows
    ]


def _values(upload: Upload) -> dict[str, Any]:
    own = {"format": upload.format.value, "state": upload.state.value}
    return msgspec.structs.asdict(upload) | own | _counted(upload)


def _counted(upload: Upload) -> dict[str, Any]:
    return {
        "counts": _encode(upload.counts),
        "reasons": _encode(upload.reasons),
        "flagged": upload.flagged,
        "flags": _encode(upload.flags),
    }


def _of_row(row: RowMapping) -> Upload:
    read = {
        "format": UploadFormat(row["format"]),
        "state": JobState(row["state"]),
        "counts": _counts.decode(row["counts"]),
        "reasons": _numbers.decode(row["reasons"]),
        "flags": _numbers.decode(row["flags"]),
        "unused_columns": tuple(row["unused_columns"]),
        "missing_values": tuple(row["missing_values"]),
    }
    return Upload(**{**row, **read})


UPLOADS = JobTable(uploads, uploads.c.finished_at.is_(None), _of_row, _values)
