"""The journal's marks: deleted segments are noticed, also the last ones and a whole writer's; returned ones count once."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from clickloop.alarm.alarms import Alarms, read_alarms
from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.click_id import ClickIds
from clickloop.running.fresh_start import start_anew
from clickloop.store.damage_log import (
    FILE_NAME,
    confirm_damages,
    damage_alarms,
    read_damages,
    record_damages,
    unconfirmed_damages,
)
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.identity import Installation, StoreMarks, read_installation, write_installation
from clickloop.store.journal.marks import StreamMark, marked_writers, missing_ranges, read_mark
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import Damage, DamageKind, closed_segment_bytes, record_line
from clickloop.store.journal.writer import JournalWriter
from clickloop.tracking.settle import ClickBatch, settle_clicks
from tests.empty_stores import open_facts
from tests.store.used_folder import used

NOW = 1_790_000_000_000


class Folder:
    """A data folder's journal and facts, and its click ids."""

    def __init__(self, path: Path, installation: str = "a" * 32) -> None:
        self.path = path
        path.mkdir()
        write_installation(path, Installation(id=installation, key=""))
        self.facts = open_facts(path / "facts.duckdb")
        self.ids = ClickIds(b"k" * 32)
        self.written: list[str] = []
        self.writer = self.new_writer()

    def new_writer(self) -> JournalWriter:
        return JournalWriter.open(self.path / "journal", "clicks", "edge1", clock=lambda: NOW)

    def write(self, segments: int = 1, clicks: int = 3) -> None:
        """Write closed segments, synced to disk."""
        for _ in range(segments):
            for _ in range(clicks):
                click = Click(click_id=self.ids.new(NOW), at=NOW, campaign_id=1, source_id=1)
                self.writer.append(msgspec.json.encode(click))
                self.written.append(click.click_id)
            self.writer.close_segment()
            self.writer.sync()

    def segment(self, number: int) -> Path:
        return self.writer.path / f"{number:08d}.ndjson"

    def settle(self) -> list[Damage]:
        """Return the damages that a core finds when it starts now and settles everything."""
        reader = JournalReader(self.path / "journal", self.path / "settled", clock=lambda: NOW)
        damages: list[Damage] = []
        batch = ClickBatch(0, 1, (), True)
        while batch.segments or batch.more:
            batch = settle_clicks(reader, self.facts)
            damages += batch.damages
        record_damages(self.path, damages, NOW)
        return damages

    def clicks(self) -> list[str]:
        return sorted(click.click_id for click in self.facts.clicks_page(ClickFilter(), 100_000))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "data")


def kinds(damages: list[Damage]) -> list[DamageKind]:
    return [damage.kind for damage in damages]


def test_a_mark_says_what_is_on_disk_and_what_is_settled(folder: Folder) -> None:
    folder.write(3)
    name = folder.writer.path.name
    assert read_mark(folder.path / "journal", "clicks", name) == StreamMark(3, 0)
    assert folder.settle() == []
    assert read_mark(folder.path / "journal", "clicks", name) == StreamMark(3, 3)


def test_an_unsynced_segment_moves_no_mark(folder: Folder) -> None:
    folder.writer.append(b'{"click_id":"x"}')
    folder.writer.close_segment()
    assert read_mark(folder.path / "journal", "clicks", folder.writer.path.name) == StreamMark()


def test_a_record_that_was_synced_in_an_open_segment_moves_the_mark(folder: Folder) -> None:
    folder.writer.append(b'{"click_id":"x"}')
    folder.writer.sync()
    assert read_mark(folder.path / "journal", "clicks", folder.writer.path.name).on_disk == 1


def test_the_mark_of_a_writer_that_ended_in_order_goes_with_its_folder(folder: Folder) -> None:
    folder.write(2)
    folder.writer.close()
    assert folder.settle() == []
    folder.settle()
    assert marked_writers(folder.path / "journal", "clicks") == []
    assert sorted(folder.written) == folder.clicks()


