"""The core learns each minute, stores the evidence before it publishes, and goes on with the same weights after a restart."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete, insert, update

from clickloop.clock import DAY_MS, HOUR_MS, MINUTE_MS
from clickloop.learning.evidence import LearnedSplit
from clickloop.setup.flow import FlowParts, OfferShare
from clickloop.setup.flow import Path as FlowPath
from clickloop.setup.learning import ItemKind, Learning
from clickloop.setup.routing_state import LearnedWeights, RoutingState, RoutingStateFile
from clickloop.store.ledger.logs.learned_weights import latest_learned
from clickloop.store.ledger.schema.tables import flows, offers, routing_states
from clickloop.tracking.learning.path_learner import KEEP_DAYS, PathLearner
from clickloop.tracking.routing_states import RoutingStates
from tests.empty_stores import open_ledger
from tests.learning.earning import PATH, Earnings

NOW = 1_760_000_000_000
OFFERS = ItemKind.OFFERS
LEARNING = Learning(delay_hours=1)


class Machine:
    """A core's learner with its stores, which can be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW
        self.ledger = open_ledger(folder / "ledger.sqlite")
        self.earnings = Earnings(folder)
        self.states = RoutingStates(self.ledger, folder, "here", lambda: self.now)
        self.learner = self._learner()
        with self.ledger.write() as tx:
            for id_ in (1, 2, 3):
                row = {"id": id_, "name": f"Offer {id_}", "url": "https://o.example", "created_at": 1, "updated_at": 1}
                tx.execute(insert(offers).values(row))
            tx.execute(insert(flows).values(id=1, name="Flow", parts={}, created_at=1, updated_at=1))
        self.set_path(LEARNING)

    def _learner(self) -> PathLearner:
        return PathLearner(self.ledger, self.earnings.facts, self.states, lambda: "USD", lambda: self.now)

    def start_again(self) -> None:
        self.ledger.close()
        self.ledger = open_ledger(self.folder / "ledger.sqlite")
        self.states = RoutingStates(self.ledger, self.folder, "here", lambda: self.now)
        self.learner = self._learner()

    def set_path(self, learning: Learning | None, shares: Mapping[int, int] = {1: 100, 2: 100}) -> None:
        path = FlowPath(id=PATH, learning=learning, offers=tuple(OfferShare(*one) for one in shares.items()))
        parts = msgspec.to_builtins(FlowParts(default_paths=(path,)))
        with self.ledger.write() as tx:
            tx.execute(update(flows).values(parts=parts))

    def earn(self, offer_id: int, visits: int, conversions: int, at: int = NOW - 2 * HOUR_MS) -> None:
        self.earnings.convert_each(self.earnings.clicks(at, visits, offer_id=offer_id)[:conversions], 10)

    def learn(self) -> dict[int, int]:
        """Learn once, a minute later, and return the weights in force."""
        self.now += MINUTE_MS
        self.learner.step()
        return {id_: weight for one in self.states.current.learned for id_, weight in one.weights}

    def evidence(self) -> LearnedSplit | None:
        with self.ledger.read() as tx:
            return latest_learned(tx, [PATH]).get((PATH, OFFERS))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    opened = Machine(tmp_path)
    yield opened
    opened.earnings.facts.close()
    opened.ledger.close()


def test_weights_are_published_with_their_evidence_and_edges_read_them(machine: Machine) -> None:
    machine.earn(1, 200, 10)
    machine.earn(2, 200, 2)
    weights = machine.learn()
    assert weights[1] > 800
    evidence = machine.evidence()
    assert evidence is not None
    assert dict(evidence.weights()) == weights
    assert [(one.visits, one.conversions, one.revenue_micros) for one in evidence.items] == [
        (200, 10, 100_000_000),
        (200, 2, 20_000_000),
    ]
    state = RoutingStateFile(machine.folder).changed()
    assert state is not None
    assert state.learned == (LearnedWeights(PATH, OFFERS, evidence.weights()),)


def test_until_there_is_evidence_and_without_learning_the_users_weights_are_in_force(machine: Machine) -> None:
    machine.earn(1, 50, 0)
    assert machine.learn() == {}
    assert machine.states.current == RoutingState(installation="here")
    machine.earn(1, 50, 5)
    assert machine.learn() != {}
    machine.set_path(None)
    assert machine.learn() == {}


def test_young_visits_do_not_count(machine: Machine) -> None:
    machine.earn(1, 50, 5)
    machine.earn(2, 50, 20, at=NOW)
    machine.learn()
    evidence = machine.evidence()
    assert evidence is not None
    assert [one.visits for one in evidence.items] == [50, 0]


def test_after_a_restart_the_same_weights_go_on(machine: Machine) -> None:
    machine.earn(1, 200, 10)
    machine.earn(2, 200, 8)
    before, version = machine.learn(), machine.states.current.version
    machine.start_again()
    assert {id_: weight for one in machine.states.current.learned for id_, weight in one.weights} == before
    assert machine.learn() == before
    assert machine.states.current.version == version


def test_a_core_killed_between_evidence_and_publishing_publishes_what_the_evidence_says(machine: Machine) -> None:
    machine.earn(1, 200, 10)
    machine.earn(2, 200, 9)
    weights = machine.learn()
    with machine.ledger.write() as tx:
        tx.execute(delete(routing_states))
    machine.start_again()
    assert machine.states.current.learned == ()
    assert machine.learn() == weights


def test_frozen_weights_stay_whatever_is_earned(machine: Machine) -> None:
    machine.earn(1, 200, 10)
    machine.earn(2, 200, 2)
    before = machine.learn()
    machine.set_path(msgspec.structs.replace(LEARNING, frozen=True))
    machine.earn(2, 500, 200)
    assert machine.learn() == before
    machine.set_path(LEARNING)
    assert machine.learn()[2] > before[2]


def test_an_offer_that_is_switched_off_or_archived_gets_nothing_and_the_others_learn_on(machine: Machine) -> None:
    for offer_id in (1, 2, 3):
        machine.earn(offer_id, 200, 10)
    machine.set_path(LEARNING, {1: 100, 2: 100, 3: 0})
    assert machine.learn().keys() == {1, 2}
    machine.set_path(LEARNING, {1: 100, 2: 100, 3: 100})
    with machine.ledger.write() as tx:
        tx.execute(update(offers).where(offers.c.id == 1).values(archived_at=NOW))
    assert machine.learn().keys() == {2, 3}
    with machine.ledger.write() as tx:
        tx.execute(update(offers).where(offers.c.id == 2).values(archived_at=NOW))
    assert machine.learn() == {}


def test_nothing_new_counted_publishes_nothing(machine: Machine) -> None:
    machine.earn(1, 200, 10)
    machine.earn(2, 200, 9)
    machine.learn()
    version = machine.states.current.version
    for _ in range(5):
        machine.learn()
    assert machine.states.current.version == version


def test_old_evidence_is_deleted_except_the_newest(machine: Machine) -> None:
    machine.earn(1, 200, 10)
    machine.learn()
    first = machine.evidence()
    assert first is not None
    machine.now += (KEEP_DAYS + 1) * DAY_MS
    machine.earn(1, 100, 1, at=machine.now - 2 * HOUR_MS)
    machine.earn(2, 100, 30, at=machine.now - 2 * HOUR_MS)
    machine.learn()
    with machine.ledger.read() as tx:
        assert latest_learned(tx, [PATH], until_at=first.learned_at) == {}
        assert latest_learned(tx, [PATH]) != {}
