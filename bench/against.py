"""The hot paths here against another checkout, in turns: ``python -m bench.against FOLDER [PAIRS]``.

Two runs minutes apart differ by more than a change does, since machines are noisy. So each pair runs here and there right after
each other, and what counts is the median of the pairs' ratios. ``FOLDER`` is a checkout in which ``make test`` has been run.
"""

import re
import statistics
import subprocess
import sys
from pathlib import Path

import msgspec

HERE = Path(__file__).parent.parent
PAIRS = 9
MAX_WORSE = 1.05
MAX_SECONDS = 300


class Figure(msgspec.Struct, frozen=True):
    """A figure of a bench: less is better. ``pattern`` finds it, as its first group, in what the bench prints."""

    bench: str
    what: str
    pattern: str
    shorter: str
    """Return the environment that makes one run of the bench short: there are many of them."""


FIGURES = (
    Figure("redirect", "edge CPU per recorded click ÷ nginx's", r"median ([\d.]+) of", "ROUNDS = 1; bench.SECONDS = 4"),
    Figure(
        "notices",
        "edge CPU per notice, µs",
        r"\| as fast as it can \| [\d,]+ \| [\d.]+ \| [\d.]+ \| ([\d.]+)",
        "ROUNDS = 1; bench.SECONDS = 4",
    ),
    Figure("settling", "CPU to settle a click, µs", r"settling, a backlog of [\d,]+ \| ([\d.]+)", "BATCHES = 4"),
    Figure(
        "delivery",
        "CPU per delivered postback ÷ aiohttp's",
        r"delivery, log written \| [\d,]+ \| [\d,]+ \| ([\d.]+)",
        "POSTBACKS = 8_000",
    ),
)


def run(figure: Figure, folder: Path) -> float:
    """Return the figure as a run in a checkout gives it. Raise RuntimeError when it fails or prints none."""
    code = f"from bench import {figure.bench} as bench; bench.{figure.shorter}; print('\\n'.join(bench.main()))"
    python = folder / ".venv" / "bin" / "python"
    done = subprocess.run(
        [python, "-c", code], cwd=folder, capture_output=True, text=True, timeout=MAX_SECONDS, check=False
    )
    found = re.search(figure.pattern, done.stdout)
    if found is None:
        raise RuntimeError(f"{figure.bench} in {folder} printed no figure: {(done.stderr or done.stdout)[-500:]}")
    return float(found[1])


def main(arguments: list[str]) -> int:
    """Print a line of Markdown per figure; return 1 when one is worse by more than 5 %."""
    there = Path(arguments[0]).resolve()
    pairs = int(arguments[1]) if len(arguments) > 1 else PAIRS
    names = arguments[2:]
    print(
        f"| figure | here | there | median ratio of {pairs} pairs | lowest–highest |\n| --- | --- | --- | --- | --- |"
    )
    is_worse = False
    for figure in FIGURES:
        if names and figure.bench not in names:
            continue
        both = []
        for number in range(pairs):
            first, second = (HERE, there) if number % 2 else (there, HERE)  # neither is always the one that runs second
            found = {folder: run(figure, folder) for folder in (first, second)}
            both.append((found[HERE], found[there]))
        ratios = sorted(mine / theirs for mine, theirs in both)
        ratio = statistics.median(ratios)
        is_worse |= ratio > MAX_WORSE
        mine, theirs = (statistics.median(side) for side in zip(*both, strict=True))
        cells = (
            f"{figure.bench}: {figure.what}",
            f"{mine:g}",
            f"{theirs:g}",
            f"{ratio:.3f}",
            f"{ratios[0]:.2f}–{ratios[-1]:.2f}",
        )
        print(f"| {' | '.join(cells)} |", flush=True)
    return 1 if is_worse else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
