"""A running tracker, a browser, and a signed-in user."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.looking import Cookies, Troubles, become_owner, looking, start_chromium
from tests.journey.running import Tracker, running


def link_for_owner(tracker: Tracker) -> str:
    """Return a new one-time link for the owner."""
    made = tracker.command_line("user", "link")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = start_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared_tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """One for all tests of a file, which look only at what they have made themselves."""
    with running(tmp_path_factory.mktemp("shared") / "data") as started:
        yield started


@pytest.fixture(scope="module")
def session(chromium: Browser, shared_tracker: Tracker) -> Cookies:
    """The session of the owner of the shared tracker."""
    with looking(chromium, f"http://127.0.0.1:{shared_tracker.api_port}") as (page, _):
        become_owner(page, link_for_owner(shared_tracker))
        return page.context.cookies()


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    with running(tmp_path / "data") as started:
        yield started


@pytest.fixture
def base(tracker: Tracker) -> str:
    return f"http://127.0.0.1:{tracker.api_port}"


@pytest.fixture
def owner_link(tracker: Tracker) -> str:
    return link_for_owner(tracker)


@pytest.fixture
def window(chromium: Browser, base: str) -> Iterator[tuple[Page, Troubles]]:
    with looking(chromium, base) as opened:
        yield opened


@pytest.fixture
def owner(window: tuple[Page, Troubles], owner_link: str) -> Page:
    """The owner's page, signed in."""
    become_owner(window[0], owner_link)
    return window[0]
