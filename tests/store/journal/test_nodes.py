"""Several nodes load into one store of facts, and a folder from before segments had a node works."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from clickloop.backup.archive import is_safe_name
from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.click_id import ClickIds
from clickloop.clock import wall_clock
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.journal.marks import missing_ranges
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import writer_name
from clickloop.store.journal.writer import JournalWriter
from clickloop.tracking.settle import ClickBatch, settle_clicks
from tests.empty_stores import open_facts

NOW = 1_760_000_000_000
PROCESS = "1760000000000-edge1-7-0a1b2c3d"
IDS = ClickIds(b"k" * 32)


@pytest.fixture
def facts(tmp_path: Path) -> Iterator[DuckDbFacts]:
    opened = open_facts(tmp_path / "facts.duckdb")
    yield opened
    opened.close()


def written(folder: Path, writer: str, segments: int = 1) -> list[str]:
    """Write segments of one click each into a node's folder as a writer, and return the click ids."""
    ids = []
    journal = JournalWriter(folder / "journal" / "clicks" / writer, wall_clock)
    for _ in range(segments):
        click = Click(click_id=IDS.new(NOW), at=NOW, campaign_id=1, source_id=1)
        ids.append(click.click_id)
        journal.append(msgspec.json.encode(click))
        journal.close_segment()
    journal.close()
    return ids


def settled(folder: Path, facts: DuckDbFacts) -> ClickBatch:
    return settle_clicks(JournalReader(folder / "journal", folder / "settled"), facts)


def found(facts: DuckDbFacts) -> list[str]:
    return sorted(click.click_id for click in facts.clicks_page(ClickFilter(), 1_000))


def test_processes_of_one_name_on_two_nodes_are_both_loaded(tmp_path: Path, facts: DuckDbFacts) -> None:
    ids = []
    for node in ("eu", "us"):
        ids += written(tmp_path / node, writer_name(node, PROCESS), segments=2)
    batches = [settled(tmp_path / node, facts) for node in ("eu", "us")]
    assert [(batch.clicks, batch.damages) for batch in batches] == [(2, ()), (2, ())]
    assert found(facts) == sorted(ids)


def test_a_segment_is_named_by_node_process_and_number(tmp_path: Path) -> None:
    writer = JournalWriter.open(tmp_path / "journal", "clicks", "edge3", node="eu-2")
    writer.append(b'{"a":1}')
    writer.close()
    (segment,) = JournalReader(tmp_path / "journal", tmp_path / "settled").closed_segments("clicks")
    stream, node, process, number = segment.name.split("/")
    assert (stream, node, number) == ("clicks", "eu-2", "00000001")
    assert process.split("-")[1] == "edge3"


def test_of_a_folder_from_before_there_were_nodes_what_was_settled_is_not_settled_again(
    tmp_path: Path, facts: DuckDbFacts
) -> None:
    ids = written(tmp_path, PROCESS, segments=2)
    loaded = tuple(segment_names(tmp_path))
    assert loaded == (f"clicks/{PROCESS}/00000001", f"clicks/{PROCESS}/00000002")
    # Loaded by that version, and killed before the segments were put away.
    reader = JournalReader(tmp_path / "journal", tmp_path / "settled")
    facts.load_clicks([reader.verify(segment) for segment in reader.closed_segments("clicks")])
    later = PROCESS.replace("0a1b2c3d", "44444444")
    ids += written(tmp_path, later, segments=3)
    ids += written(tmp_path, writer_name("main", PROCESS), segments=2)
    batch = settled(tmp_path, facts)
    assert (batch.clicks, batch.segments, batch.damages) == (5, 7, ())
    assert found(facts) == sorted(ids)
    assert settled(tmp_path, facts).segments == 0
    assert list(missing_ranges(tmp_path / "journal", tmp_path / "settled", "clicks")) == []


def test_a_segment_that_went_missing_before_the_upgrade_is_still_reported(tmp_path: Path, facts: DuckDbFacts) -> None:
    written(tmp_path, PROCESS, segments=3)
    (tmp_path / "journal" / "clicks" / PROCESS / "00000002.ndjson").unlink()
    written(tmp_path, writer_name("main", PROCESS))
    batch = settled(tmp_path, facts)
    assert (batch.clicks, [damage.kind for damage in batch.damages]) == (3, ["missing_segment"])


def test_the_longest_name_of_a_segment_fits_into_a_backup() -> None:
    writer = writer_name("N" * 24, "1760000000000-edge256-4194304-0a1b2c3d")
    assert is_safe_name(f"journal/notices/{writer}/00000001.ndjson")


def segment_names(folder: Path) -> Sequence[str]:
    segments = JournalReader(folder / "journal", folder / "settled").closed_segments("clicks")
    return [segment.name for segment in segments]
