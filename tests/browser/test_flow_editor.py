"""The editor of flows in a browser: with scripts in two clicks, without them all the same, and usable by everybody."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.looking import NARROW, WIDE, Cookies, looking
from tests.browser.test_accessibility import MEASURE, serious
from tests.journey.running import Tracker

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def base(shared_tracker: Tracker) -> str:
    return f"http://127.0.0.1:{shared_tracker.api_port}"


@pytest.fixture
def campaign_id(shared_tracker: Tracker) -> int:
    """A campaign with one offer; there are two landings and a list to choose from."""
    shared_tracker.made("landings", {"name": "Quiz", "url": "https://pages.example/quiz", "buttons": 2})
    if not shared_tracker.all_of("lists"):
        shared_tracker.made("lists", {"name": "Bad zones", "entries": ["1001", "1002"]})
    return shared_tracker.set_up("https://source.example/postback?id={externalid}").campaign_id


def flow_of(tracker: Tracker, campaign_id: int) -> Any:
    """Return a campaign's own flow as it is saved."""
    (found,) = [one for one in tracker.all_of("campaigns") if one["id"] == campaign_id]
    return found["flow"]


def add_rule_by_country(page: Page, countries: str) -> None:
    """Type countries and press the button beside them."""
    page.get_by_label("Send visitors from").fill(countries)
    page.get_by_role("button", name="Add rule by country").click()
    page.get_by_role("button", name="Close rule 1").wait_for()


def save(page: Page) -> None:
    page.get_by_role("button", name="Save").last.click()
    page.get_by_role("status").get_by_text("Saved.").wait_for()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_rule_by_country_takes_two_clicks_with_and_without_scripts(
    chromium: Browser, shared_tracker: Tracker, session: Cookies, base: str, campaign_id: int, javascript: bool
) -> None:
    with looking(chromium, base, javascript=javascript, cookies=session) as (page, troubles):
        page.goto(f"/panel/campaigns/{campaign_id}/flow")
        add_rule_by_country(page, "Germany, AT")
        rule = page.get_by_role("region", name="Rule 1")
        rule.get_by_label("Offer 1", exact=True).select_option(index=1)
        save(page)
        expect(page.get_by_role("region", name="Rule 1")).to_contain_text("Visitors from Germany or Austria: to “")
        assert troubles.found == []
    (saved,) = flow_of(shared_tracker, campaign_id)["rules"]
    assert saved["conditions"][0]["values"] == ["DE", "AT"]
    assert len(saved["paths"][0]["offers"]) == 1


@pytest.mark.parametrize("javascript", [True, False])
def test_a_flow_with_landings_a_schedule_and_a_list_is_built_by_reading_the_screen(
    chromium: Browser, shared_tracker: Tracker, session: Cookies, base: str, campaign_id: int, javascript: bool
) -> None:
    with looking(chromium, base, javascript=javascript, cookies=session) as (page, troubles):
        page.goto(f"/panel/campaigns/{campaign_id}/flow")
        page.get_by_role("button", name="Add another rule").click()
        rule = page.get_by_role("region", name="Rule 1")
        for label in ("Zone (V1)", "Device", "Time"):
            rule.get_by_label("Field of the new condition").select_option(label=label)
            rule.get_by_role("button", name="Add condition").click()
            rule.get_by_role("button", name=f"Remove the condition {label}").wait_for()
        rule.get_by_label("or in the list").select_option(label="Bad zones")
        rule.get_by_label("phone", exact=True).check()
        rule.get_by_label("Mon 9:00", exact=True).check()
        rule.get_by_label("Mon 10:00", exact=True).check()
        rule.get_by_label("Send to").select_option(label="Landing, then offers")
        if not javascript:
            rule.get_by_role("button", name="Update").click()
        rule.get_by_label("Landing 1", exact=True).select_option(label="Quiz")
        rule.get_by_label("Offer 1", exact=True).select_option(index=1)
        save(page)
        reads = page.get_by_role("region", name="Rule 1")
        expect(reads).to_contain_text("on phones during Mon 9:00–11:00 (UTC)")
        expect(reads).to_contain_text("in the list “Bad zones”")
        expect(reads).to_contain_text("to the landing “Quiz”, then “")
        assert troubles.found == []
    (saved,) = flow_of(shared_tracker, campaign_id)["rules"]
    assert [one["field"] for one in saved["conditions"]] == ["v1", "device", "schedule"]
    assert saved["conditions"][2]["values"] == ["UTC", "mon 9-11"]


