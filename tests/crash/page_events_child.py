"""Settles a journal's page events, then its clicks, then the events that waited for them, to be killed at any call."""

import sys
from pathlib import Path

from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.journal.reader import JournalReader
from clickloop.tracking.click_progress import ClickProgress
from clickloop.tracking.pages import settling_page_events
from clickloop.tracking.pages.settling_page_events import WaitingPageEvents, settle_page_events
from clickloop.tracking.settle import settle_clicks

settling_page_events.EVENTS_PER_LOAD = 5  # so that a segment takes several transactions


def settle_all(folder: Path) -> list[str]:
    """Settle all there is; return the damages' kinds."""
    facts = DuckDbFacts.open(folder / "facts.duckdb")
    reader, progress = JournalReader(folder / "journal", folder / "settled"), ClickProgress()
    damages: list[str] = []
    while (batch := settle_page_events(reader, facts, 0)).segments:
        damages += [damage.kind.value for damage in batch.damages]
    while settle_clicks(reader, facts).segments:
        pass
    # A new one for each round, since it pauses in between.
    while WaitingPageEvents().step(facts, progress, 0):
        pass
    facts.close()
    return damages


def main() -> None:
    """Argument: the folder of the journal and the facts."""
    settle_all(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
