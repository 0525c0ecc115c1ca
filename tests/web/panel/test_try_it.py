"""Dry runs and test clicks."""

import re
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from clickloop.click.click import Screening
from clickloop.click.trial_mark import TEST_PARAMETER, is_test
from clickloop.people.user import Role
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

LINK = [("campaign_id", "1"), ("parameters[0].name", "external_id"), ("parameters[0].value", "w9Xk2")]


def test_a_dry_run_shows_redirect_conversion_and_each_rules_request(panel: "Panel") -> None:
    panel.instance.set_up()
    answer = panel.post("/panel/try", [*LINK, ("conversion.payout", "12.5")])
    words = Page(answer.text).text
    assert answer.status_code == 200
    assert "nothing was sent or stored" in words
    assert "goes to the offer Offer" in words
    assert "https://source.example/postback?id=w9Xk2&payout=12.5" in words
    assert "Campaign link parameter external_id" in words
    assert panel.instance.got("conversions")["items"] == []


def test_a_rule_that_is_skipped_says_which_condition_is_not_met(panel: "Panel") -> None:
    panel.instance.set_up()
    empty = [("campaign_id", "1"), ("parameters[0].name", "external_id"), ("parameters[0].value", "")]
    words = Page(panel.post("/panel/try", empty).text).text
    assert "Not met: The click came without the source's click ID, which the postback needs." in words
    assert "Met: The rule is on." in words


def test_the_form_comes_filled_with_an_example_for_each_row(panel: "Panel") -> None:
    panel.instance.set_up()
    page = panel.get("/panel/try?campaign_id=1")
    assert 'value="example-zone"' in page
    assert re.search(r'value="test-[0-9a-f]{8}"', page)


def test_what_was_written_stands_in_the_form_again(panel: "Panel") -> None:
    panel.instance.set_up()
    page = panel.post("/panel/try", [*LINK, ("conversion.txid", "T-77"), ("visitor.country", "BR")]).text
    assert 'value="T-77"' in page
    assert 'value="BR"' in page
    assert 'value="w9Xk2"' in page


def test_a_recorded_click_can_be_tried(panel: "Panel") -> None:
    panel.instance.set_up()
    click_id = panel.instance.visit(external_id="abc", target="https://network.example/?x=1")
    words = Page(panel.post("/panel/try", {"click_id": click_id, "conversion.payout": "3"}).text).text
    assert "went to the offer" in words
    assert "https://source.example/postback?id=abc&payout=3" in words


def test_a_stored_conversion_is_decided_once_more(panel: "Panel") -> None:
    panel.instance.set_up()
    click_id = panel.instance.visit(external_id="abc")
    made = panel.instance.made("conversions", {"click_id": click_id, "payout": "4"})
    conversion_id = made["conversion"]["conversion_id"]
    words = panel.words(panel.post("/panel/try", {"conversion_id": conversion_id, "conversion.payout": ""}).text)
    assert "evaluated again" in words


def test_what_there_is_not_is_said_in_the_form(panel: "Panel") -> None:
    panel.instance.set_up()
    answer = panel.post("/panel/try", {"click_id": "nonsense"})
    assert answer.status_code == 422
    assert "not a click ID of this tracker" in answer.text
    assert panel.post("/panel/try", {"campaign_id": "99"}).status_code == 422


def test_somebody_who_may_only_look_can_try_and_makes_no_test_clicks(panel: "Panel") -> None:
    panel.instance.set_up()
    panel.become(Role.VIEWER)
    assert panel.post("/panel/try", LINK).status_code == 200
    assert panel.post("/panel/try/test", {"campaign_id": "1"}).status_code == 403


def test_a_test_link_carries_a_mark_that_the_edge_takes_for_its_campaign_alone(panel: "Panel") -> None:
    instance = panel.instance
    instance.set_up()
    page = panel.post("/panel/try/test", LINK).text
    found = re.search(r'href="(https://go.example.com/c/[^"]+)"', page)
    assert found is not None
    url = urlsplit(unescape(found[1]))
    key, query = url.path.removeprefix("/c/").encode(), url.query.encode()
    assert parse_qs(url.query)["external_id"] == ["w9Xk2"]
    assert is_test(instance.click_ids, key, query, instance.now)
    assert not is_test(instance.click_ids, b"other1", query, instance.now)
    assert not is_test(instance.click_ids, key, query, instance.now + 3_600_000)
    assert not is_test(instance.click_ids, key, query.replace(b"-", b"-0", 1), instance.now)
    assert not is_test(instance.click_ids, key, f"{TEST_PARAMETER}=1".encode(), instance.now)


def test_a_test_click_is_converted_and_its_postback_owed_but_no_report_counts_it(panel: "Panel") -> None:
    instance = panel.instance
    instance.set_up()
    click_id = instance.visit(screening=Screening.TEST, external_id="abc")
    assert click_id in panel.get("/panel/try/test?campaign_id=1")
    fields = {"payout": "2.5", "status": "", "txid": "test-1", "currency": "", "postbacks": "on"}
    place = panel.done(f"/panel/try/test/{click_id}", fields)
    words = panel.page(place).text
    assert "A conversion was registered" in words
    (conversion,) = instance.got("conversions")["items"]
    assert conversion["test"]
    (postback,) = instance.got("postbacks")["items"]
    assert postback["state"] == "waiting"
    assert instance.owed == 1


def test_a_test_conversion_can_keep_its_postbacks_back(panel: "Panel") -> None:
    instance = panel.instance
    instance.set_up()
    click_id = instance.visit(screening=Screening.TEST, external_id="abc")
    fields = {"payout": "2.5", "status": "", "txid": "test-1", "currency": "", "postbacks": ""}
    panel.done(f"/panel/try/test/{click_id}", fields)
    (postback,) = instance.got("postbacks")["items"]
    assert postback["reason"] == "disabled_by_notice"


def test_a_notice_whose_token_is_hidden_is_not_offered(panel: "Panel") -> None:
    instance = panel.instance
    instance.set_up()
    instance.api.patch("/api/v1/networks/1", json={"token": "t0ken-of-theirs"})
    click_id = instance.visit(screening=Screening.TEST)
    assert "token=t0ken-of-theirs" in panel.get(f"/panel/try/test/{click_id}")
    panel.become(Role.WORKER)
    html = panel.get(f"/panel/try/test/{click_id}")
    assert "Your role cannot see the token" in html
    assert 'id="notice-url"' not in html


def test_a_click_that_is_no_test_is_not_converted_here(panel: "Panel") -> None:
    panel.instance.set_up()
    click_id = panel.instance.visit()
    assert panel.post(f"/panel/try/test/{click_id}", {"payout": "1"}).status_code == 404


def test_the_api_makes_test_links_too(instance: "Instance") -> None:
    instance.set_up()
    made = instance.made("test-clicks", {"campaign_id": 1})
    assert made["url"].startswith("https://go.example.com/c/")
    instance.visit(screening=Screening.TEST)
    instance.visit()
    assert len(instance.got("test-clicks")["items"]) == 1
