"""Measures a rerun of marks over a million clicks: preview, apply and undo, and whether undoing gives the reports from before."""

import argparse
import random
import tempfile
import time
from pathlib import Path

import duckdb
from msgspec.structs import replace

from clickloop.clock import DAY_MS, wall_clock
from clickloop.config import Settings
from clickloop.record_id import base32_tail, base32_time
from clickloop.report.query import Dimension, Report, ReportQuery
from clickloop.setup.instance import startup_settings
from clickloop.setup.mark import Mark
from clickloop.store.export_files import ExportFiles
from clickloop.store.facts.facts import FactsStore
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.upload_files import UploadFiles
from clickloop.stores import open_facts
from clickloop.tracking.jobs.context import JobContext
from clickloop.tracking.marks.rerun_work import MarkRerunWorker
from clickloop.tracking.marks.reruns import (
    MarkRerunView,
    RerunOrder,
    apply_mark_rerun,
    find_mark_rerun,
    start_mark_rerun,
    undo_mark_rerun,
)
from clickloop.tracking.marks.rules import rules_reader

UNTIL = 1_790_000_000_000
DAYS = 7
_CLICKS = """
INSERT INTO facts (click_id, click_at, campaign_id, source_id, path_id, landing_id, offer_id, ip, asn, country, device, os, browser,
    language, useragent, referrer, external_id, marks, "unique", kind, fact_at, currency, cost_micros, cost_currency, clicks)
SELECT id, moment, 1 + n % 20, 1, 1, CASE WHEN n % 3 = 0 THEN 1 + n % 5 END, CASE WHEN n % 3 > 0 THEN 1 + n % 9 END,
    printf('198.18.%d.%d', hash(n) % 80, hash(n + 1) % 250), CASE WHEN hash(n) % 10 = 0 THEN '24940' ELSE '21928' END, 'US', 'mobile',
    'Android', 'Chrome Mobile', 'en-us', printf('Mozilla/5.0 (Linux; Android 14; Pixel %d) AppleWebKit/537.36 Chrome/140.0.0.%d Mobile',
    hash(n + 2) % 9, hash(n + 3) % 500), 'https://news.example/', printf('%x', hash(n + 4)),
    CASE WHEN hash(n + 5) % 50 = 0 THEN 'unknown_device' END, n % 4 > 0, 'click', moment, 'USD', 1000 + n % 500, 'USD', 1
FROM (SELECT unnest($ids::VARCHAR[]) AS id, unnest($ats::BIGINT[]) AS moment, unnest(range($first, $first + len($ats::BIGINT[]))) AS n)
"""
_REST = """
INSERT INTO facts (kind, of_click_id, click_at, campaign_id, source_id, path_id, landing_id, offer_id, country, device, os, marks, fact_at,
    conversion_id, status_key, counts_as, currency, conversions, revenue_micros, pending_micros, rejected_micros)
SELECT 'conversion', click_id, click_at, campaign_id, 1, 1, landing_id, offer_id, country, device, os, marks, click_at + 600000, click_id,
    'sale', 'confirmed', 'USD', 1, 12500000, 0, 0 FROM facts WHERE clicks = 1 AND hash(click_id) % 50 = 0;
INSERT INTO facts (kind, of_click_id, event_id, click_at, campaign_id, source_id, path_id, landing_id, offer_id, country, device, os, marks,
    fact_at, landing_views, landing_clicks)
SELECT unnest(['landing_view', 'landing_click']), click_id, click_id, click_at, campaign_id, 1, 1, landing_id, 3, country, device, os,
    marks,
    click_at + unnest([900, 900 + (hash(click_id) % 20000)::BIGINT]), unnest([1, 0]), unnest([0, 1])
FROM facts WHERE clicks = 1 AND landing_id IS NOT NULL AND hash(click_id) % 4 > 0
"""


