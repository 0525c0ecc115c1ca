"""Reading and writing set-up records. Columns and fields have the same names, so a table and its Struct define the mapping."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Select, Table, insert, select

from clickloop.setup.record import RecordFields
from clickloop.store.ledger.setup.conditions import in_state, named_like
from clickloop.store.ledger.setup.versions import next_version, update_record

R = TypeVar("R", bound=RecordFields)

Parts = Callable[[Connection, list[int]], Mapping[int, object]]
"""Return the value of a field that another table holds, by id of the record."""


class RecordTable(Generic[R]):
    """The table of one kind of record.

    ``parts``: by field, the function that reads it from another table; callers write it there themselves. ``immutable``: columns
    that an update does not change, besides ``id`` and ``created_at``. ``derived``: columns that the record does not have.
    """

    def __init__(
        self,
        table: Table,
        kind: type[R],
        parts: Mapping[str, Parts] | None = None,
        immutable: Collection[str] = (),
        derived: Collection[str] = (),
    ) -> None:
        self._table = table
        self._kind = kind
        self._parts = parts or {}
        # As str: SQLAlchemy uses a subclass for reserved words.
        self._names = [str(column.name) for column in table.columns if column.name not in derived]
        self._columns = [name for name in self._names if name != "id"]
        self._changing = [name for name in self._columns if name not in ("created_at", "version", *immutable)]
        if unlike := {"id", *self._columns, *self._parts} ^ set(kind.__struct_fields__):
            raise TypeError(
                f"{table.name} and {kind.__name__} do not have the same fields: {', '.join(sorted(unlike))}"
            )

    def write(self, tx: Connection, record: R, now_ms: int) -> R:
        """Insert a new record (``id`` 0) or update the version that it was read at. Return it as stored, without writing parts.

        Raise StaleRecordError, or IntegrityError for a duplicate of a unique value.
        """
        record = replace(record, updated_at=now_ms)
        values = msgspec.to_builtins(record)
        if record.id:
            changed = {name: values[name] for name in self._changing}
            return replace(record, version=update_record(tx, self._table, record.id, record.version, now_ms, changed))
        record = replace(record, created_at=now_ms, version=next_version(0, now_ms))
        values |= {"created_at": now_ms, "version": record.version}
        statement = insert(self._table).values({name: values[name] for name in self._columns})
        return replace(record, id=int(tx.execute(statement.returning(self._table.c.id)).scalar_one()))

    def find(self, tx: Connection, record_id: int) -> R | None:
        """Return the record with that id, archived or not."""
        return next(iter(self.select(tx, self.all.where(self._table.c.id == record_id))), None)

    def find_by(self, tx: Connection, column: str, value: str) -> int | None:
        """Return the id of a record, archived or not, by the value of a unique column."""
        return tx.execute(select(self._table.c.id).where(self._table.c[column] == value)).scalar()

    def after(
        self,
        tx: Connection,
        after_id: int,
        limit: int,
        *only: ColumnElement[bool],
        archived: bool = False,
        words: str = "",
    ) -> list[R]:
        """Return at most ``limit`` live or archived records with ids above ``after_id``, ascending.

        ``words``: part of the name, ignoring case; empty: any name. ``only``: further conditions.
        """
        query = self.all.where(self._table.c.id > after_id, in_state(self._table, archived=archived), *only)
        if words:
            query = query.where(named_like(self._table, words))
        return self.select(tx, query.order_by(self._table.c.id).limit(limit))

    def live(self, tx: Connection, ids: Collection[int]) -> list[R]:
        """Return the live records among these ids, ascending."""
        is_live = in_state(self._table, archived=False)
        return self.select(tx, self.all.where(self._table.c.id.in_(ids), is_live).order_by(self._table.c.id))

    @property
    def all(self) -> Select[Any]:
        """The query for all records, to be narrowed and passed to ``select``."""
        return select(*(self._table.c[name] for name in self._names))

    def select(self, tx: Connection, query: Select[Any]) -> list[R]:
        """Return the records of a query for whole rows, including their parts."""
        rows = [dict(zip(self._names, row, strict=True)) for row in tx.execute(query)]
        for field, read in self._parts.items():
            found = read(tx, [row["id"] for row in rows])
            for row in rows:
                row[field] = found[row["id"]]
        return [msgspec.convert(row, self._kind) for row in rows]
