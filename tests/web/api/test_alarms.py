"""Alarm rules: postback rules of the whole instance that send no conversions, and their test."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import TestClient

from clickloop.alarm.alarms import Alarm
from clickloop.alarm.memory import AlarmMemory
from clickloop.alarm.outbox import AlarmDelivery, DeliveryState
from clickloop.alarm.tracker import AlarmMessage, AlarmState
from clickloop.config import Settings
from clickloop.diagnosis.health import CoreHealth
from clickloop.people.user import Role
from clickloop.postback.alarm_rules import alarm_values
from clickloop.postback.rule import Conditions, PostbackRule, RequestTemplate, Trigger
from clickloop.postback.rule_preset import rule_presets
from clickloop.postback.sending.address_guard import AddressGuard, policy_of
from clickloop.postback.values import ready_request
from clickloop.store.ledger.setup.postback_rules import insert_rule, live_alarm_rules
from clickloop.web.api.application import create_api
from clickloop.web.api.diagnosis.alarms import read_alarms, send_test_alarm
from clickloop.web.api.diagnosis.health import _verifying
from tests.journey.running import Receiver, free_port
from tests.web.conftest import application

if TYPE_CHECKING:
    from tests.web.conftest import Instance

FOR_ALARMS = {"conditions": {"trigger": "alarm"}}
TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
TELEGRAM = {"preset": "telegram", "fill": {"bot_token": TOKEN, "chat_id": "-100123"}}
FILLS: dict[str, dict[str, str]] = {
    "telegram": TELEGRAM["fill"],  # type: ignore[dict-item]
    "slack": {"webhook_url": "https://hooks.slack.com/services/T0/B0/XXXX"},
    "discord": {"webhook_url": "https://discord.com/api/webhooks/1/abcd"},
    "webhook": {"url": "https://crm.example.com/alarms"},
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def loopback(instance: "Instance") -> None:
    """Allow the instance to send to this machine, where the receiver is."""
    guard = AddressGuard(policy_of(Settings(allowed_addresses="127.0.0.0/8")))
    instance.context = replace(instance.context, guard=guard)


def rule_to(url: str, **more: Any) -> dict[str, Any]:
    return {"name": "Alarms", "request": {"url": url}, **FOR_ALARMS, **more}


def test_an_alarm_rule_is_created_like_any_other_and_sends_no_conversions(instance: "Instance") -> None:
    instance.set_up()
    rule = instance.made("postback-rules", rule_to("https://me.example/?text={alarm}"))
    assert rule["conditions"]["trigger"] == "alarm"
    assert rule["warnings"] == []
    click_id = instance.visit()
    instance.made("conversions", {"click_id": click_id, "payout": "12.5"})
    assert {postback["rule_id"] for postback in instance.got("postbacks")["items"]} == {1}
    with instance.ledger.read() as tx:
        assert [kept.rule.rule_id for kept in live_alarm_rules(tx)] == [rule["id"]]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"source_id": 1}, {"source_id": "alarm_of_one"}),
        ({"campaign_id": 1}, {"campaign_id": "alarm_of_one"}),
        ({"conditions": {"trigger": "alarm", "statuses": ["sale"]}}, {"conditions.trigger": "alarm_conditions"}),
        ({"conditions": {"trigger": "alarm", "delay_seconds": 60}}, {"conditions.trigger": "alarm_conditions"}),
        ({"conditions": {"trigger": "alarm", "every_nth": 2}}, {"conditions.trigger": "alarm_conditions"}),
        ({"conditions": {"trigger": "alarms"}}, None),
    ],
)
def test_fields_that_would_have_no_effect_are_rejected(
    instance: "Instance", body: dict[str, Any], fault: dict[str, str] | None
) -> None:
    instance.set_up()
    answer = instance.api.post("/api/v1/postback-rules", json=rule_to("https://me.example/") | body)
    found = instance.faults(answer)
    assert fault is None or found == fault


def test_a_conversion_rule_never_becomes_an_alarm_rule(instance: "Instance") -> None:
    rule = instance.made("postback-rules", {"name": "Own", "request": {"url": "https://me.example/"}})
    answer = instance.api.patch(f"/api/v1/postback-rules/{rule['id']}", json=FOR_ALARMS)
    assert instance.faults(answer) == {"conditions.trigger": "not_allowed"}


def test_macros_that_are_always_empty_get_a_warning(instance: "Instance") -> None:
    rule = instance.made("postback-rules", rule_to("https://me.example/?p={payout}&c={alarm.code}"))
    assert [one["code"] for one in rule["warnings"]] == ["empty_macro"]
    assert "{payout}" in rule["warnings"][0]["message"]
    rule = instance.made("postback-rules", {"name": "Own", "request": {"url": "https://me.example/?a={alarm}"}})
    assert [one["code"] for one in rule["warnings"]] == ["empty_macro"]


@pytest.mark.parametrize("key", rule_presets())
def test_every_preset_makes_a_rule_that_reports_the_problem_and_the_tracker(instance: "Instance", key: str) -> None:
    made = instance.made("postback-rules", {"preset": key, "fill": FILLS[key], **FOR_ALARMS})
    assert made["warnings"] == []
    with instance.ledger.read() as tx:
        (kept,) = live_alarm_rules(tx)
    sentence = 'receiver "a.example:80" is paused: 5\npostbacks wait'
    values = alarm_values(
        message_id="m1",
        code="paused",
        sentence=sentence,
        state="begun",
        since_ms=instance.now,
        rule_name="Alarms",
        domain="go.example.com",
    )
    request = ready_request(kept.rule.request).resolve(values, instance.now, None)
    said = json.loads(request.body_bytes())
    text = "\n".join(str(value) for value in said.values())
    assert sentence in text
    assert "go.example.com" in text


def test_a_test_is_sent_through_every_active_rule_and_returns_the_results(
    instance: "Instance", receiver: Receiver
) -> None:
    loopback(instance)
    url = f"{receiver.url}/pb?state={{alarm.state}}&text={{alarm}}&where={{domain}}"
    closed = f"http://127.0.0.1:{free_port()}/?key=a-secret-key"
    with_guard = instance.context
    with instance.ledger.write() as tx:
        conditions = Conditions(trigger=Trigger.ALARM)
        for name, place, active in (("Here", url, True), ("Closed", closed, True), ("Off", url, False)):
            request = RequestTemplate(url=place, secrets=("a-secret-key",))
            insert_rule(
                tx,
                PostbackRule(rule_id=0, name=name, request=request, conditions=conditions, active=active),
                instance.now,
            )
    results = {one.rule_name: one for one in send_test_alarm(with_guard).results}
    assert set(results) == {"Here", "Closed"}
    assert results["Here"].delivered
    assert not results["Closed"].delivered
    assert "Could not connect" in results["Closed"].detail
    (received,) = receiver.requests
    assert received.value("state") == b"test"
    assert received.value("where") == b"go.example.com"


def test_a_response_that_echoes_a_secret_is_masked(instance: "Instance", receiver: Receiver) -> None:
    loopback(instance)
    receiver.status = 404
    with instance.ledger.write() as tx:
        request = RequestTemplate(url=f"{receiver.url}/pb", secrets=("OK",))
        conditions = Conditions(trigger=Trigger.ALARM)
        insert_rule(tx, PostbackRule(rule_id=0, name="R", request=request, conditions=conditions), instance.now)
    (result,) = send_test_alarm(instance.context).results
    assert result.status_code == 404
    assert "The receiver answered 404." in result.detail
    assert "OK" not in result.detail


def test_a_conversion_rule_is_not_tested(instance: "Instance") -> None:
    instance.made("postback-rules", {"name": "Own", "request": {"url": "https://me.example/"}})
    assert instance.faults(instance.api.post("/api/v1/alarms/test", json={"rule_id": 1})) == {"rule_id": "not_found"}
    assert instance.api.post("/api/v1/alarms/test").json() == {"results": []}
    headers = instance.token_of(Role.VIEWER)
    assert instance.api.post("/api/v1/alarms/test", headers=headers).status_code == 403


def message(at: int, state: AlarmState = AlarmState.BEGUN) -> AlarmMessage:
    return AlarmMessage(message_id="m", code="journal_lag", sentence="It is behind.", state=state, since=at, at=at)


def remembering(instance: "Instance") -> None:
    """Put two messages into the supervisor's memory, and one alarm into the core."""
    deliveries = (
        AlarmDelivery(message=message(instance.now), state=DeliveryState.NO_RULE, finished_at=instance.now),
        AlarmDelivery(
            message=message(instance.now + 1, AlarmState.ENDED),
            rule_id=1,
            rule_name="Ops <b>",
            attempts=1,
            next_at=instance.now + 5_000,
            detail="The receiver answered 500.",
        ),
    )
    core = CoreHealth(alarms=(Alarm(code="journal_lag", sentence="It is behind.", since=instance.now),))
    instance.context = replace(
        instance.context,
        alarm_memory=lambda: AlarmMemory(deliveries=deliveries),
        core_health=lambda: core,
    )


