"""Settles a journal's clicks and a ledger's outbox into DuckDB until nothing is left, to be killed at any call."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import insert

from clickloop.click.click import Click
from clickloop.click_id import ClickIds
from clickloop.conversion.status import CountsAs
from clickloop.report.fact import ConversionFact
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.journal.reader import JournalReader
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.outbox import oldest_facts
from clickloop.store.ledger.schema.tables import fact_outbox
from clickloop.tracking.settle import settle_clicks, settle_facts

NOON = 1_760_000_000_000
EARLY_IDS, LATE_IDS = (2, 4, 5), (1, 3)
"""Rows of the outbox: some are committed after others with higher ids."""
OUTBOX_ROWS = len(EARLY_IDS) + len(LATE_IDS)


def a_click(number: int) -> Click:
    """The click of this number, the same in every process but for its id."""
    return Click(click_id=_ids.new(NOON + number), at=NOON + number, campaign_id=1, source_id=1, v1=str(number))


def commit_rows(ledger: Ledger, ids: Sequence[int]) -> None:
    """Put the rows with these ids into the outbox."""
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
    with ledger.write() as tx:
        there = {id_ for id_, _ in oldest_facts(tx, 100)}
        rows = [{"id": id_, "fact": msgspec.json.encode(fact)} for id_ in ids if id_ not in there]
        if rows:
            tx.execute(insert(fact_outbox), rows)


def settle_all(folder: Path, after_each_batch: Callable[[], None] = lambda: None) -> list[str]:
    """Settle all there is, in small batches; return the damages' kinds."""
    ledger = Ledger.open(folder / "ledger.sqlite")
    facts = DuckDbFacts.open(folder / "facts.duckdb")
    reader = JournalReader(folder / "journal", folder / "settled")
    damages: list[str] = []
    commit_rows(ledger, EARLY_IDS)
    settle_facts(ledger, facts)
    while True:
        batch = settle_clicks(reader, facts)
        damages += [damage.kind.value for damage in batch.damages]
        if not batch.segments:
            break
        after_each_batch()
    commit_rows(ledger, LATE_IDS)
    settle_facts(ledger, facts)
    facts.close()
    ledger.close()
    return damages


_ids = ClickIds(b"k" * 32)


def main() -> None:
    """Argument: the folder of the journal and the stores."""
    settle_all(Path(sys.argv[1]), lambda: print("batch", flush=True))


if __name__ == "__main__":
    main()
