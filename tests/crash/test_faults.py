"""Faults around the running product: a full disk, stores that are locked or damaged, a journal that lost bytes."""

import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.journey.running import (
    PATIENCE_SECONDS,
    Campaign,
    Connection,
    Receiver,
    Tracker,
    eventually,
    kill,
    link_of,
    running,
)

pytestmark = pytest.mark.crash

POSTBACK = "/pb?id={externalid}&txid={txid}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@contextlib.contextmanager
def mounted(path: Path, kind: str, size_mb: int) -> Iterator[Path]:
    """A file system of its own at ``path``; fails, and says why, where this may not be mounted."""
    path.mkdir()
    image = path.with_suffix(".image")
    if kind == "ext4":
        with image.open("wb") as file:
            file.truncate(size_mb * 1024 * 1024)
        _system("mkfs.ext4", "-q", "-m", "0", str(image))
        _system("mount", "-o", "loop", str(image), str(path))
    else:
        _system("mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(path))
    try:
        yield path
    finally:
        # the last file of a process that has just ended may still be closing
        eventually(lambda: subprocess.run(("umount", str(path)), capture_output=True, check=False).returncode == 0)


def _system(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(
            f"{' '.join(command)} failed: {done.stderr.strip()}. This test fills a small disk of its own and needs the right to "
            "mount one: run it as root, in a container with --cap-add SYS_ADMIN."
        )


@contextlib.contextmanager
def kept_full(disk: Path) -> Iterator[None]:
    """Takes every byte of a file system that is free or becomes free, until leaving; then gives all back."""
    ending = threading.Event()
    filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def fill() -> None:
        size = 1024 * 1024
        while not ending.is_set():
            try:
                os.write(filler, b"x" * size)
            except OSError:
                size = max(1, size // 16)
                ending.wait(0.002)

    filling = threading.Thread(target=fill, daemon=True)
    filling.start()
    try:
        eventually(lambda: os.statvfs(disk).f_bavail == 0)
        yield
    finally:
        ending.set()
        filling.join()
        os.close(filler)
        (disk / "filler").unlink()


def visit(tracker: Tracker, campaign: Campaign, name: str) -> str:
    """A click with this external id that must be redirected."""
    return tracker.click(campaign.key, f"external_id={name}")


def external_ids(tracker: Tracker) -> list[str]:
    """The external ids of all clicks in the facts, sorted."""
    return sorted(click["external_id"] for click in tracker.all_of("clicks"))


def _is_settled(tracker: Tracker, external_id: str) -> bool:
    return external_id in external_ids(tracker)


def txids(tracker: Tracker) -> list[str]:
    """The txids of all notices in Conversions - In, sorted."""
    return sorted(notice["query"].rpartition("txid=")[2] for notice in tracker.all_of("notices"))


def reported(receiver: Receiver) -> set[str]:
    """The txids of which the source was told, if need be twice: a core was killed that could not write down what it sent."""
    return {request.value("txid").decode() for request in tuple(receiver.requests)}


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_on_a_full_disk_visitors_go_on_and_notices_are_sent_again(
    tmp_path: Path, receiver: Receiver, kind: str
) -> None:
    with mounted(tmp_path / "disk", kind, 64) as disk:
        tracker = Tracker(disk / "data", reserve_mb="2")
        tracker.log_path = tmp_path / "log"
        try:
            tracker.start()
            run_full(tracker, disk, receiver)
        finally:
            tracker.close()


def test_a_tracker_that_is_started_on_a_full_disk_redirects_visitors(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "tmpfs", 64) as disk:
        tracker = Tracker(disk / "data", reserve_mb="2")
        tracker.log_path = tmp_path / "log"
        try:
            tracker.start()
            campaign = tracker.set_up("")
            tracker.close()
            with kept_full(disk):
                tracker.start(wait=False)
                eventually(lambda: _redirects(tracker, campaign), told=tracker.log_text)
            eventually(tracker.api_answers, told=tracker.log_text)
            visit(tracker, campaign, "afterwards")
            eventually(lambda: _is_settled(tracker, "afterwards"), told=tracker.log_text)
        finally:
            tracker.close()


def test_while_the_disk_is_read_only_visitors_are_redirected_also_after_a_restart(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "ext4", 64) as disk:
        tracker = Tracker(disk / "data", reserve_mb="2")
        tracker.log_path = tmp_path / "log"
        try:
            tracker.start()
            campaign = tracker.set_up("")
            click_id = visit(tracker, campaign, "before")
            assert tracker.notify(f"cid={click_id}&txid=before").status == 200
            _system("mount", "-o", "remount,abort", str(disk))  # as the kernel does when the disk fails
            eventually(lambda: not _stores(tracker, click_id), told=tracker.log_text)
            eventually(lambda: _redirects(tracker, campaign), told=tracker.log_text)
            tracker.close()
            tracker.start(wait=False)
            eventually(lambda: _redirects(tracker, campaign), told=tracker.log_text)
            assert not _stores(tracker, click_id), "what is on no disk must not be acknowledged"
            assert json.loads(tracker.ask("GET", "/health").body)["status"] == "failing"
        finally:
            tracker.close()


def test_while_the_disk_is_read_only_half_open_connections_are_ended(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "ext4", 64) as disk:
        tracker = Tracker(disk / "data", reserve_mb="2", request_seconds="2")
        tracker.log_path = tmp_path / "log"
        try:
            tracker.start()
            campaign = tracker.set_up("")
            eventually((tracker.folder / "reserve").exists)
            _system("mount", "-o", "remount,abort", str(disk))
            eventually(lambda: _redirects(tracker, campaign) and b"failing" in tracker.ask("GET", "/health").body)
            with socket.create_connection(("127.0.0.1", tracker.port), PATIENCE_SECONDS) as half_open:
                half_open.sendall(b"GET /c/")
                assert b" 408 " in half_open.recv(1000)
        finally:
            tracker.close()


def _stores(tracker: Tracker, click_id: str) -> bool:
    try:
        return tracker.notify(f"cid={click_id}&txid=meanwhile").status == 200
    except (OSError, http.client.HTTPException):
        return False


def _redirects(tracker: Tracker, campaign: Campaign) -> bool:
    try:
        return tracker.ask("GET", f"/c/{campaign.key}").status == 302
    except (OSError, http.client.HTTPException):
        return False


def run_full(tracker: Tracker, disk: Path, receiver: Receiver) -> None:
    """Fills the disk under traffic, kills an edge and the core meanwhile, makes room again, and compares with what was answered."""
    campaign = tracker.set_up(receiver.url + POSTBACK)
    click_id = visit(tracker, campaign, "before")
    eventually(lambda: external_ids(tracker) == ["before"])
    eventually((tracker.folder / "reserve").exists)
    stored: list[str] = []
    refused = 0

    def notify(name: str) -> int:
        status = tracker.notify(f"cid={click_id}&payout=1&txid={name}").status
        if status == 200:
            stored.append(name)
        return status

    with kept_full(disk):
        number = 0
        gives_up_at = time.monotonic() + 60
        while refused <= 20 or (tracker.folder / "reserve").exists() or not logs_a_full_disk(tracker):
            assert time.monotonic() < gives_up_at, f"{refused} of {number} notices were refused\n{tracker.log_text()}"
            visit(tracker, campaign, f"full-{number}")
            status = notify(f"full-{number}")
            assert status in {200, 503}
            refused += status == 503
            number += 1
        for name in ("edge1", "core"):
            kill(tracker.pids()[name])
        eventually(tracker.takes_clicks, told=tracker.log_text)
        visit(tracker, campaign, "restarted")
        assert notify("restarted") in {200, 503}

    eventually(lambda: notify("after") == 200, told=tracker.log_text)
    visit(tracker, campaign, "after")
    eventually(lambda: "after" in external_ids(tracker), told=tracker.log_text)
    eventually(lambda: len(txids(tracker)) >= len(stored), told=tracker.log_text)
    assert txids(tracker) == sorted(stored)
    eventually(lambda: reported(receiver) == set(stored), told=tracker.log_text)
    recorded = external_ids(tracker)
    assert len(recorded) == len(set(recorded))


def logs_a_full_disk(tracker: Tracker) -> bool:
    """Return whether the log says that the disk is full."""
    return any("the disk is full" in line["event"] for line in tracker.log_lines())


def test_while_the_ledger_is_locked_the_doors_go_on_and_all_is_settled_later_once(
    tmp_path: Path, receiver: Receiver
) -> None:
    with running(tmp_path / "data") as tracker:
        campaign = tracker.set_up(receiver.url + POSTBACK)
        with contextlib.closing(sqlite3.connect(tracker.folder / "ledger.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            number = 40
            for made in range(number):
                click_id = visit(tracker, campaign, f"locked-{made}")
                assert tracker.notify(f"cid={click_id}&txid=locked-{made}").body == b"OK\n"
                if made == number // 2:
                    eventually(lambda: locked_out(tracker), told=tracker.log_text)
            other.execute("ROLLBACK")
        expected = sorted(f"locked-{made}" for made in range(number))
        eventually(lambda: len(receiver.requests) >= number, told=tracker.log_text)
        assert (external_ids(tracker), txids(tracker)) == (expected, expected)
        assert sorted(request.value("id").decode() for request in receiver.requests) == expected


@pytest.mark.parametrize("name", ["ledger.sqlite", "facts.duckdb"])
def test_with_a_store_damaged_the_doors_go_on_and_the_log_says_what_to_do(
    tmp_path: Path, receiver: Receiver, name: str
) -> None:
    with running(tmp_path / "data") as tracker:
        campaign = tracker.set_up(receiver.url + POSTBACK)
        visit(tracker, campaign, "before")
        eventually(lambda: external_ids(tracker) == ["before"])
        assert tracker.stop() == 0
        store = tracker.folder / name
        backup = store.read_bytes()
        assert not list(tracker.folder.glob(f"{name}?*al")), "a stopped store has its log in the file"
        store.write_bytes(os.urandom(100_000))

        tracker.start(wait=False)
        eventually(tracker.takes_clicks, told=tracker.log_text)
        click_id = visit(tracker, campaign, "damaged")
        assert tracker.notify(f"cid={click_id}&txid=damaged").body == b"OK\n"
        eventually(lambda: fault_of_core(tracker), told=tracker.log_text)
        assert str(store) in fault_of_core(tracker)
        assert "restore" in fault_of_core(tracker).lower()

        store.write_bytes(backup)
        tracker.wait_until_ready()
        eventually(lambda: external_ids(tracker) == ["before", "damaged"], told=tracker.log_text)
        eventually(lambda: receiver.requests, told=tracker.log_text)
        assert [request.value("id") for request in receiver.requests] == [b"damaged"]


def locked_out(tracker: Tracker) -> bool:
    """Return whether the log says that settling met the lock."""
    return any(
        line["event"] == "notice processing failed and is tried again" and "database is locked" in line["fault"]
        for line in tracker.log_lines()
    )


def fault_of_core(tracker: Tracker) -> str:
    """Why the core does not start, by the log; empty when it says nothing."""
    faults = [line["fault"] for line in tracker.log_lines() if line["event"].startswith("the core does not start")]
    return str(faults[-1]) if faults else ""


def test_lost_facts_are_had_again_by_what_the_log_advises(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path / "data") as tracker:
        campaign = tracker.set_up(receiver.url + POSTBACK)
        for number in range(3):
            visit(tracker, campaign, f"lost-{number}")
            eventually(partial(_is_settled, tracker, f"lost-{number}"))
        assert tracker.stop() == 0
        (tracker.folder / "facts.duckdb").unlink()
        tracker.start(wait=False)
        eventually(lambda: fault_of_core(tracker), told=tracker.log_text)
        assert "clickloop serve --new" in fault_of_core(tracker)
        assert tracker.stop() == 0
        command = tracker.command
        tracker.command = lambda: [*command(), "--new"]  # type: ignore[method-assign]
        tracker.start()
        expected = [f"lost-{number}" for number in range(3)]
        eventually(lambda: external_ids(tracker) == expected, told=tracker.log_text)
        assert "the clicks and page events of 3 journal segments" in tracker.log_text()


def test_a_flipped_bit_and_a_lost_segment_are_told_and_the_rest_is_settled(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path / "data") as tracker:
        campaign = tracker.set_up(receiver.url + POSTBACK)
        core = tracker.pids()["core"]
        os.kill(core, signal.SIGSTOP)
        try:
            for batch in range(4):
                write_batch(tracker, campaign, batch)
            first, flipped, lost, _ = closed_segments(tracker)
            octets = bytearray(flipped.read_bytes())
            octets[octets.index(b"batch-1-1")] ^= 1
            flipped.write_bytes(octets)
            lost.unlink()
        finally:
            os.kill(core, signal.SIGCONT)
        expected = [f"batch-{batch}-{number}" for batch in (0, 1, 3) for number in range(3)]
        expected.remove("batch-1-1")
        eventually(lambda: external_ids(tracker) == expected, told=tracker.log_text)

        def damages() -> dict[str, Any]:
            return {line["file"]: line for line in tracker.log_lines() if line["event"] == "journal damaged"}

        eventually(lambda: len(damages()) == 2, told=tracker.log_text)
        told = damages()
        assert {path: line["kind"] for path, line in told.items()} == {
            str(flipped): "flipped_bits",
            str(lost): "missing_segment",
        }
        damaged = bytes(octets)[told[str(flipped)]["first_byte"] : told[str(flipped)]["end_byte"]]
        assert damaged.count(b"\n") == 1
        assert b"atch-1-1" in damaged
        assert flipped.with_suffix(".damaged").name in told[str(flipped)]["sentence"]
        assert first.exists() is False


def write_batch(tracker: Tracker, campaign: Campaign, batch: int) -> None:
    """Three clicks that come into one segment, which is then closed."""
    with Connection(tracker.port) as connection:
        for number in range(3):
            assert connection.ask("GET", link_of(campaign.key, f"external_id=batch-{batch}-{number}")).status == 302
    eventually(lambda: len(closed_segments(tracker)) == batch + 1)


def closed_segments(tracker: Tracker) -> list[Any]:
    """Segments of clicks that are not settled yet, in order."""
    return sorted((tracker.folder / "journal" / "clicks").glob("*/*.ndjson"))
