"""The audit log: who changed what, with the record before and after. Entries are never changed or deleted."""

import enum
import re
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, func, insert, select

from clickloop.people.user import Actor, Via
from clickloop.postback.masking import MASK, masked_text
from clickloop.store.ledger.schema.tables import changes_log, postback_rules

CHANGED_SECRET = f"{MASK} (another one)"
"""Mask of a secret that differs from the one before."""

_SECRET_FIELDS = re.compile(r"(?:\w+_)?(?:token|secret|secrets|password|password_hash|secret_hash)")
_LEFT_OUT = frozenset({"warnings"})
"""Fields of views that are derived from others."""


class Action(enum.StrEnum):
    """An action that is logged. A closed list."""

    CREATED = "created"
    CHANGED = "changed"
    ARCHIVED = "archived"
    RESTORED = "restored"
    REMOVED = "removed"
    RESUMED = "resumed"
    PROBED = "probed"
    CANCELLED = "cancelled"
    RESENT = "resent"
    RERUN = "rerun"
    UNDONE = "undone"
    SECRETS_SHOWN = "secrets_shown"
    UPLOADED = "uploaded"
    EXPORTED = "exported"
    CONVERTED = "converted"
    REVOKED = "revoked"
    DISABLED = "disabled"
    ENABLED = "enabled"
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    LINK_MADE = "link_made"
    PASSWORD_SET = "password_set"  # noqa: S105 – the word, not a secret


class LoggedChange(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the log. ``before`` None: the record did not exist. ``after`` None: it is gone, or there is nothing to show."""

    id: int
    at: int
    actor: str
    user_id: int
    via: Via
    action: Action
    noun: str
    record_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class ChangesFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter for audit log entries. None does not narrow."""

    noun: str | None = None
    record_id: str | None = None
    user_id: int | None = None
    actor: str | None = None
    """Their exact name at that time."""
    action: Action | None = None


def insert_change(
    tx: Connection,
    actor: Actor,
    now_ms: int,
    *,
    noun: str,
    record_id: str,
    action: Action,
    before: object = None,
    after: object = None,
) -> None:
    """Add an entry in the transaction of the change. ``before`` and ``after`` are views; their secrets get masked."""
    masked_before, masked_after = masked_views(before, after)
    values = {
        "at": now_ms,
        "actor": actor.name[:200],
        "user_id": actor.user_id,
        "via": actor.via,
        "action": action,
        "noun": noun,
        "record_id": record_id[:300],
        "before": None if masked_before is None else msgspec.json.encode(masked_before),
        "after": None if masked_after is None else msgspec.json.encode(masked_after),
    }
    tx.execute(insert(changes_log).values(**values))


def changes_before(tx: Connection, filters: ChangesFilter, before_id: int | None, limit: int) -> list[LoggedChange]:
    """Return at most ``limit`` entries with numbers below ``before_id``, newest first; None: from the newest."""
    query = select(changes_log).order_by(changes_log.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(changes_log.c.id < before_id)
    for name in filters.__struct_fields__:
        value = getattr(filters, name)
        if value is not None:
            query = query.where(changes_log.c[name] == value)
    return [_change(row) for row in tx.execute(query).mappings()]


def find_change(tx: Connection, change_id: int) -> LoggedChange | None:
    """Return the entry with that number."""
    row = tx.execute(select(changes_log).where(changes_log.c.id == change_id)).mappings().one_or_none()
    return None if row is None else _change(row)


def masked_views(before: object, after: object) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return both views as JSON values with secrets masked, and changed secrets marked as changed."""
    plain_before = None if before is None else _plain(before)
    plain_after = None if after is None else _plain(after)
    return _masked(plain_before, plain_before), _masked(plain_after, plain_after if before is None else plain_before)


def _plain(view: object) -> dict[str, Any]:
    plain = msgspec.json.decode(msgspec.json.encode(view))  # not to_builtins, which keeps tuples
    assert isinstance(plain, dict), "a view is an object"
    return {name: value for name, value in plain.items() if name not in _LEFT_OUT}


def _masked(value: Any, was: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        known = was if isinstance(was, dict) else {}
        return {inner: _masked(item, known.get(inner), inner) for inner, item in value.items()}
    if isinstance(value, list):
        places = was if isinstance(was, list) else []
        return [_masked(item, places[at] if at < len(places) else None, name) for at, item in enumerate(value)]
    if not isinstance(value, str) or not value:
        return value
    masked = MASK if _SECRET_FIELDS.fullmatch(name) else masked_text(value)
    if masked == value or value == was:
        return masked
    hides_change = isinstance(was, str) and was and (masked == MASK or masked_text(was) == masked)
    return masked.replace(MASK, CHANGED_SECRET) if hides_change else masked


def _change(row: RowMapping) -> LoggedChange:
    return LoggedChange(
        id=row["id"],
        at=row["at"],
        actor=row["actor"],
        user_id=row["user_id"],
        via=Via(row["via"]),
        action=Action(row["action"]),
        noun=row["noun"],
        record_id=row["record_id"],
        before=None if row["before"] is None else msgspec.json.decode(row["before"]),
        after=None if row["after"] is None else msgspec.json.decode(row["after"]),
    )


SetupVersion = tuple[int, tuple[tuple[int, int], ...]]
"""The number of the last entry, and each paused rule with when it was paused."""


def setup_version(tx: Connection) -> SetupVersion:
    """Return a value that changes whenever the set-up does."""
    last = tx.scalar(select(func.max(changes_log.c.id))) or 0
    paused = select(postback_rules.c.id, postback_rules.c.paused_at).where(postback_rules.c.paused_at.is_not(None))
    return int(last), tuple((row[0], row[1]) for row in tx.execute(paused.order_by(postback_rules.c.id)))
