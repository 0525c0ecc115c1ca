"""Keep which notice named a conversion's currency, so that a later one without a currency keeps it.

Of conversions from before, it is unknown: they count as if none was named, and keep the currency that they have.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, empty in all rows."""
    op.add_column("conversions", sa.Column("currency_order", sa.String(length=41), server_default="", nullable=False))
