"""Conversions in the panel: the log, a conversion's history, changing and adding one by hand."""

import re
from typing import TYPE_CHECKING, Any

import pytest

from clickloop.conversion.notice import NoticeFlag
from clickloop.people.user import Role
from clickloop.store.ledger.schema.tables import changes_log
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel


def converted(instance: "Instance", **fields: Any) -> str:
    """The ID of a new conversion."""
    body = {"click_id": instance.visit(), "payout": "12.5"} | fields
    answer = instance.api.post("/api/v1/conversions", json=body)
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["conversion"]["conversion_id"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=hold", [1]),
        ("campaign_id=1", [0, 1]),
        ("offer_id=2", []),
        ("txid=T-1", [0]),
        ("flagged=true", [1]),
        ("flagged=false", [0]),
        ("since=2026-03-01T12:00&network_id=1", [0, 1]),
        ("until=2026-03-01T12:00", []),
    ],
)
def test_the_log_is_narrowed_by_its_address(panel: "Panel", instance: "Instance", query: str, found: list[int]) -> None:
    instance.set_up()
    ids = [converted(instance, txid="T-1"), converted(instance, status="hold", txid="{txid}")]
    html = panel.get(f"/panel/conversions?{query}")
    assert [number for number, one in enumerate(ids) if one in html] == found


