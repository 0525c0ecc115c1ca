"""Listings of the journal: which writers and segments there are, and what is not settled yet. Only reads; any process may look."""

import contextlib
import os
from pathlib import Path

import msgspec

from clickloop.store.journal.segment import CLOSED_SUFFIX, OPEN_SUFFIX, SEGMENT_SUFFIXES


class Lag(msgspec.Struct, frozen=True):
    """What a stream's journal holds that is not settled yet. ``oldest_age_ms`` is since the last write to the oldest segment."""

    segments: int
    octets: int
    oldest_age_ms: int
    oldest_path: str = ""


def journal_lag(root: Path, stream: str, now_ms: int) -> Lag:
    """Return what is not settled yet, by the names and sizes of files alone; any process may look."""
    segments = octets = 0
    oldest_ns = now_ns = now_ms * 1_000_000
    oldest_path = ""
    for directory in writer_directories(root / stream):
        # Another process settles meanwhile: directories and files may be gone when we come to them.
        with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
            for entry in entries:
                if os.path.splitext(entry.name)[1] in SEGMENT_SUFFIXES:
                    with contextlib.suppress(FileNotFoundError):
                        state = entry.stat()
                        segments += 1
                        octets += state.st_size
                        if not oldest_path or state.st_mtime_ns < oldest_ns:
                            oldest_ns, oldest_path = state.st_mtime_ns, entry.path
    return Lag(segments, octets, max(0, now_ns - oldest_ns) // 1_000_000, oldest_path)


def unsettled_segments(root: Path, stream: str) -> frozenset[str]:
    """Return the names of all segments of a stream that hold records not settled yet, also those still being written.

    Raise OSError when a directory cannot be listed.
    """
    names: set[str] = set()
    for directory in writer_directories(root / stream):
        # Another process settles meanwhile: what is gone now is settled.
        with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
            for entry in entries:
                stem, suffix = os.path.splitext(entry.name)
                if suffix == CLOSED_SUFFIX:
                    names.add(f"{directory}/{stem}")
                elif suffix == OPEN_SUFFIX:
                    # An empty one is not counted: a click's record is written before anybody learns its id.
                    with contextlib.suppress(FileNotFoundError):
                        if entry.stat().st_size:
                            names.add(f"{directory}/{stem}")
    return frozenset(names)


def writer_directories(parent: Path) -> list[str]:
    """Return the paths of the writers' directories of a stream, in any order; those that are being made are left out."""
    try:
        with os.scandir(parent) as entries:
            return [entry.path for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except FileNotFoundError:
        return []


def segment_numbers(directory: Path) -> set[int]:
    """Return the numbers of the segments in a writer's directory. Raise OSError.

    A listing may miss a file that is renamed meanwhile. A segment is renamed once in a place, when it is closed, so two listings
    miss none.
    """
    names = [*os.listdir(directory), *os.listdir(directory)]
    parts = map(os.path.splitext, names)
    return {int(stem) for stem, suffix in parts if suffix in SEGMENT_SUFFIXES and stem.isdecimal()}
