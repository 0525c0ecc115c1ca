"""A browser in front of the panel: Debian's Chromium, what went wrong in it, and the way through every page."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeAlias
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Playwright, expect

Cookies: TypeAlias = Sequence[object]
"""The cookies of a window, as it returns them."""
PASSWORD = "correct horse battery staple"
OWNER = "Anna"
WIDE, NARROW = (1440, 900), (390, 844)
PATIENCE_MS = 30_000
"""Longest wait for what a page is to do: a bound for what never comes, on a machine that is busy with other tests."""
expect.set_options(timeout=PATIENCE_MS)

_RECORD = re.compile(r"/(?:\d+|[0-9a-hjkmnp-tv-z]{26}|[^/]+:\d+)(?=/|$)|(?<=/statuses)/(?!new$)[^/]+")
_CHOOSING = ("/new", "/try", "/try/test", "/check", "/trace")
"""Ends of addresses whose page depends on what is chosen in the query; elsewhere that only filters a list."""
_CHOICES = ("preset", "campaign_id", "source_id", "network_id", "offer_id", "click_id", "conversion_id", "q")
"""Parameters of links that make another page of the same address."""
_NOT_PAGES = ("/result", ".csv", "/static/", "/sign-out")


def start_chromium(playwright: Playwright) -> Browser:
    """The browser that the system has. Raises AssertionError where there is none."""
    path = shutil.which("chromium")
    assert path is not None, "chromium is missing: tools/system_packages chromium installs it"
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])


class Troubles:
    """Problems in a browser's pages: injected scripts that ran, errors, and violated policies."""

    def __init__(self, context: BrowserContext) -> None:
        self.found: list[str] = []
        self.asked: list[str] = []
        """Every address that was asked for."""
        context.on("dialog", self._dialog)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.found.append(f"error: {error.error}"))
        context.on("request", lambda request: self.asked.append(request.url))

    def _dialog(self, dialog: Dialog) -> None:
        if dialog.type in (
            "confirm",
            "beforeunload",
        ):  # the panel asks before what cannot be undone, and before typing is lost
            dialog.accept()
            return
        self.found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        # Chromium also tells each answer of 4xx and 5xx; a page that a test means to be refused is none.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.found.append(f"{message.type}: {message.text} on {message.location.get('url', '')}")


@contextmanager
def looking(
    browser: Browser,
    base: str,
    size: tuple[int, int] = WIDE,
    scheme: Literal["light", "dark"] = "light",
    *,
    javascript: bool = True,
    cookies: Cookies | None = None,
) -> Iterator[tuple[Page, Troubles]]:
    """A fresh window; ``cookies`` of another one carry its session over."""
    context = browser.new_context(
        base_url=base,
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        java_script_enabled=javascript,
    )
    try:
        context.add_cookies(cookies or [])  # type: ignore[arg-type]  # they are as cookies() returned them
        troubles = Troubles(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield page, troubles
    finally:
        context.close()


def become_owner(page: Page, link: str) -> None:
    """Set the first owner's password with the one-time link, which signs them in."""
    page.goto(link)
    page.get_by_label("Name", exact=True).fill(OWNER)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Repeat password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url(lambda url: "/welcome" not in url)


def every_page(page: Page, start: str = "/panel", most: int = 120) -> Iterator[str]:
    """Walks through the panel by its links and stays on each page while it is looked at; of pages that differ only in
    their record one is shown. Yields paths with queries."""
    base = page.evaluate("location.origin") if page.url.startswith("http") else ""
    waiting, known = [start], {shape_of(start)}
    while waiting and most > 0:
        path = waiting.pop(0)
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, f"{path} was answered {answer.status}"
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        links: list[str] = page.eval_on_selector_all("a[href]", "links => links.map(link => link.getAttribute('href'))")
        most -= 1
        yield path
        for link in links:
            url = urlsplit(urljoin(base + path, link))
            target = url.path + (f"?{url.query}" if url.query else "")
            is_ours = not url.netloc or f"{url.scheme}://{url.netloc}" == base
            if not is_ours or not url.path.startswith("/panel") or any(part in target for part in _NOT_PAGES):
                continue
            if (shape := shape_of(target)) not in known:
                known.add(shape)
                waiting.append(target)


def shape_of(path: str) -> str:
    """Return a key shared by the pages of different records: the path without ids, and the kind of query."""
    place, _, query = path.partition("?")
    chosen = [name for name in _CHOICES if f"&{name}=" in f"&{query}"] if place.endswith(_CHOOSING) else []
    return _RECORD.sub("/N", place) + ("?" + "&".join(chosen) if chosen else "")
