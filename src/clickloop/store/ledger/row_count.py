"""An UPDATE or INSERT that must touch certain rows checks that it did; otherwise the transaction is rolled back."""

from typing import Any

from sqlalchemy import CursorResult


class RowCountError(Exception):
    """A statement touched another number of rows than it must: something else changed them, or they are gone. Nothing is saved."""


def expect_rows(result: CursorResult[Any], expected: int, what: str) -> None:
    """Raise RowCountError unless the statement touched exactly ``expected`` rows. ``what`` names them, such as ``campaign 7``."""
    if result.rowcount != expected:
        raise RowCountError(
            f"{what}: {result.rowcount} rows were written, expected {expected}; they were changed or deleted meanwhile. Nothing "
            "was saved: try again."
        )
