"""A statement that fails to change a row it must change raises an error, and its transaction is rolled back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from clickloop.postback.due import DuePostback
from clickloop.postback.postback_log import NewPostback
from clickloop.postback.rule import PostbackRequest, PostbackRule, RequestTemplate
from clickloop.record_id import RecordIds
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.conversions import RulesDecided, note_rules_decided
from clickloop.store.ledger.logs.postbacks import insert_postbacks
from clickloop.store.ledger.queue.claiming import claim_due, lease
from clickloop.store.ledger.queue.holding import record_probe
from clickloop.store.ledger.row_count import RowCountError
from clickloop.store.ledger.schema.tables import attempts, postbacks
from clickloop.store.ledger.setup.postback_rules import insert_rule
from clickloop.store.ledger.setup.rules import count_shares
from tests.empty_stores import open_ledger

NOW = 1_800_000_000_000
IDS = RecordIds(lambda: NOW)
RULE = PostbackRule(rule_id=77, name="Rule", request=RequestTemplate(url="https://source.example/"))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


GONE: dict[str, Callable[[Connection], object]] = {
    "the share of postback rule 77": lambda tx: count_shares(tx, {77: 1}),
    "the probe of postback rule 77": lambda tx: record_probe(tx, 77, IDS()),
    "changes whose rules were decided": lambda tx: note_rules_decided(tx, [RulesDecided(IDS(), 1, 1)]),
}


@pytest.mark.parametrize("what", GONE)
def test_an_update_of_a_missing_record_is_refused_by_name(ledger: Ledger, what: str) -> None:
    with pytest.raises(RowCountError, match=f"^{what}: 0 rows were written, expected 1"), ledger.write() as tx:
        GONE[what](tx)


def owe(ledger: Ledger, count: int) -> None:
    with ledger.write() as tx:
        rule_id = insert_rule(tx, RULE, NOW)
        new = [
            NewPostback(
                postback_id=IDS(),
                conversion_id=IDS(),
                version=1,
                rule_id=rule_id,
                click_id="c" * 26,
                campaign_id=7,
                source_id=3,
                trigger="new",
                decision=DuePostback(PostbackRequest(url="https://source.example/pb"), NOW, ()),
                receiver="source.example:443",
            )
            for _ in range(count)
        ]
        insert_postbacks(tx, new, NOW)


def test_a_postback_of_another_worker_is_not_leased_and_no_attempt_is_written(ledger: Ledger) -> None:
    owe(ledger, 2)
    with ledger.write() as tx:
        jobs = claim_due(tx, NOW, 1, 1_000).jobs
    with ledger.write() as tx:
        more = claim_due(tx, NOW, 1, 1_000).jobs
        tx.rollback()
    before = rows(ledger)
    with (
        pytest.raises(RowCountError, match="leases of claimed postbacks: 1 rows were written, expected 2"),
        ledger.write() as tx,
    ):
        lease(tx, [*jobs, *more], NOW, 1_000)
    assert rows(ledger) == before


def rows(ledger: Ledger) -> list[tuple[object, ...]]:
    with ledger.read() as tx:
        taken = tx.execute(
            select(postbacks.c.postback_id, postbacks.c.state, postbacks.c.lease_token).order_by("postback_id")
        )
        return [tuple(row) for row in [*taken, *tx.execute(select(attempts.c.postback_id, attempts.c.number))]]
