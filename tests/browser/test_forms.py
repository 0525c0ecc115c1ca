"""Forms in a browser with scripts: what is sent twice is done once."""

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.journey


def test_a_double_click_on_save_makes_one_record(owner: Page) -> None:
    owner.goto("/panel/offers/new")
    owner.fill("#name", "Twice")
    owner.fill("#url", "https://network.example/?sub1={clickid}")
    owner.locator("button.main").dblclick()
    owner.wait_for_url("**/panel/offers/1?said=created")
    owner.goto("/panel/offers")
    assert owner.locator("main tbody tr").count() == 1


def test_the_button_that_was_clicked_is_sent_and_can_be_clicked_again_after_going_back(owner: Page) -> None:
    owner.goto("/panel/networks/new")
    owner.fill("#name", "Network")
    owner.click("button[name=generate_token]")
    owner.wait_for_url("**/panel/networks/new")
    assert owner.input_value("#token")
    owner.go_back()
    assert owner.locator("button[name=generate_token]").is_enabled()


def test_a_form_that_is_not_confirmed_can_be_sent_later(owner: Page) -> None:
    owner.goto("/panel/offers/new")
    owner.fill("#name", "Offer")
    owner.fill("#url", "https://network.example/?sub1={clickid}")
    owner.click("button.main")
    owner.wait_for_url("**/panel/offers/1?said=created")
    owner.evaluate("window.confirm = () => false")
    owner.click("button.danger")
    assert owner.locator("button.danger").is_enabled()
