"""The log of changes, as the doors write it: one line for each change, in the transaction of the change where it has one."""

import msgspec
from sqlalchemy import Connection

from clickloop.store.ledger.logs.audit_log import Action, insert_change
from clickloop.web.api.context import ApiContext

_OF_SAVING = frozenset({"updated_at", "version", "warnings"})


def note_change(
    tx: Connection,
    context: ApiContext,
    noun: str,
    record_id: object,
    before: object = None,
    after: object = None,
    action: Action | None = None,
) -> None:
    """Writes the line. ``before`` and ``after`` are views of the record, masked here; what was done follows from them if not given.

    Nothing is written where both are the same and no action is given: nothing was changed. That it was saved once more is no change.
    """
    if action is None:
        if before is not None and _told(before) == _told(after):
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


def _told(view: object) -> object:
    """What a line would tell of a view."""
    told = msgspec.to_builtins(view)
    return {name: value for name, value in told.items() if name not in _OF_SAVING} if isinstance(told, dict) else told


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
