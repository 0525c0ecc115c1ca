"""A ledger, facts and the worker of entered cost, for tests."""

from pathlib import Path
from typing import Any

from clickloop.clock import DAY_MS
from clickloop.report.cost.entry import CostEntry
from clickloop.report.cost.entry_input import CostBody, CostDefaults
from clickloop.report.cost.segment import CostKind, SpreadOver
from clickloop.setup.money_text import MoneyText
from clickloop.store.ledger.jobs.cost_entries import find_entry
from clickloop.store.ledger.logs.audit_entry import ActorContext
from clickloop.store.ledger.schema.tables import campaigns, source_parameters, traffic_sources
from clickloop.tracking.costs.entering import enter_cost
from clickloop.tracking.costs.working import CLICKS_PER_STEP, CostWorker
from tests.empty_stores import open_facts, open_ledger
from tests.store.facts.test_reports import NOON, Counted

DAY_START = NOON - NOON % DAY_MS
AFTER = DAY_START + 2 * DAY_MS
DEFAULTS = CostDefaults("USD", "UTC")


class CostInstance:
    """Two campaigns of a source whose V3 is called Zone, and the means to enter cost for them. ``now``: on the second day after."""

    def __init__(self, folder: Path) -> None:
        self.ledger = open_ledger(folder / "ledger.sqlite")
        self.counted = Counted(folder, lambda place: open_facts(place / "facts.duckdb"))
        self.facts = self.counted.facts
        self.now = AFTER
        self.context = ActorContext(ledger=self.ledger, clock=lambda: self.now)
        self._set_up()
        self.restart()

    def _set_up(self) -> None:
        with self.ledger.write() as tx:
            times = {"created_at": 1, "updated_at": 1}
            tx.execute(traffic_sources.insert().values(id=2, name="Zeropark", **times))
            row = {"source_id": 2, "number": 3, "parameter": "zoneid", "name": "Zone", "tracked": True}
            tx.execute(source_parameters.insert().values(**row))
            for number in (1, 2):
                fields = {"id": number, "key": f"aaaaa{number}", "name": f"Campaign {number}", "source_id": 2}
                tx.execute(campaigns.insert().values(active=True, source_rules_off=False, **fields, **times))

    def add_source(self, source_id: int, zone_number: int) -> None:
        """Add a traffic source with another number for its zone."""
        with self.ledger.write() as tx:
            tx.execute(traffic_sources.insert().values(id=source_id, name=f"S{source_id}", created_at=1, updated_at=1))
            row = {"source_id": source_id, "number": zone_number, "parameter": "zone", "name": "Zone", "tracked": True}
            tx.execute(source_parameters.insert().values(**row))

    def restart(self, clicks_per_step: int = CLICKS_PER_STEP) -> None:
        """Begin with a new worker, as after a kill."""
        self.worker = CostWorker(self.ledger, self.facts.costs, lambda: self.now, clicks_per_step)

    def enter(self, amount: str = "10", kind: CostKind = CostKind.API, **fields: Any) -> CostEntry:
        return enter_cost(self.context, body(amount, **fields), kind, DEFAULTS)

    def work(self, steps: int = 1000) -> int:
        """Work until nothing is left, or for so many steps. Return the number of steps."""
        for step in range(steps):
            if not self.worker.step():
                return step
        return steps

    def entry(self, entry_id: int) -> CostEntry:
        with self.ledger.read() as tx:
            found = find_entry(tx, entry_id)
        assert found is not None
        return found

    def cost(self) -> int:
        return self.counted.report().totals.cost_micros

    def close(self) -> None:
        self.facts.close()
        self.ledger.close()


def body(amount: str = "10", **fields: Any) -> CostBody:
    """Return a request for the first of March 2026 on campaign 1, unless specified otherwise."""
    usual: dict[str, Any] = {"campaign_id": 1, "first": "2026-03-01", "spread": SpreadOver.CLICKS}
    return CostBody(amount=MoneyText(amount), **usual | fields)
