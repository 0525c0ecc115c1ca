"""Works on the reruns of marks of a folder, to be killed at any moment."""

import sys
from pathlib import Path

from clickloop.clock import wall_clock
from clickloop.config import Settings
from clickloop.setup.instance import startup_settings
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.ledger.ledger import Ledger
from clickloop.tracking.marks.rerun_work import MarkRerunWorker
from clickloop.tracking.marks.rules import rules_reader


def main(folder: Path) -> None:
    """Take step after step, each of one small batch, until nothing is left; say so after each one."""
    ledger = Ledger.open(folder / "ledger.sqlite")
    facts = DuckDbFacts.open(folder / "facts.duckdb")
    rules = rules_reader(ledger, startup_settings(Settings()))
    worker = MarkRerunWorker(ledger, facts, rules, wall_clock, clicks_per_batch=3)
    while worker.step(0):
        print("step", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
