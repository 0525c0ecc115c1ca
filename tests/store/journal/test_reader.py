"""The journal's reader: intact, torn, flipped, missing and unreadable segments, and where settled ones go."""

import os
import shutil
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.clock import DAY_MS
from clickloop.store.journal.listing import journal_lag
from clickloop.store.journal.marks import missing_ranges
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import (
    Damage,
    DamageKind,
    Segment,
    SegmentContents,
    closed_segment_bytes,
    damages_of,
    quick_count,
    record_line,
    salvage,
)
from clickloop.store.journal.writer import JournalWriter

RECORDS = [b'{"click_id":"%04d","v1":"{\\"a\\":1,\\"crc\\":2}"}' % number for number in range(5)]
LINES = [record_line(record)[:-1] for record in RECORDS]


class Journal:
    """A journal in a folder, with one writer."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "journal"
        self.settled = folder / "settled"
        self.now = 1_000
        self.writer = JournalWriter.open(self.root, "clicks", "edge-0", clock=lambda: self.now)
        self.reader = self.new_reader()

    def new_reader(self) -> JournalReader:
        return JournalReader(self.root, self.settled, clock=lambda: self.now)

    def write(self, *records: bytes) -> Path:
        """Write a segment and close it."""
        for record in records or RECORDS:
            self.writer.append(record)
        self.writer.close_segment()
        return max(self.writer.path.glob("*.ndjson"))

    def kill(self) -> None:
        """Close everything as if the process died, without writing."""
        for number in map(int, os.listdir("/proc/self/fd")):
            try:
                if os.readlink(f"/proc/self/fd/{number}").startswith(str(self.writer.path)):
                    os.close(number)
            except OSError:
                continue

    def only(self) -> SegmentContents:
        """Return the only segment that can be settled."""
        (segment,) = self.reader.closed_segments("clicks")
        return self.reader.read(segment)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def kinds(damages: tuple[Damage, ...]) -> list[DamageKind]:
    return [damage.kind for damage in damages]


def test_a_closed_segment_is_read_as_it_was_written(journal: Journal) -> None:
    journal.write()
    contents = journal.only()
    assert (list(contents.lines), contents.count, contents.damages) == (LINES, 5, ())


def test_a_segment_under_way_of_a_living_writer_is_left_alone(journal: Journal) -> None:
    journal.writer.append(RECORDS[0])
    assert journal.reader.closed_segments("clicks") == []


def test_an_unclosed_segment_of_a_dead_writer_is_sealed_without_damage(journal: Journal) -> None:
    journal.writer.append(RECORDS[0])
    journal.kill()
    contents = journal.only()
    assert (contents.lines, contents.damages) == ((LINES[0],), ())
    assert quick_count(contents.segment.path.read_bytes(), 1) == 1


def test_a_segment_whose_writer_died_between_trailer_and_renaming_is_taken_as_it_is(journal: Journal) -> None:
    path = journal.write()
    path.rename(path.with_suffix(".open"))
    journal.kill()
    contents = journal.only()
    assert (contents.count, contents.damages, contents.segment.path) == (5, (), path)


def test_a_torn_tail_of_a_dead_writer_is_cut_off_and_told_exactly(journal: Journal) -> None:
    journal.writer.append(RECORDS[0])
    path = journal.writer.path / "00000001.open"
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(LINES[1][:17])
    journal.kill()
    contents = journal.only()
    assert contents.lines == (LINES[0],)
    (damage,) = contents.damages
    assert (damage.kind, damage.first_byte, damage.end_byte) == (DamageKind.TORN_TAIL, whole, whole + 17)
    assert path.with_suffix(".damaged").stat().st_size == whole + 17


def test_a_page_of_nul_bytes_after_a_power_cut_is_a_torn_tail(journal: Journal) -> None:
    path = journal.write()
    data = path.read_bytes()
    cut = len(record_line(RECORDS[0])) + 10
    path.write_bytes(data[:cut] + bytes(len(data) - cut))
    contents = journal.only()
    assert (contents.lines, kinds(contents.damages)) == ((LINES[0],), [DamageKind.TORN_TAIL])


def test_a_closed_segment_that_a_power_cut_emptied_is_told(journal: Journal) -> None:
    journal.write().write_bytes(b"")
    contents = journal.only()
    assert (contents.count, kinds(contents.damages)) == (0, [DamageKind.TORN_TAIL])


def test_a_damaged_segment_is_checked_quickly_after_its_repair_and_the_original_is_kept(journal: Journal) -> None:
    path = journal.write()
    data = bytearray(path.read_bytes())
    data[5] ^= 4
    path.write_bytes(data)
    first = journal.only()
    assert kinds(first.damages) == [DamageKind.FLIPPED_BITS]
    assert path.with_suffix(".damaged").read_bytes() == bytes(data)
    again = journal.only()
    assert (again.lines, again.damages) == (first.lines, ())


def test_a_segment_in_the_place_of_another_is_told(journal: Journal) -> None:
    journal.write()
    second = journal.write()
    second.replace(second.with_name("00000001.ndjson"))
    assert kinds(journal.only().damages) == [DamageKind.FLIPPED_BITS]


def test_a_missing_segment_is_told_once(journal: Journal) -> None:
    paths = [journal.write() for _ in range(3)]
    paths[1].unlink()
    journal.reader.closed_segments("clicks")
    (damage,) = journal.reader.missing()
    assert (damage.kind, damage.file) == (DamageKind.MISSING_SEGMENT, str(paths[1]))
    journal.reader.closed_segments("clicks")
    assert journal.reader.missing() == []


def test_a_missing_first_segment_is_told_and_settled_ones_are_not_missed_after_a_restart(journal: Journal) -> None:
    journal.write()
    journal.reader.settled(journal.reader.closed_segments("clicks"))
    lost, _ = journal.write(), journal.write()
    lost.unlink()
    reader = journal.new_reader()
    reader.closed_segments("clicks")
    assert [damage.file for damage in reader.missing()] == [str(lost)]


def test_an_unreadable_segment_stays_is_told_once_and_tried_again_after_a_minute(journal: Journal) -> None:
    path = journal.write()
    data = path.read_bytes()
    path.unlink()
    path.mkdir()
    contents = journal.only()
    assert (contents.count, kinds(contents.damages)) == (-1, [DamageKind.UNREADABLE])
    assert journal.reader.closed_segments("clicks") == []
    path.rmdir()
    path.write_bytes(data)
    journal.now += 60_000
    assert journal.only().count == 5


def test_an_unreadable_segment_is_tried_again_at_once_when_the_clock_was_set_back(journal: Journal) -> None:
    path = journal.write()
    data = path.read_bytes()
    path.unlink()
    path.mkdir()
    journal.now += 400 * DAY_MS
    assert journal.only().count == -1
    journal.now -= 400 * DAY_MS
    path.rmdir()
    path.write_bytes(data)
    assert journal.only().count == 5


def test_records_that_a_store_cannot_take_are_cut_out_and_told(journal: Journal) -> None:
    journal.write()
    (segment,) = journal.reader.closed_segments("clicks")
    contents = journal.reader.keep_only(segment, lambda line: b"0002" not in line, "it is no click")
    (damage,) = contents.damages
    assert contents.count == 4
    assert segment.path.with_suffix(".damaged").read_bytes()[damage.first_byte : damage.end_byte] == LINES[2] + b"\n"


def test_settled_segments_leave_the_journal_with_their_damaged_originals(journal: Journal) -> None:
    path = journal.write()
    with path.open("ab") as file:
        file.write(b"x")
    contents = journal.only()
    journal.reader.settled([contents.segment])
    assert sorted(file.name for file in (journal.settled / "clicks" / journal.writer.path.name).iterdir()) == [
        "00000001.damaged",
        "00000001.ndjson",
    ]
    assert journal.reader.closed_segments("clicks") == []


def test_the_directory_of_a_dead_writer_is_removed_when_all_is_settled(journal: Journal) -> None:
    journal.write()
    journal.kill()
    journal.reader.settled(journal.reader.closed_segments("clicks"))
    assert journal.writer.path.exists()
    journal.reader.closed_segments("clicks")
    assert not journal.writer.path.exists()


def test_a_dead_writer_that_left_an_empty_segment_is_removed(journal: Journal) -> None:
    (journal.writer.path / "00000001.open").touch()
    journal.kill()
    assert journal.reader.closed_segments("clicks") == []
    assert not journal.writer.path.exists()


def test_a_living_writer_without_segments_keeps_its_directory(journal: Journal) -> None:
    assert journal.reader.closed_segments("clicks") == []
    assert journal.writer.path.exists()


def test_old_settled_segments_are_deleted_but_the_newest_of_a_living_writer_stays(journal: Journal) -> None:
    paths = [journal.write() for _ in range(3)]
    for path in paths:
        os.utime(path, (1, 1))
    size = paths[0].stat().st_size
    journal.reader.settled(journal.reader.closed_segments("clicks"))
    assert journal.reader.delete_settled(before_ms=10_000) == 2 * size
    journal.kill()
    journal.reader.closed_segments("clicks")
    assert journal.reader.delete_settled(before_ms=10_000) == size
    assert list(journal.settled.glob("*/*")) == []


def test_looking_through_many_settled_segments_takes_little_memory(journal: Journal) -> None:
    journal.write()
    (segment,) = journal.reader.closed_segments("clicks")
    journal.reader.settled([segment])
    folder = journal.settled / "clicks" / segment.writer
    for number in range(2, 5_000):  # as many as there are notices in a day
        (folder / f"{number:08d}.ndjson").touch()
    tracemalloc.start()
    assert journal.reader.delete_settled(before_ms=10_000) == 0
    assert list(missing_ranges(journal.root, journal.settled, "clicks")) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300_000


def test_the_directory_that_segments_of_a_living_writer_are_about_to_be_put_into_stays(journal: Journal) -> None:
    journal.write()
    (segment,) = journal.reader.closed_segments("clicks")
    target = journal.settled / "clicks" / segment.writer
    target.mkdir(parents=True)
    journal.reader.delete_settled(before_ms=10_000)
    assert target.is_dir()


def test_segments_of_several_writers_come_oldest_writer_first(tmp_path: Path) -> None:
    older, newer = Journal(tmp_path), Journal(tmp_path)
    newer.now = 2_000
    newer.writer = JournalWriter.open(newer.root, "clicks", "edge-0", clock=lambda: 2_000)
    newer.write()
    older.write()
    older.write()
    writers = [(segment.writer, segment.number) for segment in older.reader.closed_segments("clicks")]
    assert writers == [(older.writer.path.name, 1), (older.writer.path.name, 2), (newer.writer.path.name, 1)]


def test_the_lag_counts_what_is_not_settled(journal: Journal) -> None:
    path = journal.write()
    os.utime(path, (5, 5))
    lag = journal_lag(journal.root, "clicks", 7_000)
    assert (lag.segments, lag.size, lag.oldest_age_ms) == (1, path.stat().st_size, 2_000)
    journal.reader.settled(journal.reader.closed_segments("clicks"))
    assert journal_lag(journal.root, "clicks", 7_000).segments == 0
    assert journal_lag(journal.root, "notices", 7_000).segments == 0


def _line_range(index: int) -> tuple[int, int]:
    """Return start and end of a record's line in the segment, with its newline."""
    first = sum(len(line) + 1 for line in LINES[:index])
    return first, first + len(LINES[index]) + 1


