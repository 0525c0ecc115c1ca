"""Processes are killed, or the core is down, between a visit and its landing click: what was answered is kept, and visitors go on."""

import http.client
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from clickloop.click.page.page_event import PageEvent
from clickloop.tracking.click_lookup import LOOKUP_SECONDS
from tests.edge.landing_process import cookie_header, cookies_of, parameters_of
from tests.journey.running import Tracker, eventually, running

pytestmark = pytest.mark.crash
VISITORS, KILLS, THREADS = 20, 8, 3
DOWN_SECONDS = float(os.environ.get("DOWN_SECONDS", "5"))
FALLBACK = "https://fallback.example/"


def campaign_with_landing(tracker: Tracker) -> str:
    """Create a campaign with a landing of two offers; return its key."""
    direct = tracker.set_up("", fallback_url=FALLBACK)
    landing = tracker.made("landings", {"name": "Quiz", "url": "https://landing.example/quiz", "buttons": 2})
    second = tracker.made(
        "offers", {"name": "Second", "network_id": direct.network_id, "url": "https://second.example/o?sub1={clickid}"}
    )
    path = {
        "target": "landing_and_offer",
        "landings": [{"landing_id": landing["id"]}],
        "offers": [{"offer_id": direct.offer_id}, {"offer_id": second["id"]}],
    }
    body = {"name": "With a landing", "source_id": direct.source_id, "flow": {"default_paths": [path]}}
    return str(tracker.made("campaigns", body)["key"])


class Visitor:
    """A visitor who has landed. ``cookies``: as their browser has kept them."""

    def __init__(self, tracker: Tracker, key: str, number: int = 0) -> None:
        self.tracker = tracker
        answer = tracker.ask("GET", f"/c/{key}?external_id=visitor-{number}&zone=7")
        assert answer.status == 302, answer
        self.click_id = parameters_of(answer)["cid"]
        self.cookies = cookies_of(answer)

    def press(self, target: str = "/click/1", *, with_cookie: bool = True) -> str:
        """Press a button; return the click id that the offer was given."""
        answer = self.tracker.ask("GET", target, cookie_header(self.cookies) if with_cookie else None)
        assert answer.status == 302, answer
        self.cookies |= cookies_of(answer)
        return parse_qs(urlsplit(answer.headers["location"]).query).get("sub1", [""])[0]


def recorded_events(folder: Path) -> Iterator[PageEvent]:
    """Yield every page event in the journal, settled or not."""
    for top in ("journal", "settled"):
        for path in (folder / top).glob("page-events/*/0*"):
            for line in path.read_bytes().splitlines():
                if not line.startswith(b'{"segment":'):
                    yield msgspec.json.decode(line, type=PageEvent)


def kill(tracker: Tracker, *names: str) -> None:
    """Kill processes at once, and wait until others have taken their place."""
    before = tracker.pids()
    for name in names:
        os.kill(before[name], signal.SIGKILL)
    eventually(lambda: all(tracker.pids().get(name, before[name]) != before[name] for name in names))
    eventually(tracker.takes_clicks)


def test_a_kill_of_every_process_between_visit_and_press_loses_neither(tmp_path: Path) -> None:
    with running(tmp_path / "data", edges=2) as tracker:
        key = campaign_with_landing(tracker)
        visitors = [Visitor(tracker, key, number) for number in range(VISITORS)]
        kill(tracker, "core", "edge1", "edge2")
        assert [visitor.press() for visitor in visitors] == [visitor.click_id for visitor in visitors]
        recorded = {event.click_id for event in recorded_events(tracker.folder) if not event.flags}
        assert recorded == {visitor.click_id for visitor in visitors}
        tracker.wait_until_ready()
        # Without the cookie, and after the edges have forgotten their visits, the core knows them.
        kill(tracker, "edge1", "edge2")
        eventually(tracker.api_answers)
        found = [visitor.press(f"/click/2?cid={visitor.click_id}", with_cookie=False) for visitor in visitors]
        assert found == [visitor.click_id for visitor in visitors]


def test_the_core_finds_a_click_of_a_moment_ago_for_an_edge_that_did_not_take_it(tmp_path: Path) -> None:
    with running(tmp_path / "data", edges=3) as tracker:
        key = campaign_with_landing(tracker)
        # Each on a connection of its own, which any of the edges accepts.
        visitors = [Visitor(tracker, key, number) for number in range(VISITORS)]
        found = [visitor.press(f"/click?cid={visitor.click_id}", with_cookie=False) for visitor in visitors]
        assert found == [visitor.click_id for visitor in visitors]


def test_every_press_that_was_answered_is_in_the_journal_however_often_edges_are_killed(tmp_path: Path) -> None:
    chance = random.Random(10)
    with running(tmp_path / "data", edges=2) as tracker:
        visitor = Visitor(tracker, campaign_with_landing(tracker))
        answered: list[str] = []
        stop = threading.Event()

        def keep_pressing(thread: int) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                mark = f"{thread + 1}.{number:06}"
                try:
                    visitor.tracker.ask(
                        "GET", f"/click/1?cid={visitor.click_id}&event1={mark}", cookie_header(visitor.cookies)
                    )
                except (OSError, http.client.HTTPException):  # the edge was killed
                    continue
                answered.append(mark)

        threads = [threading.Thread(target=keep_pressing, args=(thread,)) for thread in range(THREADS)]
        for thread in threads:
            thread.start()
        for _ in range(KILLS):
            before = len(answered)
            eventually(lambda before=before: len(answered) > before + 20)  # type: ignore[misc]
            kill(tracker, chance.choice(["edge1", "edge2"]))
        stop.set()
        for thread in threads:
            thread.join()
        recorded = {event.events.get(1) for event in recorded_events(tracker.folder)}
    assert len(answered) > KILLS * 20
    assert {round(float(mark) * 1_000_000) for mark in answered} <= recorded


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_while_the_core_is_down_landing_clicks_go_on(tmp_path: Path, how: signal.Signals) -> None:
    with running(tmp_path / "data", edges=1) as tracker:
        key = campaign_with_landing(tracker)
        visitors = [Visitor(tracker, key, number) for number in range(VISITORS)]
        known = tracker.pids()["core"]
        os.kill(known, how)
        until, longest, presses = time.monotonic() + DOWN_SECONDS, 0.0, 0
        while time.monotonic() < until:
            pid = tracker.pids().get("core", known)
            if pid != known:  # started again by the supervisor
                known = pid
                os.kill(known, how)
            visitor = visitors[presses % VISITORS]
            newcomer = Visitor(tracker, key, presses)
            begun = time.monotonic()
            assert visitor.press() == visitor.click_id
            assert newcomer.press(f"/click/1?cid={newcomer.click_id}", with_cookie=False) == newcomer.click_id
            longest = max(longest, time.monotonic() - begun)
            presses += 1
        print(
            f"the core was down for {DOWN_SECONDS:.0f} s: {2 * presses} landing clicks, the longest {longest * 1000:.0f} ms"
        )
        assert longest < LOOKUP_SECONDS
        recorded = sum(1 for _ in recorded_events(tracker.folder))
        assert recorded == 2 * presses
        if how is signal.SIGSTOP:
            os.kill(known, signal.SIGCONT)
