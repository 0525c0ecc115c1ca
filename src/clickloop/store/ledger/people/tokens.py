"""Bearer tokens of the API. A secret is shown once; only its SHA-256 is stored."""

import hmac

import msgspec
from sqlalchemy import Connection, RowMapping, and_, insert, or_, select, update

from clickloop.clock import MINUTE_MS
from clickloop.people.user import Actor, Role, Via
from clickloop.store.ledger.people.sessions import hash_of
from clickloop.store.ledger.schema.tables import tokens, users

PREFIX = "clk_"
"""Prefix of every secret, by which people and scanners recognize one."""

SECRET_BYTES = 32  # too many to guess, so a fast hash of the secret is stored
USE_RESOLUTION_MS = MINUTE_MS
"""Maximum lag of ``last_used_at``, so that not every request writes."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret. ``revoked_at`` None: valid, unless its user is disabled."""

    id: int
    name: str
    role: Role
    """Limited by the role of the user who created it."""
    user_id: int | None
    """Who created it; None: a command on the machine."""
    created_at: int
    last_used_at: int | None
    revoked_at: int | None


def secret_of(random: bytes) -> str:
    """Return the secret for ``SECRET_BYTES`` random bytes."""
    return PREFIX + random.hex()


def insert_token(
    tx: Connection, name: str, secret: str, now_ms: int, role: Role = Role.OWNER, user_id: int | None = None
) -> int:
    """Insert a token. Return its number."""
    values = {"name": name, "secret_hash": hash_of(secret), "role": role, "user_id": user_id, "created_at": now_ms}
    return int(tx.execute(insert(tokens).values(**values).returning(tokens.c.id)).scalar_one())


class KnownToken(msgspec.Struct, frozen=True):
    """A valid token and the actor who uses it."""

    token: Token
    actor: Actor


def find_valid_token(tx: Connection, secret: str) -> KnownToken | None:
    """Return the token with that secret, unless it is revoked or its user is disabled."""
    hashed = hash_of(secret)
    query = (
        select(tokens, users.c.name.label("user_name"), users.c.role.label("user_role"), users.c.disabled_at)
        .join(users, users.c.id == tokens.c.user_id, isouter=True)
        .where(and_(tokens.c.secret_hash == hashed, tokens.c.revoked_at.is_(None), users.c.disabled_at.is_(None)))
    )
    row = tx.execute(query).mappings().one_or_none()
    # Compared again in constant time, which the engine's comparison does not promise.
    if row is None or not hmac.compare_digest(row["secret_hash"], hashed):
        return None
    token = _token(row)
    if token.user_id is None:
        return KnownToken(token, Actor(name=f"token {token.name}", role=token.role, via=Via.TOKEN))
    role = token.role.weaker(Role(row["user_role"]))
    name = f"{row['user_name']}, token {token.name}"
    return KnownToken(token, Actor(user_id=token.user_id, name=name, role=role, via=Via.TOKEN))


def note_token_use(tx: Connection, token_id: int, now_ms: int) -> None:
    """Update ``last_used_at`` if it lags by more than ``USE_RESOLUTION_MS``."""
    stale = or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < now_ms - USE_RESOLUTION_MS)
    tx.execute(update(tokens).where(and_(tokens.c.id == token_id, stale)).values(last_used_at=now_ms))


def revoke_token(tx: Connection, token_id: int, now_ms: int) -> bool:
    """Revoke a token for good. Return whether there was a valid one with that number."""
    result = tx.execute(
        update(tokens).where(and_(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))).values(revoked_at=now_ms)
    )
    return result.rowcount == 1


def find_token(tx: Connection, token_id: int) -> Token | None:
    """Return the token with that number, revoked or not."""
    row = tx.execute(select(tokens).where(tokens.c.id == token_id)).mappings().one_or_none()
    return None if row is None else _token(row)


def tokens_after(tx: Connection, after_id: int, limit: int) -> list[Token]:
    """Return at most ``limit`` tokens with numbers above ``after_id``, ascending, including revoked ones."""
    rows = tx.execute(select(tokens).where(tokens.c.id > after_id).order_by(tokens.c.id).limit(limit)).mappings()
    return [_token(row) for row in rows]


def _token(row: RowMapping) -> Token:
    return Token(
        id=row["id"],
        name=row["name"],
        role=Role(row["role"]),
        user_id=row["user_id"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )
