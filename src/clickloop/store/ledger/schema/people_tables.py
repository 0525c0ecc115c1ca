"""Tables of users, their access, and what they changed. See ``tables``."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from clickloop.store.ledger.schema.metadata import metadata, number_column

users = Table(
    "users",
    metadata,
    number_column(),
    Column("name", String(100), nullable=False),
    Column("name_key", String(200), nullable=False, unique=True),  # people.user.name_key: unique regardless of case
    Column("role", String(16), nullable=False),
    Column("password_hash", String(200)),  # Argon2id with its parameters; NULL: not set yet
    Column("time_zone", String(64), nullable=False, server_default=""),  # empty: the time zone of the instance
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("home_view_id", Integer),  # the view that the page of reports begins with; NULL: none
    CheckConstraint("role IN ('owner', 'admin', 'worker', 'viewer')", name="role_known"),
)

tokens = Table(
    "tokens",
    metadata,
    number_column(),
    Column("name", String(200), nullable=False),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False, server_default="owner"),
    Column("user_id", ForeignKey("users.id")),  # who created it, and whose role limits it; NULL: created by a command
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    CheckConstraint("role IN ('owner', 'admin', 'worker', 'viewer')", name="role_known"),
)

sessions = Table(  # panel sessions; deleted when they end
    "sessions",
    metadata,
    number_column(),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),  # to the minute
    Column("expires_at", BigInteger, nullable=False),
    Column("address", String(64), nullable=False),
    Column("useragent", String(400), nullable=False),
)
Index("ix_sessions_user_id", sessions.c.user_id)

sign_in_links = Table(  # each lets its user set a password, once
    "sign_in_links",
    metadata,
    Column("secret_hash", String(64), primary_key=True),
    Column("user_id", ForeignKey("users.id")),  # NULL: for the first owner, who does not exist yet
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)

changes_log = Table(  # the audit log: who changed what; rows are never changed or deleted
    "changes_log",
    metadata,
    number_column(),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(200), nullable=False),  # their name at that time
    Column("user_id", Integer, nullable=False),  # 0: a command, or a token without a user
    Column("via", String(16), nullable=False),
    Column("action", String(32), nullable=False),
    Column("noun", String(32), nullable=False),
    Column("record_id", String(300), nullable=False),
    Column("before", LargeBinary),  # the record's view as JSON, secrets masked; NULL: the record did not exist
    Column("after", LargeBinary),
)
Index("ix_changes_log_record", changes_log.c.noun, changes_log.c.record_id, changes_log.c.id)
Index("ix_changes_log_user_id", changes_log.c.user_id, changes_log.c.id)
