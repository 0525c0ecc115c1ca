"""Tables of entered cost. See ``tables``."""

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, Index, Integer, String, Table, text

from clickloop.store.ledger.schema.metadata import metadata, number_column

HAS_KEY = "key <> '' AND replaced_by IS NULL AND ended_at IS NULL AND state <> 'undoing'"
"""The condition of entries that occupy their key. Queries repeat it as text, or SQLite does not use the index."""

cost_entries = Table(
    "cost_entries",
    metadata,
    number_column(),
    Column("kind", String(8), nullable=False),
    Column("key", String(200), nullable=False, server_default=""),  # a later entry with the same one replaces it
    Column("upload_id", String(26), nullable=False, server_default=""),
    Column("source_id", Integer, nullable=False),  # 0: none
    Column("campaign_id", Integer, nullable=False),
    Column("filters", JSON, nullable=False),  # list of report.cost.segment.CostFilter
    Column("from_at", BigInteger, nullable=False),
    Column("until_at", BigInteger, nullable=False),
    Column("zone", String(64), nullable=False),  # in which the span was entered
    Column("micros", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("spread_over", String(8), nullable=False),
    Column("note", String(500), nullable=False, server_default=""),
    Column("state", String(16), nullable=False),
    Column("generation", Integer, nullable=False, server_default="1"),  # how often it was spread
    Column("covered", BigInteger, nullable=False, server_default="0"),  # clicks
    Column("shared", BigInteger, nullable=False, server_default="0"),  # those of them that bear a part of the amount
    Column("done", BigInteger, nullable=False, server_default="0"),  # covered clicks for which it is in effect
    Column("replaced_by", Integer),  # the later entry with the same key
    Column("user_id", Integer, nullable=False),  # who entered it; 0: no user, see entered_by
    Column("entered_by", String(200), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),  # when it was undone or replaced
    CheckConstraint("kind IN ('manual', 'upload', 'api')", name="kind_known"),
    CheckConstraint("spread_over IN ('clicks', 'unique', 'clean')", name="spread_over_known"),
    CheckConstraint("source_id > 0 OR campaign_id > 0", name="has_owner"),
    CheckConstraint("from_at < until_at", name="span_forward"),
    CheckConstraint("micros >= 0", name="micros_not_negative"),
    CheckConstraint("state IN ('waiting', 'applied', 'undoing', 'retiring', 'undone', 'replaced')", name="state_known"),
    CheckConstraint("(state IN ('undone', 'replaced')) = (ended_at IS NOT NULL)", name="ended_has_moment"),
    sqlite_autoincrement=True,  # ids are never reused: the facts have rows of entries that are gone
)
Index("ix_cost_entries_upload_id", cost_entries.c.upload_id)
Index("ix_cost_entries_until_at", cost_entries.c.until_at)
Index(
    "uq_cost_entries_key",  # of two entries with the same key at once, one is refused
    cost_entries.c.key,
    unique=True,
    sqlite_where=text(HAS_KEY),
    postgresql_where=text(HAS_KEY),
)
Index(
    "ix_cost_entries_unfinished",
    cost_entries.c.id,
    sqlite_where=text("state IN ('waiting', 'undoing', 'retiring')"),
    postgresql_where=text("state IN ('waiting', 'undoing', 'retiring')"),
)
