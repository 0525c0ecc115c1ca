"""/alarms: the alarms of now, where alarms are sent, and the messages about them."""

import asyncio
import uuid
from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.params import JSONBody
from msgspec import Meta

from clickloop.alarm.outbox import MAX_SENT_PER_ROUND, AlarmDelivery, DeliveryState, SendingJob
from clickloop.alarm.sending import send_alarms
from clickloop.alarm.tracker import AlarmMessage, AlarmState
from clickloop.clock import Moment
from clickloop.log_filter import MAX_ID
from clickloop.postback.alarm_rules import is_alarm_rule
from clickloop.postback.rule import Rule
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError
from clickloop.store.ledger.setup.postback_rules import live_alarm_rules
from clickloop.web.api.body import StrictBody
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis.health import AlarmView, alarm_views
from clickloop.web.api.wire import moment_text, optional_moment_text, shown
from clickloop.web.long_work import waiting_for_others

TEST_SENTENCE = "This is a test: alarms of this tracker reach you here."
_TEST_CODE = "test"


class AlarmRuleView(msgspec.Struct, kw_only=True):
    """A postback rule that is sent for alarms."""

    id: int
    name: str
    active: bool


class AlarmMessageView(msgspec.Struct, kw_only=True):
    """A message about an alarm to one rule, and what became of it."""

    at: Moment
    code: str
    sentence: str
    alarm_state: Annotated[AlarmState, Meta(description="Why it was sent.")]
    rule_id: Annotated[int | None, Meta(description="null: there was no rule to send it to.")]
    rule_name: str
    state: DeliveryState
    attempts: int
    next_attempt_at: Moment | None
    status_code: int | None
    detail: Annotated[str, Meta(description="Why it was not delivered.")]


class AlarmsView(msgspec.Struct, kw_only=True):
    """Alarms, and how they leave this machine."""

    alarms: Annotated[list[AlarmView], Meta(description="Current alarms.")]
    rules: Annotated[list[AlarmRuleView], Meta(description="Rules that send them; none: they are not sent.")]
    messages: Annotated[list[AlarmMessageView], Meta(description="Recent messages, newest first.")]


class AlarmTest(msgspec.Struct, kw_only=True):
    """What to try."""

    rule_id: Annotated[
        Annotated[int, Meta(ge=1, le=MAX_ID)] | None,
        Meta(description="An alarm rule, even one that is off; null: all that are on."),
    ] = None


class AlarmTestResult(msgspec.Struct, kw_only=True):
    """What became of one attempt to send a test."""

    rule_id: int
    rule_name: str
    delivered: bool
    status_code: int | None
    detail: Annotated[str, Meta(description="Why it was not delivered.")]


class AlarmTestView(msgspec.Struct, kw_only=True):
    """What became of the test."""

    results: list[AlarmTestResult]


def read_alarms(context: Context) -> AlarmsView:
    """Alarms of now, where they are sent, and what was sent lately."""
    with context.ledger.read() as tx:
        rules = [kept.rule for kept in live_alarm_rules(tx)]
    return AlarmsView(
        alarms=alarm_views(context.core_health().alarms),
        rules=[AlarmRuleView(id=rule.rule_id, name=shown(rule.name), active=rule.active) for rule in rules],
        messages=[_message_view(one) for one in reversed(context.alarm_memory().deliveries)],
    )


def send_test_alarm(context: Context, data: JSONBody[AlarmTest | None] = None) -> AlarmTestView:
    """Sends one test message to a rule for alarms, or to all that are on, with one attempt each, and says what became of it."""
    rules = _rules_to_test(context, data.rule_id if data else None)
    now_ms = context.clock()
    jobs = [
        SendingJob(
            rule=rule,
            message=AlarmMessage(
                message_id=uuid.uuid4().hex,
                code=_TEST_CODE,
                sentence=TEST_SENTENCE,
                state=AlarmState.TEST,
                since=now_ms,
                at=now_ms,
            ),
        )
        for rule in rules
    ]
    # A loop and a client of its own, in this worker thread: the core's own loop goes on meanwhile.
    attempts = asyncio.run(send_alarms(jobs, context.guard, context.domain, context.attempt_seconds))
    return AlarmTestView(
        results=[
            AlarmTestResult(
                rule_id=rule.rule_id,
                rule_name=shown(rule.name),
                delivered=attempt.state is DeliveryState.DELIVERED,
                status_code=attempt.status_code,
                detail=shown(attempt.detail),
            )
            for rule, attempt in zip(rules, attempts, strict=True)
        ]
    )


def _rules_to_test(context: ApiContext, rule_id: int | None) -> list[Rule]:
    with context.ledger.read() as tx:
        rules = [kept.rule for kept in live_alarm_rules(tx)]
    if rule_id is None:
        return [rule for rule in rules if rule.active][:MAX_SENT_PER_ROUND]
    found = [rule for rule in rules if rule.rule_id == rule_id and is_alarm_rule(rule)]
    if not found:
        sentence = f"There is no alarm rule with the number {rule_id}: GET /alarms lists them."
        raise InvalidInputError((Fault("rule_id", FaultCode.NOT_FOUND, sentence),))
    return found


def _message_view(one: AlarmDelivery) -> AlarmMessageView:
    waits = one.state is DeliveryState.WAITING
    return AlarmMessageView(
        at=moment_text(one.message.at),
        code=one.message.code,
        sentence=shown(one.message.sentence),
        alarm_state=one.message.state,
        rule_id=one.rule_id or None,
        rule_name=shown(one.rule_name),
        state=one.state,
        attempts=one.attempts,
        next_attempt_at=optional_moment_text(one.next_at if waits else None),
        status_code=one.status_code,
        detail=shown(one.detail),
    )


router = Router(
    "/alarms",
    route_handlers=[
        get("/", sync_to_thread=True, summary="Read alarms, and where they are sent")(read_alarms),
        post("/test", dto=StrictBody, return_dto=None, status_code=200, summary="Send a test alarm")(
            waiting_for_others(send_test_alarm)
        ),
    ],
    tags=["Diagnosis"],
)
