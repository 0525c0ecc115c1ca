"""Postback rules in the panel: request, conditions, schedule, presets, duplicates, the source's postback URL."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.people.user import Role
from clickloop.postback.rule import Schedule
from clickloop.store.ledger.schema.tables import postback_rules
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

NEW = "/panel/postback-rules/new"
URL = "https://receiver.example/?id={externalid}&p={payout}"
BOT = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


def form(**fields: str) -> list[tuple[str, str]]:
    """The fields of a rule's form."""
    usual = {
        "name": "Receiver",
        "source_id": "",
        "campaign_id": "",
        "active": "on",
        "request.method": "GET",
        "request.url": URL,
        "request.headers[499].name": "",
        "request.body_kind": "none",
        "request.body": "",
        "request.secrets": "",
        "conditions.statuses": "",
        "conditions.trigger": "new",
        "conditions.only_first": "",
        "conditions.minimum_payout": "",
        "conditions.every_nth": "1",
        "conditions.delay_seconds": "0s",
        "conditions.payout_percent": "100",
        "success.must_contain": "",
        "success.must_not_contain": "",
        "success.must_match": "",
        "success.must_not_match": "",
        "waits_seconds": "",
    }
    return list((usual | fields).items())


def test_a_rule_with_every_condition_is_made_as_the_form_says(panel: "Panel", instance: "Instance") -> None:
    fields = form(
        **{
            "request.method": "POST",
            "request.url": f" {URL}\r\n",
            "request.body_kind": "json",
            "request.body": '{\r\n"p": {payout}\r\n}',
            "conditions.trigger": "status",
            "conditions.minimum_payout": "5.5",
            "conditions.every_nth": "3",
            "conditions.delay_seconds": "1h 30m",
            "conditions.payout_percent": "70",
            "success.must_contain": "OK",
            "waits_seconds": "5s 30s, 2m 10m",
        }
    )
    fields += [("request.headers[0].name", "X-Rule"), ("request.headers[0].value", "{rule.name}")]
    fields += [("conditions.statuses", "sale"), ("conditions.statuses", "hold"), ("conditions.only_first", "on")]
    assert panel.done(NEW, fields) == "/panel/postback-rules/1?said=created"
    made = instance.got("postback-rules/1")
    assert made["request"] == {
        "url": URL,
        "method": "POST",
        "headers": [{"name": "X-Rule", "value": "{rule.name}"}],
        "body_kind": "json",
        "body": '{\n"p": {payout}\n}',
        "secrets": [],
    }
    assert made["conditions"] == {
        "statuses": ["sale", "hold"],
        "trigger": "status",
        "only_first": True,
        "minimum_payout": "5.5",
        "every_nth": 3,
        "delay_seconds": 5400,
        "payout_percent": 70,
    }
    assert made["success"]["must_contain"] == "OK"
    assert made["waits_seconds"] == [5, 30, 120, 600]


