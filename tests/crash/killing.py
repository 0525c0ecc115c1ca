"""Kills a child after a number of lines that it has written: an event, so that a slow machine changes nothing but the time it takes."""

import random
import subprocess
import time
from collections.abc import Sequence

RANDOM_INSTANT_SECONDS = 0.01
"""After the event, the kill comes at a random instant within this time, so that it also hits the middle of a step."""


def killed_after(command: Sequence[str], lines: int, chance: random.Random) -> list[str]:
    """Run ``command`` until it has written ``lines`` whole lines, then kill it; return all whole lines that it wrote.

    A child that ends by itself before that is not killed; it must end well.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        written = [line for _, line in zip(range(lines), child.stdout, strict=False)]
        if len(written) == lines:
            time.sleep(chance.random() * RANDOM_INSTANT_SECONDS)
            child.kill()
        else:
            assert child.wait() == 0, written
        written += list(child.stdout)
    return [line.removesuffix("\n") for line in written if line.endswith("\n")]
