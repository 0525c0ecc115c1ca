"""Add entered cost, and the cost models of unique clicks and conversions."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_UNFINISHED = "state IN ('waiting', 'undoing', 'retiring')"
_LIVE_KEY = "key <> '' AND replaced_by IS NULL AND ended_at IS NULL AND state <> 'undoing'"


def upgrade() -> None:
    """Create the table of entries, and add the columns of campaigns."""
    op.create_table(
        "cost_entries",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("key", sa.String(length=200), server_default="", nullable=False),
        sa.Column("upload_id", sa.String(length=26), server_default="", nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("filters", sa.JSON(), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("spread_over", sa.String(length=8), nullable=False),
        sa.Column("note", sa.String(length=500), server_default="", nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("covered", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("shared", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("replaced_by", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("entered_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('manual', 'upload', 'api')", name=op.f("ck_cost_entries_kind_known")),
        sa.CheckConstraint(
            "spread_over IN ('clicks', 'unique', 'clean')", name=op.f("ck_cost_entries_spread_over_known")
        ),
        sa.CheckConstraint("source_id > 0 OR campaign_id > 0", name=op.f("ck_cost_entries_has_owner")),
        sa.CheckConstraint("from_at < until_at", name=op.f("ck_cost_entries_span_forward")),
        sa.CheckConstraint("micros >= 0", name=op.f("ck_cost_entries_micros_not_negative")),
        sa.CheckConstraint(
            "state IN ('waiting', 'applied', 'undoing', 'retiring', 'undone', 'replaced')",
            name=op.f("ck_cost_entries_state_known"),
        ),
        sa.CheckConstraint(
            "(state IN ('undone', 'replaced')) = (ended_at IS NOT NULL)", name=op.f("ck_cost_entries_ended_has_moment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cost_entries")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_cost_entries_upload_id", "cost_entries", ["upload_id"], unique=False)
    op.create_index("ix_cost_entries_until_at", "cost_entries", ["until_at"], unique=False)
    op.create_index(
        "uq_cost_entries_key",
        "cost_entries",
        ["key"],
        unique=True,
        sqlite_where=sa.text(_LIVE_KEY),
        postgresql_where=sa.text(_LIVE_KEY),
    )
    op.create_index(
        "ix_cost_entries_unfinished",
        "cost_entries",
        ["id"],
        unique=False,
        sqlite_where=sa.text(_UNFINISHED),
        postgresql_where=sa.text(_UNFINISHED),
    )
    op.add_column("campaigns", sa.Column("unique_cost_only", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("campaigns", sa.Column("conversion_cost", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("campaigns", sa.Column("loss_percent", sa.Integer(), server_default="0", nullable=False))
