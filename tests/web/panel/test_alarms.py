"""Alarms on the health page: rules to send them, and test messages."""

from dataclasses import replace
from typing import TYPE_CHECKING

from clickloop.alarm.alarms import Alarm
from clickloop.alarm.memory import AlarmMemory
from clickloop.alarm.outbox import AlarmDelivery, DeliveryState
from clickloop.alarm.tracker import AlarmMessage, AlarmState
from clickloop.diagnosis.health import CoreHealth
from clickloop.people.user import Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


def test_without_a_rule_the_page_says_so_and_leads_to_one(panel: "Panel") -> None:
    page = panel.page("/panel/health")
    assert "Alarms appear only on this page" in page.text
    assert "/panel/postback-rules/new?preset=telegram&trigger=alarm" in page.addresses
    fields = panel.page("/panel/postback-rules/new?preset=telegram&trigger=alarm").fields
    assert fields["conditions.trigger"] == "alarm"
    assert "source_id" not in fields


def test_a_rule_for_alarms_is_made_from_a_preset_and_stands_on_the_page(panel: "Panel") -> None:
    place = panel.done(
        "/panel/postback-rules/new",
        {
            "preset": "telegram",
            "name": "Ops",
            "fill.bot_token": TOKEN,
            "fill.chat_id": "-100123",
            "conditions.trigger": "alarm",
        },
    )
    assert panel.instance.got("postback-rules/1")["conditions"]["trigger"] == "alarm"
    page = panel.page(place.partition("?")[0])
    assert "alarms of this tracker" in page.text
    assert TOKEN not in page.html
    assert "Ops on" in panel.page("/panel/health").text
    assert "alarms of this tracker" in panel.page("/panel/postback-rules").text


def test_a_fault_in_the_words_keeps_it_a_rule_for_alarms(panel: "Panel") -> None:
    fields = {"preset": "telegram", "name": "Ops", "fill.bot_token": "x", "conditions.trigger": "alarm"}
    assert panel.sent("/panel/postback-rules/new", fields, 422).fields["conditions.trigger"] == "alarm"


def test_a_rule_for_alarms_to_any_address_is_made_in_the_editor_and_saved_again(panel: "Panel") -> None:
    page = panel.page("/panel/postback-rules/new?trigger=alarm")
    assert page.values("conditions.trigger") == ["alarm"]
    assert "conditions.statuses" not in page.html
    assert "{alarm.code}" in page.buttons
    assert "{payout}" not in page.buttons
    assert "{alarm.code}" not in panel.page("/panel/postback-rules/new").buttons
    fields = {"name": "Ops", "request.url": "https://me.example/?text={alarm}", "conditions.trigger": "alarm"}
    panel.done("/panel/postback-rules/new", fields)
    panel.done("/panel/postback-rules/1", fields | {"name": "Ops 2"})
    assert panel.instance.got("postback-rules/1")["name"] == "Ops 2"


def test_a_test_says_on_the_page_what_became_of_it(panel: "Panel") -> None:
    assert "no alarm rule is switched on" in panel.sent("/panel/health/alarms/test").text
    panel.instance.made(
        "postback-rules",
        {
            "name": "Ops",
            "request": {"url": "https://nobody.invalid/?text={alarm}"},
            "conditions": {"trigger": "alarm"},
        },
    )
    assert "The test did not reach Ops" in panel.sent("/panel/health/alarms/test", {"rule_id": "1"}).text


def test_somebody_who_may_only_look_sends_no_test(panel: "Panel") -> None:
    panel.become(Role.VIEWER)
    assert panel.post("/panel/health/alarms/test").status_code == 403
    assert not [address for address in panel.page("/panel/health").addresses if "trigger=alarm" in address]


def test_alarms_stand_there_with_their_beginning_and_what_was_sent(
    instance: "Instance", panel_of: "Callable[[Instance], AbstractContextManager[Panel]]"
) -> None:
    message = AlarmMessage(
        message_id="m",
        code="journal_lag",
        sentence="The journal is behind <b>.",
        state=AlarmState.BEGUN,
        since=instance.now,
        at=instance.now,
    )
    delivery = AlarmDelivery(
        message=message, rule_id=1, rule_name="Ops", state=DeliveryState.FAILED, detail="The receiver answered 404."
    )
    core = CoreHealth(alarms=(Alarm(code="journal_lag", sentence=message.sentence, since=instance.now),))
    instance.context = replace(
        instance.context, core_health=lambda: core, alarm_memory=lambda: AlarmMemory(deliveries=(delivery,))
    )
    with panel_of(instance) as panel:
        page = panel.page("/panel/health")
        assert "The journal is behind <b>. · since 2026-03-01 12:00:00" in page.text
        assert "failed The receiver answered 404." in page.text
        assert page.main.all("b") == []


def test_moments_within_alarms_are_shown_in_the_readers_zone(
    instance: "Instance", panel_of: "Callable[[Instance], AbstractContextManager[Panel]]"
) -> None:
    sentence = "<b> the clock jumped ahead by 2 days, to 2026-03-01T23:30:00.123Z; segment 2026-99-01T00:00:00Z"
    core = CoreHealth(alarms=(Alarm(code="clock", sentence=sentence, since=instance.now),))
    instance.context = replace(instance.context, core_health=lambda: core)
    instance.api.patch("/api/v1/settings", json={"time_zone": "Asia/Tokyo"})
    instance.set_up()
    with panel_of(instance) as panel:
        for path in ("/panel/health", "/panel"):
            page = panel.page(path)
            told = "<b> the clock jumped ahead by 2 days, to 2026-03-02 08:30:00; segment 2026-99-01T00:00:00Z"
            assert told in page.text
            assert page.main.all("b") == []
