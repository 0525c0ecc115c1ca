"""Spreads costs over 10,000 random segments, and compares each click's cost with a plain model: precedence, undo in any order."""

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import duckdb

from clickloop.clock import DAY_MS, HOUR_MS
from clickloop.report.cost.segment import CostFilter, CostKind, CostSegment, Spread, SpreadOrder, SpreadOver, rank_of
from clickloop.report.query import Dimension, ReportQuery
from clickloop.store.facts.facts import FactsStore
from clickloop.stores import open_facts

SINCE = 1_790_035_200_000  # the start of a day
SPAN_MS = 2 * DAY_MS
ROUNDS = 20
CLICKS_PER_STEP = 97
EVERY_CLICK = 1 << 40
AMOUNTS = (0, 1, 2, 999_999, 1_000_003, 10**15)
_VALUES = ("", "a", "b", "c", "d")
_INSERT = """
INSERT INTO facts (click_id, click_at, kind, fact_at, campaign_id, source_id, v1, v3, offer_id, "unique", marks, screening, clicks,
    currency, cost_currency, cost_micros)
SELECT $click_id, $at, 'click', $at, $campaign_id, $source_id, $click_id, nullif($v3, ''), nullif($offer_id, 0), $is_unique,
    nullif($marks, ''), nullif($screening, ''), CASE WHEN $screening = '' THEN 1 ELSE 0 END, 'USD', 'USD', $link
"""


class PlainClick(NamedTuple):
    """A click as the model sees it."""

    click_id: str
    at: int
    campaign_id: int
    source_id: int
    v3: str
    offer_id: int
    is_unique: bool
    marks: str
    screening: str
    link: int


class Outcome(NamedTuple):
    """Counts of comparisons and differences."""

    segments: int
    without_clicks: int
    of_one_click: int
    comparisons: int
    differing: int


def main(segments: int = 10_000, clicks: int = 500) -> list[str]:
    """Return the results as lines of Markdown."""
    started = time.perf_counter()
    found = compare(segments, clicks, seed=1)
    if found.differing:
        sys.exit(f"{found.differing} of {found.comparisons} differ from the model")
    return [
        "| What | |",
        "| --- | --- |",
        f"| Segments, each amount spread to the micro | {found.segments:,} |",
        f"| of them without a click to bear it, with a single one | {found.without_clicks:,}, {found.of_one_click:,} |",
        f"| Costs of a click and of an entry compared with the model | {found.comparisons:,} |",
        f"| that differ | {found.differing} |",
        f"| Seconds | {time.perf_counter() - started:.0f} |",
    ]


