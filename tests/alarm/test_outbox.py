"""The alarm outbox: each message goes to each rule, in order, until it is delivered or has failed; its size is bounded."""

from clickloop.alarm.outbox import (
    MAX_FINISHED,
    MAX_SENT_PER_ROUND,
    MAX_WAITING,
    AlarmAttempt,
    AlarmOutbox,
    DeliveryState,
)
from clickloop.alarm.tracker import AlarmMessage, AlarmState
from clickloop.clock import DAY_MS
from clickloop.postback.alarm_rules import AlarmRules
from clickloop.postback.rule import Conditions, PostbackRule, RequestTemplate, Trigger

NOW = 1_772_366_400_000


def rules(*numbers: int) -> AlarmRules:
    return AlarmRules(
        rules=tuple(
            PostbackRule(
                rule_id=number,
                name=f"Rule {number}",
                request=RequestTemplate(url="https://a.example/"),
                conditions=Conditions(trigger=Trigger.ALARM),
            )
            for number in numbers
        )
    )


def message(key: str = "lag", state: AlarmState = AlarmState.BEGUN, number: int = 1) -> AlarmMessage:
    return AlarmMessage(
        message_id=f"{key}{number}", code="x", sentence="It is so.", state=state, since=NOW, at=NOW, key=key
    )


def due(outbox: AlarmOutbox, known: AlarmRules, now_ms: int = NOW) -> list[tuple[int, str]]:
    return [(job.rule.rule_id, job.message.state.value) for _, job in outbox.due(known, now_ms)]


def test_a_message_goes_to_every_rule() -> None:
    outbox = AlarmOutbox()
    outbox.add([message()], rules(1, 2), NOW)
    assert due(outbox, rules(1, 2)) == [(1, "begun"), (2, "begun")]


def test_without_a_rule_it_is_remembered_that_nobody_was_told() -> None:
    outbox = AlarmOutbox()
    outbox.add([message()], rules(), NOW)
    assert [one.state for one in outbox.deliveries] == [DeliveryState.NO_RULE]
    assert due(outbox, rules(1)) == []


def test_an_end_waits_until_its_beginning_was_delivered_and_others_do_not() -> None:
    outbox = AlarmOutbox()
    outbox.add([message(), message(state=AlarmState.ENDED), message("disk")], rules(1), NOW)
    found = outbox.due(rules(1), NOW)
    assert [job.message.message_id for _, job in found] == ["lag1", "disk1"]
    outbox.record(found[0][0], AlarmAttempt(state=DeliveryState.WAITING, next_at=NOW + 5_000, detail="500"), NOW)
    outbox.record(found[1][0], AlarmAttempt(state=DeliveryState.DELIVERED, status_code=200), NOW)
    assert due(outbox, rules(1), NOW + 4_999) == []
    (again,) = outbox.due(rules(1), NOW + 5_000)
    assert (again[1].attempts, again[1].message.state) == (1, "begun")
    outbox.record(again[0], AlarmAttempt(state=DeliveryState.FAILED, detail="404"), NOW + 5_000)
    assert due(outbox, rules(1), NOW + 5_000) == [(1, "ended")]


def test_what_waits_for_a_rule_that_is_gone_is_given_up_in_words() -> None:
    outbox = AlarmOutbox()
    outbox.add([message()], rules(1), NOW)
    assert due(outbox, rules(2)) == []
    assert (outbox.deliveries[0].state, "switched off or archived" in outbox.deliveries[0].detail) == ("failed", True)


def test_a_clock_that_jumped_back_does_not_make_it_wait_for_months() -> None:
    outbox = AlarmOutbox()
    outbox.add([message()], rules(1), NOW + 60 * DAY_MS)
    assert due(outbox, rules(1), NOW) == [(1, "begun")]


def test_what_is_kept_and_sent_at_once_is_bounded() -> None:
    outbox = AlarmOutbox()
    for number in range(MAX_WAITING + 300):
        outbox.add([message(f"k{number}")], rules(1), NOW)
    waiting = [one for one in outbox.deliveries if one.state is DeliveryState.WAITING]
    assert len(waiting) == MAX_WAITING
    assert len(outbox.deliveries) == MAX_WAITING + MAX_FINISHED
    assert waiting[-1].message.key == f"k{MAX_WAITING + 299}"
    assert len(outbox.due(rules(1), NOW)) == MAX_SENT_PER_ROUND