def test_a_rule_saved_as_it_is_shown_stays_the_same(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    body: dict[str, Any] = {
        "name": "Own",
        "campaign_id": 1,
        "request": {
            "url": "https://own.example/",
            "method": "POST",
            "headers": [{"name": "Authorization", "value": "Bearer abcdef"}],
            "body_kind": "json",
            "body": '{\n"token": "t0psecret"\n}',
            "secrets": ["t0psecret"],
        },
        "conditions": {"statuses": ["sale"], "delay_seconds": 90},
    }
    before = instance.made("postback-rules", body)
    html = panel.get(f"/panel/postback-rules/{before['id']}")
    assert "abcdef" not in html
    assert "t0psecret" not in html
    fields = form(
        name="Own",
        campaign_id="1",
        **{
            "request.method": "POST",
            "request.url": "https://own.example/",
            "request.headers[0].name": "Authorization",
            "request.headers[0].value": "•••",
            "request.body_kind": "json",
            "request.body": '{\r\n"token": "•••"\r\n}',
            "request.secrets": "•••",
            "conditions.statuses": "sale",
            "conditions.delay_seconds": "1m30s",
        },
    )
    panel.done(f"/panel/postback-rules/{before['id']}", fields)
    after = instance.got(f"postback-rules/{before['id']}")
    assert after | {"version": 0} == before | {"version": 0}
    with instance.ledger.read() as tx:
        stored = tx.execute(postback_rules.select().where(postback_rules.c.id == before["id"])).mappings().one()
    assert stored["request"]["headers"] == [{"name": "Authorization", "value": "Bearer abcdef"}]


def test_unticking_everything_and_emptying_headers_is_kept(panel: "Panel", instance: "Instance") -> None:
    body: dict[str, Any] = {"name": "R", "request": {"url": URL, "headers": [{"name": "X-A", "value": "1"}]}}
    instance.made("postback-rules", body | {"conditions": {"statuses": ["sale"], "only_first": True}})
    panel.done("/panel/postback-rules/1", form(active=""))
    changed = instance.got("postback-rules/1")
    assert (changed["active"], changed["request"]["headers"]) == (False, [])
    assert (changed["conditions"]["statuses"], changed["conditions"]["only_first"]) == ([], False)


@pytest.mark.parametrize(("line", "waits"), [("", list(Schedule().waits_seconds)), ("once", []), ("90", [90])])
def test_the_schedule_is_read_as_it_is_written(
    panel: "Panel", instance: "Instance", line: str, waits: list[int]
) -> None:
    panel.done(NEW, form(waits_seconds=line))
    assert instance.got("postback-rules/1")["waits_seconds"] == waits


def test_the_times_of_attempts_stand_in_a_line(panel: "Panel") -> None:
    panel.done(NEW, form(waits_seconds="5s 30s 2m"))
    assert "at once +5s +35s +2m35s" in panel.page("/panel/postback-rules/1").text
    shown = panel.post("/panel/postback-rules/times", {"waits_seconds": "1h 1d"})
    assert "at once +1h +1d1h" in Page(shown.text).text


def test_faults_stand_beside_their_fields(panel: "Panel") -> None:
    durations = panel.post(NEW, form(waits_seconds="soon", **{"conditions.delay_seconds": "later"}))
    assert durations.status_code == 422
    for path in ("waits_seconds", "conditions.delay_seconds"):
        assert f'id="fault-{path}"' in durations.text
    bad = {"request.url": "https://{ip}/", "conditions.every_nth": "0", "conditions.minimum_payout": "much"}
    answer = panel.post(NEW, form(**bad))
    assert 'id="fault-conditions.minimum_payout"' in answer.text
    again = panel.post(
        NEW,
        [
            *form(**(bad | {"conditions.minimum_payout": ""})),
            ("request.headers[0].name", "Host"),
            ("request.headers[0].value", "x"),
        ],
    )
    for path in ("request.url", "conditions.every_nth", "request.headers[0].name"):
        assert f'id="fault-{path}"' in again.text, path


def test_adding_a_header_keeps_what_is_written_and_saves_nothing(panel: "Panel", instance: "Instance") -> None:
    html = panel.post(NEW, [*form(name="Mine"), ("add_header", "1")]).text
    assert 'value="Mine"' in html
    assert 'name="request.headers[0].value"' in html
    assert instance.got("postback-rules")["items"] == []


def test_a_messenger_is_set_up_with_its_words_alone(panel: "Panel", instance: "Instance") -> None:
    assert "/panel/postback-rules/new?preset=telegram" in panel.get("/panel/postback-rules/presets")
    assert 'name="fill.bot_token"' in panel.get(f"{NEW}?preset=telegram")
    fields = {"preset": "telegram", "name": "My chat", "source_id": "", "campaign_id": ""}
    wrong = panel.post(NEW, fields | {"fill.bot_token": "x", "fill.chat_id": ""})
    assert wrong.status_code == 422
    assert 'id="fault-fill.bot_token"' in wrong.text
    assert 'id="fault-fill.chat_id"' in wrong.text
    told = panel.done(NEW, fields | {"fill.bot_token": BOT, "fill.chat_id": "-100123"})
    assert told == "/panel/postback-rules/1?said=created"
    assert instance.got("postback-rules/1")["name"] == "My chat"
    assert BOT not in panel.get("/panel/postback-rules/1")


@pytest.mark.parametrize("fields", [{}, {"conditions.trigger": "x"}, {"source_id": "x", "fill": "x"}])
def test_the_form_of_a_preset_that_lacks_fields_is_shown_again(panel: "Panel", fields: dict[str, str]) -> None:
    answer = panel.post(NEW, {"preset": "telegram", **fields})
    assert answer.status_code == 422
    assert 'name="fill.bot_token"' in answer.text


def test_the_first_rule_of_a_source_and_the_source_lead_to_each_other(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    html = panel.get("/panel/postback-rules/1")
    assert "traffic source postback URL" in html
    assert 'href="/panel/traffic-sources/1"' in html
    assert 'href="/panel/postback-rules/1"' in panel.get("/panel/traffic-sources/1")


def test_the_url_of_a_sources_first_rule_is_that_of_the_source(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    panel.done("/panel/postback-rules/1", form(source_id="1"))
    assert instance.got("traffic-sources/1")["postback_url"] == URL


def test_rows_of_the_source_are_macros_of_its_rules(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    assert 'data-macro="{zone}"' in panel.get("/panel/postback-rules/1")
    assert 'data-macro="{zone}"' in panel.get(f"{NEW}?campaign_id=1")
    assert 'data-macro="{zone}"' not in panel.get(NEW)


def test_a_row_that_the_source_does_not_have_is_told_of(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    made = instance.made("postback-rules", {"name": "Own", "campaign_id": 1, "request": {"url": f"{URL}&z={{token2}}"}})
    assert [one["code"] for one in made["warnings"]] == ["row_missing"]
    assert "{token2} is parameter V2, which" in panel.get("/panel/postback-rules/2")


def test_a_row_in_a_rule_of_the_whole_instance_depends_on_the_source(panel: "Panel", instance: "Instance") -> None:
    made = instance.made("postback-rules", {"name": "All", "request": {"url": f"{URL}&z={{token2}}"}})
    assert made["warnings"] == []
    assert "{token2}: the value depends on each click’s traffic source" in panel.get("/panel/postback-rules/1")


def test_a_duplicate_is_off_and_shown_at_once(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    assert panel.done("/panel/postback-rules/1/clone") == "/panel/postback-rules/2?said=copied"
    assert instance.got("postback-rules/2")["active"] is False


def test_a_rule_that_410_has_paused_is_resumed(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    with instance.ledger.write() as tx:
        tx.execute(postback_rules.update().values(paused_at=instance.now))
    html = panel.get("/panel/postback-rules/1")
    assert "answered 410 Gone" in html
    assert "resuming does not resend it" in html
    assert 'href="/panel/postbacks?rule_id=1&amp;state=failed"' in html
    assert "paused by 410" in panel.get("/panel/postback-rules")
    assert panel.done("/panel/postback-rules/1/resume") == "/panel/postback-rules/1?said=resumed"


def test_the_list_is_filtered_by_owner_and_name(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.made("postback-rules", {"name": "Of campaign", "campaign_id": 1, "request": {"url": URL}})
    instance.made("postback-rules", {"name": "Of all", "request": {"url": URL}})
    shown = {"source_id=1": 1, "campaign_id=1": 2, "of=instance": 3, "q=ALL": 3}
    for query, number in shown.items():
        assert panel.page(f"/panel/postback-rules?{query}").table.column("ID") == [str(number)], query


def test_a_rule_is_archived_and_restored(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    panel.done("/panel/postback-rules/1/archive")
    assert instance.got("traffic-sources/1")["postback_url"] == ""
    assert panel.done("/panel/postback-rules/1/restore") == "/panel/postback-rules/1?said=restored"
    assert instance.got("traffic-sources/1")["postback_url"] != ""


def test_a_viewer_changes_nothing(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    panel.become(Role.VIEWER)
    assert "Duplicate" not in panel.get("/panel/postback-rules/1")
    assert panel.post("/panel/postback-rules/1", form(source_id="1")).status_code == 403
