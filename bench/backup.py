"""Backups under load with kills, each restored, started and audited. Run with ``python -m bench.backup [ROUNDS [SEED]]``.

Networks report conversions continuously while a backup is taken. In most rounds a process is killed during it: the core, an edge,
the supervisor, or the backup itself, which must leave nothing behind and is run again. The restored folder must contain all that
was acknowledged before the backup began, without duplicates, and must send nothing. Otherwise the exit status is 1.
"""

import asyncio
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import msgspec
import uvloop

from bench.backup_audit import Acknowledged, Audit, audit
from bench.flaky import ReceivedRequest, flaky_receivers
from bench.killable import KillableTracker
from bench.machine import percentile, wait_until
from bench.storm import RetryingBrowser
from clickloop.backup.progress import ConsoleProgress
from clickloop.backup.taking import verify_backup

ROUNDS = 50
COMMAND_SECONDS = 240.0
SETTLE_SECONDS = 120.0
_KINDS = ("core", "backup", "edge", "", "core", "supervisor", "backup")
"""Kinds of processes to kill, one per round; empty for none."""
_OFFER_CLICK_ID = re.compile(rb"[?&]sub=([0-9a-z]{26})")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The size of a run."""

    rounds: int = ROUNDS
    seed: int = 20_261_130
    connections: int = 4
    pause_seconds: float = 0.1
    """Pause between two conversions of a connection."""
    first_conversions: int = 300
    """Conversions before the first backup."""
    sends_between_backups: bool = True
    """False: the networks rest while a backup is restored and audited, which leaves the machine to that."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One backup, and the audit of its restored folder."""

    killed: str
    anew: int
    """Snapshots restarted because the core was killed."""
    backup_seconds: float
    notice_ms: list[float]
    """Response times of notices during the backup, in ms."""
    audit: Audit


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """The results of all rounds."""

    rounds: list[Round]
    clicks: int
    notices: int
    pause_seconds: list[float]
    """Duration of each pause of settling."""
    leftovers: tuple[str, ...]
    """Temporary files that backups failed to remove."""

    @property
    def broken(self) -> tuple[str, ...]:
        """Return a sentence for each broken promise."""
        faults = [f"Round {number}: {fault}" for number, one in enumerate(self.rounds, 1) for fault in one.audit.broken]
        return (*faults, *(f"{name} was left behind." for name in self.leftovers))


def main(plan: Plan) -> list[str]:
    """Return the results as lines of Markdown. Raise ArithmeticError if a promise is broken."""
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder:
        soak = run(plan, Path(folder))
    if soak.broken:
        raise ArithmeticError(" ".join(soak.broken))
    return lines_of(soak)


def run(plan: Plan, folder: Path) -> Soak:
    """Take, restore and audit all backups."""
    chance = random.Random(plan.seed)
    arrivals: list[ReceivedRequest] = []
    tracker = KillableTracker(folder / "data", edges=2)
    rounds = []
    try:
        with flaky_receivers(plan.seed, 10.0, arrivals) as port:
            tracker.start()
            tracker.wait_until_ready()
            networks = Networks(tracker.port, plan, _set_up(tracker, port))
            networks.start()
            wait_until(lambda: len(networks.done.notices) >= plan.first_conversions, 120, "no conversions come in")
            try:
                for number in range(plan.rounds):
                    kind = _KINDS[number % len(_KINDS)]
                    networks.go_on()
                    rounds.append(_round(tracker, networks, folder, kind, chance))
                    verdict = rounds[-1].audit.broken or "whole"
                    sys.stderr.write(
                        f"round {number + 1}: {kind or 'no kill'}, begun anew {rounds[-1].anew}×: {verdict}\n"
                    )
            finally:
                networks.end()
            tracker.wait_until_ready()
            tracker.stop()
    finally:
        tracker.abandon()
    leftovers = [path for place in (folder, folder / "data" / "run") for path in place.glob(".clickloop-backup-*")]
    log = (folder / "data.log").read_text(errors="replace")
    return Soak(
        rounds=rounds,
        clicks=len(networks.done.clicks),
        notices=len(networks.done.notices),
        pause_seconds=[float(found) for found in re.findall(r'paused for a backup".*?"seconds":([0-9.]+)', log)],
        leftovers=tuple(str(path) for path in leftovers),
    )


