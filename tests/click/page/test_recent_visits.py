"""The latest visits of an edge: bounded, and the oldest goes first."""

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
