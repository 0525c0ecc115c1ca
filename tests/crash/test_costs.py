"""The worker of entered cost killed again and again: each entry ends in effect or taken back as a whole, and each click has one cost."""

import random
import sys
from pathlib import Path

import pytest

from clickloop.click.click import Click
from clickloop.report.cost.entry import EntryState
from clickloop.report.cost.segment import CostKind
from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.store.ledger.jobs.cost_entries import find_entry
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.audit_entry import ActorContext
from clickloop.tracking.costs.entering import undo_cost
from tests.crash.killing import killed_after
from tests.tracking.costs.cost_instance import CostInstance

pytestmark = pytest.mark.crash

CHILD = Path(__file__).with_name("cost_child.py")
M = 1_000_000


def work_killed(folder: Path, chance: random.Random) -> None:
    """Work until a child ends by itself, having killed those before it after a few steps each."""
    for _ in range(5):
        killed_after([sys.executable, str(CHILD), str(folder)], chance.randrange(1, 6), chance)
    killed_after([sys.executable, str(CHILD), str(folder)], sys.maxsize, chance)


def end_of(folder: Path, entry_id: int) -> EntryState:
    """Return the state of an entry."""
    ledger = Ledger.open(folder / "ledger.sqlite")
    with ledger.read() as tx:
        entry = find_entry(tx, entry_id)
    ledger.close()
    assert entry is not None
    return entry.state


def micros_of(folder: Path, clicks: list[Click], entry_id: int) -> list[int]:
    """Return what each click costs, all of it by this entry."""
    facts = DuckDbFacts.open(folder / "facts.duckdb")
    parts = [facts.costs.parts(click.click_id) for click in clicks]
    facts.close()
    assert all([part.entry_id for part in of_click] == [entry_id] for of_click in parts)
    return [part.micros for (part,) in parts]


@pytest.mark.parametrize("seed", range(2))
def test_entries_are_whole_after_kills(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    costs = CostInstance(tmp_path)
    clicks = [costs.counted.visit(cost_micros=3, cost_currency="EUR") for _ in range(50)]
    first = costs.enter("5", key="k").entry_id
    manual = costs.enter("11", kind=CostKind.MANUAL).entry_id
    grown = costs.enter("9.000001", key="k").entry_id
    costs.close()
    work_killed(tmp_path, chance)
    assert end_of(tmp_path, first) is EntryState.REPLACED
    assert micros_of(tmp_path, clicks, manual) == [220_000] * 50
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    undo_cost(ActorContext(ledger=ledger), manual)
    ledger.close()
    work_killed(tmp_path, chance)
    assert end_of(tmp_path, manual) is EntryState.UNDONE
    assert micros_of(tmp_path, clicks, grown) == [180_001] + [180_000] * 49