@pytest.mark.parametrize("javascript", [True, False])
def test_a_path_is_set_to_learn_with_and_without_scripts(
    chromium: Browser, shared_tracker: Tracker, session: Cookies, base: str, campaign_id: int, javascript: bool
) -> None:
    shared_tracker.made("offers", {"name": f"Learned {javascript}", "url": "https://network.example/?s={clickid}"})
    with looking(chromium, base, NARROW, javascript=javascript, cookies=session) as (page, troubles):
        page.goto(f"/panel/campaigns/{campaign_id}/flow")
        page.get_by_role("button", name="Add offer").click()
        page.get_by_label("Offer 2", exact=True).select_option(label=f"Learned {javascript}")
        page.get_by_text("Weights: as set").click()
        page.get_by_label("Distribution").select_option(label="Learn: conversions per visit")
        page.get_by_label("Visits of the last").fill("48")
        page.get_by_label("At least").fill("10")
        save(page)
        expect(page.get_by_text("your weights are used.")).to_be_visible()
        page.get_by_label("Freeze the weights").check()
        save(page)
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        assert troubles.found == []
    (path,) = flow_of(shared_tracker, campaign_id)["default_paths"]
    assert path["learning"] == {
        "goal": "conversions_per_visit",
        "window_hours": 48,
        "least_share": 10,
        "delay_hours": None,
        "frozen": True,
    }


def test_the_sentence_of_a_rule_follows_what_is_ticked_and_chosen(
    chromium: Browser, session: Cookies, base: str, campaign_id: int
) -> None:
    with looking(chromium, base, cookies=session) as (page, troubles):
        page.goto(f"/panel/campaigns/{campaign_id}/flow")
        page.get_by_role("button", name="Add another rule").click()
        rule = page.get_by_role("region", name="Rule 1")
        expect(rule.get_by_label("Field of the new condition")).to_be_focused()
        rule.get_by_label("Field of the new condition").select_option(label="Device")
        rule.get_by_role("button", name="Add condition").click()
        rule.get_by_label("tablet", exact=True).check()
        expect(rule).to_contain_text("Visitors on tablets: to the fallback URL, because no offer is chosen.")
        rule.get_by_label("Offer 1", exact=True).select_option(index=1)
        expect(rule).to_contain_text("Visitors on tablets: to “")
        assert troubles.found == []


def test_shares_follow_the_weights_and_a_day_of_the_grid_is_ticked_at_once(
    chromium: Browser, session: Cookies, base: str, campaign_id: int
) -> None:
    with looking(chromium, base, cookies=session) as (page, _):
        page.goto(f"/panel/campaigns/{campaign_id}/flow")
        page.get_by_role("button", name="Add offer").click()
        page.get_by_label("Offer 2", exact=True).select_option(index=2)
        page.get_by_label("Weight of offer 2").fill("300")
        expect(page.locator("[data-share]").nth(1)).to_have_text("75%")
        page.get_by_role("button", name="Add another rule").click()
        page.get_by_label("Field of the new condition").select_option(label="Time")
        page.get_by_role("button", name="Add condition").click()
        page.locator(".hours th", has_text="Tue").click()
        assert page.locator(".hours input:checked").count() == 24


def test_typed_values_survive_the_buttons_and_leaving_is_asked_about(
    chromium: Browser, session: Cookies, base: str, campaign_id: int
) -> None:
    with looking(chromium, base, cookies=session) as (page, _):
        questions: list[str] = []
        page.on("dialog", lambda dialog: questions.append(dialog.type))
        page.goto(f"/panel/campaigns/{campaign_id}/flow")
        page.get_by_label("Send visitors from").fill("Germany")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Close rule 1").wait_for()
        page.get_by_label("Name of rule 1").fill("Mine")
        page.get_by_role("button", name="Duplicate rule 1").click()
        expect(page.get_by_label("Name of rule 2")).to_have_value("Mine (copy)")
        page.goto("/panel/campaigns")
        assert questions == ["beforeunload"]


def test_the_open_editor_is_accessible_and_fits_a_phone(
    chromium: Browser, shared_tracker: Tracker, session: Cookies, base: str, campaign_id: int
) -> None:
    fields = ("country", "v1", "device", "schedule", "date", "query.sub", "isp", "unique")
    values = {"schedule": ["UTC", "mon 9-17"], "device": ["mobile"], "unique": ["yes"], "date": ["2026-12-24", ""]}
    conditions = [
        {"field": one, "op": "between" if one == "date" else "in", "values": values.get(one, ["DE"])} for one in fields
    ]
    conditions.append({"field": "os_version", "op": "between", "values": ["12", "15"]})
    offers = flow_of(shared_tracker, campaign_id)["default_paths"][0]["offers"]
    paths = [
        {"name": "A", "offers": offers, "learning": {}},
        {"target": "url", "url": "https://x.example/" + "x" * 300},
    ]
    flow = {"rules": [{"conditions": conditions, "paths": paths}], "default_paths": paths}
    assert shared_tracker.api("PATCH", f"campaigns/{campaign_id}", {"flow": flow}).status == 200
    with looking(chromium, base, cookies=session) as (page, troubles):
        page.goto(f"/panel/campaigns/{campaign_id}/flow")
        for name in ("Edit rule 1", "Edit the default paths"):
            page.get_by_role("button", name=name).click()
            page.get_by_role("button", name=re.sub("^Edit", "Close", name)).wait_for()
        assert serious(page) == []
        page.emulate_media(color_scheme="dark")
        assert serious(page, runOnly=["color-contrast"]) == []
        for size in (NARROW, WIDE):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            assert page.evaluate(MEASURE) <= 0
        assert troubles.found == []
