"""Sessions of the panel and one-time links: one statement per function; of each secret only its SHA-256 is kept."""

import hashlib

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, insert, or_, select, update

from clickloop.clock import MINUTE_MS
from clickloop.store.ledger.schema.tables import sessions, sign_in_links

SEEN_RESOLUTION_MS = MINUTE_MS
"""``last_seen_at`` may lag by this much, so that reading does not write each time."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is signed in, without the secret."""

    id: int
    user_id: int
    created_at: int
    last_seen_at: int
    expires_at: int
    address: str
    useragent: str


class SignInLink(msgspec.Struct, frozen=True, kw_only=True):
    """What a one-time link is for. ``user_id`` None: for the first owner. ``used_at`` None: it was not used."""

    user_id: int | None
    created_at: int
    expires_at: int
    used_at: int | None


def insert_session(
    tx: Connection, secret: str, user_id: int, now_ms: int, expires_at: int, address: str, useragent: str
) -> int:
    """Adds a session; answers its number."""
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
    """The session of that secret, expired or not."""
    row = tx.execute(select(sessions).where(sessions.c.secret_hash == hash_of(secret))).mappings().one_or_none()
    return None if row is None else _session(row)


def sessions_of_user(tx: Connection, user_id: int, limit: int) -> list[Session]:
    """The sessions of a user, the one that was seen last first."""
    query = select(sessions).where(sessions.c.user_id == user_id).order_by(sessions.c.last_seen_at.desc()).limit(limit)
    return [_session(row) for row in tx.execute(query).mappings()]


def note_session_use(tx: Connection, session_id: int, now_ms: int) -> None:
    """Moves ``last_seen_at`` forward, if it lags by more than its resolution."""
    is_stale = sessions.c.last_seen_at <= now_ms - SEEN_RESOLUTION_MS
    tx.execute(update(sessions).where(and_(sessions.c.id == session_id, is_stale)).values(last_seen_at=now_ms))


def delete_session(tx: Connection, user_id: int, session_id: int) -> bool:
    """Ends a session of that user; answers whether there was one."""
    is_his = and_(sessions.c.id == session_id, sessions.c.user_id == user_id)
    return tx.execute(delete(sessions).where(is_his)).rowcount == 1


def delete_sessions_of_user(tx: Connection, user_id: int, keep_id: int | None = None) -> int:
    """Ends all sessions of a user but the one to keep; answers how many."""
    where = sessions.c.user_id == user_id
    if keep_id is not None:
        where = and_(where, sessions.c.id != keep_id)
    return tx.execute(delete(sessions).where(where)).rowcount


def has_old_sessions(tx: Connection, now_ms: int, seen_before_ms: int) -> bool:
    """Whether there are sessions that ended by themselves."""
    query = select(sessions.c.id).where(_is_over(now_ms, seen_before_ms)).limit(1)
    return tx.execute(query).one_or_none() is not None


def delete_old_sessions(tx: Connection, now_ms: int, seen_before_ms: int) -> int:
    """Deletes sessions that ended by themselves, by their end or because nobody came; answers how many."""
    return tx.execute(delete(sessions).where(_is_over(now_ms, seen_before_ms))).rowcount


def insert_link(tx: Connection, secret: str, user_id: int | None, now_ms: int, expires_at: int) -> None:
    """Adds a one-time link. Those made before for the same user, or for the first owner, are not valid any more."""
    tx.execute(delete(sign_in_links).where(_of(user_id)))
    values = {"secret_hash": hash_of(secret), "user_id": user_id, "created_at": now_ms, "expires_at": expires_at}
    tx.execute(insert(sign_in_links).values(**values))


def find_link(tx: Connection, secret: str) -> SignInLink | None:
    """The link of that secret, used or expired or not."""
    row = (
        tx.execute(select(sign_in_links).where(sign_in_links.c.secret_hash == hash_of(secret))).mappings().one_or_none()
    )
    if row is None:
        return None
    return SignInLink(
        user_id=row["user_id"], created_at=row["created_at"], expires_at=row["expires_at"], used_at=row["used_at"]
    )


def note_link_use(tx: Connection, secret: str, now_ms: int) -> bool:
    """Uses a link up; answers whether it was unused until now."""
    is_unused = and_(sign_in_links.c.secret_hash == hash_of(secret), sign_in_links.c.used_at.is_(None))
    return tx.execute(update(sign_in_links).where(is_unused).values(used_at=now_ms)).rowcount == 1


def delete_links_of_user(tx: Connection, user_id: int | None) -> None:
    """Makes the links for a user, or with None those for a first owner, invalid."""
    tx.execute(delete(sign_in_links).where(_of(user_id)))


def hash_of(secret: str) -> str:
    """What is kept of a secret that has 256 random bits: no salt is needed."""
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
