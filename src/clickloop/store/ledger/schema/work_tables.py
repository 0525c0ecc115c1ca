"""Tables of work that users request: bulk jobs, responses stored by idempotency key, uploads, exports. See ``tables``."""

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
    Column("asked", LargeBinary, nullable=False),  # the request as JSON: a filter, or tracking.resending.Asked
    Column("state", String(16), nullable=False),
    Column("last_id", String(26), nullable=False),  # the newest record it covers
    Column("done_id", String(26), nullable=False),  # all records up to this one are done; empty if none yet
    Column("matched", Integer, nullable=False),  # records, when it was requested
    Column("done", Integer, nullable=False),
    Column("made", Integer, nullable=False),  # postbacks created or cancelled, or notices with a new outcome
    Column("left_out", LargeBinary, nullable=False),  # {reason: number of records} as JSON
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
    Column("key", String(300), primary_key=True),  # the endpoint's method and path, and the caller's Idempotency-Key
    Column("question", String(64), nullable=False),  # digest of the request body
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
    Column("postbacks", Boolean, nullable=False),  # false: none are sent, as by disable_postback=1 in each line
    Column("state", String(16), nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("octets_read", BigInteger, nullable=False),  # offset up to which lines are registered; 0: none yet
    Column("next_line", BigInteger, nullable=False),  # number of the line at that offset
    Column("lines", BigInteger, nullable=False),  # registered, without empty ones
    Column("counts", LargeBinary, nullable=False),  # {jobs.uploads.LineVerdict: lines} as JSON
    Column("reasons", LargeBinary, nullable=False),  # {reason a line was refused or is unreadable: lines} as JSON
    Column("flagged", BigInteger, nullable=False),  # lines with at least one flag
    Column("flags", LargeBinary, nullable=False),  # {conversion.notice.NoticeFlag: lines} as JSON
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("error", String(500)),
    Column("encoding", String(16), nullable=False, server_default="utf-8"),  # with which the file was read
    Column("unused_columns", JSON, nullable=False, server_default="[]"),  # headers that match no parameter
    Column("missing_values", JSON, nullable=False, server_default="[]"),  # payout and txid, where no column holds them
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
    Column("filters", LargeBinary, nullable=False),  # the filter of the log as JSON
    Column("columns", String(2000), nullable=False),  # comma-separated keys
    Column("user_id", Integer, nullable=False),  # who requested it; 0: no user, see asked_by
    Column("asked_by", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("next_cursor", String(200), nullable=False),  # where the next page begins; empty if nothing written yet
    Column("rows_written", BigInteger, nullable=False),
    Column("octets", BigInteger, nullable=False),  # size of the valid part of its file
    Column("reached_at", BigInteger),  # time of the last row written
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

backtests = Table(
    "backtests",
    metadata,
    Column("backtest_id", String(26), primary_key=True),
    Column("campaign_id", Integer, nullable=False),
    Column("flow", LargeBinary, nullable=False),  # setup.flow.FlowParts as JSON, saved or not
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("user_id", Integer, nullable=False),  # who requested it; 0: no user, see asked_by
    Column("asked_by", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("total", BigInteger, nullable=False),  # clicks of the period
    Column("done", BigInteger, nullable=False),
    Column("result", LargeBinary),  # diagnosis.backtest.result.BacktestResult as JSON
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("error", String(500)),
    CheckConstraint("state IN ('waiting', 'running', 'finished', 'failed', 'stopped')", name="state_known"),
    CheckConstraint("(state IN ('waiting', 'running')) = (finished_at IS NULL)", name="ended_has_moment"),
    CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name="failed_has_error"),
    CheckConstraint("(state = 'finished') = (result IS NOT NULL)", name="finished_has_result"),
)
Index(
    "ix_backtests_unfinished",
    backtests.c.backtest_id,
    sqlite_where=text("finished_at IS NULL"),
    postgresql_where=text("finished_at IS NULL"),
)

mark_reruns = Table(  # marks judged anew over the past: first a preview, then applied, then perhaps undone
    "mark_reruns",
    metadata,
    Column("rerun_id", String(26), primary_key=True),
    Column("request", LargeBinary, nullable=False),  # which clicks and marks, as JSON
    Column("user_id", Integer, nullable=False),  # who requested it; 0: no user, see asked_by
    Column("asked_by", String(200), nullable=False),
    Column("stage", String(16), nullable=False),  # what it does or did last
    Column("state", String(16), nullable=False),  # of that stage
    Column("total", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("next_cursor", String(200), nullable=False),  # where the next batch begins
    Column("result", LargeBinary),  # the preview as JSON
    Column("created_at", BigInteger, nullable=False),
    Column("applied_at", BigInteger),
    Column("undone_at", BigInteger),
    Column("finished_at", BigInteger),  # of the stage
    Column("error", String(500)),
    CheckConstraint("stage IN ('preview', 'apply', 'undo')", name="stage_known"),
    CheckConstraint("state IN ('waiting', 'running', 'finished', 'failed', 'stopped')", name="state_known"),
    CheckConstraint("(state IN ('waiting', 'running')) = (finished_at IS NULL)", name="ended_has_moment"),
    CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name="failed_has_error"),
)
Index(
    "ix_mark_reruns_unfinished",
    mark_reruns.c.rerun_id,
    sqlite_where=text("finished_at IS NULL"),
    postgresql_where=text("finished_at IS NULL"),
)
