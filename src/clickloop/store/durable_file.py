"""Small files of the data folder that are replaced as a whole and survive a power cut."""

import os
from pathlib import Path

from clickloop.store.directory import sync_directory


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file, readable by its owner alone. After a crash the old content is there or the new one. Raises OSError."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
