"""Add the kind, traffic source and dimension of lists, and the history of their entries."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_LISTED = "removed_at IS NULL"


def upgrade() -> None:
    """Add the columns and create the table. Lists so far are plain."""
    op.add_column("lists", sa.Column("kind", sa.String(length=8), server_default="plain", nullable=False))
    op.add_column("lists", sa.Column("source_id", sa.Integer(), nullable=True))
    op.add_column("lists", sa.Column("dimension", sa.String(length=200), server_default="", nullable=False))
    op.create_table(
        "list_entries",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.String(length=200), nullable=False),
        sa.Column("clicks", sa.BigInteger(), nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=False),
        sa.Column("conversions", sa.BigInteger(), nullable=False),
        sa.Column("revenue_micros", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.Column("removed_by", sa.String(length=200), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["lists.id"], name=op.f("fk_list_entries_list_id_lists")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list_entries")),
    )
    op.create_index("ix_list_entries_list_id", "list_entries", ["list_id", "id"], unique=False)
    op.create_index(
        "uq_list_entries_value",
        "list_entries",
        ["list_id", "value"],
        unique=True,
        sqlite_where=sa.text(_LISTED),
        postgresql_where=sa.text(_LISTED),
    )
