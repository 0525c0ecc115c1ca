"""A storm: conversions while processes are killed at random and receivers fail: ``python -m bench.storm [SIZE [KILLS]]``.

Nothing may be lost or duplicated: each notice answered with 200 is registered once, each postback ends, and a receiver gets only
those requests again that were in flight when a process was killed. Otherwise the exit status is 1.
"""

import asyncio
import contextlib
import http.client
import itertools
import random
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import uvloop
from sqlalchemy import text

from bench.flaky import ReceivedRequest, flaky_receivers
from bench.killable import KillableTracker
from bench.machine import wait_until
from bench.product import Browser
from bench.storm_counting import RULES, Figures, Observations, count
from clickloop.machine.secret_box import secret_box_of
from clickloop.store.ledger.ledger import Ledger

CONVERSIONS = 100_000
KILLS = 50
MAX_SECONDS = 1_800.0
"""Timeout of a storm."""
ANSWER_SECONDS = 15.0
SMALL, LARGE = 1, 3
"""Payouts. The second rule of a source has a minimum of 2."""
KILLED_BY_PROGRESS = 0.95
"""Share of the work by which all kills have happened. The rest shows that the work completes."""
AT_WORK_SHARE = 0.8
"""Share of the core's kills that happen while it delivers. The others happen at any moment, as it starts or settles."""
AT_WORK_SECONDS = 15.0
_VICTIMS = ("core", "core", "core", "edge", "edge", "supervisor")
_OFFER_CLICK_ID = re.compile(rb"[?&]sub=([0-9a-z]{26})")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The size of a storm."""

    conversions: int = CONVERSIONS
    kills: int = KILLS
    seed: int = 20_260_301
    faulty_percent: float = 20.0
    sources: int = 16
    """Number of sources, each with its own receiver and two rules, one of them for large payouts only."""
    connections: int = 12
    """Number of connections of the networks."""
    waits_seconds: tuple[int, ...] = (1, 1, 2, 3)
    attempt_seconds: int = 2


class StormResult(msgspec.Struct, frozen=True):
    """The results of a storm."""

    observations: Observations
    figures: Figures
    killed: dict[str, int]
    """Number of kills by kind of process."""
    sent_again: int
    """Notices that got no response and were sent again."""
    posting_seconds: float
    seconds: float

    @property
    def broken(self) -> tuple[str, ...]:
        """Return a sentence for each broken promise."""
        return self.figures.broken


def main(plan: Plan) -> list[str]:
    """Return the results as lines of Markdown. Raise ArithmeticError if a promise is broken."""
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder:
        storm = run_storm(plan, Path(folder) / "data")
    if storm.broken:
        raise ArithmeticError(" ".join(storm.broken))
    return lines_of(plan, storm)


def run_storm(plan: Plan, folder: Path) -> StormResult:
    """Run a storm in a data folder, wait until every postback is final, and count."""
    tracker = KillableTracker(folder, attempt_seconds=str(plan.attempt_seconds))
    chance = random.Random(plan.seed)
    arrivals: list[ReceivedRequest] = []
    try:
        with flaky_receivers(plan.seed, plan.faulty_percent, arrivals) as port:
            tracker.start()
            tracker.wait_until_ready()
            keys = set_up(tracker, plan, port)
            began = time.monotonic()
            networks = Networks(tracker.port, plan, keys)
            killer = Killer(tracker, plan, chance, partial(_progress, networks, plan, port), partial(_accepted, port))
            killer.start()
            uvloop.run(networks.send_all())
            posted = time.monotonic()
            killer.join()
            if killer.fault is not None:
                raise killer.fault
            tracker.wait_until_ready()
            _wait_until_final(folder, plan)
            ended = time.monotonic()
            tracker.stop()
    finally:
        tracker.abandon()
    observations = Observations(networks.accepted, networks.small, arrivals)
    return StormResult(
        observations, count(folder, observations), killer.killed, networks.sent_again, posted - began, ended - began
    )


def lines_of(plan: Plan, storm: StormResult) -> list[str]:
    """Return the results as lines of Markdown."""
    found = storm.figures
    killed = ", ".join(f"{name} {times}×" for name, times in sorted(storm.killed.items()))
    kinds = ", ".join(f"{kind} {times:,}" for kind, times in sorted(found.answers.items()))
    reasons = ", ".join(f"{reason} {times:,}" for reason, times in sorted(found.skipped.items()))
    return [
        (
            f"{plan.conversions:,} conversions over {plan.connections} connections, {plan.sources} receivers of which "
            f"{plan.faulty_percent:g} % of the answers are faults ({kinds}), {plan.kills} × kill -9 ({killed}); "
            f"notices were answered within {storm.posting_seconds:.0f} s, {storm.sent_again:,} were sent again for want of an answer; "
            f"every postback was final after {storm.seconds:.0f} s."
        ),
        "",
        "| | |",
        "| --- | --- |",
        f"| conversions registered | {found.conversions:,} |",
        f"| conversions in the facts | {found.in_facts:,} |",
        f"| postbacks, one per conversion and rule | {found.postbacks:,} |",
        f"| delivered | {found.delivered:,} |",
        f"| failed, each with its reason | {found.failed:,} |",
        f"| skipped, each with its reason | {sum(found.skipped.values()):,} ({reasons}) |",
        f"| neither | {found.unfinished:,} |",
        f"| requests that left | {found.arrived:,} |",
        (
            f"| on their way at a kill: left, and the outcome not written | {found.in_flight:,}: {found.answered:,} had been answered, "
            f"{found.in_flight - found.answered:,} had not |"
        ),
        f"| duplicates: answered with 200 more than once | {found.duplicates:,}, each of them on its way at a kill |",
        f"| self-audit | {found.audited:,} changes, {found.mismatches:,} mismatches |",
    ]


def set_up(tracker: KillableTracker, plan: Plan, port: int) -> list[str]:
    """Create sources with two rules each, and their campaigns. Return the campaigns' keys."""
    network = tracker.create("networks", {"name": "Network"})
    offer = tracker.create(
        "offers",
        {"name": "Offer", "network_id": network["id"], "url": "https://offers.example.net/?sub={clickid}"},
    )
    keys = []
    for number in range(plan.sources):
        row = {"parameter": "external_id", "placeholder": "{id}"}
        source = tracker.create("traffic-sources", {"name": f"Source {number}", "parameters": [row]})
        url = f"http://127.0.3.{number + 1}:{port}/pb?id={{externalid}}&txid={{txid}}&pid={{postback_id}}"
        large = {"minimum_payout": "2"}
        for name, conditions in (("All", {}), ("Large ones", large)):
            rule: dict[str, object] = {"name": f"{name} {number}", "source_id": source["id"], "request": {"url": url}}
            tracker.create("postback-rules", rule | {"conditions": conditions, "waits_seconds": plan.waits_seconds})
        shares = [{"offer_id": offer["id"]}]
        body: dict[str, object] = {"name": f"Campaign {number}", "source_id": source["id"], "offers": shares}
        keys.append(str(tracker.create("campaigns", body)["key"]))
    return keys


