"""What the instance remembers about itself by name, as JSON values in the ledger."""

from typing import TypeVar

import msgspec
from sqlalchemy import Connection, delete, insert, select

from clickloop.store.ledger.tables import settings

T = TypeVar("T")


def read_setting(tx: Connection, name: str, kind: type[T]) -> T | None:
    """The value under ``name``, or None. Raises msgspec.ValidationError when it is not of that kind."""
    row = tx.execute(select(settings.c.value).where(settings.c.name == name)).one_or_none()
    return None if row is None else msgspec.convert(row[0], kind)


def write_setting(tx: Connection, name: str, value: object) -> None:
    """Sets the value under ``name``; anything that msgspec can make JSON of."""
    tx.execute(delete(settings).where(settings.c.name == name))
    tx.execute(insert(settings).values(name=name, value=msgspec.to_builtins(value)))
