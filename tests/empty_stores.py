"""Empty stores. Their files are created once and then copied, since creating the tables takes longer than most tests."""

import tempfile
from functools import cache
from pathlib import Path

from clickloop.machine.secret_box import SecretBox
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.ledger.ledger import Ledger


def open_ledger(path: Path, box: SecretBox | None = None) -> Ledger:
    """Open a ledger, created with the newest schema if necessary."""
    if not path.exists():
        path.write_bytes(_ledger())
    return Ledger.open(path, box)


def open_facts(path: Path, memory_limit_mb: int = 128) -> DuckDbFacts:
    """Open facts, created if necessary."""
    if not path.exists():
        path.write_bytes(_facts())
    return DuckDbFacts.open(path, memory_limit_mb=memory_limit_mb)


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
