"""Measures a table of 20,000 costs over a million clicks: preview, entering, spreading, uploading it again, and undo."""

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench.costs import UNTIL, fill, reports
from clickloop.clock import DAY_MS
from clickloop.report.cost.entry_input import CostDefaults
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.audit_entry import ActorContext
from clickloop.store.ledger.schema.tables import campaigns, traffic_sources
from clickloop.stores import open_facts
from clickloop.tracking.costs.entering import undo_upload
from clickloop.tracking.costs.uploading import CostUploadOptions, enter_table, preview_table
from clickloop.tracking.costs.working import CostWorker

DAYS = 7
DEFAULTS = CostDefaults("USD", "UTC")
OPTIONS = CostUploadOptions(source_id=1)


def main(lines: int = 20_000, clicks: int = 1_000_000) -> list[str]:
    """Return the results as lines of Markdown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        open_facts(folder / "facts.duckdb").close()
        fill(folder / "facts.duckdb", clicks)
        ledger = Ledger.open(folder / "ledger.sqlite")
        facts = open_facts(folder / "facts.duckdb", 512)  # as the core does by default
        try:
            with ledger.write() as tx:
                times = {"created_at": 1, "updated_at": 1}
                tx.execute(traffic_sources.insert().values(id=1, name="Source", **times))
                for number in (1, 2):
                    fields = {"id": number, "key": f"aaaaa{number}", "name": f"Campaign {number}", "source_id": 1}
                    tx.execute(campaigns.insert().values(active=True, source_rules_off=False, **fields, **times))
            context = ActorContext(ledger=ledger, clock=lambda: UNTIL + DAY_MS)
            worker = CostWorker(ledger, facts.costs, context.clock)

            def work() -> None:
                while worker.step():
                    pass

            work()
            before = reports(facts)
            table, corrected = _table(lines, 4), _table(lines, 5)
            steps: list[tuple[str, Callable[[], object]]] = [
                ("Its preview", lambda: preview_table(ledger, facts.costs, table, OPTIONS, DEFAULTS)),
                ("Entering it", lambda: enter_table(context, table, OPTIONS, DEFAULTS, "a" * 26)),
                ("Spreading it", work),
                ("The same table again", lambda: enter_table(context, table, OPTIONS, DEFAULTS, "b" * 26)),
                ("Looking for late clicks of all its entries", lambda: facts.costs.outdated(0, UNTIL + 1)),
                ("Another preview", lambda: preview_table(ledger, facts.costs, table, OPTIONS, DEFAULTS)),
                ("Entering corrected amounts", lambda: enter_table(context, corrected, OPTIONS, DEFAULTS, "c" * 26)),
                ("Spreading those", work),
                ("Ordering its undo", lambda: undo_upload(context, "c" * 26)),
                ("Undoing it", work),
            ]
            found = ["| A table of 20,000 lines over 1,000,000 clicks | Seconds | of CPU |", "| --- | --- | --- |"]
            for what, run in steps:
                started, cpu = time.perf_counter(), time.process_time()
                run()
                seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
                found.append(f"| {what} | {seconds:.1f} | {cpu_seconds:.1f} |")
            equal = "equal" if reports(facts) == before else "NOT EQUAL"
            return [*found, f"| Reports after the undo and before | {equal} | |"]
        finally:
            facts.close()
            ledger.close()


def _table(lines: int, cents: int) -> bytes:
    """Return a table of zones by day."""
    days = [datetime.fromtimestamp((UNTIL - (day + 1) * DAY_MS) / 1000, UTC).date().isoformat() for day in range(DAYS)]
    rows = [
        f"{days[number % DAYS]},1,zone{number // DAYS},{(number * 7919 % 100) / 100 + cents / 100:.2f}"
        for number in range(lines)
    ]
    return "\n".join(["date,campaign,v1,cost", *rows]).encode()


if __name__ == "__main__":
    print("\n".join(main()))
