"""Sends the scheduled views that are due, to be killed at any instant. Prints before and after each statement that it sends."""

import sys
from pathlib import Path

from sqlalchemy import event

from clickloop.postback.sending.address_guard import STRICT
from clickloop.record_id import RecordIds
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.ledger.ledger import Ledger
from clickloop.tracking.views.file import ViewSettings
from clickloop.tracking.views.sending import ViewSender


def main() -> None:
    """Arguments: the folder of the stores, and the moment in Unix milliseconds."""
    folder, now_ms = Path(sys.argv[1]), int(sys.argv[2])
    ledger = Ledger.open(folder / "ledger.sqlite")
    facts = DuckDbFacts.open(folder / "facts.duckdb")

    @event.listens_for(ledger.engine, "after_cursor_execute")
    def told(*_: object) -> None:
        print("statement", flush=True)

    sender = ViewSender(
        ledger,
        facts,
        STRICT,
        lambda: ViewSettings(zone="UTC", currency="USD"),
        RecordIds(lambda: now_ms),
        lambda: now_ms,
        lambda: None,
    )
    while sender.step():
        print("step", flush=True)
    facts.close()
    ledger.close()


if __name__ == "__main__":
    main()
