"""Compares a generated year of 200,000 clicks with a plain model: every figure in the API, the CSV and the pages of the panel.

Conversions come months late, are reversed and change; cost is entered, corrected, undone and uploaded; marks are judged anew and put
back; clocks change by an hour and by half an hour.
"""

import shutil
import tempfile
import time
from pathlib import Path

from tests.year.compared_year import ComparedYear
from tests.year.driven_year import DrivenYear


def main(clicks: int = 200_000) -> list[str]:
    """Return the results as lines of Markdown."""
    folder = Path(tempfile.mkdtemp())
    begun = time.monotonic()
    driven = DrivenYear(folder, clicks)
    try:
        driven.run()
        compared = ComparedYear(driven)
        with driven.instance.api:
            compared.run()
        return lines_of(compared, len(driven.plain.clicks), len(driven.plain.conversions), time.monotonic() - begun)
    finally:
        driven.close()
        shutil.rmtree(folder, ignore_errors=True)


def lines_of(compared: ComparedYear, clicks: int, conversions: int, seconds: float) -> list[str]:
    """Return the results as lines of Markdown."""
    pages = sum(number for place, number in compared.cells.items() if place not in ("api", "csv"))
    lines = [
        "| What | Cells |",
        "| --- | ---: |",
        f"| compared in the API | {compared.cells['api']:,} |",
        f"| compared in the CSV | {compared.cells['csv']:,} |",
        f"| compared in pages of the panel | {pages:,} |",
        f"| differing | {compared.differing:,} |",
        "",
        f"{clicks:,} clicks and {conversions:,} conversions of 365 days, in {seconds:,.0f} s.",
    ]
    found = (f"\n{one.where}: {one.cell} is {one.found}, expected {one.wanted}." for one in compared.differences[:10])
    return [*lines, *found]


if __name__ == "__main__":
    print("\n".join(main()))