def test_alarms_and_messages_are_listed_newest_first(instance: "Instance") -> None:
    instance.made("postback-rules", rule_to("https://me.example/"))
    remembering(instance)
    told = read_alarms(instance.context)
    assert [alarm.code for alarm in told.alarms] == ["journal_lag"]
    assert [(rule.id, rule.name, rule.active) for rule in told.rules] == [(1, "Alarms", True)]
    assert [(one.alarm_state, one.state, one.rule_id) for one in told.messages] == [
        ("ended", "waiting", 1),
        ("begun", "no_rule", None),
    ]
    assert told.messages[0].next_attempt_at == "2026-03-01T12:00:05.000Z"


def test_the_api_lists_alarms_and_messages(instance: "Instance") -> None:
    assert instance.got("alarms") == {"alarms": [], "rules": [], "messages": []}


def test_an_administrator_can_verify_the_facts(instance: "Instance") -> None:
    answer = instance.api.post("/api/v1/health/facts")
    assert answer.status_code == 200, answer.text
    assert answer.json()["unreadable"] == []
    assert answer.json()["columns"] > 50
    assert answer.json()["next_column"] is None
    assert instance.api.post("/api/v1/health/facts?first_column=10000").json()["columns"] == 0
    assert instance.api.post("/api/v1/health/facts", headers=instance.token_of(Role.WORKER)).status_code == 403
    with _verifying:
        assert instance.api.post("/api/v1/health/facts").status_code == 429


def test_tests_waiting_for_a_silent_receiver_block_nothing_else(instance: "Instance") -> None:
    loopback(instance)
    tests = 12  # more than the threads that all other requests share
    with ThreadPoolExecutor(tests) as askers, socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        with TestClient(application(create_api, instance.context)) as api:
            api.headers.update(instance.api.headers)
            made = api.post("/api/v1/postback-rules", json=rule_to(f"http://127.0.0.1:{silent.getsockname()[1]}/"))
            assert made.status_code == 201
            asked = [askers.submit(api.post, "/api/v1/alarms/test", json={}) for _ in range(tests)]
            waiting = [silent.accept()[0], silent.accept()[0]]
            for _ in range(20):
                assert api.get("/api/v1/postback-rules").status_code == 200
            assert not any(one.done() for one in asked), "what waited was answered before the others"
            silent.close()
            for connection in waiting:
                connection.close()
            assert {one.result().status_code for one in asked} == {200}
