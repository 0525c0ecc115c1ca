"""Endpoints for paused or limited receivers, and for rules paused by a 410."""

from typing import Any

import pytest

from clickloop.postback.delivery.breaker import Pause
from clickloop.postback.delivery.receiver_queue import ReceiverCondition, ReceiverTerms, StoredReceiver
from clickloop.postback.pause_reason import PauseReason
from clickloop.store.ledger.queue.holding import pause_rule
from clickloop.store.ledger.queue.receivers import find_receiver, save_condition

PAUSE = Pause(opened_at=1_772_366_400_000, probe_at=1_772_366_430_000, probes=1, why="9 of 10 failed.")


@pytest.fixture
def owing(instance: Any) -> Any:
    """Return an instance with one postback waiting for source.example."""
    instance.set_up()
    click_id = instance.visit()
    instance.made("conversions", {"click_id": click_id, "payout": "12.5"})
    return instance


def pause_receiver(instance: Any, receiver: str, pause: Pause | None = PAUSE) -> None:
    with instance.ledger.write() as tx:
        save_condition(tx, receiver, ReceiverCondition(pause=pause))


def test_a_receiver_with_waiting_postbacks_is_listed(owing: Any) -> None:
    (receiver,) = owing.got("receivers")["items"]

    assert (receiver["receiver"], receiver["state"], receiver["waiting"]) == ("source.example:443", "open", 1)
    assert (receiver["connections"], receiver["per_minute"], receiver["paused_at"]) == (None, None, None)


def test_a_paused_receiver_has_a_start_a_reason_and_a_next_probe(owing: Any) -> None:
    pause_receiver(owing, "source.example:443")

    receiver = owing.got("receivers/source.example:443")

    assert (receiver["state"], receiver["why"], receiver["failed_probes"]) == ("paused", "9 of 10 failed.", 1)
    assert receiver["paused_at"] == "2026-03-01T12:00:00.000Z"
    assert receiver["next_probe_at"] == "2026-03-01T12:00:30.000Z"


def test_postbacks_waiting_for_a_paused_receiver_are_shown_as_paused(owing: Any) -> None:
    assert owing.got("postbacks")["items"][0]["state"] == "waiting"
    pause_receiver(owing, "source.example:443")

    (postback,) = owing.got("postbacks?state=paused")["items"]

    assert (postback["state"], postback["paused_by"]) == ("paused", "receiver_paused")
    assert postback["paused_text"] == PauseReason.RECEIVER_PAUSED.sentence
    assert owing.got("postbacks?state=waiting")["items"] == []
    pause_receiver(owing, "source.example:443", None)
    assert owing.got("postbacks?state=waiting")["items"][0]["paused_by"] is None


def test_postbacks_of_a_paused_rule_are_shown_as_paused_until_it_is_resumed(owing: Any) -> None:
    with owing.ledger.write() as tx:
        pause_rule(tx, 1, PAUSE.opened_at)
    owing.owed = 0

    assert owing.got("postback-rules/1")["paused_at"] == "2026-03-01T12:00:00.000Z"
    (postback,) = owing.got("postbacks?state=paused")["items"]
    assert (postback["paused_by"], postback["paused_text"]) == ("rule_paused", PauseReason.RULE_PAUSED.sentence)

    answer = owing.api.post("/api/v1/postback-rules/1/resume")

    assert (answer.status_code, answer.json()["paused_at"]) == (200, None)
    assert owing.got("postbacks")["items"][0]["state"] == "waiting"
    assert owing.owed > 0


def test_every_hold_is_shown(owing: Any) -> None:
    assert {hold.value for hold in PauseReason} == {"rule_paused", "receiver_paused"}


def test_resuming_a_rule_that_is_not_paused_changes_nothing(owing: Any) -> None:
    assert owing.api.post("/api/v1/postback-rules/1/resume").status_code == 200
    assert owing.api.post("/api/v1/postback-rules/99/resume").status_code == 404


def test_limits_of_a_receiver_can_be_set_and_removed(owing: Any) -> None:
    path = "/api/v1/receivers/Source.Example:443"
    assert owing.api.patch(path, json={"connections": 3, "per_minute": 60}).status_code == 200

    answer = owing.api.patch(path, json={"connections": None})

    assert (answer.json()["connections"], answer.json()["per_minute"]) == (None, 60)
    with owing.ledger.read() as tx:
        assert find_receiver(tx, "source.example:443") == StoredReceiver(
            receiver="source.example:443", terms=ReceiverTerms(per_minute=60)
        )
    assert owing.api.patch(path, json={"per_minute": None}).status_code == 200
    with owing.ledger.read() as tx:
        assert find_receiver(tx, "source.example:443") is None


def test_invalid_limits_are_rejected(owing: Any) -> None:
    path = "/api/v1/receivers/source.example:443"

    assert owing.api.patch(path, json={"connections": 0}).status_code == 422
    assert owing.api.patch(path, json={"per_minute": -1}).status_code == 422
    assert owing.api.patch(path, json={"unknown": 1}).status_code == 422


@pytest.mark.parametrize("receiver", ["source.example", "source.example:0", "a%20b:80", "user@source.example:80"])
def test_a_malformed_receiver_is_not_found(owing: Any, receiver: str) -> None:
    assert owing.api.get(f"/api/v1/receivers/{receiver}").status_code == 404


def test_receivers_are_listed_page_by_page(owing: Any) -> None:
    for number in range(3):
        pause_receiver(owing, f"receiver{number}.example:80")

    first = owing.got("receivers?limit=2")
    second = owing.got(f"receivers?limit=2&cursor={first['next_cursor']}")

    names = [receiver["receiver"] for page in (first, second) for receiver in page["items"]]
    assert names == ["receiver0.example:80", "receiver1.example:80", "receiver2.example:80", "source.example:443"]
    assert second["next_cursor"] is None


def test_an_unknown_receiver_is_not_found_but_its_limits_can_be_set(owing: Any) -> None:
    path = "/api/v1/receivers/nobody.example:1"
    assert owing.api.get(path).status_code == 404
    assert owing.api.patch(path, json={"per_minute": 60}).status_code == 200
    assert owing.api.get(path).status_code == 200


def test_a_receiver_of_a_rule_is_known_without_waiting_postbacks(instance: Any) -> None:
    instance.set_up()
    assert instance.got("receivers/source.example:443")["state"] == "open"


def test_a_receiver_that_asked_us_to_wait_has_an_end_of_the_wait(owing: Any) -> None:
    with owing.ledger.write() as tx:
        save_condition(tx, "source.example:443", ReceiverCondition(held_until=1_772_366_460_000))
    assert owing.got("receivers/source.example:443")["held_until"] == "2026-03-01T12:01:00.000Z"


@pytest.mark.parametrize("command", ["probe", "resume"])
def test_a_command_for_a_paused_receiver_is_stored_returned_and_logged(owing: Any, command: str) -> None:
    pause_receiver(owing, "source.example:443")

    answer = owing.api.post(f"/api/v1/receivers/source.example:443/{command}")

    assert (answer.status_code, answer.json()["asked"]) == (200, command)
    assert owing.asked == 1
    newest = owing.got("changes")["items"][0]
    assert (newest["noun"], newest["record_id"]) == ("receivers", "source.example:443")


@pytest.mark.parametrize("command", ["probe", "resume"])
def test_a_command_for_an_open_receiver_is_not_stored(owing: Any, command: str) -> None:
    answer = owing.api.post(f"/api/v1/receivers/source.example:443/{command}")
    assert (answer.status_code, answer.json()["asked"]) == (200, None)