def compare(segments: int, count: int, seed: int) -> Outcome:
    """Spread, put into effect and undo random entries in rounds, one by one and many at once."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.duckdb"
        open_facts(path).close()
        clicks = [_click(chance, number) for number in range(count)]
        database = duckdb.connect(str(path))
        for click in clicks:
            database.execute(_INSERT, click._asdict())
        database.close()
        facts = open_facts(path)
        try:
            counts = [0, 0, 0, 0]
            per_round = -(-segments // ROUNDS)
            for first in range(1, segments + 1, per_round):
                orders = [
                    _order(chance, number, clicks) for number in range(first, min(first + per_round, segments + 1))
                ]
                counts = [sum(pair) for pair in zip(counts, _round(facts, chance, clicks, orders), strict=True)]
            return Outcome(segments, *counts)
        finally:
            facts.close()


def _round(
    facts: FactsStore, chance: random.Random, clicks: list[PlainClick], orders: list[SpreadOrder]
) -> tuple[int, int, int, int]:
    shares = {order.rank: _shares(clicks, order) for order in orders}
    spreads: list[Spread] = []
    while len(spreads) < len(orders):  # one with several values of a filter is spread alone
        spreads = facts.costs.spread_each(orders, EVERY_CLICK)
    differing = compared = 0
    for order, spread in zip(orders, spreads, strict=True):
        found = facts.costs.shares(order.rank)
        is_exact = sum(found.values()) == (order.micros if spread.shared else 0)
        compared += 1
        differing += found != shares[order.rank] or not is_exact
    active: dict[int, Spread] = {}
    wholly, in_steps = spreads[: len(spreads) // 2], spreads[len(spreads) // 2 :]

    def check() -> None:
        nonlocal differing, compared
        expected, found = _expected(clicks, orders, shares, active), _found(facts)
        compared += len(expected)
        differing += sum(1 for click_id in expected | found if expected.get(click_id) != found.get(click_id))

    facts.costs.advance_each([spread.rank for spread in wholly])
    active |= {spread.rank: spread for spread in wholly}
    check()
    for spread in chance.sample(in_steps, len(in_steps)):
        now = spread
        while now.active < now.covered:
            now = facts.costs.advance(spread.rank, CLICKS_PER_STEP)
        active[spread.rank] = spread
    check()
    gone = chance.sample(sorted(active), len(active) // 2)
    facts.costs.withdraw_each(gone[: len(gone) // 2])
    for rank in gone[len(gone) // 2 :]:
        while facts.costs.withdraw(rank, CLICKS_PER_STEP) is not None:
            pass
    for rank in gone:
        del active[rank]
    check()
    facts.costs.withdraw_each(list(active))
    active.clear()
    check()
    without = sum(1 for spread in spreads if not spread.shared)
    return without, sum(1 for spread in spreads if spread.shared == 1), compared, differing


def _click(chance: random.Random, number: int) -> PlainClick:
    at = SINCE + chance.randrange(SPAN_MS)
    return PlainClick(
        click_id=f"{at:013d}{number:013d}",
        at=at,
        campaign_id=chance.randrange(1, 4),
        source_id=chance.randrange(1, 3),
        v3=chance.choice(_VALUES),
        offer_id=chance.randrange(3),
        is_unique=chance.random() < 0.5,
        marks=chance.choice(("", "", "repeat")),
        screening=chance.choice(("", "", "", "", "crawler", "test")),
        link=chance.choice((0, chance.randrange(1, 100_000))),
    )


def _order(chance: random.Random, entry_id: int, clicks: list[PlainClick]) -> SpreadOrder:
    owner = chance.choice(
        ({"campaign_id": 1}, {"campaign_id": 2}, {"source_id": 2}, {"campaign_id": 3, "source_id": 1})
    )
    filters = []
    if chance.random() < 0.6:
        filters.append(CostFilter(Dimension.V3, tuple(sorted(chance.sample(_VALUES, chance.choice((1, 1, 1, 2)))))))
    if chance.random() < 0.3:
        filters.append(CostFilter(Dimension.OFFER, (str(chance.randrange(3)),)))
    first = SINCE + chance.randrange(-2, 46) * HOUR_MS
    until = first + chance.choice((1, 1, 2, 3, 24)) * HOUR_MS
    if chance.random() < 0.1:  # a quarter-hour around a click
        quarter = 15 * 60_000
        first = chance.choice(clicks).at // quarter * quarter
        until = first + quarter
    kind = chance.choice(list(CostKind))
    return SpreadOrder(
        rank=rank_of(kind, entry_id, 1),
        entry_id=entry_id,
        segment=CostSegment(**owner, filters=tuple(filters), from_at=first, until_at=until),
        over=chance.choice((SpreadOver.CLICKS, SpreadOver.CLICKS, SpreadOver.UNIQUE, SpreadOver.CLEAN)),
        micros=chance.choice((*AMOUNTS, *(chance.randrange(10 ** chance.randrange(1, 12)) for _ in AMOUNTS))),
        currency="USD",
    )


_BEARS: dict[SpreadOver, Callable[[PlainClick], bool]] = {
    SpreadOver.CLICKS: lambda click: True,
    SpreadOver.UNIQUE: lambda click: click.is_unique,
    SpreadOver.CLEAN: lambda click: not click.marks,
}


def _shares(clicks: list[PlainClick], order: SpreadOrder) -> dict[str, int]:
    """Return the share of each click that an order covers: the slow and obvious way."""
    segment = order.segment
    values = {one.dimension: one.values for one in segment.filters}
    covered = sorted(
        click
        for click in clicks
        if click.screening != "test"
        and segment.from_at <= click.at < segment.until_at
        and segment.campaign_id in (0, click.campaign_id)
        and segment.source_id in (0, click.source_id)
        and (Dimension.V3 not in values or click.v3 in values[Dimension.V3])
        and (Dimension.OFFER not in values or str(click.offer_id) in values[Dimension.OFFER])
    )
    bearing = [click.click_id for click in covered if not click.screening and _BEARS[order.over](click)]
    if not bearing:
        return {}
    found = {click.click_id: 0 for click in covered}
    for place, click_id in enumerate(bearing):
        found[click_id] = order.micros // len(bearing) + (1 if place < order.micros % len(bearing) else 0)
    return found


def _expected(
    clicks: list[PlainClick], orders: list[SpreadOrder], shares: dict[int, dict[str, int]], active: dict[int, Spread]
) -> dict[str, dict[int, int]]:
    """Return the cost of each click by entry (0: its link), without parts of nothing."""
    found = {click.click_id: {0: click.link} if click.link else {} for click in clicks if click.screening != "test"}
    entry_ids = {order.rank: order.entry_id for order in orders}
    for rank in sorted(active):  # manual entries come last, and newer ones after older ones
        for click_id, micros in shares[rank].items():
            found[click_id] = {entry_ids[rank]: micros} if micros else {}
    return {click_id: parts for click_id, parts in found.items() if parts}


def _found(facts: FactsStore) -> dict[str, dict[int, int]]:
    query = ReportQuery(from_at=SINCE, until_at=SINCE + SPAN_MS, currency="USD", group_by=(Dimension.V1,))
    found: dict[str, dict[int, int]] = {}
    for one in facts.costs.origins(query):
        parts = found.setdefault(str(one.keys[0]), {})
        parts[one.entry_id] = parts.get(one.entry_id, 0) + one.micros
    return found


if __name__ == "__main__":
    print("\n".join(main()))
