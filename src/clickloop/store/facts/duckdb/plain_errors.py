"""Errors of the engine as errors of the facts."""

import contextlib
from collections.abc import Iterator

import duckdb

from clickloop.store.facts.facts import FactsError


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raise FactsError for errors of the engine."""
    try:
        yield
    except duckdb.Error as error:
        raise FactsError(f"the facts could not be read or written: {error}") from error
