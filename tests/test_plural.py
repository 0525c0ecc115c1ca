"""Counts with a noun."""

import pytest

from clickloop.plural import pluralize


@pytest.mark.parametrize(
    ("count", "nouns", "text"),
    [
        (0, ("postback",), "0 postbacks"),
        (1, ("postback",), "1 postback"),
        (2, ("postback",), "2 postbacks"),
        (1, ("notice matches", "notices match"), "1 notice matches"),
        (3, ("notice matches", "notices match"), "3 notices match"),
        (12_345, ("postback",), "12,345 postbacks"),
    ],
)
def test_a_count_stands_with_the_right_noun(count: int, nouns: tuple[str, ...], text: str) -> None:
    assert pluralize(count, *nouns) == text
