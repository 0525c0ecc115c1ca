"""Settling killed at every call, and calls of every kind that fail: every click and every fact is in the facts exactly once."""

import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

import msgspec
import pytest

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.journal.segment import record_line
from clickloop.store.journal.writer import JournalWriter
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.outbox import oldest_facts
from tests.crash.injection import KILLED, Forking, forking, places
from tests.crash.killing import killed_after
from tests.crash.settling_child import OUTBOX_ROWS, a_click, settle_all
from tests.store.counting import conversions_counted

pytestmark = pytest.mark.crash

CHILD = Path(__file__).with_name("settling_child.py")
EVERY_NTH = {"signal=KILL": 1, "error=EIO": 6, "error=ENOSPC": 6}
"""Every how many calls of a name one is disturbed in a run, from a drawn one: a few runs make every call fail."""
ROUNDS = 3
"""Writers that are killed at random, each while settling is killed again and again."""


def a_journal(folder: Path) -> list[str]:
    """Write the journals of two dead writers: whole segments, an unclosed one, one with a flipped bit, one with a record that is no click.

    Return the ids of the clicks that must be settled.
    """
    clicks: list[Click] = []
    first = JournalWriter.open(folder / "journal", "clicks", "edge-0")
    for _ in range(2):
        for _ in range(4):
            clicks.append(a_click(len(clicks)))
            first.append(msgspec.json.encode(clicks[-1]))
        first.close_segment()
    first.append(b'{"at":"no click"}')
    first.close()
    second = JournalWriter.open(folder / "journal", "clicks", "edge-1")
    for _ in range(2):
        clicks.append(a_click(len(clicks)))
        second.append(msgspec.json.encode(clicks[-1]))
    second.close()
    (second.path / "00000002.open").write_bytes(record_line(msgspec.json.encode(last := a_click(99))))
    flipped = first.path / "00000002.ndjson"
    data = bytearray(flipped.read_bytes())
    data[3] ^= 1
    flipped.write_bytes(data)
    return [click.click_id for index, click in enumerate(clicks) if index != 4] + [last.click_id]


def check_facts(folder: Path, expected: list[str], place: str) -> None:
    """Every click and every fact exactly once, and nothing left in the journal."""
    facts = DuckDbFacts.open(folder / "facts.duckdb")
    found = [click.click_id for click in facts.clicks_page(ClickFilter(), 100_000)]
    assert sorted(found) == sorted(expected), place
    assert conversions_counted(facts) == OUTBOX_ROWS, place
    facts.close()
    ledger = Ledger.open(folder / "ledger.sqlite")
    with ledger.read() as tx:
        assert oldest_facts(tx, 100) == [], place
    ledger.close()
    assert list((folder / "journal").rglob("*.ndjson")) == [], place


def test_an_undisturbed_settling_tells_every_damage(tmp_path: Path) -> None:
    expected = a_journal(tmp_path)
    assert sorted(settle_all(tmp_path)) == ["flipped_bits", "unreadable"]
    check_facts(tmp_path, expected, "undisturbed")


def drawn(counts: Counter[str], every: int) -> list[tuple[str, int]]:
    """Every so many of the calls of each name, from a first one that is drawn, and the last of each name."""
    first = random.randrange(every)
    print(f"calls whose number leaves {first} when divided by {every}")
    return [(name, number) for name, number in places(counts) if number % every == first or number == counts[name]]


@pytest.mark.parametrize("fault", EVERY_NTH)
def test_disturbed_at_a_call_of_any_kind_settling_takes_everything_once(tmp_path: Path, fault: str) -> None:
    template = tmp_path / "template"
    template.mkdir()
    Ledger.open(
        template / "ledger.sqlite"
    ).close()  # migrated before: that it survives a kill is tested with the ledger
    expected = a_journal(template)
    shutil.copytree(template, tmp_path / "whole")
    children: Queue[Forking] = Queue()

    def disturb(at: tuple[str, int]) -> None:
        name, number = at
        folder = tmp_path / f"{name}-{number}"
        shutil.copytree(template, folder)
        child = children.get()
        run = child.run([str(folder)], [f"{name}:{fault}:when={number}"])
        children.put(child)
        place = f"{fault} at {name} {number}: {run}"
        if fault == "signal=KILL":
            assert run.code == KILLED, place
        settle_all(folder)
        check_facts(folder, expected, place)
        shutil.rmtree(folder)

    with (
        forking(CHILD, tmp_path / "one") as child,
        forking(CHILD, tmp_path / "other") as other,
        ThreadPoolExecutor(2) as pool,
    ):
        counts = child.call_counts([str(tmp_path / "whole")], tmp_path / "trace")
        assert {"rename", "fsync", "pwrite64"} <= set(counts)
        children.put(child)
        children.put(other)
        list(pool.map(disturb, drawn(counts, EVERY_NTH[fault])))


_WRITER = """
import sys, os, time, msgspec
from pathlib import Path
from clickloop.store.journal.writer import JournalWriter
sys.path.insert(0, sys.argv[2])
from settling_child import a_click
writer = JournalWriter.open(Path(sys.argv[1]) / "journal", "clicks", "edge-0")
number = os.getpid() * 1_000
while True:
    for _ in range(20):
        number += 1
        click = a_click(number)
        writer.append(msgspec.json.encode(click))
        os.write(1, click.click_id.encode() + b"\\n")
    writer.close_segment()
    time.sleep(0.002)  # a load, not a flood: what is written has to be settled at the end
"""


def test_killed_at_random_under_load_writers_and_settling_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    chance = random.Random(9)
    acknowledged: set[str] = set()
    batches: list[str] = []
    write = [sys.executable, "-c", _WRITER, str(tmp_path), str(CHILD.parent)]
    settle = [sys.executable, str(CHILD), str(tmp_path)]
    for _ in range(ROUNDS):
        with subprocess.Popen(write, stdout=subprocess.PIPE) as writer, ThreadPoolExecutor(1) as reading:
            assert writer.stdout is not None
            acknowledged.add(writer.stdout.readline().decode().strip())
            rest = reading.submit(writer.stdout.readlines)  # else the writer waits for room in the pipe
            batches += killed_after(settle, 0, chance)
            enough = len(batches) + 3
            # A slow writer may have closed nothing new; settling then ends by itself, without a batch.
            while len(batches) < enough:
                assert writer.poll() is None
                batches += killed_after(settle, 1, chance)
            writer.kill()
            acknowledged |= {line.decode().strip() for line in rest.result() if line.endswith(b"\n")}
    assert len(acknowledged) >= ROUNDS
    damages = settle_all(tmp_path)
    assert damages == []
    facts = DuckDbFacts.open(tmp_path / "facts.duckdb")
    found = [click.click_id for click in facts.clicks_page(ClickFilter(), 10_000_000)]
    facts.close()
    assert len(found) == len(set(found))
    assert acknowledged <= set(found)
    assert len(found) <= len(acknowledged) + ROUNDS
    assert os.listdir(tmp_path / "journal" / "clicks") == []