def _set_up(tracker: KillableTracker, port: int) -> str:
    """Return the key of a campaign whose source gets a postback for every conversion."""
    network = tracker.create("networks", {"name": "Network"})
    url = "https://offers.example.net/?sub={clickid}"
    offer = tracker.create("offers", {"name": "Offer", "network_id": network["id"], "url": url})
    row = {"parameter": "external_id", "placeholder": "{id}"}
    target = f"http://127.0.3.1:{port}/pb?id={{externalid}}&pid={{postback_id}}"
    source = tracker.create("traffic-sources", {"name": "Source", "parameters": [row], "postback_url": target})
    shares = [{"offer_id": offer["id"]}]
    return str(tracker.create("campaigns", {"name": "Campaign", "source_id": source["id"], "offers": shares})["key"])


def _round(tracker: KillableTracker, networks: "Networks", folder: Path, kind: str, chance: random.Random) -> Round:
    file, restored = folder / "backup.tar", folder / "restored"
    began = time.monotonic()
    first_notice = len(networks.notice_ms)
    if kind == "backup":
        _kill_backup(tracker, file, chance)
    before = networks.done.copy()
    process = _begin_backup(tracker, file)
    if kind not in {"", "backup"}:
        assert process.stderr is not None
        process.stderr.readline()  # printed just before the pause of settling, which lasts a fraction of a second
        time.sleep(chance.choice((chance.uniform(0.0, 0.2), chance.uniform(0.0, 2.0))))
        tracker.kill(kind, chance)
    _, errors = process.communicate(timeout=COMMAND_SECONDS)
    if process.returncode != 0:
        return _failed(kind, f"the backup ended with {process.returncode}: {errors}")
    ended = time.monotonic()
    networks.rest()
    notice_ms = networks.notice_ms[first_notice:]
    command = [sys.executable, "-m", "clickloop", "restore", str(file), "--hold-postbacks", "--data", str(restored)]
    restoring = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    if restoring.returncode != 0:
        return _failed(kind, f"the restore ended with {restoring.returncode}: {restoring.stderr}")
    found = audit(restored, before, SETTLE_SECONDS)
    shutil.rmtree(restored)
    file.unlink()
    return Round(
        killed=kind,
        anew=errors.count("once more"),
        backup_seconds=ended - began,
        notice_ms=notice_ms,
        audit=found,
    )


def _failed(kind: str, why: str) -> Round:
    return Round(killed=kind, anew=0, backup_seconds=0.0, notice_ms=[], audit=Audit(broken=(why,)))


