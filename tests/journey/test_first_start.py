"""The first start as its user sees it: a link on the screen, an owner's password, settings that hold at once."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.journey.running import Answer, Connection, Tracker, eventually, running

pytestmark = pytest.mark.journey

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A tracker that has been started for the first time."""
    with running(tmp_path_factory.mktemp("first") / "data", geo_base="") as started:
        yield started


def link(tracker: Tracker) -> str:
    """The key of the newest link that was printed."""
    found: list[str] = re.findall(
        rf"^  http://127\.0\.0\.1:{tracker.api_port}/panel/welcome\?key=([\w-]+)$", tracker.log_text(), re.MULTILINE
    )
    return found[-1]


def test_the_link_is_the_last_thing_that_is_printed_at_the_first_start(tracker: Tracker) -> None:
    eventually(lambda: "/panel/welcome?key=" in tracker.log_text())
    lines = tracker.log_text().splitlines()
    assert lines[-1].startswith(f"  http://127.0.0.1:{tracker.api_port}/panel/welcome?key=")
    assert f"  ssh -L {tracker.api_port}:127.0.0.1:{tracker.api_port} USER@SERVER" in lines
    (ready,) = (line for line in lines if '"core ready"' in line)
    assert lines.index(ready) < lines.index("Clickloop is running.")


def panel(tracker: Tracker, method: str, path: str, fields: dict[str, str] | None = None, cookie: str = "") -> Answer:
    host = f"127.0.0.1:{tracker.api_port}"
    headers = {"Host": host, "Origin": f"http://{host}", "Cookie": cookie, **(FORM if fields else {})}
    with Connection(tracker.api_port) as connection:
        return connection.ask(method, path, headers, urlencode(fields or {}).encode())


def test_from_the_first_start_to_settings_that_hold(tracker: Tracker) -> None:
    eventually(lambda: "/panel/welcome" in tracker.log_text())
    first = link(tracker)
    assert tracker.stop() == 0
    tracker.start()
    eventually(lambda: link(tracker) != first)
    password = {"name": "Anna", "password": "a few long words", "again": "a few long words"}
    assert panel(tracker, "POST", "/panel/welcome", {**password, "key": first}).status == 410
    entered = panel(tracker, "POST", "/panel/welcome", {**password, "key": link(tracker)})
    assert (entered.status, entered.headers["location"]) == (303, "/panel")
    cookie = entered.headers["set-cookie"].partition(";")[0]
    assert panel(tracker, "GET", "/panel/profile", cookie=cookie).status == 200

    tracker.made("traffic-sources", {"name": "Source"})
    paused = tracker.made("campaigns", {"name": "Campaign", "source_id": 1, "active": False})
    assert tracker.ask("GET", f"/c/{paused['key']}").status == 404
    saved = {"fallback_url": "https://fallback.example/", "currency": "EUR"}
    assert tracker.api("PATCH", "settings", saved).status == 200
    eventually(lambda: tracker.ask("GET", f"/c/{paused['key']}").headers.get("location") == "https://fallback.example/")

    assert tracker.stop() == 0
    printed = tracker.log_text().count("/panel/welcome")
    tracker.start()
    assert tracker.got("settings")["currency"] == "EUR"
    assert panel(tracker, "GET", "/panel/profile", cookie=cookie).status == 200
    assert tracker.log_text().count("/panel/welcome") == printed
