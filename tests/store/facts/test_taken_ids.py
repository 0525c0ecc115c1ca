"""Rows of the outbox are taken by id, whatever the order in which they were committed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, insert

from clickloop.click.click import Click
from clickloop.conversion.status import CountsAs
from clickloop.report.fact import ConversionFact
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.facts.taken_ids import TakenIds
from clickloop.store.id_runs import id_runs
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.outbox import delete_facts, oldest_facts
from clickloop.store.ledger.schema.tables import fact_outbox
from clickloop.tracking.settle import settle_facts
from tests.empty_stores import open_facts, open_ledger
from tests.store.counting import conversions_counted

NOON = 1_760_000_000_000
CLICK = Click(click_id="0" * 26, at=NOON, campaign_id=1, source_id=1)


def a_fact() -> bytes:
    return msgspec.json.encode(
        ConversionFact(
            click=CLICK,
            conversion_id="c",
            at=NOON,
            recorded_at=NOON,
            status_key="sale",
            counts_as=CountsAs.CONFIRMED,
            currency="USD",
            conversions=1,
            revenue_micros=7,
        )
    )


def put(tx: Connection, *ids: int) -> None:
    """Put rows with these ids into the outbox, like transactions that commit in another order than they began."""
    tx.execute(insert(fact_outbox), [{"id": id_, "fact": a_fact()} for id_ in ids])


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


def left(ledger: Ledger) -> list[int]:
    with ledger.read() as tx:
        return [id_ for id_, _ in oldest_facts(tx, 1_000)]


@given(st.lists(st.sets(st.integers(1, 40), max_size=12), max_size=6))
def test_an_id_is_taken_when_it_was_added_whatever_the_order(batches: list[set[int]]) -> None:
    taken, added = TakenIds(), set[int]()
    for batch in batches:
        taken, added = taken.adding(batch), added | batch
    assert {id_ for id_ in range(1, 50) if id_ in taken} == added
    assert taken.last == max(added, default=0)
    assert list(taken.skipped) == list(id_runs(set(range(1, taken.last)) - added))


def test_a_row_that_is_committed_late_under_a_lower_id_is_counted(tmp_path: Path, ledger: Ledger) -> None:
    facts = open_facts(tmp_path / "facts.duckdb")
    with ledger.write() as tx:
        put(tx, 2, 5)
    assert settle_facts(ledger, facts) == 2
    with ledger.write() as tx:
        put(tx, 1, 3, 6)
    assert settle_facts(ledger, facts) == 3
    assert (conversions_counted(facts), facts.last_outbox_id(), left(ledger)) == (5, 6, [])
    facts.close()


class _CommittedMeanwhile(DuckDbFacts):
    """Facts during whose first load another transaction of the ledger commits a row with a lower id."""

    ledger: Ledger | None = None

    def load_facts(self, rows: Sequence[tuple[int, bytes]]) -> int:
        taken = super().load_facts(rows)
        ledger, self.ledger = self.ledger, None
        if ledger is not None:
            with ledger.write() as tx:
                put(tx, 3)
        return taken


def test_a_row_that_is_committed_while_others_are_loaded_is_not_deleted_with_them(
    tmp_path: Path, ledger: Ledger
) -> None:
    facts = _CommittedMeanwhile.open(tmp_path / "facts.duckdb")
    facts.ledger = ledger
    with ledger.write() as tx:
        put(tx, 2, 4)
    settle_facts(ledger, facts)
    assert left(ledger) == [3]
    settle_facts(ledger, facts)
    assert (conversions_counted(facts), left(ledger)) == (3, [])
    facts.close()


def test_rows_that_were_loaded_and_not_yet_deleted_are_loaded_once_after_a_restart(
    tmp_path: Path, ledger: Ledger
) -> None:
    with ledger.write() as tx:
        put(tx, 4, 9)
    facts = open_facts(tmp_path / "facts.duckdb")
    facts.load_facts([(4, a_fact()), (9, a_fact())])  # killed before they were deleted from the outbox
    facts.close()
    facts = open_facts(tmp_path / "facts.duckdb")
    with ledger.write() as tx:
        put(tx, 7)
    assert settle_facts(ledger, facts) == 3
    assert (conversions_counted(facts), left(ledger)) == (3, [])
    facts.close()


def test_of_facts_from_before_ids_were_remembered_everything_up_to_the_last_is_taken(
    tmp_path: Path, ledger: Ledger
) -> None:
    path = tmp_path / "facts.duckdb"
    facts = DuckDbFacts.open(path)
    facts.load_facts([(id_, a_fact()) for id_ in (1, 2, 3)])
    facts.close()
    with duckdb.connect(str(path)) as database:
        database.execute("DROP TABLE outbox_skipped")
    with ledger.write() as tx:
        put(tx, 2, 3, 4)  # two of them loaded and not yet deleted when that version ended
    facts = DuckDbFacts.open(path)
    settle_facts(ledger, facts)
    assert (conversions_counted(facts), left(ledger)) == (4, [])
    facts.close()


def test_a_load_that_fails_takes_nothing(tmp_path: Path) -> None:
    facts = open_facts(tmp_path / "facts.duckdb")
    with pytest.raises(Exception, match="row 9"):
        facts.load_facts([(4, a_fact()), (9, b"{}")])
    assert facts.load_facts([(4, a_fact()), (9, a_fact())]) == 2
    assert conversions_counted(facts) == 2
    facts.close()


def test_deleting_by_id_takes_nothing_between(ledger: Ledger) -> None:
    with ledger.write() as tx:
        put(tx, 1, 2, 3, 5, 8)
        delete_facts(tx, [1, 2, 8])
    assert left(ledger) == [3, 5]
