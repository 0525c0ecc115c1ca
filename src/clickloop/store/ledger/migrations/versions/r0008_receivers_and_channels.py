"""Name columns as the code does: a notice has a channel, a postback a receiver, a conversion the orders of its notices.

Names do not enter a row's checksum, and renaming a column keeps its place, so every checksum stays right.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("notices", "door", "channel"),
    ("postbacks", "lane", "receiver"),
    ("conversions", "latest_turn", "latest_order"),
    ("conversions", "status_turn", "status_order"),
    ("conversions", "payout_turn", "payout_order"),
)


def upgrade() -> None:
    """Rename the columns in place; move ``lanes``, a few rows, to ``receivers``."""
    for table, old, new in _COLUMNS:
        # Not op.alter_column: for SQLite, Alembic would copy the whole table.
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    # A new table, because SQLite cannot rename the constraints, which are named after the table.
    op.create_table(
        "receivers",
        sa.Column("receiver", sa.String(length=300), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=True),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("probe_at", sa.BigInteger(), nullable=True),
        sa.Column("probes", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(length=500), nullable=False),
        sa.Column("held_until", sa.BigInteger(), nullable=True),
        sa.Column("command", sa.String(length=8), nullable=True),
        sa.CheckConstraint(
            "command IS NULL OR command IN ('probe', 'resume')", name=op.f("ck_receivers_command_known")
        ),
        sa.CheckConstraint(
            "command IS NULL OR opened_at IS NOT NULL OR held_until IS NOT NULL",
            name=op.f("ck_receivers_command_while_held"),
        ),
        sa.CheckConstraint("(opened_at IS NULL) = (probe_at IS NULL)", name=op.f("ck_receivers_paused_has_probe")),
        sa.CheckConstraint("connections IS NULL OR connections >= 1", name=op.f("ck_receivers_connections_from_one")),
        sa.CheckConstraint("per_minute IS NULL OR per_minute >= 1", name=op.f("ck_receivers_per_minute_from_one")),
        sa.PrimaryKeyConstraint("receiver", name=op.f("pk_receivers")),
    )
    op.execute(
        "INSERT INTO receivers (receiver, connections, per_minute, opened_at, probe_at, probes, why, held_until, command) "
        "SELECT lane, connections, per_minute, opened_at, probe_at, probes, why, held_until, asked FROM lanes"
    )
    op.drop_table("lanes")
