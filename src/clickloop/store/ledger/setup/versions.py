"""Versions of set-up records: a change is written only over the version that it was made from.

A version is a whole number that only grows: by one at least, and never below the moment of the change in Unix milliseconds. A plain
count would be used again for other contents after a record was deleted and made anew, or after an older backup was restored; a form
that was open all the while would then overwrite what it never showed.
"""

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Connection, Table, and_, case, literal, select, update


class StaleRecordError(Exception):
    """A record is not at the version that a change was made from; nothing was written. ``found``: its version now, 0 if it is gone."""

    def __init__(self, found: int) -> None:
        super().__init__(f"the record is at version {found}, not at the one that was expected; read it again")
        self.found = found


class Expectation(msgspec.Struct, frozen=True):
    """The versions, one of which a record must have for a change to be made. None: any."""

    versions: frozenset[int] | None = None

    def check(self, version: int) -> None:
        """Raise StaleRecordError for another version. Call it in the write transaction that makes the change."""
        if self.versions is not None and version not in self.versions:
            raise StaleRecordError(version)


ANY_VERSION = Expectation()


def next_version(version: int, now_ms: int) -> int:
    """Return the version that a record has after a change; ``version`` 0: of a new record."""
    return max(version + 1, now_ms)


def later_version(table: Table, now_ms: int) -> ColumnElement[int]:
    """Return ``next_version`` as SQL, for changes that do not depend on what was there."""
    return case(
        (table.c.version < now_ms, literal(now_ms, BigInteger)),
        else_=table.c.version + 1,
    )


def update_record(
    tx: Connection, table: Table, record_id: int | str, version: int, now_ms: int, values: dict[str, object]
) -> int:
    """Write the values over that version of a record and return its new version. Raise StaleRecordError if it has another one.

    The predicate is in the statement itself, so that of two writers with the same version one wins on every engine, whatever either
    of them read before.
    """
    key = next(iter(table.primary_key.columns))
    version_after = next_version(version, now_ms)
    at_version = and_(key == record_id, table.c.version == version)
    changed = tx.execute(update(table).where(at_version).values(**values, version=version_after))
    if changed.rowcount != 1:
        raise StaleRecordError(tx.scalar(select(table.c.version).where(key == record_id)) or 0)
    return version_after
