"""The latest visits of an edge: bounded, and the oldest goes first."""

from msgspec.structs import replace

from clickloop.click.page.recent_visits import RecentVisits
from clickloop.click.visitor_cookie import Visit


def visit(number: int, at: int = 0) -> Visit:
    return Visit(f"{number:026}", at, 7, 12, 3, 99)


def test_the_visit_remembered_longest_ago_is_dropped() -> None:
    recent = RecentVisits(2)
    for number in (1, 2, 1, 3):
        recent.remember(visit(number))
    assert [recent.find(f"{number:026}") for number in (1, 2, 3)] == [visit(1), None, visit(3)]
    assert len(recent) == 2


def test_a_visit_of_the_same_click_replaces_the_earlier_one() -> None:
    recent = RecentVisits()
    recent.remember(visit(1))
    recent.remember(visit(1, at=5))
    assert recent.find(f"{1:026}") == visit(1, at=5)


def test_visits_with_long_values_push_out_earlier_ones() -> None:
    recent = RecentVisits(100, most_characters=25)
    for number in (1, 2, 3, 2):
        recent.remember(replace(visit(number), values={"externalid": "x" * 10}))
    assert [recent.find(f"{number:026}") is not None for number in (1, 2, 3)] == [False, True, True]
    recent.remember(visit(2))  # its values are known no more
    recent.remember(replace(visit(4), values={"externalid": "x" * 15}))
    assert len(recent) == 3
    recent.remember(replace(visit(5), values={"externalid": "x" * 30}))
    assert (len(recent), recent.find(f"{5:026}") is not None) == (1, True)
