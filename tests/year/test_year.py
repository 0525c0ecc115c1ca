"""A generated year: every figure in the API, the CSV and the panel is that of a plain model."""

from pathlib import Path

from tests.year.compared_year import ComparedYear
from tests.year.driven_year import DrivenYear


def test_every_figure_of_a_year_is_that_of_the_plain_model(tmp_path: Path) -> None:
    driven = DrivenYear(tmp_path, clicks=6_000)
    try:
        driven.run()
        compared = ComparedYear(driven)
        with driven.instance.api:
            compared.run()
        assert compared.differences[:20] == []
        assert compared.cells > 100_000
    finally:
        driven.close()
