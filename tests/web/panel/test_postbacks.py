"""Conversions - Out in the panel: the log, one postback, resending, cancelling, secrets and curl."""

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select, update

from clickloop.people.user import Role
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from clickloop.store.ledger.schema.tables import attempts, changes_log, postbacks
from clickloop.tracking.jobs.bulk_work import run_next_batch
from clickloop.web.panel.frame.form import CSRF_FIELD
from tests.web.panel.forms import forms_of

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

SECRET_URL = "https://api.telegram.org/bot123456:AAbbCCddEEffGG/sendMessage?api_key=hush&text={payout}"


def owed(instance: "Instance", **click: Any) -> str:
    """The ID of the postback of a new conversion."""
    click_id = instance.visit(**click)
    answer = instance.api.post("/api/v1/conversions", json={"click_id": click_id, "payout": "12.5"})
    assert answer.status_code == 201, answer.text
    return str(instance.got(f"postbacks?click_id={click_id}")["items"][0]["postback_id"])


def ended(instance: "Instance", postback_id: str, state: str = "failed", answer: bytes = b"no <b>") -> str:
    """Finish a postback after one attempt."""
    now = instance.now
    with instance.ledger.write() as tx:
        tx.execute(
            update(postbacks)
            .where(postbacks.c.postback_id == postback_id)
            .values(state=state, next_attempt_at=None, finished_at=now, attempts=1)
        )
        tx.execute(
            insert(attempts).values(
                postback_id=postback_id,
                number=1,
                started_at=now,
                finished_at=now + 120,
                result=state,
                status_code=503,
                answer=answer,
                error="it said 503",
                duration_ms=120,
            )
        )
    return postback_id


def logged(instance: "Instance") -> list[str]:
    """Return the audited actions on postbacks."""
    with instance.ledger.read() as tx:
        actions = tx.scalars(select(changes_log.c.action).where(changes_log.c.noun.startswith("postbacks")))
        return list(actions)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=failed", [0]),
        ("state=skipped", [1]),
        ("state=paused", []),
        ("reason=no_external_id", [1]),
        ("campaign_id=1&source_id=1&rule_id=1", [0, 1]),
        ("rule_id=2", []),
        ("status=sale", [0, 1]),
        ("status=hold", []),
        ("until=2026-03-01", []),
    ],
)
def test_the_log_is_narrowed_by_its_address(panel: "Panel", instance: "Instance", query: str, found: list[int]) -> None:
    instance.set_up()
    ids = [ended(instance, owed(instance)), owed(instance, external_id="")]
    addresses = panel.page(f"/panel/postbacks?{query}").addresses
    assert [number for number, one in enumerate(ids) if f"/panel/postbacks/{one}" in addresses] == found


