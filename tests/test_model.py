"""Notices × statuses × rules × attempts against a plain model: whatever comes in whatever order, both end alike.

The clock is stepped by hand; the receiver is a function that answers what the machine drew. The model is a few dozen lines of
dictionaries; it knows of no ledger, no lease and no transaction.
"""

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select, update

from clickloop.click.click import Click
from clickloop.click_id import ClickIds
from clickloop.conversion.conversion_input import ConversionInput
from clickloop.conversion.conversion_log import ConversionFilter
from clickloop.conversion.notice import Channel
from clickloop.diagnosis.self_audit import audit_everything
from clickloop.postback.delivery.ending import ended_of
from clickloop.postback.postback_log import NewPostback
from clickloop.postback.retry import AttemptOutcome
from clickloop.postback.rule import Conditions, PostbackRule, RequestTemplate, Trigger
from clickloop.record_id import RecordIds
from clickloop.report.fact import ConversionFact
from clickloop.store.ledger.logs.conversions import conversions_before
from clickloop.store.ledger.logs.outbox import oldest_facts
from clickloop.store.ledger.queue.holding import resume_rule
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from clickloop.store.ledger.queue.resends import cancel_waiting
from clickloop.store.ledger.schema.tables import postback_rules, postbacks
from clickloop.store.ledger.setup.postback_rules import insert_rule
from clickloop.tracking.notices import Intake, convert
from clickloop.tracking.resending import ResendMode, ResendRefusal, resend_one
from tests.empty_stores import open_ledger
from tests.plain_model import COUNTS, FINAL, SCHEDULE, STATUSES, Key, Model, new_row

START = 1_772_366_400_000
LEASE_MS = 60_000
RULES: dict[str, Any] = {
    "statuses": st.sampled_from([(), ("sale",), ("rejected", "sale")]),
    "every_status": st.booleans(),
    "only_first": st.booleans(),
    "minimum": st.sampled_from([None, None, 5]),
    "every": st.sampled_from([1, 2]),
    "answers": st.sampled_from(
        [
            (200,),
            (404,),
            (500,),
            (410, 200),
            (500, None, 410),
            (None, 429, 200),
            (404, 500, 404, 200),
            (None, None, 404, 404, 200),
            (500, None, 500),
        ]
    ),
}
"""Possible rules, each with its receiver's responses to successive attempts, the last repeated; None: the process is killed."""


