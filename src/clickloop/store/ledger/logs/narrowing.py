"""The conditions that a log's filter puts on its table."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, literal_column

from clickloop.log_filter import LogFilter, given_in
from clickloop.store.ledger.logs.period import id_from
from clickloop.store.period import period_of

Conditions = Mapping[str, Callable[[Any], ColumnElement[bool]]]
"""By field of a filter: the condition that its value makes."""


def conditions_of(wanted: LogFilter, key: Column[str], at: Column[int], own: Conditions) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter on the table of ``key``, its id, which sorts by time, and of ``at``.

    A field is compared with the column of its name, unless ``own`` says how. Raise InvalidInputError for a period that cannot be read.
    """
    columns = key.table.c
    found = [own[name](value) if name in own else columns[name] == value for name, value in given_in(wanted)]
    period = period_of(wanted)
    if period.since is not None:
        # The bound of the id is what the index needs; ids may be off from the moment by a clock's jump.
        found += [at >= period.since, key >= id_from(period.earliest_id_at)]
    if period.until is not None:
        found += [at < period.until, key < id_from(period.latest_id_at)]
    return found


def canonical(column: ColumnElement[str]) -> Callable[[str], ColumnElement[bool]]:
    """Return the condition of an id of ours, which is stored in lower case."""
    return lambda text: column == text.strip().lower()


def is_flagged(flags: ColumnElement[str]) -> Callable[[bool], ColumnElement[bool]]:
    """Return the condition of having flags or none."""
    # Written out: with a bound value a partial index is not used.
    nothing: ColumnElement[str] = literal_column("''")
    return lambda flagged: flags != nothing if flagged else flags == nothing
