"""Add a checksum to conversions and postbacks, and compute it for existing rows."""

import hashlib
from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_CONVERSION = (
    "conversion_id click_id txid campaign_id source_id offer_id network_id status_key counts_as status_word payout_micros currency "
    "payout_text latest_turn status_turn payout_turn flags first_of_click test converted_at created_at updated_at version click "
    "parameters"
)
_POSTBACK = (
    "postback_id conversion_id version rule_id resend original_id bulk_job_id click_id campaign_id source_id trigger reason findings "
    "request lane created_at"
)
_CHUNK = 1_000


def upgrade() -> None:
    """Add the columns and fill them, ``_CHUNK`` rows at a time."""
    for table, names in (("conversions", _CONVERSION.split()), ("postbacks", _POSTBACK.split())):
        op.add_column(table, sa.Column("row_check", sa.BigInteger(), server_default="0", nullable=False))
        _fill(table, names)


def _fill(table: str, names: list[str]) -> None:
    tx = op.get_bind()
    key = names[0]
    columns = ", ".join(f'"{name}"' for name in names)
    query = sa.text(f"SELECT {columns} FROM {table} WHERE {key} > :after ORDER BY {key} LIMIT {_CHUNK}")  # noqa: S608
    change = sa.text(f"UPDATE {table} SET row_check = :row_check WHERE {key} = :id")  # noqa: S608
    after = ""
    while rows := tx.execute(query, {"after": after}).all():
        tx.execute(change, [{"id": row[0], "row_check": _check_of(row)} for row in rows])
        after = rows[-1][0]


def _check_of(values: Iterable[object]) -> int:
    """Return the checksum as the product computed it when this revision was new."""
    parts = []
    for value in values:
        octets = value if isinstance(value, bytes | None) else str(value).encode("utf-8", "surrogatepass")
        if isinstance(value, bool):
            octets = b"%d" % value
        parts.append(b"-" if octets is None else b"%d:%b" % (len(octets), octets))
    return int.from_bytes(hashlib.blake2b(b"".join(parts), digest_size=8).digest(), "big") >> 1
