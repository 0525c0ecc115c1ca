"""The names of figures in other trackers."""

from clickloop.report.alias import ALIASES, SOURCES, OtherTracker, aliases_of
from clickloop.report.measure import Measure


def test_each_name_has_a_page_of_the_vendor_as_its_source() -> None:
    assert {*SOURCES} == {*OtherTracker}
    for alias in ALIASES:
        assert alias.source.startswith("https://")
        assert alias.name


def test_no_tracker_has_a_name_twice() -> None:
    assert len({(alias.tracker, alias.name) for alias in ALIASES}) == len(ALIASES)


def test_a_measure_may_have_several_names() -> None:
    assert {alias.name for alias in aliases_of(Measure.EPC)} == {"EPC", "EPC (confirmed)"}
