"""Add the time at which the core first looked for a notice's click."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. For notices refused for an unknown click it is their arrival; waiting ones get it at the next look."""
    op.add_column("notices", sa.Column("first_look_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE notices SET first_look_at = at WHERE reason = 'unknown_click'")
