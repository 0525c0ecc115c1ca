"""The parameter rows of traffic sources: their numbers, their macros and their fields of a click."""

import enum
from collections.abc import Iterable
from typing import Protocol


class FixedRow(enum.IntEnum):
    """Numbers of the two rows that every source has."""

    EXTERNAL_ID = -1
    COST = 0


LAST_ROW = 30
V_ROWS = range(1, LAST_ROW + 1)
"""Numbers of V1 … V30, a source's own rows."""
V_MACROS = frozenset(f"token{number}" for number in V_ROWS)

ROW_MACROS = {FixedRow.EXTERNAL_ID.value: "externalid", FixedRow.COST.value: "cost"} | {n: f"token{n}" for n in V_ROWS}
"""Macro of a row, by the row's number."""
ROW_NUMBERS = {macro: number for number, macro in ROW_MACROS.items()}
ROW_FIELDS = {FixedRow.EXTERNAL_ID.value: "external_id", FixedRow.COST.value: "cost"} | {n: f"v{n}" for n in V_ROWS}
"""Field of a click that stores a row's value, by the row's number."""


class NumberedRow(Protocol):
    """A row of a source, from the ledger or the catalog."""

    @property
    def number(self) -> int: ...
    @property
    def parameter(self) -> str: ...


def row_macros(rows: Iterable[NumberedRow]) -> dict[str, str]:
    """Return the macros of rows by lower-case parameter, because macros are case-insensitive."""
    return {row.parameter.lower(): ROW_MACROS[row.number] for row in rows}


def row_label(number: int) -> str:
    """Return a row's label by its number: ``external_id``, ``cost``, ``V1``."""
    return f"V{number}" if number in V_ROWS else ROW_FIELDS[number]