class Networks:
    """Networks that report conversions, one per click, and repeat each notice until it is answered with 200."""

    def __init__(self, port: int, plan: Plan, keys: list[str]) -> None:
        self.accepted: dict[str, str] = {}
        """Click id of each accepted notice, by txid."""
        self.small = 0
        """Number of them with a payout below the minimum of the source's second rule."""
        self.sent_again = 0
        self._port = port
        self._plan = plan
        self._keys = keys
        self._numbers = itertools.count()

    async def send_all(self) -> None:
        """Send all notices and return when they have been answered."""
        await asyncio.gather(*(self._send() for _ in range(self._plan.connections)))

    async def _send(self) -> None:
        connection = RetryingBrowser(self._port)
        while (number := next(self._numbers)) < self._plan.conversions:
            key = self._keys[number % len(self._keys)]
            _, head = await connection.get(f"/c/{key}?external_id=visitor-{number}", 302)
            found = _OFFER_CLICK_ID.search(head)
            if found is None:
                raise ValueError(f"a redirect without a click id: {head!r}")
            click_id, txid = found[1].decode(), f"T{number}"
            payout = SMALL if number // len(self._keys) % 2 else LARGE
            again, head = await connection.get(f"/postback?cid={click_id}&payout={payout}&txid={txid}", 200)
            if b"x-clickloop-outcome: accepted" not in head:
                raise ValueError(f"a notice was not accepted: {head!r}")
            self.accepted[txid] = click_id
            self.small += payout == SMALL
            self.sent_again += again
        connection.close()


