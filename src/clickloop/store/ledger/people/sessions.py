"""Panel sessions and one-time links. One statement per function; only the SHA-256 of a secret is stored."""

import hashlib

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, insert, or_, select, update

from clickloop.clock import MINUTE_MS
from clickloop.store.ledger.schema.tables import sessions, sign_in_links

SEEN_RESOLUTION_MS = MINUTE_MS
"""Maximum lag of ``last_seen_at``, so that not every request writes."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session of a signed-in user, without its secret."""

    id: int
    user_id: int
    created_at: int
    last_seen_at: int
    expires_at: int
    address: str
    useragent: str


class SignInLink(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time link. ``user_id`` None: for the first owner. ``used_at`` None: not used yet."""

    user_id: int | None
    created_at: int
    expires_at: int
    used_at: int | None


def insert_session(
    tx: Connection, secret: str, user_id: int, now_ms: int, expires_at: int, address: str, useragent: str
) -> int:
    """Insert a session. Return its number."""
    values = {
        "secret_hash": hash_of(secret),
        "user_id": user_id,
        "created_at": now_ms,
        "last_seen_at": now_ms,
        "expires_at": expires_at,
        "address": address[:64],
        "useragent": useragent[:400],
    }
    return int(tx.execute(insert(sessions).values(**values).returning(sessions.c.id)).scalar_one())


def find_session(tx: Connection, secret: str) -> Session | None:
    """Return the session with that secret, expired or not."""
    row = tx.execute(select(sessions).where(sessions.c.secret_hash == hash_of(secret))).mappings().one_or_none()
    return None if row is None else _session(row)


def sessions_of_user(tx: Connection, user_id: int, limit: int) -> list[Session]:
    """Return at most ``limit`` sessions of a user, the one seen last first."""
    query = select(sessions).where(sessions.c.user_id == user_id).order_by(sessions.c.last_seen_at.desc()).limit(limit)
    return [_session(row) for row in tx.execute(query).mappings()]


def note_session_use(tx: Connection, session_id: int, now_ms: int) -> None:
    """Update ``last_seen_at`` if it lags by at least ``SEEN_RESOLUTION_MS``."""
    is_stale = sessions.c.last_seen_at <= now_ms - SEEN_RESOLUTION_MS
    tx.execute(update(sessions).where(and_(sessions.c.id == session_id, is_stale)).values(last_seen_at=now_ms))


def delete_session(tx: Connection, user_id: int, session_id: int) -> bool:
    """Delete a session of that user. Return whether there was one."""
    is_theirs = and_(sessions.c.id == session_id, sessions.c.user_id == user_id)
    return tx.execute(delete(sessions).where(is_theirs)).rowcount == 1


def delete_sessions_of_user(tx: Connection, user_id: int, keep_id: int | None = None) -> int:
    """Delete all sessions of a user except ``keep_id``. Return their number."""
    where = sessions.c.user_id == user_id
    if keep_id is not None:
        where = and_(where, sessions.c.id != keep_id)
    return tx.execute(delete(sessions).where(where)).rowcount


def has_old_sessions(tx: Connection, now_ms: int, seen_before_ms: int) -> bool:
    """Return whether there are sessions that expired or were last seen before a time."""
    query = select(sessions.c.id).where(_is_over(now_ms, seen_before_ms)).limit(1)
    return tx.execute(query).one_or_none() is not None


def delete_old_sessions(tx: Connection, now_ms: int, seen_before_ms: int) -> int:
    """Delete sessions that expired or were last seen before a time. Return their number."""
    return tx.execute(delete(sessions).where(_is_over(now_ms, seen_before_ms))).rowcount


def insert_link(tx: Connection, secret: str, user_id: int | None, now_ms: int, expires_at: int) -> None:
    """Insert a one-time link, and delete earlier ones for the same user, or for the first owner."""
    tx.execute(delete(sign_in_links).where(_of(user_id)))
    values = {"secret_hash": hash_of(secret), "user_id": user_id, "created_at": now_ms, "expires_at": expires_at}
    tx.execute(insert(sign_in_links).values(**values))


def find_link(tx: Connection, secret: str) -> SignInLink | None:
    """Return the link with that secret, even if used or expired."""
    row = (
        tx.execute(select(sign_in_links).where(sign_in_links.c.secret_hash == hash_of(secret))).mappings().one_or_none()
    )
    if row is None:
        return None
    return SignInLink(
        user_id=row["user_id"], created_at=row["created_at"], expires_at=row["expires_at"], used_at=row["used_at"]
    )


def note_link_use(tx: Connection, secret: str, now_ms: int) -> bool:
    """Mark a link as used. Return False if it was used already, or does not exist."""
    is_unused = and_(sign_in_links.c.secret_hash == hash_of(secret), sign_in_links.c.used_at.is_(None))
    return tx.execute(update(sign_in_links).where(is_unused).values(used_at=now_ms)).rowcount == 1


def delete_links_of_user(tx: Connection, user_id: int | None) -> None:
    """Delete the links for a user, or with None those for the first owner."""
    tx.execute(delete(sign_in_links).where(_of(user_id)))


def hash_of(secret: str) -> str:
    """Return the hash to store of a secret. It needs no salt, since secrets have 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _is_over(now_ms: int, seen_before_ms: int) -> ColumnElement[bool]:
    return or_(sessions.c.expires_at <= now_ms, sessions.c.last_seen_at < seen_before_ms)


def _of(user_id: int | None) -> ColumnElement[bool]:
    return sign_in_links.c.user_id.is_(None) if user_id is None else sign_in_links.c.user_id == user_id


def _session(row: RowMapping) -> Session:
    return Session(
        id=row["id"],
        user_id=row["user_id"],
        created_at=row["created_at"],
        last_seen_at=row["last_seen_at"],
        expires_at=row["expires_at"],
        address=row["address"],
        useragent=row["useragent"],
    )