def main(count: int = 1_000_000) -> list[str]:
    """Return the results as lines of Markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        open_facts(folder / "facts.duckdb").close()
        _fill(folder / "facts.duckdb", count)
        facts = open_facts(folder / "facts.duckdb")
        ledger = Ledger.open(folder / "ledger.sqlite")
        try:
            return _measured(folder, facts, ledger)
        finally:
            facts.close()
            ledger.close()


def _fill(path: Path, count: int) -> None:
    chance = random.Random(7)
    database = duckdb.connect(str(path))
    since, step = UNTIL - DAYS * DAY_MS, 200_000
    for first in range(0, count, step):
        ats = [since + number * DAYS * DAY_MS // count for number in range(first, min(count, first + step))]
        ids = [base32_time(at) + base32_tail(chance.getrandbits(80)) for at in ats]
        database.execute(_CLICKS, {"ids": ids, "ats": ats, "first": first})
    database.execute(_REST)
    database.close()


def _measured(folder: Path, facts: FactsStore, ledger: Ledger) -> list[str]:
    plain = startup_settings(Settings())
    context = JobContext(
        ledger=ledger, uploads=UploadFiles(folder / "uploads", 1), exports=ExportFiles(folder / "exports")
    )
    worker = MarkRerunWorker(ledger, facts, rules_reader(ledger, plain), wall_clock)
    before = _reports(facts)
    order = RerunOrder(since="2026-01-01", until="2026-12-31", marks=list(Mark))
    rerun_id = start_mark_rerun(context, order, plain).rerun_id
    _reset_peak()
    before_mib = _peak_mib()
    preview, steps = _work(worker)
    view = _view(context, rerun_id)
    assert view.result is not None
    apply_mark_rerun(context, rerun_id)
    applying, apply_steps = _work(worker)
    after = _reports(facts)
    assert after != before
    assert (
        sum(one.totals.clean_clicks for one in after[:1])
        == _clean(before) - view.result.clean_before + view.result.clean_after
    )
    undo_mark_rerun(context, rerun_id)
    undoing, _ = _work(worker)
    equal = _reports(facts) == before
    return [
        "| What | Result |",
        "| --- | --- |",
        f"| Preview of all marks over {view.result.judged:,} clicks, {view.result.changed:,} of which change | {preview} |",
        f"| Apply | {applying} |",
        f"| Longest step, after which progress shows and a stop takes effect | {max(*steps, *apply_steps):.1f} s |",
        f"| Undo | {undoing} |",
        f"| Reports by {len(before)} groupings after it, compared with before | {'equal' if equal else 'DIFFERENT'} |",
        f"| Memory for it, at most | {_peak_mib() - before_mib} MiB |",
        f"| Facts | {(folder / 'facts.duckdb').stat().st_size / 1e6:.0f} MB |",
    ]


def _work(worker: MarkRerunWorker) -> tuple[str, list[float]]:
    """Run a stage to its end. Return its duration, and that of each step."""
    started, cpu, steps = time.perf_counter(), time.process_time(), list[float]()
    while True:
        step = time.perf_counter()
        if not worker.step():
            return f"{time.perf_counter() - started:.1f} s ({time.process_time() - cpu:.1f} s of CPU)", steps
        steps.append(time.perf_counter() - step)


def _view(context: JobContext, rerun_id: str) -> MarkRerunView:
    view = find_mark_rerun(context, rerun_id)
    assert view is not None
    return view


def _reports(facts: FactsStore) -> list[Report]:
    query = ReportQuery(from_at=0, until_at=4_102_444_800_000, currency="USD", limit=10_000)
    groups: list[tuple[Dimension, ...]] = [(), *((dimension,) for dimension in Dimension)]
    groups += [(Dimension.CAMPAIGN, Dimension.DAY), (Dimension.OFFER, Dimension.HOUR)]
    return [facts.report(replace(query, group_by=one), ()) for one in groups]


def _clean(reports: list[Report]) -> int:
    return reports[0].totals.clean_clicks


def _reset_peak() -> None:
    """Let the kernel count the process's peak anew; filling the table took more than this."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clicks", type=int, default=1_000_000)
    print("\n".join(main(arguments.parse_args().clicks)))
