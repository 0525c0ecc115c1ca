"""A generated year: every figure in the API, the CSV and the panel is that of a plain model."""

from pathlib import Path

from tests.store.counting import differing_days
from tests.year.compared_year import ComparedYear
from tests.year.driven_year import DrivenYear

LEAST = {
    "api": 70_000,
    "csv": 70_000,
    "/panel/reports": 4_000,
    "/panel": 5,
    "/panel/campaigns": 19,
    "/panel/traffic-sources": 5,
}
"""Cells that are compared at least, by where they are."""


def test_every_figure_of_a_year_is_that_of_the_plain_model(tmp_path: Path) -> None:
    driven = DrivenYear(tmp_path, clicks=6_000)
    try:
        driven.run()
        assert differing_days(driven.instance.facts) == []
        compared = ComparedYear(driven)
        with driven.instance.api:
            compared.run(share=2)
        assert compared.differences[:20] == []
        assert {place: compared.cells[place] > least for place, least in LEAST.items()} == dict.fromkeys(LEAST, True)
    finally:
        driven.close()
