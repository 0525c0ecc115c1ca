"""Columns of logs, for CSV exports and for the panel's tables."""

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from clickloop.setup.fault import FaultCode, invalid
from clickloop.store.ledger.setup.names import RecordKind, names_of


class ColumnKind(enum.StrEnum):
    """The kinds of values, which decide how a value is formatted and what it links to."""

    TEXT = "text"
    CODE = "code"
    """Text from outside, such as ids, addresses and queries."""
    MOMENT = "moment"
    MONEY = "money"
    COUNT = "count"
    YES = "yes"
    FLAGS = "flags"
    STATE = "state"
    CAMPAIGN = "campaign"
    SOURCE = "source"
    OFFER = "offer"
    NETWORK = "network"
    RULE = "rule"
    LANDING = "landing"
    PATH = "path"
    CLICK = "click"
    CONVERSION = "conversion"
    NOTICE = "notice"
    POSTBACK = "postback"


class LogColumn(msgspec.Struct, frozen=True):
    """A column of a log."""

    key: str
    title: str
    kind: ColumnKind
    value: Callable[[Any], Any]
    """Returns the value of a row."""
    shown: bool = False
    """Shown by default."""
    tone: Callable[[Any], str] | None = None
    """Returns the word that decides the colour of a row's state, where that is not the state itself."""


Names = dict[RecordKind, dict[int, str]]
"""Names of set-up records, by kind and id."""

NAMED = {kind: RecordKind(kind.value) for kind in ColumnKind if kind.value in {record.value for record in RecordKind}}


def names_for(
    tx: Connection, columns: Iterable[LogColumn], rows: Iterable[object], known: Names | None = None
) -> Names:
    """Return the names that the columns show for these rows, added to the ``known`` ones. Runs at most one statement per kind."""
    names: Names = {kind: dict((known or {}).get(kind, {})) for kind in RecordKind}
    shown = list(rows)
    for column in columns:
        kind = NAMED.get(column.kind)
        if kind is None:
            continue
        missing = {number for row in shown if (number := column.value(row))} - names[kind].keys()
        if missing:
            names[kind] |= names_of(tx, kind, missing)
    return names


def chosen_columns(columns: Sequence[LogColumn], keys: str) -> tuple[LogColumn, ...]:
    """Return the columns of a comma-separated list of keys, all of them if it is empty. Raise InvalidInputError."""
    by_key = {column.key: column for column in columns}
    chosen = [key.strip() for key in keys.split(",") if key.strip()]
    for key in chosen:
        if key not in by_key:
            raise invalid(
                "columns", FaultCode.NOT_FOUND, f"There is no column {key[:50]!r}. Choose from {', '.join(by_key)}."
            )
    return tuple(by_key[key] for key in dict.fromkeys(chosen)) if chosen else tuple(columns)


def csv_heads(columns: Sequence[LogColumn]) -> list[str]:
    """Return the cells of the header. Money and set-up records take two cells each."""
    heads: list[str] = []
    for column in columns:
        if column.kind is ColumnKind.MONEY:
            heads += [column.key, f"{column.key}_currency"]
        elif column.kind in NAMED:
            heads += [f"{column.key}_id", column.key]
        else:
            heads.append(column.key)
    return heads


def csv_cells(columns: Sequence[LogColumn], row: object, names: Names) -> list[str | int]:
    """Return the cells of a row."""
    cells: list[str | int] = []
    for column in columns:
        value = column.value(row)
        if column.kind is ColumnKind.MONEY:
            cells += [value.amount, value.currency] if value else ["", ""]
        elif column.kind in NAMED:
            cells += [value, names[NAMED[column.kind]].get(value, "")] if value else ["", ""]
        elif column.kind is ColumnKind.YES:
            cells.append("yes" if value else "no")
        elif column.kind is ColumnKind.FLAGS:
            cells.append(" ".join(value))
        else:
            cells.append("" if value is None else value)
    return cells
