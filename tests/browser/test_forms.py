"""Forms in a browser with scripts: what is sent twice is done once."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.looking import Cookies, looking
from tests.journey.running import Tracker

pytestmark = pytest.mark.journey

CREATED = re.compile(r"/panel/offers/\d+\?said=created$")


@pytest.fixture
def owner(chromium: Browser, shared_tracker: Tracker, session: Cookies) -> Iterator[Page]:
    """A page of the owner's in a fresh window."""
    with looking(chromium, f"http://127.0.0.1:{shared_tracker.api_port}", cookies=session) as (page, _):
        yield page


def test_a_double_click_on_save_makes_one_record(owner: Page) -> None:
    owner.goto("/panel/offers/new")
    owner.fill("#name", "Twice")
    owner.fill("#url", "https://network.example/?sub1={clickid}")
    owner.locator("button.main").dblclick()
    owner.wait_for_url(CREATED)
    owner.goto("/panel/offers")
    assert owner.locator("main tbody tr", has_text="Twice").count() == 1


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
    owner.wait_for_url(CREATED)
    owner.evaluate("window.confirm = () => false")
    owner.click("button.danger")
    assert owner.locator("button.danger").is_enabled()


def test_leaving_a_form_asks_before_what_was_typed_is_lost(owner: Page) -> None:
    questions: list[str] = []
    owner.on("dialog", lambda dialog: questions.append(dialog.type))
    owner.goto("/panel/offers/new")
    owner.get_by_role("link", name="Networks").first.click()
    owner.wait_for_url("**/panel/networks")
    assert questions == []
    owner.goto("/panel/offers/new")
    owner.get_by_label("Name", exact=True).press_sequentially("An offer")
    owner.get_by_role("link", name="Networks").first.click()
    owner.wait_for_url("**/panel/networks")
    assert questions == ["beforeunload"]


def test_saving_is_not_leaving_and_what_was_refused_is_still_unsaved(owner: Page) -> None:
    questions: list[str] = []
    owner.on("dialog", lambda dialog: questions.append(dialog.type))
    owner.goto("/panel/offers/new")
    owner.get_by_label("Name", exact=True).press_sequentially("An offer")
    owner.get_by_label("Offer URL", exact=True).fill("no address")
    owner.get_by_role("button", name="Save").last.click()
    owner.get_by_role("alert").wait_for()
    assert questions == []
    owner.mouse.click(700, 300)  # a page that nobody has touched is left without a question
    owner.get_by_role("link", name="Networks").first.click()
    owner.wait_for_url("**/panel/networks")
    assert questions == ["beforeunload"]


def test_a_removed_parameter_can_be_taken_back_until_the_form_is_saved(owner: Page, shared_tracker: Tracker) -> None:
    rows = [{"parameter": "external_id"}, {"parameter": "zone"}, {"parameter": "site"}]
    number = shared_tracker.made("traffic-sources", {"name": "Source", "parameters": rows})["id"]
    owner.goto(f"/panel/traffic-sources/{number}")
    owner.get_by_role("button", name="Remove zone").click()
    owner.get_by_role("button", name="Remove site").click()
    expect(owner.get_by_role("main")).to_contain_text("Recorded values stay in V1")
    owner.get_by_role("button", name="Undo").last.click()
    owner.get_by_role("button", name="Save").last.click()
    owner.get_by_role("status").wait_for()
    source = shared_tracker.got(f"traffic-sources/{number}")
    assert [(row["parameter"], row["number"]) for row in source["parameters"]] == [
        ("external_id", -1),
        ("cost", 0),
        ("site", 2),
    ]


def test_a_missing_field_is_not_hidden_behind_the_bar(owner: Page) -> None:
    owner.goto("/panel/traffic-sources/new")
    owner.get_by_role("button", name="Save").last.click()
    top = owner.evaluate("document.activeElement.getBoundingClientRect().top")
    bar = owner.evaluate("document.querySelector('.bar').getBoundingClientRect().bottom")
    assert owner.evaluate("document.activeElement.name") == "name"
    assert top >= bar


def test_signing_in_begins_in_the_first_empty_field_and_needs_no_scrolling(owner: Page) -> None:
    owner.context.clear_cookies()
    for height in (900, 700):
        owner.set_viewport_size({"width": 1440, "height": height})
        owner.goto("/panel/sign-in")
        assert owner.evaluate("document.activeElement.name") == "name"
        assert owner.evaluate("document.documentElement.scrollHeight <= innerHeight")
    owner.get_by_label("Password", exact=True).fill("secret")
    owner.get_by_label("Show password").check()
    assert owner.get_by_label("Password", exact=True).get_attribute("type") == "text"
