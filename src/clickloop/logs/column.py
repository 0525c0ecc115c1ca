"""A column of a log: the value that it shows of a row, in CSV exports and in the panel's tables alike."""

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from clickloop.setup.fault import FaultCode, invalid
from clickloop.store.ledger.setup.names import Named, names_of


class Kind(enum.StrEnum):
    """What a column's values are: how they are written and where they lead."""

    TEXT = "text"
    CODE = "code"
    """A text of strangers: ids, addresses, queries."""
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
    CLICK = "click"
    CONVERSION = "conversion"
    NOTICE = "notice"
    POSTBACK = "postback"


class Column(msgspec.Struct, frozen=True):
    """A column. ``shown``: unless somebody chooses. ``tone`` of a state: the word that its colour goes by, if it is another."""

    key: str
    title: str
    kind: Kind
    value: Callable[[Any], Any]
    shown: bool = False
    tone: Callable[[Any], str] | None = None


Names = dict[Named, dict[int, str]]
"""By kind of record and number: its name."""

NAMED = {kind: Named(kind.value) for kind in (Kind.CAMPAIGN, Kind.SOURCE, Kind.OFFER, Kind.NETWORK, Kind.RULE)}


def names_for(tx: Connection, columns: Iterable[Column], rows: Iterable[object], known: Names | None = None) -> Names:
    """The names that the columns show of these rows, beside those that are ``known``: one statement for each kind at most."""
    names: Names = {kind: dict((known or {}).get(kind, {})) for kind in Named}
    shown = list(rows)
    for column in columns:
        kind = NAMED.get(column.kind)
        if kind is None:
            continue
        missing = {number for row in shown if (number := column.value(row))} - names[kind].keys()
        if missing:
            names[kind] |= names_of(tx, kind, missing)
    return names


def chosen_columns(columns: Sequence[Column], keys: str) -> tuple[Column, ...]:
    """The columns of a list of keys with commas between; all of them for an empty one. Raises InvalidInputError."""
    by_key = {column.key: column for column in columns}
    asked = [key.strip() for key in keys.split(",") if key.strip()]
    for key in asked:
        if key not in by_key:
            raise invalid(
                "columns", FaultCode.NOT_FOUND, f"There is no column {key[:50]!r}; known are {', '.join(by_key)}."
            )
    return tuple(by_key[key] for key in dict.fromkeys(asked)) if asked else tuple(columns)


def csv_heads(columns: Sequence[Column]) -> list[str]:
    """The first line: money and records of the set-up take two cells each."""
    heads: list[str] = []
    for column in columns:
        if column.kind is Kind.MONEY:
            heads += [column.key, f"{column.key}_currency"]
        elif column.kind in NAMED:
            heads += [f"{column.key}_id", column.key]
        else:
            heads.append(column.key)
    return heads


def csv_cells(columns: Sequence[Column], row: object, names: Names) -> list[str | int]:
    """The cells of a row."""
    cells: list[str | int] = []
    for column in columns:
        value = column.value(row)
        if column.kind is Kind.MONEY:
            cells += [value.amount, value.currency] if value else ["", ""]
        elif column.kind in NAMED:
            cells += [value, names[NAMED[column.kind]].get(value, "")] if value else ["", ""]
        elif column.kind is Kind.YES:
            cells.append("yes" if value else "no")
        elif column.kind is Kind.FLAGS:
            cells.append(" ".join(value))
        else:
            cells.append("" if value is None else value)
    return cells