@pytest.mark.parametrize("gone", [[1], [2], [3, 4, 5], [5]])
def test_deleted_segments_are_told_once_with_their_range_and_the_rest_is_settled(
    folder: Folder, gone: list[int]
) -> None:
    folder.write(5)
    folder.writer.close()
    for number in gone:
        folder.segment(number).unlink()
    damages = folder.settle()
    assert [Path(damage.file).stem for damage in damages] == [f"{number:08d}" for number in gone]
    assert set(kinds(damages)) == {DamageKind.MISSING_SEGMENT}
    assert len(folder.clicks()) == 3 * (5 - len(gone))


def test_a_deleted_open_segment_that_was_synced_is_noticed(folder: Folder) -> None:
    folder.write(1)
    folder.writer.append(b'{"click_id":"x"}')
    folder.writer.sync()
    folder.writer.close()
    folder.segment(2).unlink()
    assert kinds(folder.settle()) == [DamageKind.MISSING_SEGMENT]


def test_a_whole_writers_folder_deleted_is_noticed_by_the_next_start_and_by_the_doctor(folder: Folder) -> None:
    folder.write(4)
    name = folder.writer.path.name
    folder.writer.close()
    shutil.rmtree(folder.writer.path)
    assert list(missing_ranges(folder.path / "journal", folder.path / "settled", "clicks")) == [(name, 1, 4)]
    (damage,) = folder.settle()
    assert (damage.kind, damage.first_byte, damage.end_byte) == (DamageKind.MISSING_SEGMENT, 1, 4)
    assert "segments 1 to 4" in damage.sentence


def test_only_what_was_not_settled_of_a_deleted_writer_is_missing(folder: Folder) -> None:
    folder.write(4)
    folder.settle()
    folder.write(2)
    folder.writer.close()
    shutil.rmtree(folder.writer.path)
    (damage,) = folder.settle()
    assert (damage.first_byte, damage.end_byte) == (5, 6)
    assert len(folder.clicks()) == 12


def test_a_deleted_folder_of_a_writer_whose_segments_are_all_settled_is_no_damage(folder: Folder) -> None:
    folder.write(4)
    folder.settle()
    folder.writer.close()
    shutil.rmtree(folder.writer.path)
    assert folder.settle() == []
    shutil.rmtree(folder.path / "settled")
    assert folder.settle() == []


@pytest.mark.parametrize("settled_first", [True, False])
def test_a_segment_copied_under_another_number_is_told_and_counts_once(folder: Folder, settled_first: bool) -> None:
    folder.write(3)
    folder.writer.close()
    copy = folder.segment(2).read_bytes()
    if settled_first:
        folder.settle()
    folder.writer.path.mkdir(exist_ok=True)
    folder.segment(4).write_bytes(copy)
    found = kinds(folder.settle())
    assert DamageKind.FLIPPED_BITS in found
    assert DamageKind.REPEATED in found
    assert folder.clicks() == sorted(folder.written)


def test_two_segments_with_their_names_swapped_are_told_and_both_count(folder: Folder) -> None:
    folder.write(3)
    folder.writer.close()
    one, two = folder.segment(1).read_bytes(), folder.segment(2).read_bytes()
    folder.segment(1).write_bytes(two)
    folder.segment(2).write_bytes(one)
    assert kinds(folder.settle()) == [DamageKind.FLIPPED_BITS] * 2
    assert folder.clicks() == sorted(folder.written)


def test_settled_segments_put_back_into_the_journal_are_told_and_count_once(folder: Folder) -> None:
    folder.write(3)
    shutil.copytree(folder.path / "journal", folder.path / "older")
    folder.writer.close()
    folder.settle()
    shutil.rmtree(folder.path / "journal")
    (folder.path / "older").rename(folder.path / "journal")
    folder.facts.close()  # the names of the loaded segments are forgotten by then
    folder.facts = DuckDbFacts.open(folder.path / "facts.duckdb")
    assert DamageKind.REPEATED in kinds(folder.settle())
    assert folder.clicks() == sorted(folder.written)


