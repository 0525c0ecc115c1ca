"""Listings of the journal: its writers and segments, and what is not settled yet. Read-only, for any process."""

import contextlib
import os
from pathlib import Path

import msgspec

from clickloop.store.journal.segment import CLOSED_SUFFIX, OPEN_SUFFIX, SEGMENT_SUFFIXES


class Lag(msgspec.Struct, frozen=True):
    """The unsettled part of a stream. ``oldest_age_ms``: time since the last write to the oldest segment."""

    segments: int
    size: int
    oldest_age_ms: int
    oldest_path: str = ""


def journal_lag(root: Path, stream: str, now_ms: int) -> Lag:
    """Return the unsettled part of a stream, by the names and sizes of files alone."""
    segments = size = 0
    oldest_ns = now_ns = now_ms * 1_000_000
    oldest_path = ""
    for directory in writer_directories(root / stream):
        # Another process settles meanwhile: directories and files may disappear before we get to them.
        with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
            for entry in entries:
                if os.path.splitext(entry.name)[1] in SEGMENT_SUFFIXES:
                    with contextlib.suppress(FileNotFoundError):
                        state = entry.stat()
                        segments += 1
                        size += state.st_size
                        if not oldest_path or state.st_mtime_ns < oldest_ns:
                            oldest_ns, oldest_path = state.st_mtime_ns, entry.path
    return Lag(segments, size, max(0, now_ns - oldest_ns) // 1_000_000, oldest_path)


def unsettled_segments(root: Path, stream: str) -> frozenset[str]:
    """Return the paths, without suffix, of all segments with unsettled records, including open ones.

    Raise OSError if a directory cannot be listed.
    """
    names: set[str] = set()
    for directory in writer_directories(root / stream):
        # Another process settles meanwhile: a directory that has disappeared is settled.
        with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
            for entry in entries:
                stem, suffix = os.path.splitext(entry.name)
                if suffix == CLOSED_SUFFIX:
                    names.add(f"{directory}/{stem}")
                elif suffix == OPEN_SUFFIX:
                    # An empty one has no records: a click's record is written before its id is given out.
                    with contextlib.suppress(FileNotFoundError):
                        if entry.stat().st_size:
                            names.add(f"{directory}/{stem}")
    return frozenset(names)


def writer_directories(parent: Path) -> list[str]:
    """Return the paths of a stream's writer directories in any order, except those being created."""
    try:
        with os.scandir(parent) as entries:
            return [entry.path for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except FileNotFoundError:
        return []


def segment_numbers(directory: Path) -> set[int]:
    """Return the numbers of the segments in a writer's directory. Raise OSError."""
    # Two listings: one may miss a file that is being renamed. A segment is renamed only once in a directory, when it is closed.
    names = [*os.listdir(directory), *os.listdir(directory)]
    parts = map(os.path.splitext, names)
    return {int(stem) for stem, suffix in parts if suffix in SEGMENT_SUFFIXES and stem.isdecimal()}
