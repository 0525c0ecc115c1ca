"""Puts cost entries into effect and takes them back in small steps until nothing is left, to be killed at any instant."""

import sys
from pathlib import Path

from clickloop.clock import wall_clock
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.ledger.ledger import Ledger
from clickloop.tracking.costs.working import CostWorker

CLICKS_PER_STEP = 7


def main() -> None:
    """Argument: the folder of the stores."""
    folder = Path(sys.argv[1])
    ledger = Ledger.open(folder / "ledger.sqlite")
    facts = DuckDbFacts.open(folder / "facts.duckdb")
    worker = CostWorker(ledger, facts.costs, wall_clock, CLICKS_PER_STEP)
    while worker.step():
        print("step", flush=True)
    facts.close()
    ledger.close()


if __name__ == "__main__":
    main()
