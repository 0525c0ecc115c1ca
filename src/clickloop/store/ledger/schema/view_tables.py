"""Tables of saved views. See ``tables``."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from clickloop.store.ledger.schema.metadata import metadata, number_column

views = Table(
    "views",
    metadata,
    number_column(),
    Column("owner_id", Integer, nullable=False),  # 0: no user
    Column("name", String(100), nullable=False),
    Column("name_key", String(200), nullable=False),  # people.user.name_key
    Column("shared", Boolean, nullable=False),
    Column("query", JSON, nullable=False),  # report.query_input.ReportRequest
    Column("schedule", JSON(none_as_null=True)),  # report.view.schedule.ViewSchedule
    Column("next_run_at", BigInteger),  # NULL: it is not sent
    Column("runs", Integer, nullable=False, server_default="0"),  # so far; each has one postback
    Column("last_run_at", BigInteger),
    Column("last_due_at", BigInteger),  # when that run was due
    Column("last_postback_id", String(26)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    Column("version", BigInteger, nullable=False, server_default="1"),
    UniqueConstraint("owner_id", "name_key"),
    CheckConstraint("next_run_at IS NULL OR schedule IS NOT NULL", name="run_has_schedule"),
    CheckConstraint("next_run_at IS NULL OR archived_at IS NULL", name="archived_is_not_sent"),
)
Index(
    "ix_views_next_run_at",
    views.c.next_run_at,
    sqlite_where=text("next_run_at IS NOT NULL"),
    postgresql_where=text("next_run_at IS NOT NULL"),
)
