"""The whole product killed, stopped and doubled under load. The oracle is what clients were answered."""

import contextlib
import http.client
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clickloop.click.click_log import ClickFilter
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from tests.journey.running import (
    Campaign,
    Connection,
    Receiver,
    Tracker,
    click_id_of,
    eventually,
    kill,
    link_of,
    request_of,
    running,
)

pytestmark = pytest.mark.crash

POSTBACK = "/pb?id={externalid}&pid={postback_id}&txid={txid}"
CLIENTS = 4
MIN_ANSWERS, MAX_ANSWERS = 60, 240
"""Requests answered between two kills."""
PAUSE_SECONDS = 0.015
"""Between two requests of a client: the machine is to be loaded, not drowned."""


class Visitors(threading.Thread):
    """A client that opens campaign links and reports conversions over one keep-alive connection, and writes down the answers.

    ``sent`` counts requests; ``cut`` those that were closed without an answer; ``broken`` anything else that went wrong.
    """

    def __init__(self, tracker: Tracker, campaign: Campaign, name: str, reconnects: bool) -> None:
        super().__init__(name=name, daemon=True)
        self._tracker = tracker
        self._campaign = campaign
        self._reconnects = reconnects
        self._ending = threading.Event()
        self.sent = 0
        self.cut = 0
        self.broken: list[str] = []
        self.refused: list[int] = []
        self.clicks: dict[str, str] = {}
        """By external id, the click id that was answered."""
        self.notices: dict[str, str] = {}
        """By txid, the click id of a notice that was answered ``accepted``."""
        self.asked: set[str] = set()
        """The txids of all notices that were sent, answered or not."""

    def run(self) -> None:
        """Opens connections until it is ended; without ``reconnects`` only one."""
        while not self._ending.is_set():
            try:
                with Connection(self._tracker.port) as connection:
                    self._talk(connection)
            except OSError:  # nobody listens: an edge is being started again
                self._ending.wait(0.05)
            if not self._reconnects:
                return

    def end(self) -> None:
        """Lets the current request end and stops."""
        self._ending.set()
        self.join(30)
        assert not self.is_alive(), f"{self.name} waits for an answer that does not come"

    def _talk(self, connection: Connection) -> None:
        while not self._ending.wait(PAUSE_SECONDS):
            external_id = f"{self.name}-{self.sent}"
            answer = self._ask(connection, link_of(self._campaign.key, f"external_id={external_id}"))
            if answer is None:
                return
            if answer.status != 302:
                self.refused.append(answer.status)
                continue
            click_id = self.clicks[external_id] = click_id_of(answer)
            if self.sent % 2:
                continue
            self.asked.add(external_id)
            answer = self._ask(connection, f"/postback?cid={click_id}&payout=1&txid={external_id}".encode())
            if answer is None:
                return
            if answer.headers.get("x-clickloop-outcome") == "accepted":
                self.notices[external_id] = click_id
            else:
                self.refused.append(answer.status)

    def _ask(self, connection: Connection, target: bytes) -> Any:
        """The answer, or None when the connection was closed before any byte of one."""
        self.sent += 1
        try:
            connection.send(request_of("GET", target))
            return connection.answer()
        except (http.client.RemoteDisconnected, ConnectionError):
            self.cut += 1
        except (http.client.HTTPException, OSError) as fault:
            self.broken.append(f"{type(fault).__name__}: {fault}")
        return None


def clicks_in_facts(folder: Path) -> dict[str, str]:
    """By click id, the external id of every click in the facts of a stopped tracker; none may be there twice."""
    facts = DuckDbFacts.open(folder / "facts.duckdb")
    try:
        clicks = facts.clicks_page(ClickFilter(), 1_000_000)
    finally:
        facts.close()
    found = {click.click_id: click.external_id for click in clicks}
    assert len(found) == len(clicks), "a click is in the facts twice"
    return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def victims(chance: random.Random) -> list[str]:
    """Who is killed, in which order: everybody at least twice."""
    order = ["edge1", "edge2", "core", "supervisor"]
    return [name for _ in range(2) for name in chance.sample(order, len(order))] + chance.choices(order, k=2)


def kill_again_and_again(tracker: Tracker, clients: Sequence[Visitors], chance: random.Random) -> int:
    """Kill one process after the other, each after a random number of answered requests; return how many were killed.

    A tracker that has lost its supervisor is started again.
    """
    killed = 0
    for name in victims(chance):
        eventually(partial(_runs, tracker, name), told=tracker.log_text)
        enough = _answered(clients) + chance.randrange(MIN_ANSWERS, MAX_ANSWERS)
        eventually(partial(_have_answers, clients, enough), told=tracker.log_text)
        process = tracker.process
        assert process is not None
        running_now = tracker.pids()
        assert name in running_now, f"{name} ended by itself\n{tracker.log_text()}"
        kill(running_now[name])
        killed += 1
        if name == "supervisor":
            process.wait(60)
            tracker.start(wait=False)
        else:
            eventually(partial(_is_gone, tracker, name, running_now[name]))
    return killed


def _answered(clients: Sequence[Visitors]) -> int:
    return sum(len(client.clicks) + len(client.notices) for client in clients)


def _have_answers(clients: Sequence[Visitors], enough: int) -> bool:
    return _answered(clients) >= enough


def _runs(tracker: Tracker, name: str) -> bool:
    return name in tracker.pids()


