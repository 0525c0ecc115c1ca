"""Fixtures of all tests."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile(
    "clickloop",
    deadline=None,  # a test is never timed: machines are busy
    derandomize="CI"
    in os.environ,  # a change is judged by the same examples as the one before; new ones are found while working
)
settings.load_profile("clickloop")

MEMORY = Path("/dev/shm")
MIN_MEMORY_BYTES = 4 << 30
MAX_EXTRA_WORKERS = 4
WAITING_SHARE = 0.75
"""The files of tests that start processes begin within this share of the run, so that none of them is what all wait for at its end."""

LONG = (
    "test_hostile_forms.py",
    "test_hostile_bodies.py",
    "test_damage_table.py",
    "test_big_data.py",
    "test_archive.py",
    "test_model.py",
)
"""Files of tests that compute for long, which begin first: one that began last would keep a single worker busy at the end."""


def pytest_configure(config: pytest.Config) -> None:
    """Put temporary folders into memory where there is enough of it: the tests sync thousands of files. Those of a real disk mount one."""
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MIN_MEMORY_BYTES:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # else it stays what somebody may have asked for before


def pytest_xdist_auto_num_workers() -> int:
    """Return more workers than there are processors: tests that start processes spend most of their time waiting for them."""
    processors = len(os.sched_getaffinity(0))
    return processors + min(processors, MAX_EXTRA_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files of tests that start processes, which mostly wait, between those that compute."""
    files: dict[Path, bool] = {}
    for item in items:
        waits = any(item.iter_markers("crash")) or any(item.iter_markers("journey"))
        files[item.path] = files.get(item.path, False) or waits
    places: dict[Path, float] = {}
    for waits, share in ((True, WAITING_SHARE), (False, 1.0)):
        group = sorted((path for path in files if files[path] == waits), key=lambda path: path.name not in LONG)
        places |= {path: share * number / len(group) for number, path in enumerate(group)}
    items.sort(key=lambda item: places[item.path])


def pytest_collection_finish() -> None:
    """Keep the collector from looking at all modules and tests again and again, which took a thirteenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
