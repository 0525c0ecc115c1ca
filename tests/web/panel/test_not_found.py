"""Paths of the panel that lead nowhere."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.web.panel.conftest import Panel


def test_an_address_under_which_nothing_is_shows_a_page_that_says_so(panel: "Panel") -> None:
    page = panel.page("/panel/no/such/page", status=404)
    assert "This page does not exist." in page.text
    assert "Dashboard" in page.menu


def test_a_stranger_is_led_to_the_door_whatever_he_asks_for(panel: "Panel") -> None:
    panel.client.cookies.clear()
    answer = panel.client.get("/panel/no/such/page")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/panel/sign-in")


@pytest.mark.parametrize(
    "path",
    [
        "campaigns/abc",
        "campaigns/0",
        "campaigns/-1",
        "campaigns/99999999999999999999",
        "offers/1.5",
        "networks/x",
        "traffic-sources/x",
        "postback-rules/x",
        "users/x",
        "changes/x",
    ],
)
def test_a_number_that_is_none_leads_to_the_same_page(panel: "Panel", path: str) -> None:
    page = panel.page(f"/panel/{path}", status=404)
    assert "This page does not exist." in page.text
    assert "Dashboard" in page.menu
    assert "int" not in page.text.split()


@pytest.mark.parametrize("path", ["campaigns/1/no/such", "campaigns/abc/archive", "offers/1/x", "static/x"])
def test_no_address_of_the_panel_answers_in_json(panel: "Panel", path: str) -> None:
    answer = panel.client.get(f"/panel/{path}")
    assert answer.status_code in (404, 405)
    assert answer.headers["content-type"].startswith("text/html")
    assert "This page does not exist." in panel.words(answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_form_sent_to_a_number_that_is_none_leads_there_too(panel: "Panel") -> None:
    assert "This page does not exist." in panel.words(panel.post("/panel/campaigns/abc/archive").text)


def test_the_api_goes_on_answering_in_json(panel: "Panel") -> None:
    assert panel.client.get("/api/v1/no-such").headers["content-type"] == "application/problem+json"
