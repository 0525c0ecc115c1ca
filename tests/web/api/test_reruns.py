"""Reading stored notices again, many at once, over the API."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS
from clickloop.tracking.rerunning import run_rerun_batch
from tests.web.api.ending import work_off

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def unmapped(instance: "Instance", count: int = 2) -> None:
    for _ in range(count):
        instance.api.post("/api/v1/conversions", json={"click_id": instance.visit(), "status": "TopUp", "payout": "5"})


def mapped(instance: "Instance") -> None:
    instance.made("statuses", {"key": "upsell", "name": "Upsell", "counts_as": "confirmed", "words": ["topup"]})


def test_a_preview_of_a_rerun_tells_what_would_change_and_changes_nothing(instance: "Instance") -> None:
    instance.set_up()
    unmapped(instance)
    mapped(instance)
    before = [instance.got(noun) for noun in ("conversions", "notices", "postbacks")]
    body = instance.api.post("/api/v1/notices/rerun", json={"status_word": "topup", "preview": True}).json()
    assert (body["matched"], body["done"], body["made"]) == (2, 2, 2)
    keys = [(change["before"]["status"]["key"], change["after"]["status"]["key"]) for change in body["conversions"]]
    assert keys == [("other", "upsell")] * 2
    assert [instance.got(noun) for noun in ("conversions", "notices", "postbacks")] == before


def test_a_rerun_changes_what_its_preview_told(instance: "Instance") -> None:
    instance.set_up()
    unmapped(instance, 3)
    mapped(instance)
    number = instance.api.post("/api/v1/notices/rerun", json={"status_word": "topup"}).json()["rerun_id"]
    work_off(instance)
    job = instance.got(f"notices/reruns/{number}")
    assert (job["matched"], job["done"], job["made"], job["finished"]) == (3, 3, 3, True)
    assert {found["status"]["key"] for found in instance.got("conversions")["items"]} == {"upsell"}


def test_a_refused_notice_shows_in_a_preview_what_it_would_be_now(instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/networks/1", json={"click_lifetime_days": 1})
    instance.api.post("/api/v1/conversions", json={"click_id": instance.visit(at=instance.now - 2 * 86_400_000)})
    instance.api.patch("/api/v1/networks/1", json={"click_lifetime_days": 90})
    body = instance.api.post("/api/v1/notices/rerun", json={"reason": "expired_click", "preview": True}).json()
    (found,) = body["outcomes"]
    assert (found["outcome"], found["reason"], found["would_be"]) == ("refused", "expired_click", "new")
    assert body["conversions"][0]["before"] is None
    assert body["owed"] == 1


NOTICES: list[tuple[dict[str, Any], int]] = [
    ({"outcome": "new"}, 1),
    ({"outcome": "waiting"}, 0),
    ({"reason": "forged_click_id"}, 0),
    ({"status_word": " TOPUP"}, 1),
    ({"status_word": "x"}, 0),
    ({"network_id": 1}, 1),
    ({"network_id": 2}, 0),
    ({"campaign_id": 1}, 1),
    ({"campaign_id": 2}, 0),
    ({"click_id": "0" * 26}, 0),
    ({"since": "2026-03-01", "until": "2026-03-02"}, 1),
    ({"since": "2026-03-02"}, 0),
    ({"flagged": True}, 1),
    ({"flagged": False}, 0),
    ({"conversion_id": "0" * 26}, 0),
]


@pytest.mark.parametrize(("wanted", "matched"), NOTICES)
def test_each_field_of_a_rerun_narrows(instance: "Instance", wanted: dict[str, Any], matched: int) -> None:
    unmapped(instance, 1)
    body = instance.api.post("/api/v1/notices/rerun", json=wanted | {"preview": True}).json()
    assert body["matched"] == matched


def test_a_rerun_of_everything_or_of_nothing_known_is_refused(instance: "Instance") -> None:
    assert instance.faults(instance.api.post("/api/v1/notices/rerun", json={})) == {"": "required"}
    assert instance.api.get(f"/api/v1/notices/reruns/{'0' * 26}").status_code == 404


def test_a_stopped_rerun_leaves_the_rest_as_it_is(instance: "Instance") -> None:
    instance.set_up()
    unmapped(instance, 1)
    mapped(instance)
    number = instance.api.post("/api/v1/notices/rerun", json={"status_word": "topup"}).json()["rerun_id"]
    stopped = instance.api.post(f"/api/v1/notices/reruns/{number}/stop").json()
    work_off(instance)
    assert (stopped["finished"], stopped["stopped"], stopped["done"]) == (True, True, 0)
    assert instance.got(f"notices/reruns/{number}") == stopped
    assert {found["status"]["key"] for found in instance.got("conversions")["items"]} == {"other"}


def test_a_rerun_that_is_stopped_while_its_batch_is_read_changes_nothing_more(instance: "Instance") -> None:
    instance.set_up()
    unmapped(instance)
    mapped(instance)
    number = instance.api.post("/api/v1/notices/rerun", json={"status_word": "topup"}).json()["rerun_id"]
    with instance.ledger.read() as tx:
        (job,) = BULK_JOBS.unfinished(tx, 1)
    assert instance.api.post(f"/api/v1/notices/reruns/{number}/stop").json()["stopped"]
    run_rerun_batch(instance.context.intake(), job, instance.now)
    assert {found["status"]["key"] for found in instance.got("conversions")["items"]} == {"other"}
    assert (instance.got(f"notices/reruns/{number}")["done"], instance.got("notices")["items"][0]["runs"]) == (0, 1)
