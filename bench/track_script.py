"""Measures how long ``track.js`` blocks the page of a visitor, in a real browser: ``python -m bench.track_script``."""

import os
import shutil
import statistics
from pathlib import Path

from playwright.sync_api import Page, Route, sync_playwright

import clickloop

LINKS = 500
ROUNDS = 99
MAX_MS = 5.0
TRACKER, SHOP = "https://go.example", "https://shop.example"
CLICK_ID = "01jx0000000000000000000000"
SCRIPT = (Path(clickloop.__file__).parent / "edge" / "track.js").read_text(encoding="utf-8")
PAGE = (
    f"<script src='{TRACKER}/track.js' data-campaign=Camp07 async></script>"
    + "<a href='/x'>x</a>" * (LINKS - 2)
    + f"<a href='{TRACKER}/click/1'>One</a><a href='https://first.example/o?s={{clickid}}'>Direct</a><input name=clickid>"
)
MEASURE = """async ([text, rounds]) => {
    const spent = [];
    for (let round = 0; round < rounds; round++) {
        delete window.clickloop;
        document.querySelectorAll("a").forEach((a) => a.replaceWith(a.cloneNode(true)));
        const begun = performance.now();
        new Function(text + `//${round}`)(); // another text is parsed again
        spent.push(performance.now() - begun);
        await new Promise((done) => document.addEventListener("clickloop:ready", done, { once: true }));
    }
    return spent;
}"""


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        try:
            page = browser.new_page()
            _serve(page)
            page.goto(f"{SHOP}/?cid={CLICK_ID}", wait_until="networkidle")
            spent: list[float] = sorted(page.evaluate(MEASURE, [SCRIPT, ROUNDS]))
            version = browser.version
        finally:
            browser.close()
    median, p90 = statistics.median(spent), spent[len(spent) * 9 // 10]
    return [
        f"| a page of {LINKS} links, {ROUNDS} times | p50 ms | p90 ms | longest ms |",
        "| --- | --- | --- | --- |",
        f"| parsing the script, running it, filling the links | {median:.2f} | {p90:.2f} | {spent[-1]:.2f} |",
        "",
        f"The script blocks the page for {median:.1f} ms (to reach: ≤ {MAX_MS:g} ms), in Chromium {version}.",
    ]


def _serve(page: Page) -> None:
    """Answer the browser's requests: the page, the script, and the script's reports."""

    def answer(route: Route) -> None:
        url = route.request.url
        if url.startswith(f"{TRACKER}/track.js"):
            route.fulfill(body=SCRIPT, content_type="text/javascript")
        elif url.startswith(TRACKER):
            body = {"cid": CLICK_ID, "offers": [], "values": {}}
            route.fulfill(json=body, headers={"Access-Control-Allow-Origin": "*"})
        else:
            route.fulfill(body=PAGE, content_type="text/html")

    page.route("**/*", answer)


if __name__ == "__main__":
    print("\n".join(main()))
