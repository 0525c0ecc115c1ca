"""The interface of marks in the facts: reading the clicks they are judged by, and correcting them by further rows.

A correction moves all rows of a click – its own, those of its conversions and its page events – from its old marks to its new
ones: for each, a row that takes it back under the old marks and one that adds it under the new. Nothing is updated. What is loaded
for the click later carries its new marks.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from clickloop.click.marks.landing_views import LandingDay, LandingWatch
from clickloop.click.marks.mark_correction import MarkBatch, MarkChange, MarkCorrection, MarkProgress
from clickloop.click.marks.marked_click import ClickSpan, MarkedClick
from clickloop.report.click_rows import ConversionSum


class MarkReader(Protocol):
    """The methods that only read. Call them from any thread."""

    def count(self, span: ClickSpan) -> int:
        """Return the number of clicks."""
        ...

    def clicks(self, span: ClickSpan, limit: int, after_click_id: str = "", *, with_page: bool) -> list[MarkedClick]:
        """Return the first clicks after an id, in the order of their ids. ``with_page`` False: without views and presses."""
        ...

    def clicks_of(self, click_ids: Collection[str]) -> list[MarkedClick]:
        """Return the counted clicks with these ids, with views and presses, in the order of their ids."""
        ...

    def watched(self, watch: LandingWatch) -> list[str]:
        """Return the ids of clicks whose button was pressed then, or whose time for a view ended then without one."""
        ...

    def oldest_at(self, after: int) -> int | None:
        """Return when the first click or page event after a moment came; None if there is none."""
        ...

    def first_views(self, since: int, until: int) -> dict[LandingDay, int]:
        """Return the first view of each landing on each day from ``since`` to before ``until``."""
        ...

    def earned(self, first_click_id: str, last_click_id: str) -> dict[str, list[ConversionSum]]:
        """Return the conversions of a range of clicks, by click id and currency. Clicks without any are absent."""
        ...

    def progress(self, job_id: str) -> MarkProgress:
        """Return how far a job is."""
        ...

    def history(self, click_id: str) -> list[MarkCorrection]:
        """Return the corrections of a click's marks that were not undone, oldest first."""
        ...

    def judged_to(self) -> int:
        """Return the moment up to which late marks have been judged."""
        ...


class MarkFacts(MarkReader, Protocol):
    """The marks in a store of facts. Each method that writes is one transaction."""

    def correct(self, batch: MarkBatch, now_ms: int) -> int:
        """Change the marks of a batch's clicks, unless this batch of the job is in the facts. Return the number of clicks changed."""
        ...

    def undo(self, job_id: str) -> MarkProgress:
        """Take back the newest batch of a job, if it has any. Return how far the job still is."""
        ...

    def correct_late(self, changes: Sequence[MarkChange], judged_to: int, now_ms: int) -> int:
        """Change marks, and remember up to when they have been judged. Return the number of clicks changed."""
        ...
