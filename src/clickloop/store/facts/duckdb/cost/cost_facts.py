"""Entered cost in DuckDB: what ``store.facts.cost_facts`` promises, each write in one transaction."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import duckdb

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
from clickloop.store.facts.duckdb.connections import Written
from clickloop.store.facts.duckdb.cost import cost_batches, cost_outdated, cost_rows, cost_spreads
from clickloop.store.facts.duckdb.cost.cost_origins import cost_origins
from clickloop.store.facts.facts import FactsError

Reading = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]
Writing = Callable[[], AbstractContextManager[Written]]


class DuckDbCostFacts:
    """Entered cost in a DuckDB file."""

    def __init__(self, reading: Reading, writing: Writing) -> None:
        self._reading = reading
        self._writing = writing

    def count(self, segment: CostSegment) -> SegmentClicks:
        """Return how many clicks a segment has."""
        with self._reading() as reader:
            return cost_spreads.count(reader, segment)

    def count_each(self, segments: Sequence[CostSegment], over: SpreadOver) -> list[int]:
        """Return the number of clicks of each segment that an amount would be spread over."""
        with self._reading() as reader:
            return cost_batches.count_each(reader, segments, over)

    def quarters(self, segment: CostSegment) -> dict[int, int]:
        """Return the number of counted clicks by quarter-hour."""
        with self._reading() as reader:
            return cost_spreads.quarters(reader, segment)

    def origins(self, query: ReportQuery) -> list[OriginSum]:
        """Return where the cost of a report's groups comes from."""
        with self._reading() as reader:
            return cost_origins(reader, query)

    def spreads(self, entry_ids: Collection[int]) -> list[Spread]:
        """Return the spreads of entries, by rank."""
        with self._reading() as reader:
            return cost_spreads.spreads(reader, entry_ids)

    def outdated(self, until_from: int, until_to: int) -> list[int]:
        """Return the entries whose clicks are no longer those that they were spread over."""
        with self._reading() as reader:
            return cost_outdated.outdated(reader, until_from, until_to)

    def shares(self, rank: int) -> dict[str, int]:
        """Return the share of each click that a spread covers."""
        with self._reading() as reader:
            return cost_spreads.shares(reader, rank)

    def parts(self, click_id: str) -> list[CostPart]:
        """Return the parts of a click's cost."""
        with self._reading() as reader:
            return cost_spreads.parts(reader, click_id)

    def shares_of(self, click_id: str) -> list[ClickShare]:
        """Return the entries that a click's cost came from, or comes from."""
        with self._reading() as reader:
            return cost_spreads.shares_of(reader, click_id)

    def spread(self, order: SpreadOrder) -> Spread:
        """Give each click of a segment its share, unless there is a spread of this rank."""
        with self._working() as written:
            known = cost_spreads.spread_of(written.writer, order.rank)
            if known is not None:
                return known
            _count_load(written.writer)
            return cost_spreads.add(written.writer, order)

    def spread_each(self, orders: Sequence[SpreadOrder], limit: int) -> list[Spread]:
        """Give the clicks of many segments their shares, except for ranks that have a spread."""
        with self._working() as written:
            wanted = {order.rank: order for order in orders}
            known = {one.rank: one for one in cost_spreads.spreads_of(written.writer, list(wanted))}
            unknown = [wanted[rank] for rank in wanted if rank not in known]
            fresh = cost_batches.add_each(written.writer, cost_batches.that_fit(written.writer, unknown, limit))
            if fresh:
                _count_load(written.writer)
            known |= {spread.rank: spread for spread in fresh}
            return [known[order.rank] for order in orders if order.rank in known]

    def advance_each(self, ranks: Collection[int]) -> None:
        """Put spreads into effect that are not yet, as a whole."""
        with self._working() as written:
            found = cost_spreads.spreads_of(written.writer, ranks)
            whole = [one.rank for one in found if not one.active and one.covered]
            if whole:
                written.rows = cost_rows.add_whole(written.writer, whole, 1)
                written.writer.execute(
                    "UPDATE cost_spreads SET active = covered WHERE rank = ANY($ranks::BIGINT[])", {"ranks": whole}
                )
                _count_load(written.writer)

    def withdraw_each(self, ranks: Collection[int]) -> None:
        """Take spreads back that are in effect as a whole, or not at all."""
        with self._working() as written:
            found = cost_spreads.spreads_of(written.writer, ranks)
            whole = [one.rank for one in found if one.active and one.active == one.covered]
            gone = [*whole, *(one.rank for one in found if not one.active)]
            if whole:
                written.rows = cost_rows.add_whole(written.writer, whole, -1)
            for table in ("cost_shares", "cost_spreads"):
                written.writer.execute(
                    f"DELETE FROM {table} WHERE rank = ANY($ranks::BIGINT[])",  # noqa: S608 – two names of ours
                    {"ranks": gone},
                )
            _count_load(written.writer)

    def advance(self, rank: int, limit: int) -> Spread:
        """Put a spread into effect for at most ``limit`` further clicks."""
        with self._working() as written:
            spread = cost_spreads.spread_of(written.writer, rank)
            if spread is None:
                raise FactsError(f"there is no spread of cost with rank {rank}")
            active = min(spread.active + limit, spread.covered)
            if active > spread.active:
                written.rows = cost_rows.add(written.writer, spread, spread.active, active, 1)
                _set_active(written.writer, rank, active)
            return cost_spreads.spread_of(written.writer, rank) or spread

    def withdraw(self, rank: int, limit: int) -> Spread | None:
        """Take a spread back for at most ``limit`` clicks, the last ones first."""
        with self._working() as written:
            spread = cost_spreads.spread_of(written.writer, rank)
            if spread is None:
                return None
            active = max(spread.active - limit, 0)
            if active < spread.active:
                written.rows = cost_rows.add(written.writer, spread, active, spread.active, -1)
                _set_active(written.writer, rank, active)
            if active:
                return cost_spreads.spread_of(written.writer, rank)
            written.writer.execute("DELETE FROM cost_shares WHERE rank = $rank", {"rank": rank})
            written.writer.execute("DELETE FROM cost_spreads WHERE rank = $rank", {"rank": rank})
            _count_load(written.writer)
            return None

    @contextmanager
    def _working(self) -> Iterator[Written]:
        """Yield the writer with a thread per core: a step is long, and loading waits for it."""
        with self._writing() as written:
            row = written.writer.execute("SELECT current_setting('threads')").fetchone()
            written.writer.execute(f"SET threads = {os.cpu_count() or 1}")
            try:
                yield written
            finally:
                written.writer.execute(f"SET threads = {int(row[0]) if row else 1}")


def _set_active(writer: duckdb.DuckDBPyConnection, rank: int, active: int) -> None:
    writer.execute("UPDATE cost_spreads SET active = $active WHERE rank = $rank", {"rank": rank, "active": active})
    _count_load(writer)


def _count_load(writer: duckdb.DuckDBPyConnection) -> None:
    """Count a change of cost as a load: a copy of the facts from before it is an older copy."""
    writer.execute("UPDATE outbox_taken SET loads = loads + 1")
