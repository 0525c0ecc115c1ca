"""Conditions on the state of postbacks.

States are literals, not parameters: SQLite uses a partial index only for a query that repeats its condition word for word.
"""

from sqlalchemy import ColumnElement, literal_column

from clickloop.postback.state import ENDED_UNDELIVERED, UNFINISHED, PostbackState
from clickloop.store.ledger.schema.tables import postbacks


def in_state(column: ColumnElement[str], *states: PostbackState) -> ColumnElement[bool]:
    """Return the condition that a column has one of these states."""
    literals: list[ColumnElement[str]] = [literal_column(f"'{state}'") for state in states]
    return column == literals[0] if len(literals) == 1 else column.in_(literals)


IS_WAITING = in_state(postbacks.c.state, PostbackState.WAITING)
IS_SENDING = in_state(postbacks.c.state, PostbackState.SENDING)
IS_UNFINISHED = in_state(postbacks.c.state, *UNFINISHED)
HAS_ENDED_BADLY = in_state(postbacks.c.state, *ENDED_UNDELIVERED)
