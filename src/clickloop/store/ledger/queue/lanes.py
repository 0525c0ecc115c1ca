"""Lanes in the ledger: what users set for receivers, who is paused, and which lanes have work. ``tx`` is an open transaction."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, case, delete, func, insert, or_, select, update

from clickloop.postback.delivery.breaker import Pause
from clickloop.postback.delivery.lane import Asked, KeptLane, LaneTerms, Standing
from clickloop.store.ledger.logs.postback_states import IS_WAITING
from clickloop.store.ledger.schema.tables import postbacks, receivers
from clickloop.store.ledger.sqlite.json_lists import json_rows

"""With the state in the text, so that the planner sees that the index of what waits will do."""


class WaitingLane(msgspec.Struct, frozen=True, array_like=True):
    """A lane that something waits in, and when the first of it is due."""

    lane: str
    at: int


def waiting_lanes(tx: Connection) -> list[WaitingLane]:
    """The lanes that something waits in, by name. One search in the index for each lane, however much waits in it.

    They come as one JSON text: for each row that it steps to, SQLite's driver would let go of Python's lock and wait to have it again.
    """
    found = msgspec.json.decode(tx.scalar(_WAITING_LANES) or "[]", type=list[WaitingLane])
    return sorted(found, key=lambda lane: lane.lane)


def _from_lane_to_lane() -> Select[Any]:
    first = select(func.min(postbacks.c.receiver).label("receiver")).where(IS_WAITING)
    # A loose index scan, which SQLite has no plan for: DISTINCT would read every waiting row.
    steps = first.cte("steps", recursive=True)
    further = select(func.min(postbacks.c.receiver)).where(IS_WAITING, postbacks.c.receiver > steps.c.receiver)
    steps = steps.union_all(select(further.scalar_subquery()).where(steps.c.receiver.is_not(None)))
    due = select(func.min(postbacks.c.next_attempt_at)).where(IS_WAITING, postbacks.c.receiver == steps.c.receiver)
    found = select(steps.c.receiver, due.scalar_subquery().label("at")).where(steps.c.receiver.is_not(None))
    return json_rows(found)


_WAITING_LANES = _from_lane_to_lane()


def kept_lanes(tx: Connection) -> tuple[KeptLane, ...]:
    """All lanes of which something is kept, by name."""
    return tuple(_kept(row) for row in tx.execute(select(receivers).order_by(receivers.c.receiver)))


def find_lane(tx: Connection, lane: str) -> KeptLane | None:
    """What is kept of a lane."""
    row = tx.execute(select(receivers).where(receivers.c.receiver == lane)).one_or_none()
    return None if row is None else _kept(row)


def waiting_counts(tx: Connection, names: Collection[str]) -> dict[str, int]:
    """By lane, how much waits in it; without a key when nothing does. It reads as many entries of the index."""
    rows = tx.execute(
        select(postbacks.c.receiver, func.count().label("waiting"))
        .where(IS_WAITING, postbacks.c.receiver.in_(names))
        .group_by(postbacks.c.receiver)
    )
    return {row.receiver: row.waiting for row in rows}


class SeenLane(msgspec.Struct, frozen=True):
    """What waits in a lane, how much of it is due, and since when the first of it is; None: nothing is."""

    lane: str
    waiting: int
    due: int
    due_since: int | None


def waiting_in_lanes(tx: Connection, now_ms: int, campaign_id: int | None = None) -> list[SeenLane]:
    """By lane, what waits in it, of one campaign or of all. It looks at everything that waits."""
    first = func.min(postbacks.c.next_attempt_at)
    due = func.sum(case((postbacks.c.next_attempt_at <= now_ms, 1), else_=0))
    query = select(postbacks.c.receiver, func.count(), due, first).where(IS_WAITING).group_by(postbacks.c.receiver)
    if campaign_id is not None:
        query = query.where(postbacks.c.campaign_id == campaign_id)
    rows = tx.execute(query.order_by(postbacks.c.receiver))
    return [SeenLane(lane, waiting, due, at if due else None) for lane, waiting, due, at in rows]


def set_lane_terms(tx: Connection, lane: str, terms: LaneTerms) -> None:
    """Keeps what a user has set for a receiver; whether it is paused stays."""
    values = {"connections": terms.connections, "per_minute": terms.per_minute}
    _change(tx, lane, values)


def keep_standing(tx: Connection, lane: str, standing: Standing) -> None:
    """Keeps how a receiver stands; what a user has set for it stays, and what he asks of it while there is something to ask."""
    pause = standing.pause
    values: dict[str, object] = {
        "opened_at": pause.opened_at if pause else None,
        "probe_at": pause.probe_at if pause else None,
        "probes": pause.probes if pause else 0,
        "why": pause.why if pause else "",
        "held_until": standing.held_until,
    }
    if pause is None and standing.held_until is None:
        values["command"] = None
    _change(tx, lane, values)


def ask_of_lane(tx: Connection, lane: str, asked: Asked) -> bool:
    """Keeps what somebody wants of a receiver until delivery has done it. False: it is neither paused nor asked us to wait."""
    held = or_(receivers.c.opened_at.is_not(None), receivers.c.held_until.is_not(None))
    return (
        tx.execute(update(receivers).where(receivers.c.receiver == lane, held).values(command=asked.value)).rowcount > 0
    )


def forget_asked(tx: Connection, lane: str, asked: Asked) -> None:
    """Notes that what somebody wanted of a receiver is done."""
    tx.execute(
        update(receivers).where(receivers.c.receiver == lane, receivers.c.command == asked.value).values(command=None)
    )


def _change(tx: Connection, lane: str, values: Mapping[str, object]) -> None:
    """Changes a lane's row, makes it when there is none, and deletes it when it says nothing that is not usual."""
    # Update, then insert: the two engines spell an upsert differently, and only one writes at a time.
    if tx.execute(update(receivers).where(receivers.c.receiver == lane).values(**values)).rowcount == 0:
        tx.execute(insert(receivers).values({"receiver": lane, "probes": 0, "why": ""} | dict(values)))
    tx.execute(
        delete(receivers).where(
            receivers.c.receiver == lane,
            receivers.c.connections.is_(None),
            receivers.c.per_minute.is_(None),
            receivers.c.opened_at.is_(None),
            receivers.c.held_until.is_(None),
        )
    )


def _kept(row: Any) -> KeptLane:
    terms = LaneTerms(connections=row.connections, per_minute=row.per_minute)
    pause = None
    if row.opened_at is not None:
        pause = Pause(opened_at=row.opened_at, probe_at=row.probe_at, probes=row.probes, why=row.why)
    asked = None if row.command is None else Asked(row.command)
    return KeptLane(lane=row.receiver, terms=terms, pause=pause, held_until=row.held_until, asked=asked)
