"""Uploads in the ledger: how far each file has been taken and what came of it; ``tx`` is an open transaction."""

from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, func, select, update

from clickloop.conversion.notice_log import Outcome
from clickloop.conversion.upload import Format
from clickloop.conversion.upload_text import UTF_8
from clickloop.explained import Explained
from clickloop.store.ledger.jobs.jobs import JobState, JobTable
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.schema.tables import notices, uploads

_encode = msgspec.json.Encoder(order="sorted").encode
_numbers = msgspec.json.Decoder(dict[str, int])


class Verdict(Explained):
    """What became of a line, or would: the outcome of its notice, or that it makes none."""

    NEW = "new", "A new conversion."
    CHANGED = "changed", "A change of a conversion."
    REPEATED = "repeated", "Nothing new: the conversion is already like this."
    WAITING = (
        "waiting",
        "Its click is not here yet: it is looked for until ten minutes have passed and older clicks are processed.",
    )
    REFUSED = "refused", "It registers nothing."
    UNREADABLE = "unreadable", "It cannot be read."


_counts = msgspec.json.Decoder(dict[Verdict, int])


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """One upload as it stands."""

    upload_id: str
    name: str = ""
    format: Format
    preview: bool = False
    postbacks: bool = True
    """False: those that its conversions owe are held back."""
    state: JobState = JobState.WAITING
    octets: int
    octets_read: int = 0
    """Bytes of the file that have been registered; 0: none yet."""
    next_line: int = 1
    """Number of the line that begins there."""
    lines: int = 0
    counts: dict[Verdict, int] = {}
    reasons: dict[str, int] = {}
    """Why lines were refused or unreadable: values of ``RefusalReason`` and ``LineFault``."""
    flagged: int = 0
    """Lines about which something was odd, whatever became of them."""
    flags: dict[str, int] = {}
    """What was odd: values of ``NoticeFlag``. A line may have several."""
    created_at: int
    """When the file had arrived. Its conversions count as reported then."""
    finished_at: int | None = None
    error: str | None = None
    """Set exactly when it has failed."""
    encoding: str = UTF_8
    """As which the file was read."""
    unused_columns: tuple[str, ...] = ()
    """Headers that mean no parameter, in the form of ``text.text_of``."""
    missing_values: tuple[str, ...] = ()
    """Those of payout and txid that no column of the table means."""

    @property
    def is_incomplete(self) -> bool:
        """Return whether a column that was not understood may be the payout or the transaction id."""
        return bool(self.unused_columns and self.missing_values)


def uploads_finished_between(tx: Connection, since: int, until: int) -> list[Upload]:
    """The uploads, no previews, that came to an end within a period, Unix milliseconds, its end left out."""
    query = select(uploads).where(
        uploads.c.finished_at >= since, uploads.c.finished_at < until, uploads.c.preview.is_(False)
    )
    return [_of_row(row) for row in tx.execute(query).mappings()]


def update_counts(tx: Connection, upload: Upload) -> None:
    """Writes an upload's counts anew."""
    statement = update(uploads).where(uploads.c.upload_id == upload.upload_id)
    expect_rows(tx.execute(statement.values(**_counted(upload))), 1, f"upload {upload.upload_id}")


class CountedOutcome(msgspec.Struct, frozen=True):
    """Number of notices with the same outcome, reason and flags."""

    outcome: Outcome
    reason: str | None
    flags: tuple[str, ...]
    count: int


def outcomes_between(tx: Connection, first_id: str, last_id: str) -> list[CountedOutcome]:
    """What the notices of a range of ids, both included, have come to."""
    table = notices.c
    query = select(table.outcome, table.reason, table.flags, func.count())
    rows = tx.execute(
        query.where(table.notice_id.between(first_id, last_id)).group_by(table.outcome, table.reason, table.flags)
    )
    return [
        CountedOutcome(Outcome(outcome), reason, tuple(filter(None, flags.split(","))), count)
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
        "format": Format(row["format"]),
        "state": JobState(row["state"]),
        "counts": _counts.decode(row["counts"]),
        "reasons": _numbers.decode(row["reasons"]),
        "flags": _numbers.decode(row["flags"]),
        "unused_columns": tuple(row["unused_columns"]),
        "missing_values": tuple(row["missing_values"]),
    }
    return Upload(**{**row, **read})


UPLOADS = JobTable(uploads, uploads.c.finished_at.is_(None), _of_row, _values)
"""The uploads."""
