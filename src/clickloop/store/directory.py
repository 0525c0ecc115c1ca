"""Directories whose entries survive a power cut."""

from pathlib import Path

from clickloop.machine.replacing_file import sync_directory

__all__ = ["make_directories", "sync_directory"]


def make_directories(path: Path) -> None:
    """Create a directory and its missing parents, and sync each entry."""
    if path.is_dir():
        return
    make_directories(path.parent)
    # Another process may be creating the same one.
    path.mkdir(exist_ok=True)
    # The name of a new directory is in its parent: without this, a power cut may take it with everything synced inside.
    sync_directory(path.parent)
