"""Everybody can use the panel: by keyboard alone, without scripts, and as axe-core finds."""

import re
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page

from tests.browser.conftest import link_for_owner
from tests.browser.looking import NARROW, OWNER, PASSWORD, WIDE, Cookies, become_owner, every_page, looking
from tests.journey.running import Tracker, eventually

pytestmark = pytest.mark.journey

MIN_PAGES = 40
LONG_TXID = "T1" * 60
MEASURE = """async () => {
  for (const _ of "12") await new Promise(requestAnimationFrame); // until what folds itself on a small screen has done so
  return document.documentElement.scrollWidth - document.documentElement.clientWidth;
}"""


class Doors(NamedTuple):
    """What the pages before signing in came to, and the session behind them."""

    serious: list[str]
    session: Cookies


@pytest.fixture(scope="module")
def base(shared_tracker: Tracker) -> str:
    return f"http://127.0.0.1:{shared_tracker.api_port}"


@pytest.fixture(scope="module")
def doors(chromium: Browser, shared_tracker: Tracker, base: str) -> Doors:
    """The owner's account is created without scripts."""
    link = link_for_owner(shared_tracker)
    with looking(chromium, base) as (page, _):
        page.goto("/panel/sign-in")
        found = serious(page)
        page.goto(link)
        found += serious(page)
    with looking(chromium, base, javascript=False) as (page, _):
        become_owner(page, link)
        return Doors(found, page.context.cookies())


class Looked(NamedTuple):
    """What a page came to."""

    serious: list[str]
    serious_in_dark: list[str]
    over: int
    """Pixels by which it is wider than a phone."""


@pytest.fixture(scope="module")
def pages(chromium: Browser, shared_tracker: Tracker, base: str, doors: Doors) -> dict[str, Looked]:
    """Every page by its path, of a tracker whose records have long names. One walk: opening the pages takes longest."""
    set_up_long(shared_tracker)
    found = {}
    with looking(chromium, base, cookies=doors.session) as (page, troubles):
        for path in every_page(page):
            light = serious(page)
            page.emulate_media(color_scheme="dark")  # only the colours differ
            dark = serious(page, runOnly=["color-contrast"])
            page.emulate_media(color_scheme="light")
            page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
            over = page.evaluate(MEASURE)
            page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
            found[path] = Looked(light, dark, over)
        assert troubles.found == []
    return found


def set_up_long(tracker: Tracker) -> None:
    """One of everything, with names and ids that are as long as some are."""
    campaign = tracker.set_up("https://source.example/postback?id={externalid}")
    click_id = tracker.click(campaign.key, "zone=7&external_id=" + "abc" * 60)
    tracker.notify(f"cid={click_id}&payout=3&txid={LONG_TXID}")
    eventually(lambda: len(tracker.all_of("conversions")) == 1, told=tracker.log_text)
    tracker.notify(f"cid={click_id}&payout=3&txid=T1")
    eventually(lambda: len(tracker.all_of("postbacks")) == 2, told=tracker.log_text)
    tracker.api("POST", "exports", {"noun": "clicks", "filters": {"external_id": "abc" * 60}})
    tracker.made("landings", {"name": "Quiz", "url": "https://pages.example/" + "quiz" * 40, "buttons": 7})
    tracker.made("lists", {"name": "Zones", "entries": ["zone" * 60, "1002"]})
    conditions = [
        {"field": "country", "values": ["DE", "AT"]},
        {"field": "v1", "list_id": 1},
        {"field": "schedule", "values": ["Europe/Berlin", "mon 9-17"]},
        {"field": "device", "op": "not_in", "values": ["tv"]},
        {"field": "isp", "op": "contains", "values": ["Telekom" * 30]},
    ]
    shares = [{"offer_id": 1}, {"offer_id": 2}]
    tracker.made("offers", {"name": "Second", "url": "https://network.example/?sub1={clickid}"})
    path = {"name": "long" * 40, "target": "landing_and_offer", "landings": [{"landing_id": 1}], "offers": shares}
    rule = {"name": "Rule" * 40, "conditions": conditions, "paths": [path, path]}
    flow = {"rules": [rule], "default_paths": [{"offers": shares}]}
    shared = tracker.made("flows", {"name": "Push, Tier 1, all devices, no VPN, " + "long" * 12} | flow)
    assert tracker.api("PATCH", "campaigns/1", {"flow": flow}).status == 200
    second = tracker.set_up("https://source.example/postback?id={externalid}")
    assert tracker.api("PATCH", f"campaigns/{second.campaign_id}", {"flow_id": shared["id"]}).status == 200
    for noun in ("traffic-sources", "campaigns", "offers", "networks", "postback-rules", "landings", "lists"):
        changed = tracker.api("PATCH", f"{noun}/1", {"name": "Push, Tier 1, all devices, no VPN, " + "long" * 12})
        assert changed.status == 200, changed.body