class Tracker(RuleBasedStateMachine):
    """The product and its model, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="clickloop-model-")
        self.now = START
        self.ledger = open_ledger(Path(self.folder.name) / "ledger.sqlite")
        self.store = LedgerPostbacks(self.ledger)
        click_ids = ClickIds(b"k" * 32)
        self.click_ids = [click_ids.new(START - 1_000 - number) for number in range(2)]
        self.intake = Intake(self.ledger, self, click_ids, RecordIds(lambda: self.now), "USD")
        self.model = Model()

    def find_clicks(self, click_ids: Collection[str]) -> dict[str, Click]:
        return {
            click_id: Click(click_id=click_id, at=START - 1_000, campaign_id=1, source_id=1, external_id="x")
            for click_id in click_ids
        }

    @rule(
        click=st.integers(0, 1),
        txid=st.sampled_from(["", "T"]),
        word=st.sampled_from(list(STATUSES)),
        payout=st.sampled_from([None, 0, 5, 12, -3]),
    )
    def a_notice_comes(self, click: int, txid: str, word: str, payout: int | None) -> None:
        said = ConversionInput(
            click_id=self.click_ids[click], txid=txid, status=word, payout="" if payout is None else str(payout)
        )
        convert(self.intake, said, Channel.API, self.now)
        self.model.notice((self.click_ids[click], txid), word, payout)

    @initialize(**RULES)
    def there_is_a_rule(self, **drawn: Any) -> None:
        self.make_rule(**drawn)

    @precondition(lambda self: len(self.model.rules) < 4)
    @rule(**RULES)
    def a_rule_is_made(self, **drawn: Any) -> None:
        self.make_rule(**drawn)

    def make_rule(
        self,
        statuses: tuple[str, ...],
        every_status: bool,
        only_first: bool,
        minimum: int | None,
        every: int,
        answers: tuple[int | None, ...],
    ) -> None:
        conditions = Conditions(
            statuses=statuses,
            trigger=Trigger.STATUS if every_status else Trigger.NEW,
            only_first=only_first,
            minimum_payout_micros=None if minimum is None else minimum * 1_000_000,
            every_nth=every,
        )
        made = PostbackRule(
            rule_id=0,
            name="R",
            request=RequestTemplate(url="https://r.example/?id={externalid}&n={postback_id}"),
            conditions=conditions,
            schedule=SCHEDULE,
        )
        with self.ledger.write() as tx:
            number = insert_rule(tx, made, self.now)
        self.model.rules[number] = {
            "statuses": statuses,
            "every_status": every_status,
            "only_first": only_first,
            "minimum": minimum,
            "every": every,
            "active": True,
            "paused": False,
            "counted": 0,
            "answers": answers,
        }

    @rule(choice=st.integers(0, 3))
    def a_rule_is_switched(self, choice: int) -> None:
        number = list(self.model.rules)[choice % len(self.model.rules)]
        active = not self.model.rules[number]["active"]
        with self.ledger.write() as tx:
            tx.execute(update(postback_rules).where(postback_rules.c.id == number).values(active=active))
        self.model.rules[number]["active"] = active

    @rule(seconds=st.sampled_from([1, 15, 60, 600]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 1_000

    @rule(most=st.integers(1, 6))
    def what_is_due_is_sent(self, most: int) -> None:
        claimed = self.store.claim(self.now, most, LEASE_MS)
        where = self.whereabouts()
        ended = []
        assert all(self.model.ready(where[job.postback_id]) for job in claimed.jobs), "claimed out of its turn"
        probed = [job.rule_id for job in claimed.jobs if job.probes_rule]
        assert all(sum(job.rule_id == number for job in claimed.jobs) == 1 for number in probed), (
            "more than one let through"
        )
        for job in claimed.jobs:
            at = where[job.postback_id]
            answers = self.model.rules[at[2]]["answers"]
            code = answers[min(self.model.rows[at]["attempts"], len(answers) - 1)]
            self.model.attempt(at, code)
            if code is None:
                continue
            ended.append(ended_of(job, AttemptOutcome(status_code=code), self.now, lambda: 0.5))
        if ended and self.store.record(ended).resumed:
            self.store.wake_resumed()
        if len(ended) < len(claimed.jobs):  # killed: what was under way is found again when its lease has ended
            self.now += LEASE_MS
            assert self.store.rescue(self.now) == len(claimed.jobs) - len(ended)

    @precondition(lambda self: self.model.rows)
    @rule(choice=st.integers(0, 999))
    def one_is_cancelled(self, choice: int) -> None:
        postback_id, at = self.one_of(choice)
        with self.ledger.write() as tx:
            cancelled = cancel_waiting(tx, postback_id, self.now)
        assert cancelled == (self.model.rows[at]["state"] == "waiting")
        if cancelled:
            self.model.rows[at]["state"] = "cancelled"

    @precondition(lambda self: self.model.rows)
    @rule(choice=st.integers(0, 999), force=st.booleans())
    def one_is_sent_again(self, choice: int, force: bool) -> None:
        postback_id, at = self.one_of(choice)
        last = max(other for other in self.model.rows if other[:3] == at[:3])
        with self.ledger.write() as tx:
            made = resend_one(tx, self.intake, postback_id, ResendMode.AS_IT_WAS, self.now, force=force)
        waits = self.model.rows[last]["state"] == "waiting"
        sendable = waits or self.model.rows[last]["state"] in ("delivered", "failed", "cancelled")
        overtaken = any(
            (other[0], other[2]) == (at[0], at[2]) and other[1] > at[1] and row["state"] in ("waiting", "delivered")
            for other, row in self.model.rows.items()
        )
        assert isinstance(made, ResendRefusal) != (sendable and (waits or force or not overtaken))
        if not isinstance(made, ResendRefusal):
            if waits:
                self.model.rows[last]["state"] = "cancelled"
            self.model.rows[*last[:3], last[3] + 1] = new_row("waiting", None)

    @precondition(lambda self: self.model.rows)
    @rule(choice=st.integers(0, 999))
    def one_that_waits_is_replaced(self, choice: int) -> None:
        postback_id, at = self.one_of(choice)
        last = max(other for other in self.model.rows if other[:3] == at[:3])
        if self.model.rows[last]["state"] != "waiting":
            return
        with self.ledger.write() as tx:
            assert isinstance(resend_one(tx, self.intake, postback_id, ResendMode.ANEW, self.now), NewPostback)
        self.model.rows[last]["state"] = "cancelled"
        self.model.rows[*last[:3], last[3] + 1] = new_row("waiting", None)

    @rule(choice=st.integers(0, 3))
    def a_paused_rule_is_resumed(self, choice: int) -> None:
        number = list(self.model.rules)[choice % len(self.model.rules)]
        with self.ledger.write() as tx:
            assert resume_rule(tx, number, self.now) == self.model.rules[number]["paused"]
        self.model.rules[number]["paused"] = False

    @invariant()
    def both_say_the_same(self) -> None:
        with self.ledger.read() as tx:
            stored = conversions_before(tx, ConversionFilter(), None, 100)
            rows = tx.execute(select(postbacks)).all()
        found = {
            (one.click.click_id, one.txid): (one.status.key, one.payout.micros, one.version, one.first_of_click)
            for one in stored
        }
        assert found == {
            key: (one["status"], one["payout"] * 1_000_000, one["version"], one["first"])
            for key, one in self.model.conversions.items()
        }
        where = self.whereabouts()
        assert {where[row.postback_id]: (row.state, row.reason, row.attempts) for row in rows} == {
            at: (row["state"], row["reason"], row["attempts"]) for at, row in self.model.rows.items()
        }

    def teardown(self) -> None:
        """Delivery goes on until all is final; then the figures and the audit add up."""
        try:
            self.all_ends_and_adds_up()
        finally:
            self.ledger.close()
            self.folder.cleanup()

    def all_ends_and_adds_up(self) -> None:
        for _ in range(300):
            if all(row["state"] in FINAL for row in self.model.rows.values()):
                break
            self.now += 500_000
            for choice in range(len(self.model.rules)):
                self.a_paused_rule_is_resumed(choice)
            self.what_is_due_is_sent(50)
        self.both_say_the_same()
        assert all(row["state"] in FINAL for row in self.model.rows.values())
        self.the_figures_are_those_of_the_conversions()
        audited = audit_everything(self.ledger)
        assert audited.mismatches == ()
        assert sum(audited.in_states.values()) == sum(at[3] == 0 for at in self.model.rows)

    def the_figures_are_those_of_the_conversions(self) -> None:
        with self.ledger.read() as tx:
            facts = [msgspec.json.decode(line, type=ConversionFact) for _, line in oldest_facts(tx, 100_000)]
        totals = {"revenue": 0, "pending": 0, "rejected": 0}
        for one in self.model.conversions.values():
            totals[COUNTS[one["status"]]] += one["payout"] * 1_000_000
        assert {name: sum(getattr(fact, f"{name}_micros") for fact in facts) for name in totals} == totals
        assert sum(fact.conversions for fact in facts) == len(self.model.conversions)

    def one_of(self, choice: int) -> tuple[str, tuple[Key, int, int, int]]:
        where = sorted(self.whereabouts().items(), key=lambda item: item[1])
        return where[choice % len(where)]

    def whereabouts(self) -> dict[str, tuple[Key, int, int, int]]:
        """By postback id, where it stands in the model."""
        with self.ledger.read() as tx:
            stored = conversions_before(tx, ConversionFilter(), None, 100)
            rows = tx.execute(
                select(
                    postbacks.c.postback_id,
                    postbacks.c.conversion_id,
                    postbacks.c.version,
                    postbacks.c.rule_id,
                    postbacks.c.resend,
                )
            ).all()
        keys = {one.conversion_id: (one.click.click_id, one.txid) for one in stored}
        return {row.postback_id: (keys[row.conversion_id], row.version, row.rule_id, row.resend) for row in rows}


TestModel = Tracker.TestCase
TestModel.settings = settings(
    max_examples=50, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
