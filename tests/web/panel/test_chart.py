"""Charts: round ticks from zero, readable values, escaped names."""

import itertools
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.report.measure import Measure
from clickloop.web.panel.frame.chart import MAX_TICKS, Chart, Series, SeriesKind, draw, round_ticks
from clickloop.web.panel.reports.figures import MINUS, change_text, figure_text, short_text


def a_chart(*values: int | None, unit: int = 1, whole: bool = True, **more: object) -> Chart:
    known = {"title": "Clicks", "points": tuple(str(place) for place in range(len(values))), "shown": str, "tick": str}
    known |= {"series": (Series("Clicks", values),), "unit": unit, "whole": whole}
    return Chart(**known | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((0, 0), (0, 1)),
        ((3,), (0, 1, 2, 3)),
        ((7, 2), (0, 2, 4, 6, 8)),
        ((0, 87), (0, 50, 100)),
        ((1_234_567,), (0, 500_000, 1_000_000, 1_500_000)),
        ((-30, 45), (-40, -20, 0, 20, 40, 60)),
        ((-3, -1), (-3, -2, -1, 0)),
        ((None, None), (0, 1)),
    ],
)
def test_ticks_are_round_and_hold_zero(values: tuple[int | None, ...], ticks: tuple[int, ...]) -> None:
    assert round_ticks(a_chart(*values)) == ticks


def test_ticks_of_money_are_at_round_amounts() -> None:
    assert round_ticks(a_chart(350_000, unit=1_000_000, whole=False)) == (0, 100_000, 200_000, 300_000, 400_000)
    assert round_ticks(a_chart(0, unit=1_000_000, whole=False)) == (0, 10_000)


@given(st.lists(st.integers(-(10**15), 10**15), max_size=40), st.sampled_from([1, 10_000, 10**6]), st.booleans())
def test_ticks_are_few_even_and_around_every_value(values: list[int], unit: int, whole: bool) -> None:
    ticks = round_ticks(a_chart(*values, unit=unit, whole=whole))
    steps = {after - before for before, after in itertools.pairwise(ticks)}
    assert len(steps) == 1
    assert 2 <= len(ticks) <= MAX_TICKS + 2
    assert 0 in ticks
    assert ticks[0] <= min([0, *values])
    assert max([0, *values]) <= ticks[-1]


def test_every_value_is_in_the_table_and_on_hover() -> None:
    html = draw(a_chart(5, None, 7, shown=lambda value: f"{value} clicks"))
    table = html.partition("<table>")[2]
    assert list(re.findall(r"<td>([^<]+)</td>", table)) == ["5 clicks", "–", "7 clicks"]
    assert "<title>0\nClicks: 5 clicks</title>" in html
    assert '<div class="unseen"><table><caption>Clicks</caption>' in html


@given(
    st.lists(st.none() | st.integers(-(10**12), 10**12), max_size=30),
    st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"])),
    st.sampled_from(SeriesKind),
)
def test_any_chart_is_well_formed_and_draws_within_its_box(
    values: list[int | None], name: str, kind: SeriesKind
) -> None:
    series = (Series(name, tuple(values), kind), Series("before", tuple(values[::-1]), faint=True))
    html = draw(a_chart(*values, title=name, points=(name,) * len(values), series=series))
    figure = ET.fromstring(html)
    for drawing in figure.findall("svg"):
        _, _, width, height = map(float, drawing.attrib["viewBox"].split())
        for circle in drawing.iter("circle"):
            assert 0 <= float(circle.attrib["cx"]) <= width
            assert 0 <= float(circle.attrib["cy"]) <= height
    assert "style=" not in html
    assert not any(element.tag == "script" for element in figure.iter())


def test_a_gap_breaks_the_line_and_a_value_alone_is_a_dot() -> None:
    html = draw(a_chart(1, 2, None, 3))
    wide = html.partition("</svg>")[0]
    assert wide.count('class="line s1"') == 2
    assert wide.count('class="alone s1"') == 1


@pytest.mark.parametrize(
    ("measure", "value", "text", "short"),
    [
        (Measure.CLICKS, 1_234_567, "1,234,567", "1.23M"),
        (Measure.CLICKS, 950, "950", "950"),
        (Measure.CLICKS, 25_000, "25,000", "25k"),
        (Measure.REVENUE, 1_234_560_000, "1,234.56", "1.23k"),
        (Measure.PROFIT, -5_000, "−0.01", "−0.005"),
        (Measure.PROFIT, -4_000, "0.00", "−0.004"),
        (Measure.EPC, 12_345, "0.0123", "0.0123"),
        (Measure.CR, 12_345, "1.23%", "1.23%"),
        (Measure.ROI, -500_000, "−50.00%", "−50%"),
    ],
)
def test_figures_are_written_as_people_read_them(measure: Measure, value: int, text: str, short: str) -> None:
    assert figure_text(measure, value).replace("\xa0", " ") == text
    assert short_text(measure, value).replace("\xa0", " ") == short


def test_no_figure_is_a_dash_and_changes_have_their_sign() -> None:
    assert figure_text(Measure.CR, None) == "–"
    texts = [change_text(share) for share in (123_400, -5_000, 0, None)]
    assert texts == ["+12%", f"{MINUS}1%", "0%", ""]
