"""Checksums of rows, against silent changes: over all of a conversion, and over what is fixed of a postback when it is owed.

Computed where a row is written and compared by the self-audit. A postback's state, dates and attempts change with every attempt
and are left out: the audit holds them against the attempts, and the ledger's own constraints against each other.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    Select,
    Table,
    cast,
    select,
    update,
)

from clickloop.machine.secret_box import SecretError
from clickloop.store.ledger.schema.sealing import opened_bytes
from clickloop.store.ledger.schema.tables import conversions, postbacks

CHECKED_CONVERSION = tuple(column.name for column in conversions.columns if column.name != "row_check")
_CHANGING = frozenset(
    "state attempts next_attempt_at held_from lease_until lease_token finished_at row_check".split()  # noqa: SIM905 – a table
)
CHECKED_POSTBACK = tuple(column.name for column in postbacks.columns if column.name not in _CHANGING)
_DIGEST_BYTES = 8
_NEVER = -1
"""No row's checksum: those are not negative."""


def conversion_check(row: Mapping[str, object]) -> int:
    """Return the checksum of a conversion's row, by column names."""
    return check_of(row[name] for name in CHECKED_CONVERSION)


def postback_check(row: Mapping[str, object]) -> int:
    """Return the checksum of a postback's row, by column names."""
    return check_of(row[name] for name in CHECKED_POSTBACK)


def checks_after(tx: Connection, changes: Mapping[str, Mapping[str, object]]) -> dict[str, int]:
    """Return the checksums of conversions after these changes, by id and column.

    Over the row as it is stored, not as it was read: what was not written again is not encoded again. A row that does not match
    its checksum now gets one that it never matches, so that a change does not seal damage.
    """
    query = _selected(tx, conversions, CHECKED_CONVERSION).where(conversions.c.conversion_id.in_(changes))
    checks = {}
    for row in tx.execute(query):
        values = _opened(tx, row[2:])
        stored = dict(zip(CHECKED_CONVERSION, values, strict=True))
        is_sound = check_of(values) == row[1]
        checks[row[0]] = conversion_check({**stored, **changes[row[0]]}) if is_sound else _NEVER
    return checks


def check_of(values: Iterable[object]) -> int:
    """Return 63 bits over the values in their order. Texts count as their UTF-8, truth as 0 and 1."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    parts = []
    for value in values:
        octets = _octets(value)
        parts.append(b"-" if octets is None else b"%d:%b" % (len(octets), octets))
    digest.update(b"".join(parts))
    return int.from_bytes(digest.digest(), "big") >> 1


def _octets(value: object) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return b"%d" % value
    return repr(value).encode()  # no column holds such a thing: a damaged one may


def wrong_conversions(tx: Connection, ids: Collection[str]) -> list[str]:
    """Return those of the conversions whose row does not match its checksum."""
    return _wrong(tx, _selected(tx, conversions, CHECKED_CONVERSION), conversions.c.conversion_id, ids)


def wrong_postbacks(tx: Connection, ids: Collection[str]) -> list[str]:
    """Return those of the postbacks whose row does not match its checksum."""
    return _wrong(tx, _selected(tx, postbacks, CHECKED_POSTBACK), postbacks.c.postback_id, ids)


def accept_conversions(tx: Connection, ids: Collection[str]) -> None:
    """Give conversions the checksum of their row as it is now: somebody has seen that it was damaged or changed."""
    _accept(tx, conversions, CHECKED_CONVERSION, ids)


def accept_postbacks(tx: Connection, ids: Collection[str]) -> None:
    """Give postbacks the checksum of their row as it is now. A request that no key opens any more counts as it is stored."""
    _accept(tx, postbacks, CHECKED_POSTBACK, ids)


def _accept(tx: Connection, table: Table, names: tuple[str, ...], ids: Collection[str]) -> None:
    key = next(iter(table.primary_key.columns))
    if not ids:
        return
    for row in tx.execute(_selected(tx, table, names).where(key.in_(ids))).all():
        tx.execute(update(table).where(key == row[0]).values(row_check=check_of(_opened(tx, row[2:]))))


def _wrong(tx: Connection, query: Select[Any], key: Column[str], ids: Collection[str]) -> list[str]:
    if not ids:
        return []
    rows = tx.execute(query.where(key.in_(ids)).order_by(key))
    return [row[0] for row in rows if check_of(_opened(tx, row[2:])) != row[1]]


def _opened(tx: Connection, values: Iterable[object]) -> list[object]:
    """Return the values with what is sealed opened: checksums are over plain values. What cannot be opened matches no checksum."""
    return [_opened_value(tx, value) if isinstance(value, bytes) else value for value in values]


def _opened_value(tx: Connection, value: bytes) -> bytes:
    try:
        return opened_bytes(tx.dialect, value)
    # As it is stored: what cannot be opened cannot match, and is found.
    except (SecretError, UnicodeDecodeError):
        return value


def _selected(tx: Connection, table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Key, checksum and checked columns. SQLite gives texts as bytes: a damaged one need not be UTF-8, which its driver refuses."""
    key = next(iter(table.primary_key.columns))
    if tx.dialect.name != "sqlite":
        return select(key, table.c.row_check, *(table.c[name] for name in names))
    columns = [
        table.c[name] if isinstance(table.c[name].type, BigInteger | Integer | LargeBinary) else _raw(table.c[name])
        for name in names
    ]
    return select(key, table.c.row_check, *columns)


def _raw(column: Column[Any]) -> ColumnElement[Any]:
    return cast(column, Integer) if column.type.python_type is bool else cast(column, LargeBinary)
