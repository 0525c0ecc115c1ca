"""Held postbacks and pauses of settling over the API."""

from dataclasses import replace
from typing import Any

import pytest
from litestar.testing import TestClient

from clickloop.people.user import Role
from clickloop.store.delivery_hold import DeliveryHold, hold_deliveries, read_hold
from clickloop.web.api.application import create_api
from tests.web.conftest import application


@pytest.fixture
def held(instance: Any) -> Any:
    """Return an instance with one waiting postback and a hold; ``released`` counts the calls to delivery."""
    instance.set_up()
    instance.made("conversions", {"click_id": instance.visit(), "payout": "12.5"})
    hold_deliveries(instance.folder, "restored from a backup of yesterday", instance.now)
    instance.released = []
    context = replace(
        instance.context, hold=DeliveryHold(instance.folder), on_hold_released=lambda: instance.released.append(1)
    )
    authorization = instance.api.headers["authorization"]
    with TestClient(application(create_api, context), raise_server_exceptions=False) as api:
        api.headers["authorization"] = authorization
        instance.api = api
        yield instance


def test_a_tracker_without_a_hold_says_so(instance: Any) -> None:
    assert instance.got("delivery") == {"held": False, "why": "", "held_since": None, "waiting": 0}
    assert instance.api.post("/api/v1/delivery/release").status_code == 200
    assert instance.got("changes")["items"] == []


def test_a_hold_has_a_reason_a_start_and_a_number_of_waiting_postbacks(held: Any) -> None:
    assert held.got("delivery") == {
        "held": True,
        "why": "restored from a backup of yesterday",
        "held_since": "2026-03-01T12:00:00.000Z",
        "waiting": 1,
    }


def test_a_release_reaches_delivery_is_logged_once_and_is_permanent(held: Any) -> None:
    for _ in range(2):
        assert held.api.post("/api/v1/delivery/release").json()["held"] is False
    assert held.released
    assert read_hold(held.folder) is None
    lines = [line for line in held.got("changes")["items"] if line["noun"] == "delivery"]
    assert [(line["action"], line["before"]["held"], line["after"]["held"]) for line in lines] == [
        ("resumed", True, False)
    ]


@pytest.mark.parametrize("role", [Role.WORKER, Role.VIEWER])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "delivery/release"),
        ("POST", "settling-pauses"),
        ("PUT", "settling-pauses/x"),
        ("DELETE", "settling-pauses/x"),
    ],
)
def test_only_administrators_may_release_or_pause(held: Any, role: Role, method: str, path: str) -> None:
    answer = held.api.request(method, f"/api/v1/{path}", headers=held.token_of(role))
    assert answer.status_code == 403
    assert held.got("delivery")["held"]


def test_a_pause_can_be_started_renewed_and_ended(instance: Any) -> None:
    begun = instance.api.post("/api/v1/settling-pauses")
    assert begun.status_code == 201
    path = f"/api/v1/settling-pauses/{begun.json()['pause_id']}"
    assert instance.api.post("/api/v1/settling-pauses").status_code == 409
    assert instance.api.put(path).json() == begun.json()
    assert instance.api.delete(path).status_code == 204
    assert instance.api.put(path).status_code == 404
    assert instance.api.delete(path).status_code == 404
