"""Versions of set-up records: a change is only saved over the version it was made from.

A version only grows: by at least one, and at least to the time of the change in Unix milliseconds. A plain counter would reuse
versions for other contents after a record was deleted and created again, or an older backup restored; a form still open from
before would then overwrite what it never showed.
"""

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, Table, and_, case, literal, select, update


class StaleRecordError(Exception):
    """A record is not at the version a change was made from; nothing was saved. ``found``: its current version, 0 if deleted."""

    def __init__(self, found: int) -> None:
        super().__init__(f"the record is at version {found}, not at the expected one; read it again")
        self.found = found


class Expectation(msgspec.Struct, frozen=True):
    """The versions a record may have for a change to be saved. None: any version."""

    versions: frozenset[int] | None = None

    def check(self, version: int) -> None:
        """Raise StaleRecordError for another version. Call it in the write transaction that makes the change."""
        if self.versions is not None and version not in self.versions:
            raise StaleRecordError(version)


ANY_VERSION = Expectation()


def next_version(version: int, now_ms: int) -> int:
    """Return the version of a record after a change; ``version`` 0: of a new record."""
    return max(version + 1, now_ms)


def later_version(table: Table, now_ms: int) -> ColumnElement[int]:
    """Return ``next_version`` as SQL, for changes that do not depend on the current version."""
    return case(
        (table.c.version < now_ms, literal(now_ms, BigInteger)),
        else_=table.c.version + 1,
    )


def update_record(
    tx: Connection, table: Table, record_id: int | str, version: int, now_ms: int, values: dict[str, object]
) -> int:
    """Update a record if it is at that version, and return its new version. Raise StaleRecordError for another one.

    The UPDATE itself has the condition, so that of two writers with the same version only one wins, on every engine.
    """
    key = next(iter(table.primary_key.columns))
    version_after = next_version(version, now_ms)
    at_version = and_(key == record_id, table.c.version == version)
    changed = tx.execute(update(table).where(at_version).values(**values, version=version_after))
    if changed.rowcount != 1:
        raise StaleRecordError(tx.scalar(select(table.c.version).where(key == record_id)) or 0)
    return version_after
