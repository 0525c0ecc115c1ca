"""Add status words to networks, and to uploads how their file was understood.

Existing networks get no words of their own, so the common ones still apply to them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Words of presets are not copied, because that would change what stored settings mean."""
    op.add_column("networks", sa.Column("status_words", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("uploads", sa.Column("encoding", sa.String(16), server_default="utf-8", nullable=False))
    op.add_column("uploads", sa.Column("unused_columns", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("uploads", sa.Column("missing_values", sa.JSON(), server_default="[]", nullable=False))
