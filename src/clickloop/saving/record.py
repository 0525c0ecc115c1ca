"""Creating, changing, archiving and restoring a record of the set-up: one way for all kinds, each in one transaction.

In it the version is checked, the kind's own checks are made, the rows are written, and the change goes into the log of changes; after
it is committed, the change is published.
"""

import dataclasses
from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.people.user import Right
from clickloop.postback.sending.address_guard import STRICT, AddressGuard
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError
from clickloop.setup.record import RecordFields
from clickloop.store.ledger.logs.audit_entry import ActorContext
from clickloop.store.ledger.logs.audit_log import Action, insert_change
from clickloop.store.ledger.setup.versions import ANY_VERSION, Expectation

R = TypeVar("R", bound=RecordFields)

View = Callable[[Connection, R], object]
"""Returns what the log of changes is to show of a record; secrets in it are masked there."""


class UnknownRecordError(Exception):
    """There is no record of that number; the text names it: ``campaign 7``."""


def _nothing() -> None:
    """Publish nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavingContext(ActorContext):
    """What it takes to save a record."""

    guard: AddressGuard = STRICT
    """Where postbacks may be sent to."""
    expected: Expectation = ANY_VERSION
    """The version that a change is made from."""
    on_setup_changed: Callable[[], None] = _nothing
    """Called after a change of the set-up is committed, from a worker thread."""

    @property
    def shows_secrets(self) -> bool:
        """Return whether who changes it may see tokens of networks and the like."""
        return self.actor.role.may(Right.SECRETS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noun(Generic[R]):
    """A kind of record: how one is read, checked and written."""

    name: str
    """As the API's addresses and the log of changes have it: ``traffic-sources``."""
    one: str
    """In sentences: ``traffic source``."""
    find: Callable[[Connection, int], R | None]
    checked: Callable[[SavingContext, Connection, R], R]
    """Returns the record as it is stored, texts trimmed. Raises InvalidInputError with every fault."""
    write: Callable[[Connection, R, int], R]
    """Writes a new record (``id`` 0) or one over the version that it was read at, at a moment; returns it as it is now."""
    in_use: Callable[[Connection, int], str | None] = lambda _tx, _record_id: None
    """Returns the live record that needs one and keeps it from being archived, such as ``campaign 'X'``."""

    def get(self, tx: Connection, record_id: int) -> R:
        """Return the record of that number, archived or not. Raise UnknownRecordError."""
        record = self.find(tx, record_id)
        if record is None:
            raise UnknownRecordError(f"{self.one} {record_id}")
        return record

    def save(self, context: SavingContext, tx: Connection, record: R) -> R:
        """Check a record and write it; return it as it is now. Raise InvalidInputError, StaleRecordError."""
        return self.write(tx, self.checked(context, tx, record), context.clock())


def log_change(
    context: SavingContext,
    tx: Connection,
    noun: str,
    record_id: int,
    action: Action,
    before: object = None,
    after: object = None,
) -> None:
    """Write a line of the log of changes. ``before`` and ``after`` are views; secrets in them are masked."""
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


def create(context: SavingContext, noun: Noun[R], new: Callable[[Connection], R], view: View[R]) -> R:
    """Save the record that ``new`` returns. Raise InvalidInputError."""
    with context.ledger.write() as tx:
        record = add(context, tx, noun, new(tx), view)
    context.on_setup_changed()
    return record


def add(context: SavingContext, tx: Connection, noun: Noun[R], record: R, view: View[R]) -> R:
    """Save a new record in a transaction that saves more than it; the caller publishes. Raise InvalidInputError."""
    record = noun.save(context, tx, record)
    log_change(context, tx, noun.name, record.id, Action.CREATED, after=view(tx, record))
    return record


def change(
    context: SavingContext, noun: Noun[R], record_id: int, changed: Callable[[Connection, R], R], view: View[R]
) -> R:
    """Save a record as ``changed`` returns it. Raise UnknownRecordError, StaleRecordError, InvalidInputError."""

    def save(tx: Connection, record: R) -> R:
        return noun.save(context, tx, changed(tx, record))

    return _update(context, noun, record_id, save, Action.CHANGED, view)


def archive(context: SavingContext, noun: Noun[R], record_id: int, view: View[R]) -> R:
    """Take a record out of use; nothing is deleted.

    Raise UnknownRecordError, StaleRecordError, and InvalidInputError while something live needs it.
    """

    def save(tx: Connection, record: R) -> R:
        if record.is_archived:
            return record
        if user := noun.in_use(tx, record_id):
            sentence = f"The {user} still uses it: change or archive that one first."
            raise InvalidInputError((Fault("", FaultCode.IN_USE, sentence),))
        now_ms = context.clock()
        return noun.write(tx, replace(record, archived_at=now_ms), now_ms)

    return _update(context, noun, record_id, save, Action.ARCHIVED, view)


def restore(context: SavingContext, noun: Noun[R], record_id: int, view: View[R]) -> R:
    """Take an archived record into use again, if it could be saved now.

    Raise UnknownRecordError, StaleRecordError, InvalidInputError.
    """

    def save(tx: Connection, record: R) -> R:
        if not record.is_archived:
            return record
        return noun.save(context, tx, replace(record, archived_at=None))

    return _update(context, noun, record_id, save, Action.RESTORED, view)


def _update(
    context: SavingContext,
    noun: Noun[R],
    record_id: int,
    save: Callable[[Connection, R], R],
    action: Action,
    view: View[R],
) -> R:
    with context.ledger.write() as tx:
        before = noun.get(tx, record_id)
        # In the transaction that writes: whoever read the record earlier may have read another version.
        context.expected.check(before.version)
        shown = view(tx, before)
        after = save(tx, before)
        if _contents(after) != _contents(before):
            log_change(context, tx, noun.name, record_id, action, shown, view(tx, after))
    context.on_setup_changed()
    return after


def _contents(record: R) -> R:
    """Return the record without what every saving changes, to compare it: saving once more what is there is no change."""
    return replace(record, version=0, updated_at=0)
