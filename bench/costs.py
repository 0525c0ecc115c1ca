"""Measures entered cost: an entry over a million clicks and its undo, beside as many other clicks, and the reports before and after."""

import tempfile
import time
from pathlib import Path

import duckdb

from clickloop.clock import DAY_MS
from clickloop.report.cost.segment import CostKind, CostSegment, SpreadOrder, rank_of
from clickloop.report.query import Dimension, Report, ReportQuery
from clickloop.store.facts.facts import FactsStore
from clickloop.stores import open_facts
from clickloop.tracking.costs.working import CLICKS_PER_STEP

UNTIL = 1_790_035_200_000  # the start of a day
_CLICKS = """
INSERT INTO facts (click_id, click_at, campaign_id, source_id, flow_id, flow_version, path_id, offer_id, network_id, external_id, target,
    domain, ip, country, region, isp, useragent, device, brand, model, os, os_version, browser, browser_version, language, "unique",
    v1, v2, v3, v4, v5, v6, v7, v8, kind, fact_at, currency, cost_currency, cost_micros, clicks)
SELECT printf('%026d', n), $since + n * $span // $count, 1 + n % 2, 1, 1, 1, 1, 1 + n % 3, 1, md5(n::VARCHAR),
    'https://offers.example/' || n, 'trk.example', '10.0.' || n % 256 || '.1', list_element(['US', 'DE', 'BR'], 1 + (n % 3)::INT),
    'US-' || n % 50, 'ISP ' || n % 400, 'Mozilla/5.0 (Linux; Android 14) Chrome/131.0', 'mobile', 'Samsung', 'SM-' || n % 90, 'Android',
    '14', 'Chrome', '131.0', 'en-us', n % 5 > 0, 'zone' || hash(n) % 5000, 'site' || hash(n + 1) % 300, 'ad' || hash(n + 2) % 2000,
    'key' || hash(n + 3) % 20000, 'a' || n % 60, 'b' || n % 12, 'c' || n % 800, 'd' || n % 40, 'click', $since + n * $span // $count,
    'USD', 'USD', 1000 + n % 500, 1
FROM range($first, $last) numbers(n)
"""


def main(count: int = 1_000_000) -> list[str]:
    """Return the results as lines of Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.duckdb"
        open_facts(path).close()
        fill(path, 2 * count)
        facts = open_facts(path, 512)  # as the core does by default
        try:
            return _measured(facts)
        finally:
            facts.close()


def fill(path: Path, count: int) -> None:
    """Add clicks of two campaigns, over seven days."""
    database = duckdb.connect(str(path))
    for first in range(0, count, 200_000):
        numbers = {"count": count, "first": first, "last": min(count, first + 200_000)}
        database.execute(_CLICKS, {"since": UNTIL - 7 * DAY_MS, "span": 7 * DAY_MS} | numbers)
    database.close()


def reports(facts: FactsStore) -> list[Report]:
    """Return reports over all clicks, to compare."""
    groups = ((), (Dimension.CAMPAIGN,), (Dimension.V1,), (Dimension.COUNTRY, Dimension.DAY))
    return [
        facts.report(
            ReportQuery(from_at=UNTIL - 7 * DAY_MS, until_at=UNTIL, currency="USD", group_by=group, limit=10_000), ()
        )
        for group in groups
    ]


def _apply(facts: FactsStore, entry_id: int, micros: int) -> int:
    rank = rank_of(CostKind.MANUAL, entry_id, 1)
    segment = CostSegment(campaign_id=1, from_at=UNTIL - 7 * DAY_MS, until_at=UNTIL)
    order = SpreadOrder(rank=rank, entry_id=entry_id, segment=segment, micros=micros, currency="USD")
    spread = facts.costs.spread(order)
    while spread.active < spread.covered:
        spread = facts.costs.advance(rank, CLICKS_PER_STEP)
    return rank


def _undo(facts: FactsStore, rank: int) -> None:
    while facts.costs.withdraw(rank, CLICKS_PER_STEP) is not None:
        pass


def _measured(facts: FactsStore) -> list[str]:
    before = reports(facts)
    lines = ["| What | Seconds | of CPU |", "| --- | --- | --- |"]
    ranks: list[int] = []
    for entry_id, what in enumerate(("over a cost in the link", "over another entry"), 1):
        started, cpu = time.perf_counter(), time.process_time()
        ranks.append(_apply(facts, entry_id, 1_234_567_891 * entry_id))
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        lines.append(f"| An entry over 1,000,000 clicks, {what} | {seconds:.1f} | {cpu_seconds:.1f} |")
    for rank, what in zip(reversed(ranks), ("over another entry", "over a cost in the link"), strict=True):
        started, cpu = time.perf_counter(), time.process_time()
        _undo(facts, rank)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        lines.append(f"| Its undo, {what} | {seconds:.1f} | {cpu_seconds:.1f} |")
    equal = "equal" if reports(facts) == before else "NOT EQUAL"
    return [*lines, f"| Reports after both undos and before | {equal} | |"]


if __name__ == "__main__":
    print("\n".join(main()))
