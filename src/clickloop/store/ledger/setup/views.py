"""Saved views in the ledger. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, or_, select, update

from clickloop.people.user import Actor, Via
from clickloop.report.view.view import SavedView
from clickloop.store.ledger.records import RecordTable
from clickloop.store.ledger.schema.tables import users, views

_RUNS = ("next_run_at", "runs", "last_run_at", "last_due_at", "last_postback_id")
VIEWS = RecordTable(views, SavedView, derived=_RUNS)


class ViewRuns(msgspec.Struct, frozen=True, kw_only=True):
    """The last run of a schedule and the next one. Times are Unix milliseconds."""

    next_run_at: int | None = None
    runs: int = 0
    last_run_at: int | None = None
    last_due_at: int | None = None
    last_postback_id: str | None = None


def views_after(
    tx: Connection, after_id: int, limit: int, *, actor: Actor, archived: bool = False, words: str = ""
) -> list[SavedView]:
    """Return at most ``limit`` views that a user may open (``report.view.view.may_open``), by number above ``after_id``."""
    own = () if actor.via is Via.COMMAND else (or_(views.c.shared, views.c.owner_id == actor.user_id),)
    return VIEWS.after(tx, after_id, limit, *own, archived=archived, words=words)


def view_named(tx: Connection, owner_id: int, key: str) -> int | None:
    """Return the number of the view of an owner with a key of a name, archived or not."""
    return tx.scalar(select(views.c.id).where(views.c.owner_id == owner_id, views.c.name_key == key))


def runs_of(tx: Connection, view_ids: Collection[int]) -> dict[int, ViewRuns]:
    """Return by view how it was sent."""
    query = select(views.c.id, *(views.c[name] for name in _RUNS)).where(views.c.id.in_(view_ids))
    return {row.id: ViewRuns(**{name: getattr(row, name) for name in _RUNS}) for row in tx.execute(query)}


def owner_names(tx: Connection, owner_ids: Collection[int]) -> dict[int, str]:
    """Return the names of users by number."""
    return {row.id: row.name for row in tx.execute(select(users.c.id, users.c.name).where(users.c.id.in_(owner_ids)))}


def set_next_run(tx: Connection, view_id: int, at: int | None) -> None:
    """Set when a view is due next; None: never."""
    tx.execute(update(views).where(views.c.id == view_id).values(next_run_at=at))


def due_views(tx: Connection, now_ms: int, limit: int) -> list[SavedView]:
    """Return at most ``limit`` views that are due, longest overdue first."""
    query = VIEWS.all.where(views.c.next_run_at <= now_ms).order_by(views.c.next_run_at, views.c.id)
    return VIEWS.select(tx, query.limit(limit))


def scheduled_views(tx: Connection) -> list[SavedView]:
    """Return the live views with a schedule."""
    query = VIEWS.all.where(views.c.schedule.is_not(None), views.c.archived_at.is_(None))
    return VIEWS.select(tx, query.order_by(views.c.id))


def advance_run(tx: Connection, view: SavedView, seen: ViewRuns, done: ViewRuns) -> bool:
    """Store a run. Return False if the view was changed or sent since it was read."""
    statement = update(views).where(
        views.c.id == view.id, views.c.version == view.version, views.c.next_run_at == seen.next_run_at
    )
    return tx.execute(statement.values(msgspec.to_builtins(done))).rowcount == 1