class RetryingBrowser:
    """A client that reconnects and repeats each request until it gets the expected status."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._browser: Browser | None = None

    async def get(self, target: str, expected: int) -> tuple[int, bytes]:
        """Return the number of failed tries and the response's head. Raise ValueError for a status other than ``expected`` or 503."""
        for again in itertools.count():
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    if self._browser is None:
                        self._browser = await Browser.connect(self._port)
                    status, head = await self._browser.get(target)
            except (OSError, asyncio.IncompleteReadError):
                self.close()
                await asyncio.sleep(0.05)
                continue
            if status == expected:
                return again, head
            if status != 503:
                raise ValueError(f"{target} was answered {status}, expected {expected}: {head!r}")
            await asyncio.sleep(0.2)
        raise AssertionError("counting has no end")

    def close(self) -> None:
        if self._browser is not None:
            self._browser.close()
            self._browser = None


class Killer(threading.Thread):
    """Kills processes during the work. ``fault``: why it gave up."""

    def __init__(
        self,
        tracker: KillableTracker,
        plan: Plan,
        chance: random.Random,
        progress: partial[float],
        accepted: partial[int],
    ) -> None:
        """``accepted`` returns the number of postbacks that the receivers have accepted."""
        super().__init__(name="killing", daemon=True)
        self.killed: dict[str, int] = {}
        self.fault: Exception | None = None
        self._tracker = tracker
        self._moments = sorted(chance.uniform(0, KILLED_BY_PROGRESS) for _ in range(plan.kills))
        self._chance = chance
        self._progress = progress
        self._accepted = accepted

    def run(self) -> None:
        """Kill a process at each moment, a share of the work."""
        try:
            for moment, kind in zip(self._moments, self._victims(), strict=False):
                wait_until(partial(self._is_reached, moment), MAX_SECONDS, "The storm made no progress.")
                if kind == "core" and self._chance.random() < AT_WORK_SHARE:
                    self._wait_for_deliveries()
                self._tracker.kill(kind, self._chance)
                self.killed[kind] = self.killed.get(kind, 0) + 1
        except Exception as fault:
            self.fault = fault

    def _victims(self) -> Iterator[str]:
        """Yield kinds of processes endlessly, in random order, as often as they are in the list."""
        while True:
            yield from self._chance.sample(_VICTIMS, len(_VICTIMS))

    def _wait_for_deliveries(self) -> None:
        """Wait briefly until a postback is accepted. There may be none left."""
        before = self._accepted()
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: self._accepted() > before, AT_WORK_SECONDS, "")

    def _is_reached(self, moment: float) -> bool:
        return self._progress() >= moment


def _progress(networks: Networks, plan: Plan, port: int) -> float:
    """Return the progress of the work, from 0 to about 1: notices answered, and postbacks accepted."""
    owed = plan.conversions * (RULES - 0.5)
    return (len(networks.accepted) / plan.conversions + _accepted(port) / owed) / 2


def _accepted(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/accepted")
        return int(connection.getresponse().read())
    finally:
        connection.close()


def _wait_until_final(folder: Path, plan: Plan) -> None:
    ledger = Ledger.open(folder / "ledger.sqlite", secret_box_of(folder))
    message = "not every postback is final"
    try:
        wait_until(partial(_is_final, ledger, plan.conversions), MAX_SECONDS, message)
    finally:
        ledger.close()


def _is_final(ledger: Ledger, conversions: int) -> bool:
    time.sleep(0.2)  # polling takes some milliseconds from the tracker
    with ledger.read() as tx:
        registered = tx.scalar(text("SELECT count(*) FROM conversions")) or 0
        unfinished = tx.scalar(text("SELECT count(*) FROM postbacks WHERE finished_at IS NULL"))
        owed_facts = tx.scalar(text("SELECT count(*) FROM fact_outbox"))
    return registered >= conversions and not unfinished and not owed_facts


if __name__ == "__main__":
    sizes = [int(argument) for argument in sys.argv[1:]]
    named = dict(zip(("conversions", "kills", "seed"), sizes, strict=False))
    print("\n".join(main(msgspec.convert(named, Plan))))
