"""Cancelling postbacks and copying them as curl, over the API."""

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from clickloop.store.ledger.schema.tables import postbacks
from tests.web.api.ending import converted, ended

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def test_what_waits_can_be_cancelled_and_stays_so(instance: "Instance") -> None:
    instance.set_up()
    postback_id = converted(instance)["postback_id"]
    for _ in range(2):
        answer = instance.api.post(f"/api/v1/postbacks/{postback_id}/cancel")
        assert (answer.status_code, answer.json()["state"], answer.json()["next_attempt_at"]) == (
            200,
            "cancelled",
            None,
        )


@pytest.mark.parametrize("state", ["sending", "delivered", "failed"])
def test_what_does_not_wait_cannot_be_cancelled(instance: "Instance", state: str) -> None:
    instance.set_up()
    postback_id = ended(instance, converted(instance), "delivered" if state == "sending" else state)
    if state == "sending":
        with instance.ledger.write() as tx:
            tx.execute(update(postbacks).values(state="sending", finished_at=None, lease_until=instance.now))
    answer = instance.api.post(f"/api/v1/postbacks/{postback_id}/cancel")
    assert answer.status_code == 409
    assert state in answer.json()["detail"]


def test_the_curl_command_masks_secrets_unless_they_are_asked_for(instance: "Instance") -> None:
    instance.set_up()
    headers = [{"name": "Authorization", "value": "Bearer hush"}]
    request = {"url": "https://s.example/?id={externalid}", "headers": headers}
    instance.api.patch("/api/v1/postback-rules/1", json={"request": request})
    path = f"/api/v1/postbacks/{converted(instance)['postback_id']}/curl"
    masked, whole = instance.api.get(path), instance.api.get(f"{path}?secrets=1")
    assert masked.headers["content-type"].startswith("text/plain")
    assert "hush" not in masked.text
    assert "--header 'Authorization: Bearer hush'" in whole.text
    assert "https://s.example/?id=w9Xk2-7fA" in whole.text


def test_a_skipped_postback_has_no_curl_command(instance: "Instance") -> None:
    instance.set_up()
    postback_id = converted(instance, external_id="")["postback_id"]
    assert instance.api.get(f"/api/v1/postbacks/{postback_id}/curl").status_code == 409
