"""Uploads in the ledger: how far each file has been taken and what came of it; ``tx`` is an open transaction."""

import enum
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, update

from clickloop.conversion.upload import Format
from clickloop.conversion.upload_text import UTF_8
from clickloop.explained import Explained
from clickloop.store.ledger.notices import Outcome
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.tables import notices, uploads

_encode = msgspec.json.Encoder(order="sorted").encode
_numbers = msgspec.json.Decoder(dict[str, int])


class UploadState(enum.StrEnum):
    """Where an upload stands."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to it."""
        return self not in (UploadState.WAITING, UploadState.RUNNING)


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
    state: UploadState = UploadState.WAITING
    octets: int
    octets_read: int = 0
    """So much of the file has been taken; 0: nothing yet."""
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
    """Headers that mean no parameter, in the form of ``octets.text_of``."""
    missing_values: tuple[str, ...] = ()
    """Those of payout and txid that no column of the table means."""

    @property
    def is_incomplete(self) -> bool:
        """Return whether a column that was not understood may be the payout or the transaction id."""
        return bool(self.unused_columns and self.missing_values)


def insert_upload(tx: Connection, upload: Upload) -> None:
    """Adds an upload."""
    tx.execute(insert(uploads).values(**_values(upload)))


def find_upload(tx: Connection, upload_id: str) -> Upload | None:
    """The upload of that id."""
    row = tx.execute(select(uploads).where(uploads.c.upload_id == upload_id)).one_or_none()
    return None if row is None else _of_row(row)


def uploads_of_ids(tx: Connection, upload_ids: Sequence[str]) -> list[Upload]:
    """Those of the uploads that are in the ledger."""
    return [_of_row(row) for row in tx.execute(select(uploads).where(uploads.c.upload_id.in_(upload_ids)))]


def uploads_before(tx: Connection, before_id: str | None, limit: int) -> list[Upload]:
    """At most ``limit`` uploads, newest first; of the next page those before the last id of this one."""
    query = select(uploads).order_by(uploads.c.upload_id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(uploads.c.upload_id < before_id)
    return [_of_row(row) for row in tx.execute(query)]


def unfinished_uploads(tx: Connection, limit: int) -> list[Upload]:
    """At most ``limit`` uploads that are not at their end, the oldest first."""
    query = select(uploads).where(uploads.c.finished_at.is_(None)).order_by(uploads.c.upload_id).limit(limit)
    return [_of_row(row) for row in tx.execute(query)]


def update_unfinished(tx: Connection, upload: Upload) -> bool:
    """Writes how an upload stands now, unless it has come to an end meanwhile; answers whether it was written."""
    statement = update(uploads).where(uploads.c.upload_id == upload.upload_id, uploads.c.finished_at.is_(None))
    return tx.execute(statement.values(**_values(upload))).rowcount == 1


def cancel_upload(tx: Connection, upload_id: str, now_ms: int) -> bool:
    """Ends an upload where it is; answers whether it was not at its end already."""
    statement = update(uploads).where(uploads.c.upload_id == upload_id, uploads.c.finished_at.is_(None))
    return tx.execute(statement.values(state=UploadState.CANCELLED.value, finished_at=now_ms)).rowcount == 1


def uploads_finished_between(tx: Connection, since: int, until: int) -> list[Upload]:
    """The uploads, no previews, that came to an end within a period, Unix milliseconds, its end left out."""
    query = select(uploads).where(
        uploads.c.finished_at >= since, uploads.c.finished_at < until, uploads.c.preview.is_(False)
    )
    return [_of_row(row) for row in tx.execute(query)]


def update_counts(tx: Connection, upload: Upload) -> None:
    """Writes an upload's counts anew."""
    statement = update(uploads).where(uploads.c.upload_id == upload.upload_id)
    expect_rows(tx.execute(statement.values(**_counted(upload))), 1, f"upload {upload.upload_id}")


class CountedOutcome(msgspec.Struct, frozen=True):
    """So many notices have come to the same, with the same reason and the same flags."""

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


def _of_row(row: Row[Any]) -> Upload:
    values = dict(row._mapping)  # noqa: SLF001 – SQLAlchemy's documented name
    values |= {"counts": _counts.decode(row.counts), "reasons": _numbers.decode(row.reasons)}
    values["flags"] = _numbers.decode(row.flags)
    values |= {"unused_columns": tuple(row.unused_columns), "missing_values": tuple(row.missing_values)}
    return Upload(**values | {"format": Format(row.format), "state": UploadState(row.state)})
