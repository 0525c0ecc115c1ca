"""The published routing states in the ledger. ``tx`` is an open transaction."""

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from clickloop.setup.routing_state import NO_STATE, RoutingState
from clickloop.store.ledger.schema.tables import routing_states


def latest_routing_state(tx: Connection) -> RoutingState:
    """Return the state published last, or ``NO_STATE``."""
    newest = select(func.max(routing_states.c.version)).scalar_subquery()
    found = tx.execute(select(routing_states.c.state).where(routing_states.c.version == newest)).scalar()
    return NO_STATE if found is None else msgspec.convert(found, RoutingState)


def find_routing_state(tx: Connection, version: int) -> RoutingState | None:
    """Return a published state, or None if it was deleted since."""
    found = tx.execute(select(routing_states.c.state).where(routing_states.c.version == version)).scalar()
    return None if found is None else msgspec.convert(found, RoutingState)


def publishing_time(tx: Connection, version: int) -> int | None:
    """Return when a state was published, or None if it was deleted since."""
    return tx.execute(select(routing_states.c.published_at).where(routing_states.c.version == version)).scalar()


def insert_routing_state(tx: Connection, state: RoutingState, now_ms: int) -> None:
    """Record a state that is about to be published."""
    values = {"version": state.version, "state": msgspec.to_builtins(state), "published_at": now_ms}
    tx.execute(insert(routing_states).values(values))


def delete_routing_states(tx: Connection, before_at: int) -> None:
    """Delete states from before that moment, except the latest."""
    newest = select(func.max(routing_states.c.version)).scalar_subquery()
    tx.execute(
        delete(routing_states).where(routing_states.c.published_at < before_at, routing_states.c.version < newest)
    )
