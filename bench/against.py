"""Compares the hot paths with another checkout: ``python -m bench.against FOLDER [PAIRS]``.

On a noisy machine two runs minutes apart differ by more than a change does. Each pair therefore runs back to back, and the result
is the median of the pairs' ratios. ``FOLDER`` is a checkout in which ``make test`` has been run.
"""

import re
import statistics
import subprocess
import sys
from pathlib import Path

import msgspec

THIS_CHECKOUT = Path(__file__).parent.parent
PAIRS = 9
MAX_WORSE = 1.05
MAX_SECONDS = 300


class Figure(msgspec.Struct, frozen=True):
    """A figure of a bench; lower is better. The first group of ``pattern`` matches it in the bench's output."""

    bench: str
    description: str
    pattern: str
    short_setup: str
    """Statement that makes a run of the bench short, after ``bench.``."""


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
    """Run a bench in a checkout and return its figure. Raise RuntimeError if it fails or prints none."""
    code = f"from bench import {figure.bench} as bench; bench.{figure.short_setup}; print('\\n'.join(bench.main()))"
    python = folder / ".venv" / "bin" / "python"
    done = subprocess.run(
        [python, "-c", code], cwd=folder, capture_output=True, text=True, timeout=MAX_SECONDS, check=False
    )
    match = re.search(figure.pattern, done.stdout)
    if match is None:
        raise RuntimeError(f"{figure.bench} in {folder} printed no figure: {(done.stderr or done.stdout)[-500:]}")
    return float(match[1])


def main(arguments: list[str]) -> int:
    """Print a line of Markdown per figure. Return 1 if one is worse by more than 5 %."""
    other = Path(arguments[0]).resolve()
    pairs = int(arguments[1]) if len(arguments) > 1 else PAIRS
    names = arguments[2:]
    print(
        f"| figure | here | there | median ratio of {pairs} pairs | lowest–highest |\n| --- | --- | --- | --- | --- |"
    )
    is_worse = False
    for figure in FIGURES:
        if names and figure.bench not in names:
            continue
        results = []
        for number in range(pairs):
            # Alternates the order, so that neither always runs second.
            order = (THIS_CHECKOUT, other) if number % 2 else (other, THIS_CHECKOUT)
            found = {folder: run(figure, folder) for folder in order}
            results.append((found[THIS_CHECKOUT], found[other]))
        ratios = sorted(ours / theirs for ours, theirs in results)
        ratio = statistics.median(ratios)
        is_worse |= ratio > MAX_WORSE
        ours, theirs = (statistics.median(side) for side in zip(*results, strict=True))
        cells = (
            f"{figure.bench}: {figure.description}",
            f"{ours:g}",
            f"{theirs:g}",
            f"{ratio:.3f}",
            f"{ratios[0]:.2f}–{ratios[-1]:.2f}",
        )
        print(f"| {' | '.join(cells)} |", flush=True)
    return 1 if is_worse else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
