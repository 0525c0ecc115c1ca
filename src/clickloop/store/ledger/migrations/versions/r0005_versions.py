"""Give each set-up record a version, so that nothing is saved over a change that nobody saw."""

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
    """Add the columns. Every record that is there is at version 1."""
    for table in _TABLES:
        op.add_column(table, sa.Column("version", sa.BigInteger(), server_default="1", nullable=False))
