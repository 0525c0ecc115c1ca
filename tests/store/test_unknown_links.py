"""The counts of unknown links."""

from pathlib import Path

import pytest

from clickloop.store.unknown_links import MAX_KEYS, UnknownLink, UnknownLinkCounter, UnknownLinks, read_unknown_links

NOW = 1_800_000_000_000


def counter(folder: Path, edge: str = "edge1") -> UnknownLinkCounter:
    return UnknownLinkCounter(folder, edge, NOW)


def test_where_nothing_was_counted_there_is_nothing(tmp_path: Path) -> None:
    assert read_unknown_links(tmp_path) == UnknownLinks()


def test_the_counts_of_all_edges_are_added_and_the_newest_key_comes_first(tmp_path: Path) -> None:
    first, second = counter(tmp_path), counter(tmp_path, "edge2")
    for path, at in ((b"old", 1), (b"both", 2), (b"both", 3)):
        first.note(path, NOW + at)
    second.note(b"both/?x", NOW + 4)
    for one in (first, second):
        one.write(NOW)
    latest = (UnknownLink("both", 3, NOW + 4), UnknownLink("old", 1, NOW + 1))
    assert read_unknown_links(tmp_path) == UnknownLinks(4, NOW, latest)


def test_only_the_latest_keys_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    links = counter(tmp_path)
    for number in range(1_000):
        links.note(b"k%d" % number, NOW + number)
    links.write(NOW)
    found = read_unknown_links(tmp_path)
    assert (found.total, len(found.latest), found.latest[0].key) == (1_000, MAX_KEYS, "k999")


def test_landing_clicks_without_a_click_id_are_counted_beside_the_links(tmp_path: Path) -> None:
    links = counter(tmp_path)
    links.note_lost_landing_click()
    links.note_lost_landing_click()
    links.write(NOW)
    assert read_unknown_links(tmp_path) == UnknownLinks(0, NOW, (), 2)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (b"nobody", "nobody"),
        (b"/nobody/?x=1", "nobody"),
        (b"nobody&external_id=secret", "nobody"),
        (b"<script>", ""),
        (b"%00", ""),
        (b"", ""),
        (b"\xff", ""),
        (b"x" * 100_000, "x" * 32),
        (b"/" * 100_000, ""),
    ],
)
def test_of_a_path_the_cleaned_key_is_kept(tmp_path: Path, path: bytes, key: str) -> None:
    links = counter(tmp_path)
    links.note(path, NOW)
    links.write(NOW)
    assert [link.key for link in read_unknown_links(tmp_path).latest] == [key]


def test_it_is_written_at_most_every_five_seconds_and_at_the_end(tmp_path: Path) -> None:
    links = counter(tmp_path)
    totals = []
    for at, at_once in ((0, False), (4_999, False), (5_000, False), (5_001, True)):
        links.note(b"nobody", NOW)
        links.write(NOW + at, at_once=at_once)
        totals.append(read_unknown_links(tmp_path).total)
    assert totals == [1, 1, 3, 4]


def test_it_goes_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        links = UnknownLinkCounter(tmp_path, "edge1", NOW)
        links.note(b"nobody", NOW)
        links.write(NOW)
    assert read_unknown_links(tmp_path) == UnknownLinks(2, NOW, (UnknownLink("nobody", 2, NOW),))


def test_a_damaged_file_counts_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "unknown-links.edge1.json").write_bytes(b"{")
    assert read_unknown_links(tmp_path) == UnknownLinks()
    assert counter(tmp_path) is not None