def test_a_segment_of_another_installation_is_told_and_kept_aside(folder: Folder, tmp_path: Path) -> None:
    other = Folder(tmp_path / "other", installation="b" * 32)
    other.write(1)
    other.writer.close()
    folder.write(1)
    folder.writer.close()
    shutil.copy(other.segment(1), folder.segment(2))
    shutil.copytree(other.writer.path, folder.path / "journal" / "clicks" / "0000000000000-edge9-1-abcd")
    assert kinds(folder.settle()) == [DamageKind.FOREIGN] * 2
    assert folder.clicks() == sorted(folder.written)
    assert len(list((folder.path / "settled").glob("*/*/*.damaged"))) == 2


def test_damage_is_an_alarm_until_it_is_confirmed(folder: Folder) -> None:
    folder.write(2)
    folder.writer.close()
    shutil.rmtree(folder.writer.path)
    folder.settle()
    alarms = Alarms(folder.path)
    alarms.report("journal", damage_alarms(folder.path))
    assert [alarm.sentence for alarm in read_alarms(folder.path)] == [
        "the journal is damaged, unconfirmed places: 1; see the page Health or run clickloop doctor"
    ]
    folder.settle()
    assert len(unconfirmed_damages(folder.path)) == 1, "told by every start, kept once"
    assert confirm_damages(folder.path, NOW) == 1
    alarms.report("journal", damage_alarms(folder.path))
    assert read_alarms(folder.path) == ()
    assert folder.settle() == []
    assert unconfirmed_damages(folder.path) == ()


def test_damage_found_while_others_are_confirmed_is_not_lost(folder: Folder) -> None:
    def damage(first: int) -> Damage:
        return Damage(DamageKind.FLIPPED_BITS, "journal/clicks/w/1", first, first + 1, f"byte {first}")

    def record(first: int) -> None:
        for byte in range(first, first + 50):
            record_damages(folder.path, [damage(byte)], NOW)

    seen = 0
    with ThreadPoolExecutor(2) as pool:
        writing = [pool.submit(record, first) for first in (0, 1_000)]
        while not all(one.done() for one in writing):
            seen += confirm_damages(folder.path, NOW)
        for one in writing:
            one.result()
    seen += confirm_damages(folder.path, NOW)
    assert (seen, len(read_damages(folder.path).found)) == (100, 100)


def test_a_list_of_damages_that_is_damaged_itself_is_an_alarm(folder: Folder) -> None:
    (folder.path / FILE_NAME).write_bytes(b"{}")
    assert len(damage_alarms(folder.path)) == 1
    confirm_damages(folder.path, NOW)
    assert damage_alarms(folder.path) == ()


def test_facts_begun_anew_take_the_settled_segments_that_are_still_there_without_calling_older_ones_missing(
    tmp_path: Path,
) -> None:
    path = used(tmp_path / "data")
    write_installation(path, msgspec.structs.replace(_known(path), marks=StoreMarks()))
    segments = path / "settled" / "clicks" / "0000000000001-edge1-1-abcd"
    segments.mkdir(parents=True)
    ids = [ClickIds(b"k" * 32).new(NOW) for _ in range(3)]
    for number, click_id in enumerate(ids, 7):
        line = msgspec.json.encode(Click(click_id=click_id, at=NOW, campaign_id=1, source_id=1))
        (segments / f"{number:08d}.ndjson").write_bytes(closed_segment_bytes(number, [record_line(line)[:-1]]))
    (path / "facts.duckdb").unlink()
    (done,) = start_anew(path, NOW)
    assert "3 journal segments" in done
    facts = open_facts(path / "facts.duckdb")
    batch = settle_clicks(JournalReader(path / "journal", path / "settled"), facts)
    assert (batch.clicks, batch.damages) == (3, ())
    assert facts.find_clicks(ids).keys() == set(ids)
    facts.close()


def _known(path: Path) -> Installation:
    found = read_installation(path)
    assert found is not None
    return found
