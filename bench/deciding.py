"""Measures deciding the postbacks of a conversion's change for 20 rules: the pure decision, and the whole step."""

import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import delete

from clickloop.click.click import Click
from clickloop.clock import wall_clock
from clickloop.conversion.conversion import Change, Conversion
from clickloop.conversion.status import SALE
from clickloop.money import Money
from clickloop.postback.due import RuleContext
from clickloop.postback.rule import BodyKind, Conditions, Header, Method, PostbackRule, RequestTemplate, Trigger
from clickloop.record_id import RecordIds
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.schema.tables import postbacks
from clickloop.store.ledger.setup.postback_rules import insert_rule
from clickloop.tracking.deciding import (
    ApplicableRules,
    ChangeValues,
    SetupContext,
    decide_rule,
    owe_postbacks,
    read_setup_context,
)

RULES = 20
CHANGES = 2_000
BATCH = 100
ROUNDS = 5
"""Number of rounds. The best one is reported, since the machine is shared."""

SOURCE_URL = (
    "https://source{number}.example/postback?id={{externalid}}&payout={{payout}}&currency={{currency}}&txid={{txid}}"
)
MESSAGE = (
    '{"chat_id": "-1001234567890", "text": "{conversion.group}: {payout} {currency} from {campaign.name} ({country})"}'
)


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger.open(Path(folder) / "ledger.sqlite")
        try:
            return _measured(ledger)
        finally:
            ledger.close()


def _measured(ledger: Ledger) -> list[str]:
    with ledger.write() as tx:
        for number in range(RULES):
            insert_rule(tx, _rule(number), wall_clock())
    ids = RecordIds()
    changes = [_change(number, ids) for number in range(CHANGES)]
    with ledger.read() as tx:
        surroundings = read_setup_context(tx, changes[:1])
    owed_us = _best_us(lambda: _decide_all(changes, surroundings, RuleContext()))
    off = [_disabled(change) for change in changes]
    skipped_us = _best_us(lambda: _decide_all(off, surroundings, RuleContext()))
    whole_us = _best_us(lambda: _owe_all(ledger, changes, ids))
    return [
        f"Changes decided against {RULES} rules: {CHANGES}, the best of {ROUNDS} rounds.",
        "",
        "| What | µs per change |",
        "| --- | --- |",
        f"| **decision, all {RULES} owed, their requests filled in** | **{owed_us:.1f}** |",
        f"| decision, all {RULES} skipped | {skipped_us:.1f} |",
        f"| the whole step in batches of {BATCH}: read the set-up, decide, write {RULES} rows a change | {whole_us:.1f} |",
    ]


def _best_us(work: Callable[[], None]) -> float:
    """Return the CPU microseconds per change of the best round."""
    spent = []
    for _ in range(ROUNDS):
        gc.collect()
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent) / CHANGES * 1e6


def _decide_all(changes: list[Change], surroundings: SetupContext, earlier: RuleContext) -> None:
    """Decide all changes, without generating ids for rows, which is part of the whole step."""
    now_ms = wall_clock()
    rules = ApplicableRules(surroundings)
    for change in changes:
        texts = ChangeValues(change, surroundings)
        for rule in rules.of(change):
            decide_rule(texts, rule, earlier, now_ms, change.notice_id)


def _owe_all(ledger: Ledger, changes: list[Change], ids: RecordIds) -> None:
    for start in range(0, len(changes), BATCH):
        with ledger.write() as tx:
            owe_postbacks(tx, changes[start : start + BATCH], wall_clock(), ids)
    with ledger.write() as tx:
        tx.execute(delete(postbacks))


def _rule(number: int) -> PostbackRule:
    """Return a rule: every fourth one a chat message as JSON, the others a source's postback, with varied conditions."""
    if number % 4 == 3:
        request = RequestTemplate(
            method=Method.POST,
            url=f"https://chat{number}.example/bot123456:AAbbCCddEE/sendMessage",
            headers=(Header("X-Campaign", "{campaign.id}"),),
            body_kind=BodyKind.JSON,
            body=MESSAGE,
        )
    else:
        request = RequestTemplate(url=SOURCE_URL.format(number=number))
    conditions = Conditions(
        statuses=("sale", "hold") if number % 2 else (),
        trigger=Trigger.STATUS if number % 3 else Trigger.NEW,
        minimum_payout_micros=1_000_000 if number % 5 == 0 else None,
        payout_percent=90 if number % 4 == 1 else 100,
    )
    return PostbackRule(rule_id=0, name=f"Rule {number}", request=request, conditions=conditions)


def _change(number: int, ids: RecordIds) -> Change:
    now_ms = wall_clock()
    click = Click(
        click_id=f"{number:026d}",
        at=now_ms - 60_000,
        campaign_id=7,
        source_id=3,
        offer_id=5,
        network_id=2,
        external_id=f"w9Xk2-7fA{number:08d}",
        country="DE",
        v1="4711",
    )
    after = Conversion(
        conversion_id=ids(),
        click=click,
        txid=f"T-{number}",
        status=SALE,
        status_word="approved",
        payout=Money(12_500_000 + number, "USD"),
        first_of_click=True,
        converted_at=now_ms,
        created_at=now_ms,
        updated_at=now_ms,
        version=1,
    )
    return Change(before=None, after=after, at=now_ms, notice_id=ids())


def _disabled(change: Change) -> Change:
    return Change(before=None, after=change.after, at=change.at, notice_id=change.notice_id, disable_postback=True)


if __name__ == "__main__":
    print("\n".join(main()))
