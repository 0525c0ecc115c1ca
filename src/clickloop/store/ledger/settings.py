"""What the instance remembers about itself by name, as JSON values in the ledger."""

from typing import TypeVar

import msgspec
from sqlalchemy import Connection, delete, insert, select

from clickloop.campaign.fault import InvalidInputError
from clickloop.campaign.instance import SavedSettings, instance_faults
from clickloop.store.ledger.tables import settings

_INSTANCE = "instance"

T = TypeVar("T")


def read_setting(tx: Connection, name: str, kind: type[T]) -> T | None:
    """The value under ``name``, or None. Raises msgspec.ValidationError when it is not of that kind."""
    row = tx.execute(select(settings.c.value).where(settings.c.name == name)).one_or_none()
    return None if row is None else msgspec.convert(row[0], kind)


def write_setting(tx: Connection, name: str, value: object) -> None:
    """Sets the value under ``name``; anything that msgspec can make JSON of."""
    tx.execute(delete(settings).where(settings.c.name == name))
    tx.execute(insert(settings).values(name=name, value=msgspec.to_builtins(value)))


def read_instance(tx: Connection) -> SavedSettings:
    """What somebody saved of the instance's settings."""
    return read_setting(tx, _INSTANCE, SavedSettings) or SavedSettings()


def write_instance(tx: Connection, saved: SavedSettings) -> None:
    """Saves the instance's settings. Raises InvalidInputError with all that is wrong."""
    faults = instance_faults(saved)
    if faults:
        raise InvalidInputError(tuple(faults))
    write_setting(tx, _INSTANCE, saved)
