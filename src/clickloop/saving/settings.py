"""Saving the settings of the instance."""

from collections.abc import Callable

from sqlalchemy import Connection

from clickloop.saving.faults import raise_faults
from clickloop.saving.record import SavingContext
from clickloop.setup.fault import FaultCode, FieldFault
from clickloop.setup.instance import MAX_MARK_LISTS, SavedSettings, instance_faults
from clickloop.setup.instance_change import SettingsUpdate, changed_settings
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.setup.live import live_ids
from clickloop.store.ledger.setup.settings import instance_version, read_instance, write_instance

NOUN = "settings"
RECORD = "instance"
"""The only record, as the audit log names it."""


def change(
    context: SavingContext, update: SettingsUpdate, view: Callable[[SavedSettings, int], object]
) -> tuple[SavedSettings, int]:
    """Save a change and return the saved settings and their version. Raise StaleRecordError, InvalidInputError."""
    with context.ledger.write() as tx:
        before, version = read_instance(tx), instance_version(tx)
        context.expected.check(version)
        saved = changed_settings(before, update)
        raise_faults([*instance_faults(saved), *_list_faults(tx, saved)])
        version_after = write_instance(tx, saved, version, context.clock())
        record_change(tx, context, NOUN, RECORD, view(before, version), view(saved, version_after))
    context.on_setup_changed()
    return saved, version_after


def _list_faults(tx: Connection, saved: SavedSettings) -> list[FieldFault]:
    """Return a fault for each list of marks that is archived or does not exist."""
    chosen = {"ip_lists": saved.ip_lists or (), "useragent_lists": saved.useragent_lists or ()}
    live = live_ids(tx, "lists", {one for ids in chosen.values() for one in ids[:MAX_MARK_LISTS]})
    return [
        FieldFault(f"{field}[{position}]", FaultCode.NOT_FOUND, f"There is no live list {one}.")
        for field, ids in chosen.items()
        for position, one in enumerate(ids[:MAX_MARK_LISTS])
        if one not in live
    ]
