"""Receivers in the ledger: limits that users set, pauses, and which receivers have work. ``tx`` is an open transaction."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, case, delete, func, insert, or_, select, update

from clickloop.postback.delivery.breaker import Pause
from clickloop.postback.delivery.receiver_queue import ReceiverCommand, ReceiverCondition, ReceiverTerms, StoredReceiver
from clickloop.store.ledger.logs.postback_states import IS_WAITING
from clickloop.store.ledger.schema.tables import postbacks, receivers
from clickloop.store.ledger.sqlite.json_lists import json_rows


class WaitingReceiver(msgspec.Struct, frozen=True, array_like=True):
    """A receiver with waiting postbacks, and when the first is due."""

    receiver: str
    at: int


def waiting_receivers(tx: Connection) -> list[WaitingReceiver]:
    """Return the receivers with waiting postbacks, sorted. Costs one seek in the index per receiver, however much waits."""
    found = msgspec.json.decode(tx.scalar(_WAITING_RECEIVERS) or "[]", type=list[WaitingReceiver])
    return sorted(found, key=lambda each: each.receiver)


def _waiting_receivers_query() -> Select[Any]:
    first = select(func.min(postbacks.c.receiver).label("receiver")).where(IS_WAITING)
    # A loose index scan, which SQLite has no plan for: DISTINCT would read every waiting row.
    steps = first.cte("steps", recursive=True)
    further = select(func.min(postbacks.c.receiver)).where(IS_WAITING, postbacks.c.receiver > steps.c.receiver)
    steps = steps.union_all(select(further.scalar_subquery()).where(steps.c.receiver.is_not(None)))
    due = select(func.min(postbacks.c.next_attempt_at)).where(IS_WAITING, postbacks.c.receiver == steps.c.receiver)
    found = select(steps.c.receiver, due.scalar_subquery().label("at")).where(steps.c.receiver.is_not(None))
    return json_rows(found)


_WAITING_RECEIVERS = _waiting_receivers_query()


def stored_receivers(tx: Connection) -> tuple[StoredReceiver, ...]:
    """Return all receivers with a row, sorted."""
    return tuple(_of_row(row) for row in tx.execute(select(receivers).order_by(receivers.c.receiver)))


def find_receiver(tx: Connection, receiver: str) -> StoredReceiver | None:
    """Return what is stored of a receiver, if anything."""
    row = tx.execute(select(receivers).where(receivers.c.receiver == receiver)).one_or_none()
    return None if row is None else _of_row(row)


def waiting_counts(tx: Connection, names: Collection[str]) -> dict[str, int]:
    """Return the numbers of waiting postbacks by receiver, without receivers that have none. Reads an index entry for each."""
    rows = tx.execute(
        select(postbacks.c.receiver, func.count().label("waiting"))
        .where(IS_WAITING, postbacks.c.receiver.in_(names))
        .group_by(postbacks.c.receiver)
    )
    return {row.receiver: row.waiting for row in rows}


class ReceiverBacklog(msgspec.Struct, frozen=True):
    """The numbers of waiting and of due postbacks of a receiver, and since when the first is due; None if none is due."""

    receiver: str
    waiting: int
    due: int
    due_since: int | None


def receiver_backlogs(tx: Connection, now_ms: int, campaign_id: int | None = None) -> list[ReceiverBacklog]:
    """Return the backlog of each receiver, of one campaign or of all. Reads everything that waits."""
    first = func.min(postbacks.c.next_attempt_at)
    due = func.sum(case((postbacks.c.next_attempt_at <= now_ms, 1), else_=0))
    query = select(postbacks.c.receiver, func.count(), due, first).where(IS_WAITING).group_by(postbacks.c.receiver)
    if campaign_id is not None:
        query = query.where(postbacks.c.campaign_id == campaign_id)
    rows = tx.execute(query.order_by(postbacks.c.receiver))
    return [ReceiverBacklog(receiver, waiting, due, at if due else None) for receiver, waiting, due, at in rows]


def set_receiver_terms(tx: Connection, receiver: str, terms: ReceiverTerms) -> None:
    """Store the limits a user set for a receiver. Its condition stays."""
    _change(tx, receiver, {"connections": terms.connections, "per_minute": terms.per_minute})


def save_condition(tx: Connection, receiver: str, condition: ReceiverCondition) -> None:
    """Store the condition of a receiver. Its limits stay, and so does its command unless there is nothing left to end."""
    pause = condition.pause
    values: dict[str, object] = {
        "opened_at": pause.opened_at if pause else None,
        "probe_at": pause.probe_at if pause else None,
        "probes": pause.probes if pause else 0,
        "why": pause.why if pause else "",
        "held_until": condition.held_until,
    }
    if pause is None and condition.held_until is None:
        values["command"] = None
    _change(tx, receiver, values)


def request_command(tx: Connection, receiver: str, command: ReceiverCommand) -> bool:
    """Store a command for a receiver until delivery carries it out. Return False if it is neither paused nor asked us to wait."""
    is_blocked = or_(receivers.c.opened_at.is_not(None), receivers.c.held_until.is_not(None))
    return (
        tx.execute(
            update(receivers).where(receivers.c.receiver == receiver, is_blocked).values(command=command.value)
        ).rowcount
        > 0
    )


def clear_command(tx: Connection, receiver: str, command: ReceiverCommand) -> None:
    """Remove a command that was carried out, unless another one was requested since."""
    is_same = (receivers.c.receiver == receiver) & (receivers.c.command == command.value)
    tx.execute(update(receivers).where(is_same).values(command=None))


def _change(tx: Connection, receiver: str, values: Mapping[str, object]) -> None:
    """Update the row of a receiver, insert it if there is none, and delete it if it holds nothing but defaults."""
    # Update, then insert: the two engines spell an upsert differently, and only one writes at a time.
    if tx.execute(update(receivers).where(receivers.c.receiver == receiver).values(**values)).rowcount == 0:
        tx.execute(insert(receivers).values({"receiver": receiver, "probes": 0, "why": ""} | dict(values)))
    tx.execute(
        delete(receivers).where(
            receivers.c.receiver == receiver,
            receivers.c.connections.is_(None),
            receivers.c.per_minute.is_(None),
            receivers.c.opened_at.is_(None),
            receivers.c.held_until.is_(None),
        )
    )


def _of_row(row: Any) -> StoredReceiver:
    terms = ReceiverTerms(connections=row.connections, per_minute=row.per_minute)
    pause = None
    if row.opened_at is not None:
        pause = Pause(opened_at=row.opened_at, probe_at=row.probe_at, probes=row.probes, why=row.why)
    command = None if row.command is None else ReceiverCommand(row.command)
    return StoredReceiver(receiver=row.receiver, terms=terms, pause=pause, held_until=row.held_until, command=command)
