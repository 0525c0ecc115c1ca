"""The interface of entered cost in the facts: spreading amounts over clicks, and which of several counts for each click.

A *spread* gives each click of a segment a share of an amount, exact to the micro, the remainder to the first clicks. It takes effect
click by click in steps, and is taken back the same way. For each click the spread of the highest rank in effect is its cost; without
any, the cost of its link or model. Each change is further rows: one that takes back what counted before, and one that adds what
counts now. Nothing is updated. Clicks that arrive later have no share until the entry is spread anew (``outdated``).
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from clickloop.report.cost.origin import OriginSum
from clickloop.report.cost.segment import (
    ClickShare,
    CostPart,
    CostSegment,
    SegmentClicks,
    Spread,
    SpreadOrder,
    SpreadOver,
)
from clickloop.report.query import ReportQuery


class CostReader(Protocol):
    """The methods that only read. Call them from any thread."""

    def count(self, segment: CostSegment) -> SegmentClicks:
        """Return how many clicks a segment has."""
        ...

    def count_each(self, segments: Sequence[CostSegment], over: SpreadOver) -> list[int]:
        """Return the number of clicks of each segment that an amount would be spread over.

        All segments are narrowed by the same dimensions, each by a single value, and all have a campaign or none has.
        """
        ...

    def quarters(self, segment: CostSegment) -> dict[int, int]:
        """Return the number of counted clicks by quarter-hour (start in Unix milliseconds); those without clicks are absent."""
        ...

    def origins(self, query: ReportQuery) -> list[OriginSum]:
        """Return where the cost of a report's groups comes from."""
        ...

    def spreads(self, entry_ids: Collection[int]) -> list[Spread]:
        """Return the spreads of entries, by rank."""
        ...

    def outdated(self, until_from: int, until_to: int) -> list[int]:
        """Return the entries whose span ended in a period and whose clicks are no longer those that they were spread over."""
        ...

    def shares(self, rank: int) -> dict[str, int]:
        """Return the share of each click that a spread covers, in micros, by click id."""
        ...

    def parts(self, click_id: str) -> list[CostPart]:
        """Return the parts of a click's cost, by entry and currency; parts of nothing are left out."""
        ...

    def shares_of(self, click_id: str) -> list[ClickShare]:
        """Return the entries that a click's cost came from since it arrived, or comes from, by id."""
        ...


class CostFacts(CostReader, Protocol):
    """Entered cost in a store of facts. Each method that writes is one transaction."""

    def spread(self, order: SpreadOrder) -> Spread:
        """Give each click of a segment its share, unless there is a spread of this rank. It takes effect with ``advance``."""
        ...

    def spread_each(self, orders: Sequence[SpreadOrder], limit: int) -> list[Spread]:
        """Do as ``spread`` does for many orders, in one transaction, of new ones for as many as have ``limit`` clicks together.

        Return the spreads that there are; there is at least one more than before, if any is missing.
        """
        ...

    def advance_each(self, ranks: Collection[int]) -> None:
        """Put spreads into effect for all their clicks. Ignore those that are in effect already, even in part."""
        ...

    def withdraw_each(self, ranks: Collection[int]) -> None:
        """Take spreads back for all their clicks. Ignore those that are in effect in part."""
        ...

    def advance(self, rank: int, limit: int) -> Spread:
        """Put a spread into effect for at most ``limit`` further clicks. Return how far it is."""
        ...

    def withdraw(self, rank: int, limit: int) -> Spread | None:
        """Take a spread back for at most ``limit`` clicks, the last ones first. Return how far it is; None: it is gone."""
        ...
