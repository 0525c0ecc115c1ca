"""Checking that an UPDATE or INSERT touched the rows it had to; otherwise the transaction is rolled back."""

from typing import Any

from sqlalchemy import CursorResult


class RowCountError(Exception):
    """A statement touched the wrong number of rows: they were changed or deleted in the meantime. Nothing is saved."""


def expect_rows(result: CursorResult[Any], expected: int, what: str) -> None:
    """Raise RowCountError unless the statement touched exactly ``expected`` rows. ``what`` names them, such as ``campaign 7``."""
    if result.rowcount != expected:
        raise RowCountError(
            f"{what}: {result.rowcount} rows were written, expected {expected}; they were changed or deleted in the meantime. "
            "Nothing was saved: try again."
        )
