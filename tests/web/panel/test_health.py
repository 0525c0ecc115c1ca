"""Health in the panel, and receivers."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from litestar.testing import TestClient

from clickloop.alarm.alarms import COUNTED_SECONDS, Alarm, AlarmCount, Alarms
from clickloop.clock import DAY_MS
from clickloop.diagnosis.health import CoreHealth, StreamLag, WorkerHealth
from clickloop.machine.clock_guard import ClockGuard
from clickloop.people.user import Role
from clickloop.postback.delivery.breaker import Pause
from clickloop.postback.delivery.receiver_queue import ReceiverCondition
from clickloop.store.damage_log import JournalDamages, record_damages, unconfirmed_damages
from clickloop.store.delivery_hold import DeliveryHold, hold_deliveries, read_hold
from clickloop.store.journal.segment import Damage, DamageKind
from clickloop.store.ledger.queue.receivers import save_condition
from clickloop.store.unknown_links import UnknownLink, UnknownLinks
from clickloop.web.api.application import create_api
from clickloop.web.api.diagnosis.health import read_health
from tests.web.conftest import application
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

RECEIVER = "source.example:443"


def pause_receiver(instance: "Instance") -> Pause:
    pause = Pause(opened_at=instance.now - 5_000, probe_at=instance.now + 60_000, why="7 of 10 attempts failed.")
    with instance.ledger.write() as tx:
        save_condition(tx, RECEIVER, ReceiverCondition(pause=pause))
    return pause


def test_a_paused_receiver_says_why_and_when_it_is_tried_again(panel: "Panel") -> None:
    pause_receiver(panel.instance)
    words = panel.page("/panel/health").text
    assert "source.example:443 paused" in words
    assert "7 of 10 attempts failed." in words
    assert "2026-03-01 12:01:00" in words


def test_a_paused_receiver_can_be_tried_now(panel: "Panel") -> None:
    pause_receiver(panel.instance)
    panel.done(f"/panel/health/receivers/{RECEIVER}/probe")
    assert panel.instance.got(f"receivers/{RECEIVER}")["asked"] == "probe"
    assert "The receiver is tried within five seconds." in panel.page(f"/panel/health/receivers/{RECEIVER}").text


def test_a_paused_receiver_can_be_resumed_untried(panel: "Panel") -> None:
    pause_receiver(panel.instance)
    panel.done(f"/panel/health/receivers/{RECEIVER}/resume")
    assert panel.instance.got(f"receivers/{RECEIVER}")["asked"] == "resume"


def test_a_receiver_that_asked_us_to_wait_says_until_when(panel: "Panel") -> None:
    with panel.instance.ledger.write() as tx:
        save_condition(tx, RECEIVER, ReceiverCondition(held_until=panel.instance.now + 60_000))
    assert "until 2026-03-01 12:01:00" in panel.page(f"/panel/health/receivers/{RECEIVER}").text


def test_how_hard_a_receiver_may_be_asked_is_saved(panel: "Panel") -> None:
    place = panel.done(f"/panel/health/receivers/{RECEIVER}", {"connections": "3", "per_minute": ""})
    assert place.startswith(f"/panel/health/receivers/{RECEIVER}")
    assert panel.instance.got(f"receivers/{RECEIVER}")["connections"] == 3
    assert panel.instance.got(f"receivers/{RECEIVER}")["per_minute"] is None


def test_a_number_out_of_range_is_told_beside_its_field(panel: "Panel") -> None:
    answer = panel.post(f"/panel/health/receivers/{RECEIVER}", {"connections": "0", "per_minute": ""})
    assert answer.status_code == 422
    assert 'id="fault-connections"' in answer.text


def test_somebody_who_may_only_look_changes_no_receiver(panel: "Panel") -> None:
    panel.become(Role.VIEWER)
    assert panel.post(f"/panel/health/receivers/{RECEIVER}", {"connections": "3"}).status_code == 403


def test_a_worker_that_fails_and_a_journal_that_lags_are_told(instance: "Instance") -> None:
    core = CoreHealth(
        lags=(StreamLag(stream="clicks", segments=2, octets=900, oldest_ms=61_500),),
        workers=(WorkerHealth(name="click processing", running=True, failing_since=instance.now, fault="no disk"),),
        alarms=(Alarm(code="disk_low", sentence="free disk below 10%", since=instance.now),),
    )
    told = read_health(replace(instance.context, core_health=lambda: core))
    assert told.journal[0].seconds == 61.5
    assert told.workers[0].fault == "no disk"
    assert [(alarm.code, alarm.sentence, alarm.since) for alarm in told.alarms] == [
        ("disk_low", "free disk below 10%", "2026-03-01T12:00:00.000Z")
    ]


def test_links_that_led_nowhere_are_told(
    instance: "Instance", panel_of: "Callable[[Instance], AbstractContextManager[Panel]]"
) -> None:
    links = UnknownLinks(
        3, instance.now - 60_000, (UnknownLink("Ab12Cd", 2, instance.now), UnknownLink("", 1, instance.now))
    )
    instance.context = replace(instance.context, core_health=lambda: CoreHealth(unknown_links=links))
    told = read_health(instance.context).unknown_links
    assert (told.total, [(one.key, one.count) for one in told.latest]) == (3, [("Ab12Cd", 2), ("", 1)])
    with panel_of(instance) as panel:
        words = panel.page("/panel/health").text
    assert "3 requests got a 404 since" in words
    assert "Ab12Cd 2" in words


def test_where_every_link_named_a_campaign_health_says_so(panel: "Panel") -> None:
    assert "Every opened link belongs to a campaign" in panel.page("/panel/health").text


def test_the_number_of_alarms_stands_in_the_menu_of_every_page(
    instance: "Instance", panel_of: "Callable[[Instance], AbstractContextManager[Panel]]"
) -> None:
    instance.context = replace(instance.context, count_alarms=lambda: 3)
    with panel_of(instance) as panel:
        assert "Health 3" in panel.page("/panel/check").menu


def test_alarms_are_counted_at_most_every_few_seconds(tmp_path: Path) -> None:
    now = 100.0
    count = AlarmCount(tmp_path, lambda: now)
    before = count()
    Alarms(tmp_path).report("tests", ("one", "two"))
    assert count() == before
    now += COUNTED_SECONDS
    assert count() == before + 2


def test_a_clock_in_doubt_is_shown_and_confirmed_by_who_administers(
    instance: "Instance", panel_of: "Callable[[Instance], AbstractContextManager[Panel]]"
) -> None:
    guard = ClockGuard(lambda: instance.now, lambda: 0.0, last_seen_at=instance.now - 60 * DAY_MS)
    instance.context = replace(instance.context, clock_guard=guard)
    with panel_of(instance) as panel:
        panel.become(Role.WORKER)
        page = panel.get("/panel/health")
        assert "The clock may be wrong. It shows 2026-03-01 12:00:00" in Page(page).text
        assert "The clock is right" not in page
        assert panel.post("/panel/health/clock").status_code == 403
        instance.now += 1
        panel.become(Role.OWNER)
        assert "The clock is right" in panel.get("/panel/health")
        panel.done("/panel/health/clock")
        assert guard.doubt is None
        assert "The clock may be wrong" not in panel.get("/panel/health")
        assert "Health clock" in panel.page("/panel/changes").text


def test_a_clock_is_confirmed_over_the_api(instance: "Instance") -> None:
    guard = ClockGuard(lambda: instance.now, lambda: 0.0, last_seen_at=instance.now - 60 * DAY_MS)
    context = replace(instance.context, clock_guard=guard)
    with TestClient(application(create_api, context)) as api:
        headers = {"authorization": instance.api.headers["authorization"]}
        told = api.get("/api/v1/health", headers=headers).json()["clock"]
        assert (told["trusted"], "60 days after it last ran" in told["why"]) == (False, True)
        viewer = api.post("/api/v1/health/clock", headers=instance.token_of(Role.VIEWER))
        assert viewer.status_code == 403
        assert api.post("/api/v1/health/clock", headers=headers).json() == {"trusted": True, "why": ""}
        assert api.post("/api/v1/health/clock", headers=headers).status_code == 200


def test_held_postbacks_are_said_to_be_held_and_can_be_released(
    instance: "Instance", panel_of: "Callable[[Instance], AbstractContextManager[Panel]]"
) -> None:
    hold_deliveries(instance.folder, "restored from a backup of yesterday", instance.now)
    instance.context = replace(instance.context, hold=DeliveryHold(instance.folder))
    with panel_of(instance) as panel:
        words = panel.page("/panel/health").text
        assert "Postbacks are on hold since 2026-03-01 12:00:00" in words
        assert "restored from a backup of yesterday." in words
        assert "0 postbacks are waiting. Clicks and conversions are recorded as usual." in words
        place = panel.done("/panel/health/release")
        assert read_hold(instance.folder) is None
        words = panel.page(place).text
        assert "Postbacks released. Those that are due are sent now." in words
        assert "Postbacks are on hold" not in words


def test_who_does_not_administer_sees_the_hold_and_cannot_release_it(
    instance: "Instance", panel_of: "Callable[[Instance], AbstractContextManager[Panel]]"
) -> None:
    hold_deliveries(instance.folder, "restored from a backup of yesterday", instance.now)
    instance.context = replace(instance.context, hold=DeliveryHold(instance.folder))
    with panel_of(instance) as panel:
        panel.become(Role.WORKER)
        page = panel.get("/panel/health")
        assert "Postbacks are on hold" in page
        assert "/panel/health/release" not in page
        assert panel.post("/panel/health/release").status_code == 403
        assert read_hold(instance.folder) is not None


def test_the_log_of_postbacks_and_a_waiting_one_say_that_they_are_on_hold(
    instance: "Instance", panel_of: "Callable[[Instance], AbstractContextManager[Panel]]"
) -> None:
    instance.set_up()
    instance.made("conversions", {"click_id": instance.visit(), "payout": "12.5"})
    postback_id = instance.got("postbacks")["items"][0]["postback_id"]
    hold_deliveries(instance.folder, "restored from a backup of yesterday", instance.now)
    instance.context = replace(instance.context, hold=DeliveryHold(instance.folder))
    with panel_of(instance) as panel:
        for page in ("/panel/postbacks", f"/panel/postbacks/{postback_id}"):
            words = panel.page(page).text
            assert "Postbacks are on hold: restored from a backup of yesterday." in words
            assert "Release them on Health" in words
        assert "Next attempt" not in words
        panel.done("/panel/health/release")
        assert "Next attempt" in panel.page(f"/panel/postbacks/{postback_id}").text


def test_an_alarm_rule_in_the_list_leads_to_its_messages(panel: "Panel") -> None:
    request = {"url": "https://pager.example/?text={alarm}"}
    panel.instance.made("postback-rules", {"name": "P", "conditions": {"trigger": "alarm"}, "request": request})
    page = panel.get("/panel/postback-rules")
    assert '<a href="/panel/health#alarms">Messages</a>' in page
    assert "/panel/postbacks?rule_id=" not in page


def damaged(instance: "Instance", confirmed: list[int]) -> None:
    """Record two damaged ranges of the journal; confirming them appends to ``confirmed``."""
    path = str(instance.folder / "journal" / "clicks" / "w" / "00000002.ndjson")
    found = [
        Damage(DamageKind.FLIPPED_BITS, path, first, first + 10, f"{path}: bytes {first} to {first + 9} are damaged.")
        for first in (0, 40)
    ]
    record_damages(instance.folder, found, instance.now)
    instance.context = replace(
        instance.context,
        journal_damages=JournalDamages(instance.folder),
        on_damages_confirmed=lambda: confirmed.append(1),
    )


def test_damage_of_the_journal_is_confirmed_in_the_panel_by_who_administers(
    instance: "Instance", panel_of: "Callable[[Instance], AbstractContextManager[Panel]]"
) -> None:
    confirmed: list[int] = []
    damaged(instance, confirmed)
    with panel_of(instance) as panel:
        panel.become(Role.WORKER)
        page = panel.get("/panel/health")
        assert "The journal or another file is damaged." in Page(page).text
        assert "Confirm the damage" not in page
        assert panel.post("/panel/health/damages/confirm").status_code == 403
        assert len(unconfirmed_damages(instance.folder)) == 2
        instance.now += 1
        panel.become(Role.OWNER)
        words = panel.page("/panel/health").text
        assert "The journal or another file is damaged." in words
        assert "bytes 40 to 49 are damaged" in words
        place = panel.done("/panel/health/damages/confirm")
        words = panel.page(place).text
    assert "Damage confirmed." in words
    assert "The journal or another file is damaged." not in words
    assert (unconfirmed_damages(instance.folder), confirmed) == ((), [1])


def test_damage_of_the_journal_is_confirmed_over_the_api_once_and_logged(instance: "Instance") -> None:
    confirmed: list[int] = []
    damaged(instance, confirmed)
    with TestClient(application(create_api, instance.context), raise_server_exceptions=False) as api:
        owner, worker = instance.token_of(Role.OWNER), instance.token_of(Role.WORKER)
        assert api.post("/api/v1/health/damages/confirm", headers=worker).status_code == 403
        assert api.get("/api/v1/health/damages", headers=owner).json()["count"] == 2
        for _ in range(2):
            response = api.post("/api/v1/health/damages/confirm", headers=owner)
            assert response.json() == {"count": 0, "sentences": []}
        lines = [line for line in api.get("/api/v1/changes", headers=owner).json()["items"] if line["noun"] == "health"]
    assert [(line["record_id"], line["before"]["count"], line["after"]["count"]) for line in lines] == [
        ("journal", 2, 0)
    ]
