"""What of a campaign link's query reaches the landing or the offer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.page.landing_click import without_own_parameters
from clickloop.click.passed_query import MAX_PASSED_BYTES, with_passed_query
from clickloop.setup.redirect import PassQuery
from tests.steps import executed_lines


@pytest.mark.parametrize(
    ("location", "query", "passing", "expected"),
    [
        ("https://o.example/", b"gclid=x&zone=7", "none", "https://o.example/"),
        ("https://o.example/", b"gclid=x&zone=7", "click_ids", "https://o.example/?gclid=x"),
        ("https://o.example/", b"gclid=x&zone=7", "all", "https://o.example/?gclid=x&zone=7"),
        ("https://o.example/?a=1", b"ScCid=Ab%2Fc", "click_ids", "https://o.example/?a=1&ScCid=Ab%2Fc"),
        ("https://o.example/?", b"fbclid=x", "click_ids", "https://o.example/?fbclid=x"),
        ("https://o.example/?a=1&", b"fbclid=x", "click_ids", "https://o.example/?a=1&fbclid=x"),
        ("https://o.example/#top", b"fbclid=x", "click_ids", "https://o.example/?fbclid=x#top"),
        ("https://o.example/?GCLID=mine", b"gclid=theirs", "all", "https://o.example/?GCLID=mine"),
        ("https://o.example/", b"gclid=1&gclid=2", "all", "https://o.example/?gclid=1"),
        ("https://o.example/", b"=x&&a", "all", "https://o.example/?a"),
        ("https://o.example/", b"a=\xc3\xa4 b\r\nx#y", "all", "https://o.example/?a=%C3%A4%20b%0D%0Ax%23y"),
        ("https://o.example/", b"", "all", "https://o.example/"),
        ("https://o.example/", b"a=" + b"x" * 5000 + b"&gclid=1", "all", "https://o.example/?gclid=1"),
        ("https://o.example/", b"&" * 100 + b"gclid=1", "all", "https://o.example/"),
    ],
)
def test_parameters_are_passed_as_they_came(location: str, query: bytes, passing: str, expected: str) -> None:
    assert with_passed_query(location, query, PassQuery(passing)) == expected


def test_names_that_the_user_added_are_passed() -> None:
    assert with_passed_query("https://o.example/", b"abc=1", PassQuery.CLICK_IDS, {"abc"}) == "https://o.example/?abc=1"


@given(st.binary(max_size=20_000))
def test_whatever_comes_the_address_stays_the_users_and_bounded(query: bytes) -> None:
    location = with_passed_query("https://o.example/?a=1#f", query, PassQuery.ALL)
    assert location.startswith("https://o.example/?a=1")
    assert location.endswith("#f")
    assert location.isascii()
    assert location.isprintable()
    assert len(location) <= len("https://o.example/?a=1#f") + MAX_PASSED_BYTES + 1


def test_a_query_of_a_hundred_thousand_parameters_costs_as_little_as_one_of_a_hundred() -> None:
    def steps(query: bytes) -> int:
        return executed_lines(
            lambda: with_passed_query("https://o.example/", without_own_parameters(query), PassQuery.ALL)
        )

    assert steps(b"&" * 60_000 + b"a=1&" * 40_000) <= steps(b"a=1&" * 100)
