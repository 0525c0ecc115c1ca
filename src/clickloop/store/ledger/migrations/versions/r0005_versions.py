"""Add a version to each set-up record, so that no save overwrites a change its author has not seen."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLES = (
    "traffic_sources",
    "networks",
    "offers",
    "campaigns",
    "statuses",
    "postback_rules",
    "users",
    "settings",
)


def upgrade() -> None:
    """Add the columns. Existing records are at version 1."""
    for table in _TABLES:
        op.add_column(table, sa.Column("version", sa.BigInteger(), server_default="1", nullable=False))
