"""Directories whose entries survive a power cut."""

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Waits until the names in a directory are on disk."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def make_directories(path: Path) -> None:
    """Creates a directory and what is missing above it, each entry synced."""
    if path.is_dir():
        return
    make_directories(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)
