"""Creating, changing, archiving and restoring set-up records of any kind, each in one transaction.

The transaction checks the version, runs the kind's own checks, writes the rows and adds an audit entry. The change is published
after the commit.
"""

import dataclasses
from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.people.user import Right
from clickloop.postback.sending.address_guard import STRICT, AddressGuard
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.setup.record import RecordFields
from clickloop.store.ledger.logs.audit_entry import ActorContext, record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.setup.versions import ANY_VERSION, Expectation

R = TypeVar("R", bound=RecordFields)

View = Callable[[Connection, R], object]
"""Returns a record's view for the audit log, which masks secrets."""


class UnknownRecordError(Exception):
    """The record does not exist. The message names it: ``campaign 7``."""


def _nothing() -> None:
    """Do nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavingContext(ActorContext):
    """Dependencies of saving a record."""

    guard: AddressGuard = STRICT
    """Decides where postbacks may be sent."""
    expected: Expectation = ANY_VERSION
    """The version that the change is based on."""
    on_setup_changed: Callable[[], None] = _nothing
    """Called from a worker thread after a change of the set-up is committed."""

    @property
    def shows_secrets(self) -> bool:
        """Return whether the actor may see secrets such as networks' tokens."""
        return self.actor.role.may(Right.SECRETS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noun(Generic[R]):
    """A kind of record, with the functions that read, check and write one."""

    name: str
    """Plural in API paths and the audit log: ``traffic-sources``."""
    one: str
    """Singular in sentences: ``traffic source``."""
    find: Callable[[Connection, int], R | None]
    checked: Callable[[SavingContext, Connection, R], R]
    """Returns the record as it will be stored, text trimmed. Raises InvalidInputError with every fault."""
    write: Callable[[Connection, R, int], R]
    """Writes a record at a moment and returns it as stored: a new one (``id`` 0), or one at the version that was read."""
    in_use: Callable[[Connection, int], str | None] = lambda _tx, _record_id: None
    """Returns the live record that uses a record and prevents archiving it, such as ``campaign 'X'``."""

    def get(self, tx: Connection, record_id: int) -> R:
        """Return a record, archived or not. Raise UnknownRecordError."""
        record = self.find(tx, record_id)
        if record is None:
            raise UnknownRecordError(f"{self.one} {record_id}")
        return record

    def save(self, context: SavingContext, tx: Connection, record: R) -> R:
        """Check and write a record; return it as stored. Raise InvalidInputError, StaleRecordError."""
        return self.write(tx, self.checked(context, tx, record), context.clock())


def create(context: SavingContext, noun: Noun[R], new: Callable[[Connection], R], view: View[R]) -> R:
    """Save the record that ``new`` returns. Raise InvalidInputError."""
    with context.ledger.write() as tx:
        record = add(context, tx, noun, new(tx), view)
    context.on_setup_changed()
    return record


def add(context: SavingContext, tx: Connection, noun: Noun[R], record: R, view: View[R]) -> R:
    """Save a new record in the caller's transaction; the caller publishes the change. Raise InvalidInputError."""
    record = noun.save(context, tx, record)
    record_change(tx, context, noun.name, record.id, after=view(tx, record))
    return record


def change(
    context: SavingContext, noun: Noun[R], record_id: int, changed: Callable[[Connection, R], R], view: View[R]
) -> R:
    """Save a record as changed by ``changed``. Raise UnknownRecordError, StaleRecordError, InvalidInputError."""

    def save(tx: Connection, record: R) -> R:
        return noun.save(context, tx, changed(tx, record))

    return _update(context, noun, record_id, save, Action.CHANGED, view)


def archive(context: SavingContext, noun: Noun[R], record_id: int, view: View[R]) -> R:
    """Archive a record. Nothing is deleted.

    Raise UnknownRecordError, StaleRecordError, and InvalidInputError while a live record uses it.
    """

    def save(tx: Connection, record: R) -> R:
        if record.is_archived:
            return record
        if user := noun.in_use(tx, record_id):
            sentence = f"The {user} still uses it. Change or archive that first."
            raise InvalidInputError((FieldFault("", FaultCode.IN_USE, sentence),))
        now_ms = context.clock()
        return noun.write(tx, replace(record, archived_at=now_ms), now_ms)

    return _update(context, noun, record_id, save, Action.ARCHIVED, view)


def restore(context: SavingContext, noun: Noun[R], record_id: int, view: View[R]) -> R:
    """Restore an archived record if it passes today's checks.

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
        # Checked in the writing transaction: the version may have changed since the caller read the record.
        context.expected.check(before.version)
        shown = view(tx, before)
        after = save(tx, before)
        if _contents(after) != _contents(before):
            record_change(tx, context, noun.name, record_id, shown, view(tx, after), action)
    context.on_setup_changed()
    return after


def _contents(record: R) -> R:
    """Return the record without the fields that every save changes. Saving an unchanged record adds no audit entry."""
    return replace(record, version=0, updated_at=0)
