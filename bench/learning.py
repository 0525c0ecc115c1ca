"""Measures paths that learn: regret beside an even split on simulated markets, and what a round of the core costs."""

import tempfile
import time
from pathlib import Path

import duckdb

from bench.market import CLOSE_OFFERS, FIVE_OFFERS, SLOW_OFFERS, Outcome, simulate
from clickloop.clock import DAY_MS, HOUR_MS
from clickloop.learning.evidence import DelayedItem, ItemPeriod
from clickloop.learning.learner import learn
from clickloop.learning.maturity import DELAY_DAYS, PERCENTILE
from clickloop.learning.splits import Split
from clickloop.setup.learning import Goal, ItemKind, Learning
from clickloop.store.facts.duckdb.facts import DuckDbFacts

VISITS = 100_000
DAYS = 5
SEEDS = range(1, 4)
EVERY_MINUTES = 30
"""Minutes between two rounds of a simulation: enough for the result, and a thirtieth of the work."""
MARKETS = (("five offers", FIVE_OFFERS), ("close offers", CLOSE_OFFERS), ("slow best offer", SLOW_OFFERS))
CLICKS = 1_000_000
"""Clicks in the facts that a round reads."""
NOW = 1_800_000_000_000


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    return [*_markets(), *_round()]


def _markets() -> list[str]:
    lines = [
        (
            f"Simulated: {VISITS:,} visits over {DAYS} days, conversions hours later, window 72 h, least share 5%, start with an even "
            "split. Dollars are expected ones by the true rates."
        ),
        "",
        "| Market | Seed | Second half ÷ best offer | Lowest share | Regret | Regret of an even split |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, offers in MARKETS:
        for seed in SEEDS:
            outcome = simulate(offers, visits=VISITS, days=DAYS, learn_every_minutes=EVERY_MINUTES, seed=seed)
            lines.append(_line(name, seed, outcome))
    return lines


def _line(name: str, seed: int, outcome: Outcome) -> str:
    return (
        f"| {name} | {seed} | {100 * outcome.second_half:.1f}% | {100 * outcome.lowest_share:.1f}% "
        f"| ${outcome.best - outcome.learned:,.0f} | ${outcome.best - outcome.even:,.0f} |"
    )


def _fill(path: Path) -> None:
    """Write clicks of three days, evenly among five offers, and conversions of two percent of them."""
    DuckDbFacts.open(path).close()
    at = f"{NOW - 72 * HOUR_MS} + number * {72 * HOUR_MS} // {CLICKS}"
    with duckdb.connect(str(path)) as database:
        database.execute(
            "INSERT INTO facts (kind, click_id, campaign_id, path_id, offer_id, click_at, fact_at, clicks) "
            f"SELECT 'click', number::VARCHAR, 1, 1, 1 + number % 5, {at}, {at}, 1 FROM range({CLICKS}) AS made(number)"
        )
        database.execute(
            "INSERT INTO facts (kind, of_click_id, conversion_id, status_key, counts_as, currency, campaign_id, path_id, offer_id, "
            "click_at, fact_at, conversions, revenue_micros, pending_micros, rejected_micros) "
            f"SELECT 'conversion', number::VARCHAR, number::VARCHAR, 'sale', 'confirmed', 'USD', 1, 1, 1 + number % 5, {at}, "
            f"{at} + 3 * {HOUR_MS}, 1, 8000000, 0, 0 FROM range(0, {CLICKS}, 49) AS made(number)"
        )


def _round() -> list[str]:
    """Measure a round over facts with many clicks."""
    split = Split(
        path_id=1, kind=ItemKind.OFFERS, learning=Learning(), items=tuple((number, 100) for number in range(1, 6))
    )
    periods = [
        ItemPeriod(1, ItemKind.OFFERS, number, Goal.REVENUE_PER_VISIT, NOW - 72 * HOUR_MS, NOW - 6 * HOUR_MS)
        for number in range(1, 6)
    ]
    items = [DelayedItem(ItemKind.OFFERS, number, by_landing_click=False) for number in range(1, 6)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.duckdb"
        _fill(path)
        facts = DuckDbFacts.open(path)
        try:
            times: dict[str, list[float]] = {"counting": [], "delays": [], "deciding": []}
            for _ in range(3):
                began = time.process_time()
                counts = facts.learning.counts(periods, {"USD": 10**12})
                times["counting"].append(time.process_time() - began)
                began = time.process_time()
                delays = facts.learning.delays(items, NOW - DELAY_DAYS * DAY_MS, PERCENTILE)
                times["delays"].append(time.process_time() - began)
                began = time.process_time()
                learned = learn(split, counts, delays, NOW, "USD")
                times["deciding"].append(time.process_time() - began)
        finally:
            facts.close()
    visits = 0 if learned is None else sum(item.visits for item in learned.items)
    assert visits > CLICKS / 2, f"only {visits} visits were counted"
    return [
        "",
        (
            f"A round each minute over {CLICKS:,} clicks of the window: CPU of counting {1000 * min(times['counting']):.0f} ms, of delays "
            f"{1000 * min(times['delays']):.0f} ms, of deciding five offers {1000 * min(times['deciding']):.0f} ms."
        ),
    ]
