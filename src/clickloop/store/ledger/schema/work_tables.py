"""The tables of work that the user asked for: bulk jobs, answers kept for their keys, uploads, exports. See ``tables``."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    text,
)

from clickloop.store.ledger.schema.metadata import metadata

bulk_jobs = Table(
    "bulk_jobs",
    metadata,
    Column("bulk_job_id", String(26), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column(
        "asked", LargeBinary, nullable=False
    ),  # what for, as JSON: tracking.resending.Asked, tracking.rerunning.Asked
    Column("state", String(16), nullable=False),
    Column("last_id", String(26), nullable=False),  # the newest record that it covers
    Column("done_id", String(26), nullable=False),  # all up to this one are done; empty: none yet
    Column("matched", Integer, nullable=False),  # when it was asked for
    Column("done", Integer, nullable=False),
    Column("made", Integer, nullable=False),  # postbacks made, or notices that came to something new
    Column("left_out", LargeBinary, nullable=False),  # {why: how many} as JSON
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    CheckConstraint("kind IN ('resend', 'rerun', 'cancel')", name="kind_known"),
    CheckConstraint("state IN ('running', 'finished', 'stopped')", name="state_known"),
    CheckConstraint("(state = 'running') = (finished_at IS NULL)", name="ended_has_moment"),
)
Index(
    "ix_bulk_jobs_running",
    bulk_jobs.c.bulk_job_id,
    sqlite_where=text("state = 'running'"),
    postgresql_where=text("state = 'running'"),
)

kept_answers = Table(
    "kept_answers",
    metadata,
    Column("key", String(300), primary_key=True),  # the door's method and path, and the caller's Idempotency-Key
    Column("question", String(64), nullable=False),  # digest of the body that it was sent with
    Column("status", Integer, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
Index("ix_kept_answers_created_at", kept_answers.c.created_at)

uploads = Table(
    "uploads",
    metadata,
    Column("upload_id", String(26), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("format", String(16), nullable=False),  # conversion.upload.Format
    Column("preview", Boolean, nullable=False),
    Column("postbacks", Boolean, nullable=False),  # false: held back, as by disable_postback=1 in each line
    Column("state", String(16), nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("octets_read", BigInteger, nullable=False),  # up to here its lines are taken; 0: none yet
    Column("next_line", BigInteger, nullable=False),  # number of the line that begins there
    Column("lines", BigInteger, nullable=False),  # taken, without empty ones
    Column("counts", LargeBinary, nullable=False),  # {store.ledger.uploads.Verdict: lines} as JSON
    Column("reasons", LargeBinary, nullable=False),  # {why refused or unreadable: lines} as JSON
    Column("flagged", BigInteger, nullable=False),  # lines about which something was odd
    Column("flags", LargeBinary, nullable=False),  # {conversion.notice.NoticeFlag: lines} as JSON
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("error", String(500)),
    Column("encoding", String(16), nullable=False, server_default="utf-8"),  # as which the file was read
    Column("unused_columns", JSON, nullable=False, server_default="[]"),  # headers that stand for no parameter
    Column("missing_values", JSON, nullable=False, server_default="[]"),  # those of payout and txid without a column
    CheckConstraint("state IN ('waiting', 'running', 'finished', 'failed', 'stopped')", name="state_known"),
    CheckConstraint("(state IN ('waiting', 'running')) = (finished_at IS NULL)", name="ended_has_moment"),
    CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name="failed_has_error"),
    CheckConstraint("octets_read BETWEEN 0 AND octets", name="read_within_file"),
)
Index(
    "ix_uploads_unfinished",
    uploads.c.upload_id,
    sqlite_where=text("finished_at IS NULL"),
    postgresql_where=text("finished_at IS NULL"),
)

exports = Table(
    "exports",
    metadata,
    Column("export_id", String(26), primary_key=True),
    Column("noun", String(16), nullable=False),  # which log
    Column("filters", LargeBinary, nullable=False),  # as JSON: web.api.exportable
    Column("columns", String(2000), nullable=False),  # their keys with commas between
    Column("user_id", Integer, nullable=False),  # who asked for it; 0: no user, see asked_by
    Column("asked_by", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("next_cursor", String(200), nullable=False),  # where the next page begins; empty: nothing is written yet
    Column("rows_written", BigInteger, nullable=False),
    Column("octets", BigInteger, nullable=False),  # up to here its file counts
    Column("reached_at", BigInteger),  # the moment of the last row that is written
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("error", String(500)),
    CheckConstraint("noun IN ('clicks', 'conversions', 'notices', 'postbacks')", name="noun_known"),
    CheckConstraint("state IN ('waiting', 'running', 'finished', 'failed', 'stopped')", name="state_known"),
    CheckConstraint("(state IN ('waiting', 'running')) = (finished_at IS NULL)", name="ended_has_moment"),
    CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name="failed_has_error"),
)
Index(
    "ix_exports_unfinished",
    exports.c.export_id,
    sqlite_where=text("finished_at IS NULL"),
    postgresql_where=text("finished_at IS NULL"),
)
