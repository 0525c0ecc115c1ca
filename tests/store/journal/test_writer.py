"""The journal's writer and group commit: acknowledging, closing segments, and full or failing disks."""

import asyncio
import errno
import os
import resource
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import msgspec
import pytest

from clickloop.store.journal.group_commit import GroupCommit
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import Trailer, is_good_line
from clickloop.store.journal.writer import JournalBroken, JournalFull, JournalWriter


def a_writer(root: Path, moment: int = 1_000) -> JournalWriter:
    return JournalWriter.open(root / "journal", "clicks", "edge-0", clock=lambda: moment)


def test_a_record_is_one_line_that_ends_with_its_checksum(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    writer.append(b'{"a":"b"}')
    assert (writer.path / "00000001.open").read_bytes() == b'{"a":"b","crc":%d}\n' % crc32(b'{"a":"b"}')


def test_a_closed_segment_ends_with_number_count_and_checksum(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    writer.append(b'{"a":1}')
    writer.append(b'{"a":2}')
    writer.close_segment()
    *lines, trailer = (writer.path / "00000001.ndjson").read_bytes().splitlines(keepends=True)
    assert is_good_line(trailer[:-1])
    assert msgspec.json.decode(trailer, type=Trailer) == Trailer(1, 2, crc32(b"".join(lines)))


def test_closing_an_empty_segment_does_nothing(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    writer.close_segment()
    assert sorted(path.name for path in writer.path.iterdir()) == ["lock"]


def test_segments_are_numbered_without_gaps(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    for _ in range(3):
        writer.append(b'{"a":1}')
        writer.close_segment()
    assert sorted(path.stem for path in writer.path.glob("*.ndjson")) == ["00000001", "00000002", "00000003"]


def test_a_segment_is_due_by_age_and_when_the_clock_jumped_back(tmp_path: Path) -> None:
    writer = a_writer(tmp_path, moment=1_000)
    assert not writer.due(9_999, 250)
    writer.append(b'{"a":1}')
    assert not writer.due(1_249, 250)
    assert writer.due(1_250, 250)
    assert writer.due(999, 250)


def test_positions_count_records_and_sync_reaches_them(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    assert [writer.append(b'{"a":1}') for _ in range(3)] == [1, 2, 3]
    assert writer.synced == 0
    writer.close_segment()
    writer.append(b'{"a":1}')
    writer.sync()
    assert writer.synced == 4


def test_a_closed_writer_refuses_records(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    writer.append(b'{"a":1}')
    writer.close()
    with pytest.raises(JournalBroken):
        writer.append(b'{"a":1}')


@pytest.mark.parametrize("name", ["journal", "journal/clicks"])
def test_a_file_in_the_place_of_a_directory_breaks_no_writer_and_it_goes_on_when_the_file_is_gone(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"x")
    writer = a_writer(tmp_path)
    for _ in range(2):
        with pytest.raises(JournalFull):
            writer.append(b'{"a":1}')
    assert writer.failure == ""
    (tmp_path / name).unlink()
    assert writer.append(b'{"a":1}') == 1
    writer.sync()


def test_two_writers_of_one_name_have_directories_of_their_own(tmp_path: Path) -> None:
    assert a_writer(tmp_path).path != a_writer(tmp_path).path


def test_a_failed_sync_breaks_the_writer_for_ever(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    writer.append(b'{"a":1}')
    ticket = writer.begin_sync()
    ticket.error = OSError(errno.EIO, "Input/output error")
    with pytest.raises(JournalBroken):
        writer.end_sync(ticket)
    for use in (lambda: writer.append(b'{"a":1}'), writer.sync, writer.close_segment):
        with pytest.raises(JournalBroken):
            use()
    assert writer.synced == 0


_FULL_FILE = """
import resource, signal, sys
from pathlib import Path
from clickloop.store.journal.writer import JournalWriter, JournalBroken
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = JournalWriter.open(Path(sys.argv[1]), "clicks", "edge")
resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
writer.append(b'{"a":1}')
try:
    writer.append(b'{"a":"' + b"x" * 60 + b'"}')
except Exception as error:
    print(type(error).__name__)
"""


def test_a_record_that_fits_only_in_part_is_taken_back(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", _FULL_FILE, str(tmp_path / "journal")], check=True, capture_output=True, text=True
    )
    assert told.stdout.strip() == JournalFull.__name__
    (segment,) = JournalReader(tmp_path / "journal", tmp_path / "settled").closed_segments("clicks")
    contents = JournalReader(tmp_path / "journal", tmp_path / "settled").read(segment)
    assert (contents.count, contents.damages) == (1, ())


def test_durable_waits_for_a_sync_that_covers_the_record(tmp_path: Path) -> None:
    async def scenario() -> tuple[int, int]:
        writer = a_writer(tmp_path)
        commit = GroupCommit(writer)
        first = writer.append(b'{"a":1}')
        waiting = asyncio.ensure_future(commit.durable(first))
        await asyncio.sleep(0)  # its sync is under way now and cannot cover what follows
        second = writer.append(b'{"a":2}')
        writer.close_segment()
        await commit.durable(second)
        await waiting
        await commit.close()
        return second, writer.synced

    second, synced = asyncio.run(scenario())
    assert synced == second


def test_a_hundred_waiters_share_a_few_syncs_and_all_are_woken(tmp_path: Path) -> None:
    async def scenario() -> int:
        writer = a_writer(tmp_path)
        commit = GroupCommit(writer)
        await asyncio.gather(*(commit.durable(writer.append(b'{"a":1}')) for _ in range(100)))
        await commit.close()
        return writer.synced

    assert asyncio.run(scenario()) == 100


def test_waiters_of_a_failed_sync_are_told(tmp_path: Path) -> None:
    async def scenario() -> tuple[BaseException | None, ...]:
        writer = a_writer(tmp_path)
        commit = GroupCommit(writer)
        position = writer.append(b'{"a":1}')
        os.close(_descriptor_of(writer.path / "00000001.open"))
        results = await asyncio.gather(commit.durable(position), commit.durable(position), return_exceptions=True)
        await commit.close()
        return results

    results = asyncio.run(scenario())
    assert [type(result) for result in results] == [JournalBroken, JournalBroken]


def _descriptor_of(path: Path) -> int:
    """Return the descriptor with which this process has a file open."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    for descriptor in range(3, min(limit, 1024)):
        try:
            if os.readlink(f"/proc/self/fd/{descriptor}") == str(path):
                return descriptor
        except OSError:
            continue
    raise LookupError(f"{path} is not open")
