"""Settings and internal state of the instance: JSON values by name."""

from typing import TypeVar

import msgspec
from sqlalchemy import Connection, delete, insert, select

from clickloop.setup.fault import InvalidInputError
from clickloop.setup.instance import SavedSettings, instance_faults
from clickloop.store.ledger.schema.tables import settings
from clickloop.store.ledger.setup.versions import next_version, update_record

_INSTANCE = "instance"

T = TypeVar("T")


def read_setting(tx: Connection, name: str, kind: type[T]) -> T | None:
    """Return the value of a setting, or None. Raise msgspec.ValidationError if it is of another kind."""
    row = tx.execute(select(settings.c.value).where(settings.c.name == name)).one_or_none()
    return None if row is None else msgspec.convert(row[0], kind)


def write_setting(tx: Connection, name: str, value: object) -> None:
    """Set the value of a setting to anything that msgspec can encode as JSON."""
    tx.execute(delete(settings).where(settings.c.name == name))
    tx.execute(insert(settings).values(name=name, value=msgspec.to_builtins(value)))


def read_instance(tx: Connection) -> SavedSettings:
    """Return the settings of the instance that were saved."""
    return read_setting(tx, _INSTANCE, SavedSettings) or SavedSettings()


def instance_version(tx: Connection) -> int:
    """Return the version of the instance's settings; 0: never saved."""
    return tx.scalar(select(settings.c.version).where(settings.c.name == _INSTANCE)) or 0


def write_instance(tx: Connection, saved: SavedSettings, version: int, now_ms: int) -> int:
    """Save the instance's settings if they are at ``version``, and return the new version.

    Raise InvalidInputError with all faults, StaleRecordError for another version.
    """
    faults = instance_faults(saved)
    if faults:
        raise InvalidInputError(tuple(faults))
    value = msgspec.to_builtins(saved)
    if version:
        return update_record(tx, settings, _INSTANCE, version, now_ms, {"value": value})
    # If two save for the first time at once, the primary key lets one insert; on PostgreSQL the other waits and then fails.
    first = next_version(0, now_ms)
    tx.execute(insert(settings).values(name=_INSTANCE, value=value, version=first))
    return first
