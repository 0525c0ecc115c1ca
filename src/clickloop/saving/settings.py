"""Saving the settings of the instance."""

from collections.abc import Callable

from clickloop.saving.record import SavingContext
from clickloop.setup.instance import SavedSettings
from clickloop.setup.instance_change import SettingsUpdate, changed_settings
from clickloop.store.ledger.logs.audit_entry import record_change
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
        version_after = write_instance(tx, saved, version, context.clock())
        record_change(tx, context, NOUN, RECORD, view(before, version), view(saved, version_after))
    context.on_setup_changed()
    return saved, version_after
