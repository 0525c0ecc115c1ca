"""Settles a journal's clicks and an outbox's facts into DuckDB until nothing is left, to be killed at any call."""

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from clickloop.click.click import Click
from clickloop.click_id import ClickIds
from clickloop.conversion.status import CountsAs
from clickloop.report.fact import ConversionFact
from clickloop.store.facts.duckdb import DuckDbFacts
from clickloop.store.journal.reader import JournalReader
from clickloop.tracking.settle import settle_clicks

NOON = 1_760_000_000_000
OUTBOX_ROWS = 5


def a_click(number: int) -> Click:
    """The click of this number, the same in every process but for its id."""
    return Click(click_id=_ids.new(NOON + number), at=NOON + number, campaign_id=1, source_id=1, v1=str(number))


def outbox() -> list[tuple[int, bytes]]:
    """The ledger's outbox: the same in every process."""
    click = Click(click_id="0" * 26, at=NOON, campaign_id=1, source_id=1)
    fact = ConversionFact(
        click=click,
        conversion_id="c",
        at=NOON,
        recorded_at=NOON,
        status_key="sale",
        counts_as=CountsAs.CONFIRMED,
        currency="USD",
        conversions=1,
        revenue_micros=7,
    )
    return [(outbox_id, msgspec.json.encode(fact)) for outbox_id in range(1, OUTBOX_ROWS + 1)]


def settle_all(folder: Path, after_each_batch: Callable[[], None] = lambda: None) -> list[str]:
    """Settle all there is, in small batches; return the damages' kinds."""
    facts = DuckDbFacts.open(folder / "facts.duckdb")
    reader = JournalReader(folder / "journal", folder / "settled")
    damages: list[str] = []
    rows = outbox()
    facts.load_facts(rows[:3])
    while True:
        batch = settle_clicks(reader, facts)
        damages += [damage.kind.value for damage in batch.damages]
        if not batch.segments:
            break
        after_each_batch()
    facts.load_facts(rows)
    facts.close()
    return damages


_ids = ClickIds(b"k" * 32)

if __name__ == "__main__":
    settle_all(Path(sys.argv[1]), lambda: print("batch", flush=True))
