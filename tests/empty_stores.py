"""Empty stores. Their files are created once and then copied, since creating the tables takes longer than most tests."""

import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from clickloop.machine.secret_box import SecretBox
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.facts.duckdb.opening import open_database
from clickloop.store.ledger.ledger import Ledger


def open_ledger(path: Path, box: SecretBox | None = None) -> Ledger:
    """Open a ledger, created with the newest schema if necessary."""
    if not path.exists():
        path.write_bytes(_ledger())
    ledger = Ledger.open(path, box)
    if box is None:  # it belongs to the dialect
        _share_statements(ledger.engine)
    return ledger


def open_facts(path: Path, memory_limit_mb: int = 128) -> DuckDbFacts:
    """Open facts, created if necessary."""
    if not path.exists():
        path.write_bytes(_facts())
    return DuckDbFacts.open(path, memory_limit_mb=memory_limit_mb)


_first_engine: list[Engine] = []


def _share_statements(engine: Engine) -> None:
    """Let all ledgers of this process share the statements that one of them has compiled, which took a fifth of the tests' time.

    SQLAlchemy caches them for each engine, by its dialect.
    """
    if not _first_engine:
        _first_engine.append(engine)
    engine.dialect = _first_engine[0].dialect
    engine._compiled_cache = _first_engine[0]._compiled_cache


class FactsOnUse(DuckDbFacts):
    """Facts that are created when they are first used. Opening them takes longer than most tests that never need them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opening = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        """Return an attribute that an open one has: this is called only for those that are missing."""
        with self._opening:
            if "_database" not in self.__dict__:
                if not self._path.exists():
                    self._path.write_bytes(_facts())
                super().__init__(open_database(self._path, 128, 1), self._path.with_name(self._path.name + ".loading"))
        return super().__getattribute__(name)

    def close(self) -> None:
        if "_database" in self.__dict__:
            super().close()


@cache
def _ledger() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        Ledger.open(path).close()
        return path.read_bytes()


@cache
def _facts() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.duckdb"
        DuckDbFacts.open(path).close()
        return path.read_bytes()
