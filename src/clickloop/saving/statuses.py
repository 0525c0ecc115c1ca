"""Saving statuses and their words."""

from collections.abc import Callable

from msgspec import UNSET
from sqlalchemy import Connection

from clickloop.conversion.status import OTHER, SALE, Status, StatusWords
from clickloop.conversion.status_change import (
    StatusCreation,
    StatusUpdate,
    changed_words,
    creation_faults,
    update_faults,
)
from clickloop.saving.faults import raise_faults
from clickloop.saving.record import SavingContext, UnknownRecordError
from clickloop.setup.fault import FaultCode, FieldFault
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.setup.networks import networks_with_status
from clickloop.store.ledger.setup.postback_rules import StoredRule, live_rules_for_status
from clickloop.store.ledger.setup.statuses import (
    delete_status,
    delete_words_of,
    insert_status,
    insert_words,
    is_status_used,
    status_rows,
    update_status,
)
from clickloop.store.ledger.setup.versions import StaleRecordError, next_version
from clickloop.text import readable

NOUN = "statuses"

StatusViewer = Callable[[StatusWords], object]
"""Returns the view of a status for the audit log."""


class StatusInUseError(Exception):
    """Postback rules or networks use the status; the message names them."""


def find_status(tx: Connection, key: str) -> StatusWords:
    """Return the status with that key. Raise UnknownRecordError."""
    found = next((row for row in status_rows(tx) if row.status.key == key), None)
    if found is None:
        raise UnknownRecordError("status of that key")
    return found


def create(context: SavingContext, new: StatusCreation, view: StatusViewer) -> StatusWords:
    """Save a status after the last one. Raise InvalidInputError."""
    with context.ledger.write() as tx:
        raise_faults(creation_faults(new, status_rows(tx)))
        insert_status(tx, Status(new.key, new.name, new.counts_as), next_version(0, context.clock()))
        insert_words(tx, new.key, new.words or ())
        saved = find_status(tx, new.key)
        record_change(tx, context, NOUN, new.key, after=view(saved))
    context.on_setup_changed()
    return saved


def change(
    context: SavingContext, key: str, update: StatusUpdate, view: StatusViewer
) -> tuple[StatusWords, StatusWords]:
    """Save a change and return the status before and after it. Raise UnknownRecordError, StaleRecordError, InvalidInputError."""
    with context.ledger.write() as tx:
        before = find_status(tx, key)
        context.expected.check(before.version)
        name = before.status.name if update.name is UNSET else update.name
        counts_as = before.status.counts_as if update.counts_as is UNSET else update.counts_as
        words = tuple(changed_words(before.words, update))
        changed = StatusWords(Status(key, name, counts_as), words)
        raise_faults(update_faults(update, changed, status_rows(tx)))
        update_status(tx, changed.status, before.version, context.clock())
        delete_words_of(tx, key)
        insert_words(tx, key, words)
        after = find_status(tx, key)
        record_change(tx, context, NOUN, key, view(before), view(after))
    context.on_setup_changed()
    return before, after


def remove(context: SavingContext, key: str, view: StatusViewer) -> StatusWords:
    """Delete a status that no conversion has, and return it.

    Raise UnknownRecordError, StaleRecordError, StatusInUseError, and InvalidInputError if conversions have it or it is ``sale``
    or ``other``, which stand for no word and for an unknown word.
    """
    with context.ledger.write() as tx:
        row = find_status(tx, key)
        context.expected.check(row.version)
        if key in (SALE.key, OTHER.key):
            sentence = f"The status {key} cannot be removed. You can rename it."
            raise_faults([FieldFault("key", FaultCode.RESERVED, sentence)])
        if is_status_used(tx, key):
            sentence = f"The status {key} cannot be removed because conversions have it."
            raise_faults([FieldFault("key", FaultCode.IN_USE, sentence)])
        if rules := live_rules_for_status(tx, key):
            raise StatusInUseError(_used_by_rules(key, rules))
        if networks := networks_with_status(tx, key):
            raise StatusInUseError(_used_by_networks(key, networks))
        delete_words_of(tx, key)
        if not delete_status(tx, key, row.version):
            raise StaleRecordError(0)
        record_change(tx, context, NOUN, key, before=view(row))
    context.on_setup_changed()
    return row


def _used_by_rules(key: str, rules: list[StoredRule]) -> str:
    names = _listed([f"{stored.rule.rule_id} {readable(stored.rule.name)!r}" for stored in rules])
    uses = "rule uses" if len(rules) == 1 else "rules use"
    return (
        f"{len(rules)} postback {uses} the status {key}: {names}. Remove it from their conditions, or archive the rules you no "
        "longer need."
    )


def _used_by_networks(key: str, names: list[str]) -> str:
    listed = _listed([repr(readable(name)) for name in names])
    return f"Words of {listed} are mapped to the status {key}. Map them to another status on the network's page first."


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