def test_a_conversions_page_tells_its_facts_history_notices_and_postbacks(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    number = converted(instance, txid="T-1", params={"param1": "blue"}, status="topup")
    html = panel.get(f"/panel/conversions/{number}")
    words = Page(html).text
    for told in ("T-1", "param1 blue", NoticeFlag.UNKNOWN_STATUS.sentence, "Map the word", "Registered", "Offer"):
        assert told in words
    for noun in ("notices", "postbacks"):
        one = instance.got(noun)["items"][0]
        assert f"/panel/{noun}/{one[noun.removesuffix('s') + '_id']}" in html


def test_a_change_by_hand_stands_in_history_notices_postbacks_and_the_log_of_changes(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    number = converted(instance, txid="T-1")
    instance.now += 1000
    path = panel.done(f"/panel/conversions/{number}", {"status": "hold", "payout": "20", "currency": ""})
    assert path == f"/panel/conversions/{number}?said=saved"
    words = panel.page(path).text
    assert "Status: Sale → Hold" in words
    assert "Payout: 12.50 USD → 20.00 USD" in words
    assert instance.got("notices")["items"][0]["channel"] == "hand"
    assert instance.owed == 2
    with instance.ledger.read() as tx:
        actions = [(row.action, row.noun) for row in tx.execute(changes_log.select())]
    assert actions[-1] == ("converted", "conversions")


def test_a_change_to_nothing_is_refused_beside_the_form(panel: "Panel", instance: "Instance") -> None:
    number = converted(instance)
    for fields, told in (
        ({"status": "", "payout": ""}, "Nothing would change"),
        ({"payout": "many"}, "Enter a decimal"),
        ({"status": "nonsense"}, "no status of that key or word"),
        ({"status": "hold", "currency": "EUR"}, "A currency alone changes nothing"),
    ):
        answer = panel.post(f"/panel/conversions/{number}", fields)
        assert answer.status_code == 422
        assert told in Page(answer.text).text


def test_a_viewer_changes_nothing_and_sees_no_form(panel: "Panel", instance: "Instance") -> None:
    number = converted(instance)
    panel.become(Role.VIEWER)
    assert "Change by hand" not in panel.get(f"/panel/conversions/{number}")
    assert panel.post(f"/panel/conversions/{number}", {"status": "hold"}).status_code == 403
    assert panel.post("/panel/conversions/new", {"click_id": "x", "save": "1"}).status_code == 403


def test_the_form_begins_with_the_click_of_the_address(panel: "Panel") -> None:
    assert 'value="01abc"' in panel.get("/panel/conversions/new?click_id=01abc")


def test_a_preview_tells_what_would_come_of_it_and_stores_nothing(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    fields = {"click_id": instance.visit(), "payout": "7", "txid": "T-9", "preview": "1"}
    answer = panel.post("/panel/conversions/new", fields)
    words = Page(answer.text).text
    assert answer.status_code == 200
    assert "It would register a new conversion" in words
    assert "https://source.example/postback?id=w9Xk2-7fA&payout=7" in words
    assert 'value="T-9"' in answer.text
    assert instance.got("notices")["items"] == []


def test_a_preview_for_a_click_that_is_not_here_says_that_it_would_wait(panel: "Panel", instance: "Instance") -> None:
    fields = {"click_id": instance.click_ids.new(instance.now), "preview": "1"}
    assert "wait ten minutes" in Page(panel.post("/panel/conversions/new", fields).text).text


def test_a_conversion_is_added_by_hand_with_every_field(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    fields = {
        "click_id": instance.visit(),
        "payout": "7.25",
        "currency": "EUR",
        "status": "hold",
        "txid": "T-9",
        "at": "2026-03-01T10:30",
        "conversion_id": "N-1",
        "postbacks": "",
        "params[0].name": "param2",
        "params[0].value": "red",
        "events[0].name": "event1",
        "events[0].value": "3",
        "save": "1",
    }
    path = panel.done("/panel/conversions/new", fields)
    one = instance.got("conversions")["items"][0]
    assert path == f"/panel/conversions/{one['conversion_id']}?said=converted"
    assert (one["payout"], one["status"]["key"]) == ({"amount": "7.25", "currency": "EUR"}, "hold")
    assert (one["converted_at"], one["params"]) == ("2026-03-01T10:30:00.000Z", {"param2": "red"})
    assert one["events"] == {"event1": "3"}
    assert instance.got("postbacks")["items"][0]["reason"] == "disabled_by_notice"


def test_what_is_wrong_with_a_conversion_stands_beside_its_field(panel: "Panel", instance: "Instance") -> None:
    for fields, told in (
        ({"click_id": "abc"}, "No click has this click ID or external ID."),
        ({"click_id": instance.visit(), "payout": "NaN"}, "Enter a decimal"),
        ({"click_id": instance.visit(), "at": "soon"}, "Enter a date"),
    ):
        answer = panel.post("/panel/conversions/new", fields | {"save": "1"})
        assert answer.status_code == 422
        assert told in Page(answer.text).text


def test_a_conversion_for_a_click_on_its_way_leads_to_its_notice(panel: "Panel", instance: "Instance") -> None:
    path = panel.done("/panel/conversions/new", {"click_id": instance.click_ids.new(instance.now), "save": "1"})
    assert path.startswith("/panel/notices/")
    assert "Waiting for its click" in panel.words(panel.get(path))


def test_a_button_adds_rows_without_a_script(panel: "Panel") -> None:
    html = panel.post("/panel/conversions/new", {"click_id": "x", "add_row": "1"}).text
    assert 'name="params[3].name"' in html
    assert 'value="x"' in html


@pytest.mark.parametrize("flag", NoticeFlag)
def test_every_flag_of_a_notice_has_a_sentence(flag: NoticeFlag) -> None:
    assert flag.sentence.endswith(".")


def test_a_test_conversion_is_marked_in_the_log(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    converted(instance)
    assert "This is a test. Reports" not in panel.get("/panel/conversions")
    instance.made("conversions", {"click_id": instance.visit(screening="test"), "payout": "1"})
    assert 'title="This is a test. Reports do not count it."' in panel.get("/panel/conversions")


def test_the_sources_own_id_finds_the_click(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit(external_id="Ext-9")
    preview = panel.post("/panel/conversions/new", {"click_id": " Ext-9 ", "payout": "7", "preview": "1"})
    assert "It would register a new conversion" in panel.words(preview.text)
    assert f'value="{click_id}"' in preview.text
    panel.done("/panel/conversions/new", {"click_id": "Ext-9", "payout": "7", "save": "1"})
    assert instance.got("conversions")["items"][0]["click_id"] == click_id


def test_of_several_clicks_with_the_sources_id_one_is_chosen(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    ids = [instance.visit(external_id="twice"), instance.visit(external_id="twice")]
    fields = {"click_id": "twice", "payout": "7", "save": "1"}
    asked = panel.post("/panel/conversions/new", fields)
    assert "Several clicks have this external ID." in panel.words(asked.text)
    assert all(f'name="chosen_click" value="{click_id}"' in asked.text for click_id in ids)
    assert instance.got("conversions")["items"] == []
    chosen = panel.post("/panel/conversions/new", {"click_id": "twice", "payout": "7", "chosen_click": ids[0]})
    assert "It would register a new conversion" in panel.words(chosen.text)
    assert f'value="{ids[0]}"' in chosen.text


@pytest.mark.parametrize(("text", "told"), [("0" * 26, "mistyped"), ("EXT-9", "exactly as the source sent them")])
def test_an_id_of_no_click_is_refused_with_what_it_looks_like(
    panel: "Panel", instance: "Instance", text: str, told: str
) -> None:
    instance.set_up()
    instance.visit(external_id="Ext-9")
    answer = panel.post("/panel/conversions/new", {"click_id": text, "save": "1"})
    assert answer.status_code == 422
    assert told in panel.words(answer.text)


def test_postbacks_are_sent_where_their_box_is_ticked_everywhere(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    panel.done("/panel/conversions/new", {"click_id": instance.visit(), "postbacks": "on", "save": "1"})
    number = instance.got("conversions")["items"][0]["conversion_id"]
    panel.done(f"/panel/conversions/{number}", {"status": "hold", "payout": "1", "currency": "", "postbacks": ""})
    panel.done(f"/panel/conversions/{number}", {"status": "", "payout": "2", "currency": "", "postbacks": "on"})
    reasons = [one["reason"] for one in instance.got("postbacks")["items"]]
    assert reasons.count("disabled_by_notice") == 1
    for page in ("/panel/conversions/new", f"/panel/conversions/{number}", "/panel/uploads"):
        assert re.search(r'name="postbacks" value="on" checked[^>]*> Send postbacks', panel.get(page))
