"""Measures a backtest: a flow of 20 rules with 3 conditions, tried on a million recorded clicks of a campaign."""

import argparse
import random
import tempfile
import time
from pathlib import Path

import duckdb

from clickloop.click.routing.flow import ReadyFlow
from clickloop.clock import DAY_MS
from clickloop.diagnosis.backtest.replay import BacktestFlows, Replay
from clickloop.diagnosis.route.explaining import keyed_flow
from clickloop.diagnosis.route.recalled import ItemKey
from clickloop.diagnosis.route.recorded import KeptValues
from clickloop.setup.condition import Condition, Operator
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, PathTarget, Rule
from clickloop.setup.flow import Path as FlowPath
from clickloop.store.facts.facts import FactsStore
from clickloop.stores import open_facts

UNTIL = 1_790_000_000_000
DAYS = 7
_COUNTRIES = ["US", "CA", "DE", "BR", "IN", "GB", "FR", "ID", "MX", "TR"]

_CLICKS = """
INSERT INTO facts (click_id, click_at, campaign_id, source_id, flow_id, flow_version, rule_id, path_id, offer_id, draw, country, region,
    device, os, os_version, browser, language, v1, kind, fact_at, currency, cost_micros, clicks)
SELECT printf('%026d', n), $since + n * $span // $count, CASE WHEN n % 10 = 0 THEN 2 ELSE 1 END, 1, 1, 1, 0, 1, 1 + n % 3, hash(n) >> 1,
    list_element($countries, 1 + (hash(n + 1) % 10)::INT), 'US-' || (hash(n + 2) % 50), list_element(['mobile', 'desktop', 'tablet'],
    1 + (hash(n + 3) % 3)::INT), list_element(['Android', 'iOS', 'Windows'], 1 + (hash(n + 4) % 3)::INT), (8 + hash(n + 5) % 10)::VARCHAR,
    'Chrome', 'en-us', 'zone' || (hash(n + 6) % 5000), 'click', $since + n * $span // $count, 'USD', 1000 + n % 500, 1
FROM range($first, $last) numbers(n)
"""
_CONVERSIONS = """
INSERT INTO facts (kind, of_click_id, click_at, campaign_id, source_id, fact_at, currency, conversions, revenue_micros, pending_micros)
SELECT 'conversion', click_id, click_at, campaign_id, 1, click_at + 600000, 'USD', 1, 12500000, 0 FROM facts
WHERE clicks = 1 AND hash(click_id) % 50 = 0
"""


def flow(chance: random.Random) -> ReadyFlow[ItemKey]:
    """Return 20 rules with 3 conditions each: country, device, and one of version, zone, hour, language."""

    def third(number: int) -> Condition:
        return (
            Condition(field="os_version", op=Operator.BETWEEN, values=("9", "14")),
            Condition(
                field="v1", op=Operator.NOT_IN, values=tuple(f"zone{chance.randrange(5000)}" for _ in range(100))
            ),
            Condition(field="language", values=("en",)),
            Condition(field="schedule", values=("Europe/Berlin", "mon 9-17", "tue 9-17")),
        )[number % 4]

    rules = tuple(
        Rule(
            id=number + 1,
            conditions=(
                Condition(field="country", values=tuple(chance.sample(_COUNTRIES, 2))),
                Condition(field="device", values=(chance.choice(["mobile", "desktop"]),)),
                third(number),
            ),
            paths=(
                FlowPath(id=100 + number, offers=(OfferShare(1), OfferShare(2))),
                FlowPath(
                    id=200 + number,
                    target=PathTarget.LANDING_AND_OFFER,
                    landings=(LandingShare(1), LandingShare(2)),
                    offers=(OfferShare(3),),
                ),
            ),
        )
        for number in range(20)
    )
    return keyed_flow(
        FlowParts(rules=rules, default_paths=(FlowPath(id=1, offers=(OfferShare(1), OfferShare(2))),)), {}
    )


def main(count: int = 1_000_000) -> list[str]:
    """Return the results as lines of Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.duckdb"
        open_facts(path).close()
        _fill(path, round(count / 0.9))
        facts = open_facts(path)
        try:
            return _measured(facts)
        finally:
            facts.close()


def _fill(path: Path, count: int) -> None:
    database = duckdb.connect(str(path))
    since, step = UNTIL - DAYS * DAY_MS, 200_000
    for first in range(0, count, step):
        database.execute(
            _CLICKS,
            {
                "since": since,
                "span": DAYS * DAY_MS,
                "count": count,
                "countries": _COUNTRIES,
                "first": first,
                "last": min(count, first + step),
            },
        )
    database.execute(_CONVERSIONS)
    database.close()


def _measured(facts: FactsStore) -> list[str]:
    replay = Replay(BacktestFlows(first=flow(random.Random(7))), KeptValues(), lambda _flow, _version: ())
    _reset_peak()
    before_mib = _peak_mib()
    started, cpu = time.perf_counter(), time.process_time()
    for day in range(DAYS):
        since = UNTIL - (DAYS - day) * DAY_MS
        earned = facts.earned(1, since, since + DAY_MS)
        for rows in facts.click_rows(1, since, since + DAY_MS, replay.columns):
            replay.add(rows, earned)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    return [
        "| What | Result |",
        "| --- | --- |",
        f"| Backtest of 20 rules × 3 conditions over {replay.clicks:,} clicks | {seconds:.1f} s ({cpu_seconds:.1f} s of CPU) |",
        f"| Clicks per second | {replay.clicks / seconds:,.0f} |",
        f"| Pairs of routes | {len(replay.route_pairs()):,} |",
        f"| Memory for it, at most | {_peak_mib() - before_mib} MiB |",
    ]


def _reset_peak() -> None:
    """Let the kernel count the process's peak anew; filling the table took more than reading it."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clicks", type=int, default=1_000_000)
    print("\n".join(main(arguments.parse_args().clicks)))
