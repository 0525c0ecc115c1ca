"""Marks that only the order of clicks shows, given while clicks are settled."""

from collections.abc import Callable, Iterator
from typing import Protocol

from clickloop.click.marks.campaign_marks import CampaignMarks
from clickloop.click.marks.rate_tally import FREQUENT_WINDOW_MS, REUSED_WINDOW_MS, RatedClick, RateTally
from clickloop.setup.mark import marks_of, marks_text
from clickloop.tracking.judging import ClickLine


class RatedClicks(Protocol):
    """The facts, as far as the tally reads them."""

    def rated_clicks(self, since: int, until: int, *, most: int) -> Iterator[RatedClick]:
        """Yield the ``most`` latest counted clicks of a period in the order of their times."""
        ...


MAX_COUNTED_AGAIN = 500_000
"""Clicks that are counted again after a start: two seconds' work."""


class SettlingMarks:
    """Tallies the clicks that count, in the order in which they are settled, and returns their marks."""

    def __init__(self, facts: RatedClicks, marks: Callable[[], CampaignMarks]) -> None:
        """``marks``: returns the marks in force."""
        self._facts = facts
        self._marks = marks
        self._tally = RateTally()

    def start_before(self, at: int) -> None:
        """Count anew what the facts have of the time before a moment (Unix milliseconds): after a start or a failed load.

        The last click of a visitor is not known then, so that one repeat may go unmarked.
        """
        self._tally = RateTally()
        keeps_addresses = self._marks().keeps_addresses
        for click in self._facts.rated_clicks(at - REUSED_WINDOW_MS, at, most=MAX_COUNTED_AGAIN):
            if click.at <= at - FREQUENT_WINDOW_MS or not keeps_addresses:
                self._tally.remember(click)
            else:
                self._tally.count(click, self._marks().thresholds(click.campaign_id))

    def marks_of(self, click: ClickLine) -> str | None:
        """Count a click. Return all its marks, separated by commas, or None if they are as its line says."""
        if click.screening:  # a prefetch must not make the visit that follows a repeat
            return None
        marks = self._marks()
        # Where a part of the address is stored, a network of honest visitors would look like one of them.
        address = click.ip if marks.keeps_addresses else click.visitor
        rated = RatedClick(click.at, click.campaign_id, click.source_id, click.external_id, address, click.visitor)
        found = self._tally.count(rated, marks.thresholds(click.campaign_id))
        return marks_text(marks_of(click.marks).union(found)) if found else None
