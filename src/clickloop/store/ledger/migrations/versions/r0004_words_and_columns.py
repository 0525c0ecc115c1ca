"""Give each network words of its own for statuses, and each upload what was understood of its file.

Existing networks have no words, so the common ones go on counting for them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; no word is taken over from presets, which would change what stored settings mean."""
    op.add_column("networks", sa.Column("status_words", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("uploads", sa.Column("encoding", sa.String(16), server_default="utf-8", nullable=False))
    op.add_column("uploads", sa.Column("unused_columns", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("uploads", sa.Column("missing_values", sa.JSON(), server_default="[]", nullable=False))
