"""Directories whose entries survive a power cut."""

from pathlib import Path

from clickloop.machine.replacing_file import sync_directory

__all__ = ["make_directories", "sync_directory"]


def make_directories(path: Path) -> None:
    """Creates a directory and what is missing above it, each entry synced."""
    if path.is_dir():
        return
    make_directories(path.parent)
    # Another process may make the same one at this moment.
    path.mkdir(exist_ok=True)
    # A new directory's name is in its parent: without this a power cut takes it with all that was synced inside.
    sync_directory(path.parent)
