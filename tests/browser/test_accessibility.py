"""Everybody can use the panel: by keyboard alone, without scripts, and as axe-core finds."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page

from tests.browser.looking import NARROW, OWNER, PASSWORD, become_owner, every_page, looking
from tests.journey.running import Tracker

pytestmark = pytest.mark.journey


def test_axe_finds_nothing_serious_on_any_page_light_or_dark(
    chromium: Browser, tracker: Tracker, owner_link: str, base: str
) -> None:
    campaign = tracker.set_up("https://source.example/postback?id={externalid}")
    click_id = tracker.click(campaign.key, "external_id=abc&zone=7")
    tracker.notify(f"cid={click_id}&payout=3&txid=T1")
    tracker.api("POST", "exports", {"noun": "clicks"})
    with looking(chromium, base) as (page, _):
        page.goto("/panel/sign-in")
        found = serious(page)
        page.goto(owner_link)
        found += serious(page)
        become_owner(page, owner_link)
        cookies = page.context.cookies()
    with looking(chromium, base, cookies=cookies) as (page, troubles):  # type: ignore[arg-type]
        for path in every_page(page):
            found += [f"{path}: {fault}" for fault in serious(page)]
            page.emulate_media(color_scheme="dark")  # only the colours differ
            found += [f"{path}, dark: {fault}" for fault in serious(page, runOnly=["color-contrast"])]
            page.emulate_media(color_scheme="light")
        assert troubles.found == []
    assert found == []


def test_no_page_is_wider_than_a_phone(chromium: Browser, tracker: Tracker, owner_link: str, base: str) -> None:
    campaign = tracker.set_up("https://source.example/postback?id={externalid}")
    click_id = tracker.click(campaign.key, "external_id=" + "abc" * 60)
    tracker.notify(f"cid={click_id}&payout=3&txid=" + "T1" * 60)
    tracker.api("POST", "exports", {"noun": "clicks", "filters": {"external_id": "abc" * 60}})
    for noun in ("traffic-sources", "campaigns", "offers", "networks", "postback-rules"):
        changed = tracker.api("PATCH", f"{noun}/1", {"name": "Push, Tier 1, all devices, no VPN, " + "long" * 12})
        assert changed.status == 200, changed.body
    with looking(chromium, base, NARROW) as (page, _):
        become_owner(page, owner_link)
        over = {}
        for path in every_page(page):
            more = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if more > 0:
                over[path] = more
        assert over == {}


def test_somebody_with_a_keyboard_alone_signs_in_and_saves_a_source(owner: Page, tracker: Tracker) -> None:
    owner.context.clear_cookies()
    owner.goto("/panel/traffic-sources/new")
    tab_to(owner, "name")
    owner.keyboard.type(OWNER)
    tab_to(owner, "password")
    owner.keyboard.type(PASSWORD)
    owner.keyboard.press("Enter")
    owner.wait_for_url("**/traffic-sources/new")
    tab_to(owner, "name")
    owner.keyboard.type("Typed by hand")
    tab_to(owner, "postback_url")
    owner.keyboard.type("https://source.example/?cid={externalid}")
    tab_to(owner, "name", back=True)
    owner.keyboard.press("Enter")
    owner.wait_for_url(re.compile(r"/traffic-sources/\d+"))
    (made,) = tracker.all_of("traffic-sources")
    assert made["name"] == "Typed by hand"
    assert made["postback_url"] == "https://source.example/?cid={externalid}"


def test_a_source_is_set_up_without_scripts(chromium: Browser, tracker: Tracker, owner_link: str, base: str) -> None:
    with looking(chromium, base, javascript=False) as (page, _):
        become_owner(page, owner_link)
        page.goto("/panel/traffic-sources/new")
        page.get_by_label("Name", exact=True).fill("Without scripts")
        page.get_by_role("button", name="Add a parameter").click()
        page.get_by_label("Parameter", exact=True).fill("zone")
        page.get_by_label("Placeholder of the new row").fill("{zone}")
        page.get_by_role("button", name="Save").last.click()
        page.get_by_role("status").wait_for()
    (made,) = tracker.all_of("traffic-sources")
    assert [row["parameter"] for row in made["parameters"]] == ["external_id", "cost", "zone"]


def tab_to(page: Page, name: str, *, back: bool = False) -> None:
    """Presses Tab until the field of that name has the focus."""
    for _ in range(200):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.evaluate("document.activeElement.getAttribute('name')") == name:
            return
    raise AssertionError(f"no Tab leads to the field {name}")


def serious(page: Page, **options: list[str]) -> list[str]:
    """Return the violations that axe-core rates serious or critical."""
    # Of what it finds no fault with, axe-core would describe every element: that takes most of its time.
    found = Axe().run(page, options={"resultTypes": ["violations"], **options}).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in ("serious", "critical")
    ]
