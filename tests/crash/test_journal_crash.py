"""A journal writer killed at every call, and calls that fail: what was acknowledged is found again, once and whole."""

import random
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import Damage
from tests.crash.injection import KILLED, Forking, Run, forking, places
from tests.crash.journal_child import BROKEN
from tests.crash.killing import killed_after

pytestmark = pytest.mark.crash

CHILD = Path(__file__).with_name("journal_child.py")
SYNCS_BEFORE_BIRTH = 4
"""Of the folders above the writer's, which are made first, and of its own before that gets its name."""


class Found(msgspec.Struct, frozen=True):
    """Return the records that the reader finds after the crash."""

    numbers: list[int | str]
    damages: list[Damage]


class Numbered(msgspec.Struct, frozen=True):
    """A record of the child's."""

    n: int | str


def found_in(root: Path) -> Found:
    """Reads and settles everything; fails when something is left or comes twice."""
    reader = JournalReader(root, root.parent / "settled")
    numbers: list[int | str] = []
    damages: list[Damage] = []
    segments = reader.closed_segments("clicks")
    for segment in segments:
        contents = reader.read(segment)
        damages += contents.damages
        numbers += [msgspec.json.decode(line, type=Numbered).n for line in contents.lines]
        reader.settled([contents.segment])
    damages += reader.missing()
    assert reader.closed_segments("clicks") == []
    return Found(numbers, damages)


def said(run: Run, word: str) -> list[int]:
    """The numbers of the records that the child said this of."""
    return [int(line.split()[1]) for line in run.acknowledged if line.startswith(word) and line.split()[1].isdigit()]


class Writer:
    """Short runs of the child, each in a folder of its own."""

    def __init__(self, child: Forking, folder: Path) -> None:
        self._child = child
        self._folder = folder

    def counts(self) -> Counter[str]:
        """Return the number of calls of each kind in an undisturbed run."""
        return self._child.call_counts([str(self._folder / "whole"), "few"], self._folder / "trace")

    def run(self, name: object, *faults: str) -> tuple[Run, Found]:
        """A run with faults, and what is found after it."""
        root = self._folder / str(name) / "journal"
        run = self._child.run([str(root), "few"], faults)
        return run, found_in(root)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with forking(CHILD, tmp_path / "child") as child:
        yield Writer(child, tmp_path)


def test_killed_at_every_call_a_writer_loses_nothing_that_it_acknowledged(writer: Writer) -> None:
    counts = writer.counts()
    assert {"write", "fsync", "fdatasync", "rename", "renameat"} <= set(counts)
    for name, number in places(counts):
        run, found = writer.run(f"{name}-{number}", f"{name}:signal=KILL:when={number}")
        place = f"killed at {name} {number}: {run} {found}"
        assert run.code == KILLED, place
        acknowledged = said(run, "appended")
        assert found.numbers[: len(acknowledged)] == acknowledged, place
        assert len(found.numbers) <= len(acknowledged) + 1, place
        assert found.damages == [], place


def test_on_a_full_disk_the_record_is_refused_and_the_next_one_fits(writer: Writer) -> None:
    writes = writer.counts()["write"]
    refused = 0
    for number in range(1, writes + 1):
        run, found = writer.run(number, f"write:error=ENOSPC:when={number}")
        place = f"no room at write {number}: {run} {found}"
        assert found.damages == [], place
        if run.code == 0:  # else it was the write of an acknowledgement that failed
            refused += len(said(run, "full")) + ("full trailer" in run.acknowledged)
            assert found.numbers == said(run, "appended"), place
    assert refused >= 12  # nine records, and a trailer for each segment


@pytest.mark.parametrize("name", ["write", "fsync", "fdatasync", "renameat"])
def test_after_an_input_output_error_nothing_more_is_acknowledged(writer: Writer, name: str) -> None:
    counts = writer.counts()
    broken = 0
    for number in range(1, counts[name] + 1):
        run, found = writer.run(number, f"{name}:error=EIO:when={number}")
        place = f"error at {name} {number}: {run} {found}"
        if run.code == 0:  # its directory was not there yet: nothing was stored in it, and the writer made another one
            assert name == "fsync", place
            assert number <= SYNCS_BEFORE_BIRTH, place
        if run.code == BROKEN:
            broken += 1
            assert run.acknowledged[-1] == "broken", place
        assert found.numbers == said(run, "appended") or found.numbers[:-1] == said(run, "appended"), place
        assert found.damages == [], place
    assert broken >= 3


@pytest.mark.parametrize("end", ["signal=KILL", "error=EIO"])
def test_killed_while_it_takes_back_a_partial_line_a_writer_loses_nothing(writer: Writer, end: str) -> None:
    partial = [number for number in range(1, 8) if _is_partial(writer, number)]
    assert partial
    for number in partial:
        run, found = writer.run(number, f"write:retval=5:when={number}", f"ftruncate:{end}")
        assert run.code == (KILLED if "KILL" in end else BROKEN), run
        assert found.numbers == said(run, "appended"), run


def _is_partial(writer: Writer, number: int) -> bool:
    """Return whether this is the write of a record, not of an acknowledgement."""
    run, _ = writer.run(f"probe-{number}", f"write:retval=5:when={number}")
    return bool(said(run, "full"))


def test_killed_at_random_under_load_writers_lose_nothing_that_they_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(4)
    root = tmp_path / "journal"
    command = [sys.executable, str(CHILD), str(root), "ever"]
    acknowledged: dict[str, int] = {}
    with ThreadPoolExecutor(2) as pool:
        for lines in (1, 2, 20, 50, 100, 150):
            for lines_written in pool.map(killed_after, [command] * 2, [lines] * 2, [chance] * 2):
                _, process, count = lines_written[-1].split()
                acknowledged[process] = int(count)
    assert len(acknowledged) == 12
    found = found_in(root)
    assert found.damages == []
    by_process: dict[str, list[int]] = {}
    for text in found.numbers:
        process, _, number = str(text).partition("-")
        by_process.setdefault(process, []).append(int(number))
    for process, written in acknowledged.items():
        numbers = by_process[process]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= written