def _begin_backup(tracker: KillableTracker, file: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "clickloop", "backup", str(file), "--data", str(tracker.folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _kill_backup(tracker: KillableTracker, file: Path, chance: random.Random) -> None:
    """Kill a backup at a random moment. Raise BackupError if it leaves an incomplete file.

    If it is killed between renaming the file and exiting, it leaves a complete one.
    """
    process = _begin_backup(tracker, file)
    try:
        process.communicate(timeout=chance.uniform(0.2, 4.0))
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    if file.exists():
        verify_backup(file, ConsoleProgress(silent=True))
        file.unlink()


class Networks(threading.Thread):
    """Networks that report conversions, one per click, until ``end``. ``done``: what was acknowledged."""

    def __init__(self, port: int, plan: Plan, key: str) -> None:
        super().__init__(name="networks", daemon=True)
        self.done = Acknowledged()
        self.notice_ms: list[float] = []
        self._port = port
        self._plan = plan
        self._key = key
        self._numbers = itertools.count()
        self._ending = threading.Event()
        self._resting = threading.Event()
        self._fault: BaseException | None = None

    def run(self) -> None:
        try:
            uvloop.run(self._send_all())
        except BaseException as fault:
            self._fault = fault

    def rest(self) -> None:
        """Send nothing until ``go_on``, where the plan says so."""
        if not self._plan.sends_between_backups:
            self._resting.set()

    def go_on(self) -> None:
        """Send, and return when every connection has sent again. Raises TimeoutError."""
        enough = len(self.done.notices) + self._plan.connections
        self._resting.clear()
        wait_until(lambda: len(self.done.notices) >= enough, SETTLE_SECONDS, lambda: "no conversions come in")

    def end(self) -> None:
        """Stop sending. Raise the exception that ended it, if any."""
        self._ending.set()
        self.join(60)
        if self._fault is not None:
            raise self._fault

    async def _send_all(self) -> None:
        await asyncio.gather(*(self._send() for _ in range(self._plan.connections)))

    async def _send(self) -> None:
        connection = RetryingBrowser(self._port)
        while not self._ending.is_set():
            if self._resting.is_set():
                await asyncio.sleep(self._plan.pause_seconds)
                continue
            number = next(self._numbers)
            _, head = await connection.get(f"/c/{self._key}?external_id=visitor-{number}", 302)
            found = _OFFER_CLICK_ID.search(head)
            if found is None:
                raise ValueError(f"a redirect without a click id: {head!r}")
            click_id, txid = found[1].decode(), f"T{number}"
            self.done.clicks.append(click_id)
            began = time.monotonic()
            again, head = await connection.get(f"/postback?cid={click_id}&payout=1&txid={txid}", 200)
            if b"x-clickloop-outcome: accepted" not in head:
                raise ValueError(f"a notice was not accepted: {head!r}")
            if not again:
                self.notice_ms.append((time.monotonic() - began) * 1000)
            self.done.notices.append((click_id, txid))
            await asyncio.sleep(self._plan.pause_seconds)
        connection.close()


def lines_of(soak: Soak) -> list[str]:
    """Return the results as lines of Markdown."""
    killed = Counter(one.killed or "nothing" for one in soak.rounds)
    kinds = ", ".join(f"{kind} {times}×" for kind, times in sorted(killed.items()))
    quiet = [ms for one in soak.rounds if one.killed not in {"edge", "supervisor"} for ms in one.notice_ms]
    last = soak.rounds[-1].audit
    return [
        (
            f"{len(soak.rounds)} backups while {soak.clicks:,} clicks and {soak.notices:,} notices were acknowledged; killed meanwhile: "
            f"{kinds}. Each was restored with `--hold-postbacks`, started and audited."
        ),
        "",
        "| | |",
        "| --- | --- |",
        f"| restored and audited whole | {sum(not one.audit.broken for one in soak.rounds)} of {len(soak.rounds)} |",
        f"| acknowledged before a backup began, and lost | {sum(one.audit.lost for one in soak.rounds):,} |",
        f"| postbacks that left a restored folder | {sum(one.audit.sent for one in soak.rounds):,} |",
        f"| snapshots begun anew because the core was killed meanwhile | {sum(one.anew for one in soak.rounds)} |",
        f"| settling paused | p50 {percentile(soak.pause_seconds, 50):.2f} s, at most {max(soak.pause_seconds):.2f} s |",
        f"| notice answered during a backup, no edge killed | p50 {percentile(quiet, 50):.1f} ms, p99 {percentile(quiet, 99):.1f} ms |",
        f"| the last one contains | {last.clicks:,} clicks, {last.conversions:,} conversions |",
    ]


if __name__ == "__main__":
    sizes = [int(argument) for argument in sys.argv[1:]]
    print("\n".join(main(msgspec.convert(dict(zip(("rounds", "seed"), sizes, strict=False)), Plan))))