def test_a_postbacks_page_tells_decision_request_and_attempts(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    one = ended(instance, owed(instance))
    page = panel.page(f"/panel/postbacks/{one}")
    for told in (
        "after 1 attempt.",
        "https://source.example/postback?id=w9Xk2-7fA&payout=12.5",
        "conditions",
        "it said 503",
        "no <b>",
        "120 ms",
        "Traffic source postback",
    ):
        assert told in page.text
    assert page.main.all("b") == []


def test_a_postback_that_waits_tells_its_next_attempt_and_refreshes_itself(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    one = owed(instance)
    page = panel.page(f"/panel/postbacks/{one}")
    assert "Next attempt" in page.text
    assert page.refreshes[0] == f"/panel/postbacks/{one}"
    assert "Resend unchanged" not in page.buttons


def test_a_skipped_postback_tells_which_condition_was_not_met(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    page = panel.page(f"/panel/postbacks/{owed(instance, external_id='')}")
    assert "The click came without the source's click ID" in page.text
    assert "Resend unchanged" not in page.buttons
    assert "Rebuild and resend" in page.buttons


@pytest.mark.parametrize("mode", ["as_it_was", "anew"])
def test_a_postback_is_sent_again_once_however_often_the_form_is_sent(
    panel: "Panel", instance: "Instance", mode: str
) -> None:
    instance.set_up()
    one = ended(instance, owed(instance))
    fields = {"request": mode, "key": "k1"}
    path = panel.done(f"/panel/postbacks/{one}/resend", fields)
    assert panel.done(f"/panel/postbacks/{one}/resend", fields) == path
    words = panel.page(path).text
    assert "Sent again" in words
    assert f"no. 1 of {one}" in words
    assert len(instance.got("postbacks")["items"]) == 2


def test_what_stands_against_a_resend_is_told_on_the_page(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    skipped = owed(instance, external_id="")
    page = panel.sent(f"/panel/postbacks/{skipped}/resend", {"request": "anew"}, 422)
    assert "it would be skipped again" in page.text
    one = owed(instance)
    LedgerPostbacks(instance.ledger).claim(instance.now, 10, 60_000)
    page = panel.sent(f"/panel/postbacks/{one}/resend", {"request": "as_it_was"}, 409)
    assert "being sent right now" in page.text


def test_a_postback_that_waits_can_be_sent_now(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    one = owed(instance)
    assert "Send now unchanged" in panel.page(f"/panel/postbacks/{one}").buttons
    path = panel.done(f"/panel/postbacks/{one}/resend", {"request": "as_it_was"})
    assert path.split("?")[0] != f"/panel/postbacks/{one}"
    assert instance.got(f"postbacks/{one}")["postback"]["state"] == "cancelled"


def test_a_postback_that_waits_is_cancelled_by_a_button(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    one = owed(instance)
    path = panel.done(f"/panel/postbacks/{one}/cancel")
    assert panel.page(path).flash == "Cancelled. It will not be sent."
    assert instance.got(f"postbacks/{one}")["postback"]["state"] == "cancelled"


def test_a_delivered_postback_is_not_cancelled(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    one = ended(instance, owed(instance), "delivered")
    assert "Only waiting postbacks can be cancelled" in panel.sent(f"/panel/postbacks/{one}/cancel", status=409).text


def test_secrets_are_shown_once_to_who_may_see_them_and_the_log_of_changes_tells(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    instance.made("postback-rules", {"name": "Telegram", "request": {"url": SECRET_URL}})
    one = ended(instance, owed(instance), answer=b'{"token":"hush"}')
    for page in (f"/panel/postbacks/{one}", f"/panel/postbacks/{one}/curl", "/panel/postbacks"):
        assert "hush" not in panel.client.get(page).text
    assert logged(instance) == []

    shown = panel.post(f"/panel/postbacks/{one}")
    command = panel.post(f"/panel/postbacks/{one}/curl")

    assert (shown.status_code, command.status_code) == (200, 200)
    assert "api_key=hush" in shown.text
    assert "AAbbCCddEEffGG" in command.text
    assert logged(instance) == ["secrets_shown", "secrets_shown"]


def test_a_worker_sees_no_secrets(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.made("postback-rules", {"name": "Telegram", "request": {"url": SECRET_URL}})
    one = owed(instance)
    panel.become(Role.WORKER)
    assert "Show secrets" not in panel.page(f"/panel/postbacks/{one}").buttons
    assert "Your role does not allow you to see them" in panel.page(f"/panel/postbacks/{one}/curl").text
    for page in (f"/panel/postbacks/{one}", f"/panel/postbacks/{one}/curl"):
        answer = panel.post(page)
        assert answer.status_code == 403
        assert "hush" not in answer.text
    assert panel.client.get(f"/panel/postbacks/{one}?secrets=true").text.count("hush") == 0


def test_a_viewer_sees_no_buttons(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    one = ended(instance, owed(instance))
    panel.become(Role.VIEWER)
    assert not [name for name in panel.page(f"/panel/postbacks/{one}").buttons if "esend" in name]
    assert panel.post(f"/panel/postbacks/{one}/resend", {"request": "anew"}).status_code == 403
    assert panel.post("/panel/postbacks/resend", {"state": "failed"}).status_code == 403


def test_resending_by_filter_counts_first(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    for state in ("failed", "failed", "delivered"):
        ended(instance, owed(instance), state)
    owed(instance, external_id="")
    assert panel.page("/panel/postbacks/resend?state=failed").fields["state"] == "failed"

    page = panel.sent("/panel/postbacks/resend", {"campaign_id": "1", "state": ""})

    assert "4 postbacks match" in page.text
    assert "1 will be left out. It was skipped" in page.text
    assert "Resend 3 of 2026-03-01" in page.buttons
    assert "1 was already delivered" in page.text
    assert len(instance.got("postbacks")["items"]) == 4


def test_resending_by_filter_is_a_job_whose_progress_survives_the_page(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    for _ in range(3):
        ended(instance, owed(instance))
    skipped = owed(instance, external_id="")
    fields = {"campaign_id": "1", "request": "anew", "start": "1", "key": "k1"}
    path = panel.done("/panel/postbacks/resend", fields)
    assert panel.done("/panel/postbacks/resend", fields) == path
    refreshes = panel.page(path).refreshes
    assert (refreshes[0], len(refreshes)) == (path, 2)

    while run_next_batch(instance.context.intake(), instance.now):
        pass

    words = panel.page(path).text
    assert "finished" in words
    assert "with the current rule it would be skipped again. The click came without" in words
    assert len(instance.got("postbacks")["items"]) == 7
    assert skipped
    assert path in panel.page("/panel/postbacks/resend").addresses


def test_resending_everything_is_refused(panel: "Panel") -> None:
    answer = panel.post("/panel/postbacks/resend", {"state": ""})
    assert answer.status_code == 422
    assert "Give at least one filter" in panel.words(answer.text)


def test_a_delivered_postback_is_sent_again_only_after_a_question(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    one = ended(instance, owed(instance), "delivered")
    assert 'class="main" name="request"' not in panel.get(f"/panel/postbacks/{one}")
    asked = panel.post(f"/panel/postbacks/{one}/resend", {"request": "as_it_was", "key": "k1"})
    assert asked.status_code == 200
    words = panel.words(asked.text)
    assert "Send it again? It was delivered 2026-03-01 12:00:00, answered with 503." in words
    assert len(instance.got("postbacks")["items"]) == 1
    (form,) = (one for one in forms_of(asked.text, "") if ("confirmed", "1") in one.fields)
    path = panel.done(form.action, form.fields)
    assert "Sent again" in panel.words(panel.get(path))
    assert len(instance.got("postbacks")["items"]) == 2


def test_a_failed_postback_whose_resend_was_delivered_is_sent_again_only_after_a_question_too(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    one = ended(instance, owed(instance))
    again = panel.done(f"/panel/postbacks/{one}/resend", {"request": "as_it_was"}).split("?")[0].rpartition("/")[2]
    ended(instance, again, "delivered")
    assert panel.post(f"/panel/postbacks/{one}/resend", {"request": "as_it_was"}).status_code == 200
    assert len(instance.got("postbacks")["items"]) == 2


def test_a_postback_that_was_sent_again_says_so_and_counts_in_no_alarm(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    one = ended(instance, owed(instance))
    assert "1 postback failed in the last 24 hours." in panel.words(panel.get("/panel"))
    again = panel.done(f"/panel/postbacks/{one}/resend", {"request": "as_it_was"}).split("?")[0].rpartition("/")[2]
    assert "failed in the last 24 hours" not in panel.words(panel.get("/panel"))
    ended(instance, again, "delivered")
    html = panel.get(f"/panel/postbacks/{one}")
    assert "Sent again 2026-03-01 12:00:00: delivered" in panel.words(html)
    assert f'<a href="/panel/postbacks/{again}">' in html
    assert instance.got(f"postbacks/{one}")["sent_again"]["postback_id"] == again
    assert instance.got(f"postbacks/{again}")["sent_again"] is None
    assert "failed in the last 24 hours" not in panel.words(panel.get("/panel"))


def test_what_failed_again_counts_once(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    one = ended(instance, owed(instance))
    again = panel.done(f"/panel/postbacks/{one}/resend", {"request": "as_it_was"}).split("?")[0].rpartition("/")[2]
    ended(instance, again)
    assert "1 postback failed in the last 24 hours." in panel.words(panel.get("/panel"))


def test_an_alarm_leads_to_the_span_that_it_counts_and_so_does_resending(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    old = ended(instance, owed(instance))
    instance.now += 2 * 86_400_000
    panel.become(Role.OWNER)
    new = ended(instance, owed(instance, at=instance.now))
    instance.api.post("/api/v1/conversions", json={"click_id": "nonsense"})
    html = panel.get("/panel")
    (link,) = re.findall(r'href="(/panel/postbacks\?state=failed[^"]+)"', html)
    (refused,) = re.findall(r'href="(/panel/notices\?reason=[^"]+)"', html)
    assert "since=" in refused
    log = panel.get(unescape(link))
    assert new in log
    assert old not in log
    (resend,) = re.findall(r'href="(/panel/postbacks/resend\?[^"]+)"', log)
    forms = forms_of(panel.get(unescape(resend)), "")
    (form,) = (one for one in forms if one.action == "/panel/postbacks/resend")
    counted = panel.post(form.action, [one for one in form.fields if one[0] not in ("start", CSRF_FIELD)])
    assert "1 postback matches" in panel.words(counted.text)
    assert "Resend 1 of 2026-03-03" in panel.words(counted.text)


def test_the_button_names_the_days_of_what_is_resent(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    ended(instance, owed(instance))
    instance.now += 2 * 86_400_000
    panel.become(Role.OWNER)
    ended(instance, owed(instance, at=instance.now))
    words = panel.words(panel.post("/panel/postbacks/resend", {"state": "failed"}).text)
    assert "Resend 2 from 2026-03-01 to 2026-03-03" in words


def test_skipped_postbacks_are_always_rebuilt(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    owed(instance, external_id="")
    html = panel.get("/panel/postbacks/resend?state=skipped")
    assert '<input type="radio" name="request" value="anew" checked>' in html
    fields = {"state": "skipped", "request": "as_it_was"}
    words = panel.words(panel.post("/panel/postbacks/resend", fields).text)
    assert "1 postback matches" in words
    assert "Nothing would be sent" not in words
