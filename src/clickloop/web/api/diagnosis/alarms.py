"""/alarms: current alarms, the rules that send them, and their messages."""

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
from clickloop.clock import Moment, iso_text, optional_iso_text
from clickloop.log_filter import MAX_ID
from clickloop.logs.view import view_of
from clickloop.postback.alarm_rules import is_alarm_rule
from clickloop.postback.rule import PostbackRule
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.ledger.setup.postback_rules import live_alarm_rules
from clickloop.text import readable
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis.health import AlarmView, alarm_views
from clickloop.web.long_work import waiting_for_others

TEST_SENTENCE = "This is a test. Alarms from this tracker will arrive here."
_TEST_CODE = "test"


class AlarmRuleView(msgspec.Struct, kw_only=True):
    """A postback rule that sends alarms."""

    id: int
    name: str
    active: bool


class AlarmMessageView(msgspec.Struct, kw_only=True):
    """A message about an alarm, sent by one rule, and its delivery."""

    at: Moment
    code: str
    sentence: str
    alarm_state: Annotated[AlarmState, Meta(description="Why it was sent.")]
    rule_id: Annotated[int | None, Meta(description="null if there was no rule to send it.")]
    rule_name: str
    state: DeliveryState
    attempts: int
    next_attempt_at: Moment | None
    status_code: int | None
    detail: Annotated[str, Meta(description="Why it was not delivered.")]


class AlarmsView(msgspec.Struct, kw_only=True):
    """Alarms, and how they are sent."""

    alarms: Annotated[list[AlarmView], Meta(description="Current alarms.")]
    rules: Annotated[list[AlarmRuleView], Meta(description="Rules that send alarms. If empty, alarms are not sent.")]
    messages: Annotated[list[AlarmMessageView], Meta(description="Recent messages, newest first.")]


class AlarmTest(msgspec.Struct, kw_only=True):
    """A test of alarm rules."""

    rule_id: Annotated[
        Annotated[int, Meta(ge=1, le=MAX_ID)] | None,
        Meta(description="Alarm rule to test, even if it is off; null for all that are on."),
    ] = None


class AlarmTestResult(msgspec.Struct, kw_only=True):
    """The result of testing one rule."""

    rule_id: int
    rule_name: str
    delivered: bool
    status_code: int | None
    detail: Annotated[str, Meta(description="Why it was not delivered.")]


class AlarmTestView(msgspec.Struct, kw_only=True):
    """The results of a test."""

    results: list[AlarmTestResult]


def read_alarms(context: Context) -> AlarmsView:
    """Return current alarms, the rules that send them, and recent messages."""
    with context.ledger.read() as tx:
        rules = [stored.rule for stored in live_alarm_rules(tx)]
    return AlarmsView(
        alarms=alarm_views(context.core_health().alarms),
        rules=[AlarmRuleView(id=rule.rule_id, name=readable(rule.name), active=rule.active) for rule in rules],
        messages=[_message_view(delivery) for delivery in reversed(context.alarm_memory().deliveries)],
    )


def send_test_alarm(context: Context, data: JSONBody[AlarmTest | None] = None) -> AlarmTestView:
    """Send a test message through one alarm rule, or all that are on, with one attempt each, and return the results."""
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
    # A separate loop and client in this worker thread, so that the core's own loop is not blocked.
    attempts = asyncio.run(send_alarms(jobs, context.guard, context.domain, context.attempt_seconds))
    return AlarmTestView(
        results=[
            view_of(
                AlarmTestResult,
                attempt,
                rule_id=rule.rule_id,
                rule_name=readable(rule.name),
                delivered=attempt.state is DeliveryState.DELIVERED,
            )
            for rule, attempt in zip(rules, attempts, strict=True)
        ]
    )


def _rules_to_test(context: ApiContext, rule_id: int | None) -> list[PostbackRule]:
    with context.ledger.read() as tx:
        rules = [stored.rule for stored in live_alarm_rules(tx)]
    if rule_id is None:
        return [rule for rule in rules if rule.active][:MAX_SENT_PER_ROUND]
    found = [rule for rule in rules if rule.rule_id == rule_id and is_alarm_rule(rule)]
    if not found:
        sentence = f"There is no alarm rule {rule_id}. GET /alarms lists them."
        raise InvalidInputError((FieldFault("rule_id", FaultCode.NOT_FOUND, sentence),))
    return found


def _message_view(delivery: AlarmDelivery) -> AlarmMessageView:
    message, waits = delivery.message, delivery.state is DeliveryState.WAITING
    return view_of(
        AlarmMessageView,
        delivery,
        at=iso_text(message.at),
        code=message.code,
        sentence=readable(message.sentence),
        alarm_state=message.state,
        rule_id=delivery.rule_id or None,
        next_attempt_at=optional_iso_text(delivery.next_at if waits else None),
    )


router = Router(
    "/alarms",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List alarms and alarm rules")(read_alarms),
        post("/test", status_code=200, summary="Send a test alarm")(waiting_for_others(send_test_alarm)),
    ],
    tags=["Diagnosis"],
)