def test_axe_finds_nothing_serious_on_any_page_light_or_dark(doors: Doors, pages: dict[str, Looked]) -> None:
    found = list(doors.serious)
    for path, looked in pages.items():
        found += [f"{path}: {fault}" for fault in looked.serious]
        found += [f"{path}, dark: {fault}" for fault in looked.serious_in_dark]
    assert found == []


def test_no_page_is_wider_than_a_phone(
    chromium: Browser, shared_tracker: Tracker, base: str, doors: Doors, pages: dict[str, Looked]
) -> None:
    assert len(pages) > MIN_PAGES
    over = {path: looked.over for path, looked in pages.items()}
    with looking(chromium, base, NARROW, cookies=doors.session) as (page, _):
        for noun in ("notices", "conversions", "postbacks"):  # the walk has seen the latest one, which is short
            path = f"/panel/{noun}/{shared_tracker.all_of(noun)[-1][noun.removesuffix('s') + '_id']}"
            page.goto(path)
            assert LONG_TXID in page.content() or noun == "postbacks"
            over[path] = page.evaluate(MEASURE)
    assert {path: pixels for path, pixels in over.items() if pixels > 0} == {}


@pytest.mark.usefixtures("doors")
def test_somebody_with_a_keyboard_alone_signs_in_and_saves_a_source(
    chromium: Browser, shared_tracker: Tracker, base: str
) -> None:
    with looking(chromium, base) as (page, _):
        page.goto("/panel/traffic-sources/new")
        tab_to(page, "name")
        page.keyboard.type(OWNER)
        tab_to(page, "password")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/traffic-sources/new")
        tab_to(page, "name")
        page.keyboard.type("Typed by hand")
        tab_to(page, "postback_url")
        page.keyboard.type("https://source.example/?cid={externalid}")
        tab_to(page, "name", back=True)
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/traffic-sources/\d+"))
    made = source_of(shared_tracker, "Typed by hand")
    assert made["postback_url"] == "https://source.example/?cid={externalid}"


def test_a_source_is_set_up_without_scripts(
    chromium: Browser, shared_tracker: Tracker, base: str, doors: Doors
) -> None:
    with looking(chromium, base, javascript=False, cookies=doors.session) as (page, _):
        page.goto("/panel/traffic-sources/new")
        page.get_by_label("Name", exact=True).fill("Without scripts")
        page.get_by_role("button", name="Add a parameter").click()
        page.get_by_label("Parameter", exact=True).fill("zone")
        page.get_by_label("Placeholder of the new row").fill("{zone}")
        page.get_by_role("button", name="Save").last.click()
        page.get_by_role("status").wait_for()
    made = source_of(shared_tracker, "Without scripts")
    assert [row["parameter"] for row in made["parameters"]] == ["external_id", "cost", "zone"]


def source_of(tracker: Tracker, name: str) -> Any:
    """Return the one source of that name."""
    (found,) = [one for one in tracker.all_of("traffic-sources") if one["name"] == name]
    return found


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
