"""Add returning visitors, caps, marks and learning paths."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns of campaigns and offers, and create the tables."""
    op.add_column(
        "campaigns", sa.Column("unique_within_seconds", sa.BigInteger(), server_default="86400", nullable=False)
    )
    op.add_column("campaigns", sa.Column("unique_by", sa.String(length=16), server_default="campaign", nullable=False))
    op.add_column("campaigns", sa.Column("unique_epoch", sa.Integer(), server_default="0", nullable=False))
    op.add_column("campaigns", sa.Column("bind", sa.String(length=16), server_default="none", nullable=False))
    op.add_column("campaigns", sa.Column("rotation", sa.String(length=16), server_default="random", nullable=False))
    op.add_column("campaigns", sa.Column("marks", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("offers", sa.Column("cap", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "routing_states",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_routing_states")),
    )
    op.create_index("ix_routing_states_published_at", "routing_states", ["published_at"], unique=False)
    op.create_table(
        "cap_spans",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("cap", sa.JSON(), nullable=False),
        sa.Column("instead_id", sa.Integer(), server_default="0", nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=False),
        sa.Column("reached_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cap_spans")),
    )
    op.create_index("ix_cap_spans_offer_id", "cap_spans", ["offer_id", "reached_at"], unique=False)
    op.create_index(
        "ix_cap_spans_open",
        "cap_spans",
        ["offer_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_conversions_cap",
        "conversions",
        ["offer_id", "converted_at", "counts_as", "status_key", "test"],
        unique=False,
    )
    op.create_table(
        "learned_weights",
        sa.Column("path_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("learned_at", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.CheckConstraint("kind IN ('landings', 'offers')", name=op.f("ck_learned_weights_kind_known")),
        sa.PrimaryKeyConstraint("path_id", "kind", "learned_at", name=op.f("pk_learned_weights")),
    )
    op.create_table(
        "mark_reruns",
        sa.Column("rerun_id", sa.String(length=26), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.String(length=200), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("next_cursor", sa.String(length=200), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("applied_at", sa.BigInteger(), nullable=True),
        sa.Column("undone_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.CheckConstraint("stage IN ('preview', 'apply', 'undo')", name=op.f("ck_mark_reruns_stage_known")),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'finished', 'failed', 'stopped')", name=op.f("ck_mark_reruns_state_known")
        ),
        sa.CheckConstraint(
            "(state IN ('waiting', 'running')) = (finished_at IS NULL)", name=op.f("ck_mark_reruns_ended_has_moment")
        ),
        sa.CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name=op.f("ck_mark_reruns_failed_has_error")),
        sa.PrimaryKeyConstraint("rerun_id", name=op.f("pk_mark_reruns")),
    )
    op.create_index(
        "ix_mark_reruns_unfinished",
        "mark_reruns",
        ["rerun_id"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
