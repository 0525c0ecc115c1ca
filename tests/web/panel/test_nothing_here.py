"""Addresses of the panel under which nothing is."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.web.panel.conftest import Panel


def test_an_address_under_which_nothing_is_shows_a_page_that_says_so(panel: "Panel") -> None:
    words = panel.words(panel.get("/panel/no/such/page", status=404))
    assert "Nothing is here." in words
    assert "Dashboard" in words


def test_a_stranger_is_led_to_the_door_whatever_he_asks_for(panel: "Panel") -> None:
    panel.client.cookies.clear()
    answer = panel.client.get("/panel/no/such/page")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/panel/sign-in")
