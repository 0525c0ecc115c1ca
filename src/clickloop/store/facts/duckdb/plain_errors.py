"""Errors of the engine as errors of the facts."""

import contextlib
from collections.abc import Iterator

import duckdb

from clickloop.store.facts.facts import FactsError, FactsMemoryError


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raise FactsError for errors of the engine."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise FactsMemoryError(f"the facts need more memory than they may use: {error}") from error
    except duckdb.Error as error:
        raise FactsError(f"the facts could not be read or written: {error}") from error
