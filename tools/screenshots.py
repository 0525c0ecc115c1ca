"""Takes screenshots of every panel page with the demo's data, wide and 390 px, light and dark, into ./screenshots.

Run it with ``make screenshots``. Pages are found by following links, so new ones are included automatically.
"""

import argparse
import asyncio
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from clickloop.demo.playing import demo_run
from tests.browser.looking import NARROW, WIDE, become_owner, every_page, looking, start_chromium

FOLDER = Path("screenshots")
LOOKS: tuple[tuple[str, tuple[int, int], Literal["light", "dark"]], ...] = (
    ("wide-light", WIDE, "light"),
    ("wide-dark", WIDE, "dark"),
    ("narrow-light", NARROW, "light"),
    ("narrow-dark", NARROW, "dark"),
)
MAX_HEIGHT = 6_000
"""Maximum height of a screenshot in pixels."""


def main() -> int:
    """Run the demo and take the screenshots. Return 1 if a page overflows its window or has an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=1_000, help="number of visitors in the demo")
    parser.add_argument("--only", default="", help="take only pages whose path matches this regular expression")
    arguments = parser.parse_args()
    return asyncio.run(_fill_and_look(arguments.visitors, arguments.only))


async def _fill_and_look(visitors: int, only: str) -> int:
    async with demo_run(Console(), visitors) as demo:
        link = await demo.tracker.command("user", "link")
        return await asyncio.to_thread(_look, demo.tracker.api, link, only)


def _look(base: str, link: str, only: str) -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = start_chromium(playwright)
        with looking(browser, base) as (page, troubles):
            page.goto("/panel/sign-in")
            outside = page.url.removeprefix(base)
            become_owner(page, link)
            cookies = page.context.cookies()
            _furnish(page)
            paths = [path for path in every_page(page) if re.search(only, path)]
            faults += troubles.found
        for name, size, scheme in LOOKS:
            with looking(browser, base, size, scheme) as (page, _):
                page.goto(outside)
                page.screenshot(path=FOLDER / name / "sign-in.png", full_page=True)
            with looking(browser, base, size, scheme, cookies=cookies) as (page, troubles):  # type: ignore[arg-type]
                for path in paths:
                    page.goto(path)
                    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                    if over > 0:
                        faults.append(f"{path} is {over} px wider than its window ({name})")
                    height = min(MAX_HEIGHT, page.evaluate("document.documentElement.scrollHeight"))
                    clip = {"x": 0, "y": 0, "width": size[0], "height": max(size[1], height)}
                    page.screenshot(path=FOLDER / name / f"{_file_name(path)}.png", full_page=True, clip=clip)  # type: ignore[arg-type]
                for extra in _form_results(page):
                    if re.search(only, extra):
                        page.screenshot(path=FOLDER / name / f"{extra}.png", full_page=True)
                faults += troubles.found
        browser.close()
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    sys.stdout.write(f"{len(paths) + 1} pages × {len(LOOKS)} in {FOLDER}/\n")
    return 1 if faults else 0


def _furnish(page: Page) -> None:
    """Add what the demo lacks, so that no page is empty: a preview, an upload, an export, a test click and its conversion."""
    page.goto("/panel/try/test?campaign_id=1")
    link = page.get_by_role("link", name="Open the test link").get_attribute("href")
    assert link is not None
    page.context.request.get(link, max_redirects=0)
    page.get_by_role("link", name="Convert it").first.click()
    click_id = page.url.rpartition("/")[2]
    page.get_by_role("button", name="Convert by hand").click()
    lines = f"{click_id}:12.50:sale\n{click_id}:3:hold:\n01kaqj6z8m4x2c9v7b5n3t1w0y:7\nno click id:1\n"
    for button in ("Register now", "Preview"):
        page.goto("/panel/uploads")
        page.get_by_label("Lines").fill(lines)
        page.get_by_role("button", name=button).click()
        page.get_by_role("link", name="Download the result").wait_for()
    page.goto("/panel/clicks")
    page.get_by_role("button", name="Export CSV").click()
    page.get_by_role("link", name="Download the file").wait_for()


def _form_results(page: Page) -> Iterator[str]:
    """Open the pages that only a form leads to, one after the other, and yield their names."""
    page.goto("/panel/try?campaign_id=1")
    page.get_by_role("button", name="Try without sending").click()
    yield "try_result"
    page.get_by_role("button", name="Get a test link").click()
    yield "try_test_link"
    page.goto("/panel/traffic-sources/1")
    page.get_by_label("Preset").select_option("propellerads")
    page.get_by_role("button", name="Load").click()
    yield "traffic-source_difference"
    page.goto("/panel/traffic-sources/new")
    page.get_by_label("Name", exact=True).fill(" ")
    page.get_by_label("Cost currency").fill("XYZ")
    page.get_by_role("button", name="Save").last.click()
    yield "traffic-source_faults"
    page.goto("/panel/nothing-is-here")
    yield "problem"


def _file_name(path: str) -> str:
    """Return a file name for a path."""
    return re.sub(r"[^a-z0-9.-]+", "_", path.removeprefix("/panel").lower()).strip("_")[:100] or "dashboard"


if __name__ == "__main__":
    sys.exit(main())
