"""SQL conditions of the filters of logs."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, literal_column

from clickloop.log_filter import LogFilter, narrowing_values
from clickloop.store.ledger.logs.period import id_from
from clickloop.store.period import period_of

Conditions = Mapping[str, Callable[[Any], ColumnElement[bool]]]
"""By field of a filter, the function that returns the condition for its value."""


def conditions_of(filters: LogFilter, key: Column[str], at: Column[int], own: Conditions) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter on a table with the primary key ``key``, which sorts by time, and the time ``at``.

    A field is compared with the column of its name unless ``own`` has a condition. Raise InvalidInputError for an invalid period.
    """
    columns = key.table.c
    found = [own[name](value) if name in own else columns[name] == value for name, value in narrowing_values(filters)]
    period = period_of(filters)
    if period.since is not None:
        # The bound on the id is for the index; it is wider, since the time in an id may be off by a clock jump.
        found += [at >= period.since, key >= id_from(period.earliest_id_at)]
    if period.until is not None:
        found += [at < period.until, key < id_from(period.latest_id_at)]
    return found


def canonical(column: ColumnElement[str]) -> Callable[[str], ColumnElement[bool]]:
    """Return a condition for one of our ids, which are stored in lower case."""
    return lambda text: column == text.strip().lower()


def is_flagged(flags: ColumnElement[str]) -> Callable[[bool], ColumnElement[bool]]:
    """Return a condition for having flags, or for having none."""
    # A literal: with a bound value the partial index would not be used.
    empty: ColumnElement[str] = literal_column("''")
    return lambda flagged: flags != empty if flagged else flags == empty
