"""Entries of the log of changes: one for each change, in the transaction of the change where it has one."""

import dataclasses

import msgspec
from sqlalchemy import Connection

from clickloop.clock import Clock, wall_clock
from clickloop.people.user import THIS_MACHINE, Actor
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.audit_log import Action, insert_change

_OF_SAVING = frozenset({"updated_at", "version", "warnings"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActorContext:
    """The ledger, and on whose behalf it is read and changed."""

    ledger: Ledger
    actor: Actor = THIS_MACHINE
    """The user, token or command that acts."""
    clock: Clock = wall_clock


def record_change(
    tx: Connection,
    context: ActorContext,
    noun: str,
    record_id: object,
    before: object = None,
    after: object = None,
    action: Action | None = None,
) -> None:
    """Write an entry. ``before`` and ``after`` are views of the record, masked here; without ``action``, it follows from them.

    Nothing is written where both are equal and no action is given: saving a record unchanged is no change.
    """
    if action is None:
        if before is not None and _contents(before) == _contents(after):
            return
        action = _action(before, after)
    insert_change(
        tx,
        context.actor,
        context.clock(),
        noun=noun,
        record_id=str(record_id),
        action=action,
        before=before,
        after=after,
    )


def _contents(view: object) -> object:
    """Return what a view says of the record itself, without the fields that every save changes."""
    fields = msgspec.to_builtins(view)
    if not isinstance(fields, dict):
        return fields
    return {name: value for name, value in fields.items() if name not in _OF_SAVING}


def _action(before: object, after: object) -> Action:
    if before is None:
        return Action.CREATED
    if after is None:
        return Action.REMOVED
    was, is_now = getattr(before, "archived_at", None), getattr(after, "archived_at", None)
    if was is None and is_now is not None:
        return Action.ARCHIVED
    if was is not None and is_now is None:
        return Action.RESTORED
    return Action.CHANGED
