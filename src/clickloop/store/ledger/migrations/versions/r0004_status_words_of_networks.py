"""Gives each network words of its own for statuses. Existing networks have none, so the common words go on counting for them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; no word is taken over from presets, which would change what stored settings mean."""
    op.add_column("networks", sa.Column("status_words", sa.JSON(), server_default="{}", nullable=False))