def test_a_segment_cut_at_any_byte_keeps_every_whole_line_and_tells_where_it_ends(tmp_path: Path) -> None:
    data = closed_segment_bytes(1, LINES)
    segment = Segment(tmp_path / "00000001.ndjson", "clicks", "w", 1, len(data))
    for cut in range(len(data)):
        found = salvage(data[:cut])
        whole = [index for index in range(len(LINES)) if _line_range(index)[1] - 1 <= cut]
        assert list(found.lines) == [LINES[index] for index in whole], cut
        damages = damages_of(data[:cut], found, segment, closed=True)
        assert [damage.kind for damage in damages] == [DamageKind.TORN_TAIL], cut
        assert damages[0].end_byte == cut


def test_a_bit_flipped_anywhere_costs_at_most_its_own_line_and_is_told_exactly(tmp_path: Path) -> None:
    data = closed_segment_bytes(1, LINES)
    segment = Segment(tmp_path / "00000001.ndjson", "clicks", "w", 1, len(data))
    for place in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            assert quick_count(bytes(flipped), 1) is None
            found = salvage(bytes(flipped))
            others = [
                line for index, line in enumerate(LINES) if not _line_range(index)[0] <= place < _line_range(index)[1]
            ]
            assert [line for line in found.lines if line in others] == others, (place, bit)
            assert all(line in LINES for line in found.lines), (place, bit)
            damages = damages_of(bytes(flipped), found, segment, closed=True)
            assert any(damage.first_byte <= place < damage.end_byte for damage in damages), (place, bit)


@given(
    st.lists(
        st.text().map(lambda text: record_line(b'{"v":"' + text.encode("unicode_escape").hex().encode() + b'"}')[:-1]),
        max_size=6,
    ),
    st.data(),
)
def test_whatever_stretch_is_overwritten_the_lines_outside_it_survive(lines: list[bytes], data: st.DataObject) -> None:
    whole = closed_segment_bytes(1, lines)
    first = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(first, len(whole)))
    noise = data.draw(st.binary(min_size=end - first, max_size=end - first))
    found = salvage(whole[:first] + noise + whole[end:])
    place = 0
    outside = []
    for line in lines:
        if place + len(line) + 1 <= first or place > end:
            outside.append(line)
        place += len(line) + 1
    remaining = list(found.lines)
    for line in outside:
        assert line in remaining
        remaining.remove(line)


def test_a_journal_in_a_folder_moved_elsewhere_is_read_there(journal: Journal, tmp_path: Path) -> None:
    journal.write()
    journal.kill()
    shutil.move(journal.root, tmp_path / "elsewhere")
    reader = JournalReader(tmp_path / "elsewhere", tmp_path / "settled2")
    assert [reader.verify(segment).count for segment in reader.closed_segments("clicks")] == [5]
