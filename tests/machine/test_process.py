"""Functions for child processes."""

import os
import subprocess
import sys


def _cores_after(cores: set[int]) -> str:
    """Return the processor cores of a process that started with these and reserves one for visitors."""
    code = (
        "import os\n"
        "from clickloop.machine.process import reserve_core_for_visitors\n"
        f"os.sched_setaffinity(0, {cores})\n"
        "reserve_core_for_visitors()\n"
        "print(sorted(os.sched_getaffinity(0)))"
    )
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_one_of_several_cores_is_left_to_visitors() -> None:
    cores = sorted(os.sched_getaffinity(0))
    assert _cores_after(set(cores)) == str(cores[:-1] or cores)


def test_who_has_one_core_keeps_it() -> None:
    (core, *_) = sorted(os.sched_getaffinity(0))
    assert _cores_after({core}) == str([core])
