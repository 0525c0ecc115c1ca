"""Checksums of rows, against silent changes: over all of a conversion, and over what never changes of a postback.

Computed where a row is written, and verified by the self-audit. A postback's state, times and attempts change with every attempt
and are left out: the audit compares them with the attempts, and the ledger's constraints with each other.
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

CHECKED_CONVERSION = tuple(
    column.name
    for column in conversions.columns
    # Rows of earlier versions have checksums without currency_order, which was added later.
    if column.name not in ("row_check", "currency_order")
)
_CHANGING = frozenset(
    "state attempts next_attempt_at held_from lease_until lease_token finished_at row_check".split()  # noqa: SIM905 – a table
)
CHECKED_POSTBACK = tuple(column.name for column in postbacks.columns if column.name not in _CHANGING)
_DIGEST_BYTES = 8
_NEVER = -1
"""Matches no row: real checksums are not negative."""


def conversion_check(row: Mapping[str, object]) -> int:
    """Return the checksum of a conversion's row, given by column name."""
    return check_of(row[name] for name in CHECKED_CONVERSION)


def postback_check(row: Mapping[str, object]) -> int:
    """Return the checksum of a postback's row, given by column name."""
    return check_of(row[name] for name in CHECKED_POSTBACK)


def checks_after(tx: Connection, changes: Mapping[str, Mapping[str, object]]) -> dict[str, int]:
    """Return the checksums of conversions, by id, after these changes, given by id and column.

    Computed over the stored values, not over decoded and re-encoded ones. A row that does not match its checksum now gets one
    that never matches, so that a change does not hide damage.
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
    """Return a 63-bit checksum of values in order. Texts count as their UTF-8, booleans as 0 and 1; names do not count."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    parts = []
    for value in values:
        data = _bytes_of(value)
        parts.append(b"-" if data is None else b"%d:%b" % (len(data), data))
    digest.update(b"".join(parts))
    return int.from_bytes(digest.digest(), "big") >> 1


def _bytes_of(value: object) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return b"%d" % value
    return repr(value).encode()  # no column has another type, but a damaged one may hold one


def wrong_conversions(tx: Connection, ids: Collection[str]) -> list[str]:
    """Return the ids of those conversions whose row does not match its checksum."""
    return _wrong(tx, _selected(tx, conversions, CHECKED_CONVERSION), conversions.c.conversion_id, ids)


def wrong_postbacks(tx: Connection, ids: Collection[str]) -> list[str]:
    """Return the ids of those postbacks whose row does not match its checksum."""
    return _wrong(tx, _selected(tx, postbacks, CHECKED_POSTBACK), postbacks.c.postback_id, ids)


def accept_conversions(tx: Connection, ids: Collection[str]) -> None:
    """Set the checksums of conversions to match their rows, after a user has accepted the damage or change."""
    _accept(tx, conversions, CHECKED_CONVERSION, ids)


def accept_postbacks(tx: Connection, ids: Collection[str]) -> None:
    """Set the checksums of postbacks to match their rows. A request that cannot be decrypted counts as stored."""
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
    """Return the values decrypted, because checksums are over plain values."""
    return [_opened_value(tx, value) if isinstance(value, bytes) else value for value in values]


def _opened_value(tx: Connection, value: bytes) -> bytes:
    try:
        return opened_bytes(tx.dialect, value)
    # Unchanged: what cannot be decrypted does not match its checksum, and so is reported.
    except (SecretError, UnicodeDecodeError):
        return value


def _selected(tx: Connection, table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Return a query for key, checksum and checked columns, with SQLite's texts as bytes: its driver fails on damaged UTF-8."""
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
