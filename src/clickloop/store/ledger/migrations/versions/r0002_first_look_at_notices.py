"""Add the moment at which the core first looked for a notice's click."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Refused notices have waited since they came; those that wait are looked at anew."""
    op.add_column("notices", sa.Column("first_look_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE notices SET first_look_at = at WHERE reason = 'unknown_click'")