def _is_gone(tracker: Tracker, name: str, pid: int) -> bool:
    return tracker.pids().get(name) != pid


def test_kill_9_of_any_process_under_load_loses_nothing_that_was_answered(tmp_path: Path, receiver: Receiver) -> None:
    seed = random.randrange(10_000)
    print(f"seed {seed}")
    with running(tmp_path / "data", edges=2, delivery_connections="10") as tracker:
        campaign = tracker.set_up(receiver.url + POSTBACK)
        clients = [Visitors(tracker, campaign, f"c{number}", reconnects=True) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        killed = kill_again_and_again(tracker, clients, random.Random(seed))
        for client in clients:
            client.end()
        assert not [fault for client in clients for fault in client.broken]
        assert not [status for client in clients for status in client.refused]
        clicks = {click_id: external_id for client in clients for external_id, click_id in client.clicks.items()}
        notices = {txid: click_id for client in clients for txid, click_id in client.notices.items()}
        asked = {txid for client in clients for txid in client.asked}
        assert len(clicks) + len(notices) > killed * MIN_ANSWERS

        tracker.wait_until_ready()
        eventually(lambda: notices.keys() <= {txid_of(one) for one in tracker.all_of("notices")}, told=tracker.log_text)
        eventually(lambda: not unfinished(tracker), told=tracker.log_text)
        stored = {txid_of(notice): notice for notice in tracker.all_of("notices")}
        assert len(stored) == len(tracker.all_of("notices")), "a notice is there twice"
        assert stored.keys() <= asked
        assert notices.keys() <= stored.keys()
        assert {txid: stored[txid]["click_id"] for txid in notices} == notices
        conversions = {conversion["conversion_id"]: conversion for conversion in tracker.all_of("conversions")}
        assert {stored[txid]["outcome"] for txid in notices} == {"new"}
        assert all(conversions[stored[txid]["conversion_id"]]["txid"] == txid for txid in notices)
        check_postbacks(tracker.all_of("postbacks"), set(conversions), receiver)
        assert tracker.stop() == 0
    assert clicks.items() <= clicks_in_facts(tracker.folder).items()


def unfinished(tracker: Tracker) -> list[Any]:
    """Notices that wait for their click, and postbacks that are on their way."""
    found: list[Any] = tracker.all_of("notices", outcome="waiting")
    for state in ("waiting", "sending"):
        found += tracker.all_of("postbacks", state=state)
    return found


def txid_of(notice: Any) -> str:
    """The txid in the query of a notice."""
    return str(notice["query"]).rpartition("txid=")[2]


def check_postbacks(postbacks: list[Any], conversion_ids: set[str], receiver: Receiver) -> None:
    """One postback per conversion, each delivered, received at least once and no more often than it was attempted."""
    assert Counter(postback["conversion_id"] for postback in postbacks) == Counter(conversion_ids)
    assert {postback["state"] for postback in postbacks} == {"delivered"}
    received = Counter(request.value("pid").decode() for request in receiver.requests)
    attempts = {postback["postback_id"]: postback["attempts"] for postback in postbacks}
    assert received.keys() == attempts.keys()
    assert not {key: times for key, times in received.items() if times > attempts[key]}


def test_sigterm_under_load_answers_or_leaves_untouched_and_ends_in_time(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path / "data", edges=2) as tracker:
        campaign = tracker.set_up(receiver.url + POSTBACK)
        clients = [Visitors(tracker, campaign, f"c{number}", reconnects=False) for number in range(2 * CLIENTS)]
        idle = [Connection(tracker.port) for _ in range(5)]
        for client in clients:
            client.start()
        eventually(lambda: all(client.sent > 50 for client in clients))
        began = time.monotonic()
        assert tracker.stop() == 0
        assert time.monotonic() - began < 30
        ended = [line for line in tracker.log_text().splitlines() if not line.startswith("{")]
        assert not [line for line in ended if "leaked" in line]
        for client in clients:
            client.end()
        for connection in idle:
            with contextlib.suppress(ConnectionError):
                connection.send(b"")
    assert not [fault for client in clients for fault in client.broken]
    assert not [status for client in clients for status in client.refused]
    answered = {click_id: external_id for client in clients for external_id, click_id in client.clicks.items()}
    assert clicks_in_facts(tracker.folder) == answered
    with running(tmp_path / "data") as tracker:
        eventually(lambda: not tracker.all_of("notices", outcome="waiting"))
        stored = sorted(txid_of(notice) for notice in tracker.all_of("notices"))
        assert stored == sorted(txid for client in clients for txid in client.notices)


def test_a_second_server_is_refused_and_a_killed_one_starts_again_by_itself(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path / "data") as tracker:
        campaign = tracker.set_up(receiver.url + POSTBACK)
        click_id = tracker.click(campaign.key, "external_id=before")
        second = Tracker(tracker.folder)
        refused = subprocess.run(second.command(), capture_output=True, text=True, timeout=120, check=False)
        assert refused.returncode == 2
        assert "is in use by another server" in refused.stderr
        assert str(tracker.pids()["supervisor"]) in refused.stderr

        with Connection(tracker.port) as idle:
            idle.ask("GET", "/health")
            assert tracker.process is not None
            kill(tracker.process.pid)
            tracker.process.wait(60)
            tracker.start()
        tracker.notify(f"cid={click_id}")
        eventually(lambda: receiver.those("id", b"before"), told=tracker.log_text)
        assert tracker.stop() == 0
