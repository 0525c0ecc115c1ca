"""Caps of offers: what counts, when they are reached, where visitors go meanwhile, and when there is room again."""

import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from clickloop.clock import DAY_MS, HOUR_MS, MINUTE_MS, iso_text
from clickloop.people.user import Actor, Role, Via
from clickloop.saving import offers
from clickloop.saving.record import SavingContext, archive, change, create
from clickloop.setup.fault import FaultCode, InvalidInputError
from clickloop.setup.offer import Offer
from clickloop.setup.offer_cap import CapPeriod, CapUnit, OfferCap
from clickloop.setup.routing_state import CappedOffer, RoutingStateFile, write_routing_state
from clickloop.store.ledger.logs.cap_spans import CapSpan, spans_of_offer
from clickloop.store.ledger.schema.tables import routing_states
from clickloop.store.ledger.setup.routing_states import find_routing_state
from clickloop.tracking.caps.alternatives import capped_offers
from clickloop.tracking.caps.watching import CapWatch
from clickloop.tracking.routing_states import RoutingStates
from tests.steps import executed_lines
from tests.tracking.page_events_machine import Machine

BERLIN = "Europe/Berlin"
URL = "https://offer.example/"


class CapMachine(Machine):
    """A machine with offers 1 to 4 and a worker that watches their caps."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.saving = SavingContext(
            ledger=self.ledger,
            actor=Actor(user_id=7, name="anna", role=Role.WORKER, via=Via.TOKEN),
            clock=lambda: self.now,
        )
        self.zone = "UTC"
        for number in range(1, 5):
            url = f"https://offer.example/{number}?sub1={{clickid}}"
            create(self.saving, offers.NOUN, lambda _tx, n=number, u=url: Offer(name=f"Offer {n}", url=u), _shown)  # type: ignore[misc]
        self.restart()

    def restart(self) -> None:
        self.states = RoutingStates(self.ledger, self.folder, "", lambda: self.now)
        self.watch = CapWatch(self.ledger, self.facts, self.states, lambda: self.zone, lambda: self.now)

    def cap(self, offer_id: int, cap: OfferCap | None) -> None:
        change(self.saving, offers.NOUN, offer_id, lambda _tx, offer: replace(offer, cap=cap), _shown)

    def convert(
        self, offer_id: int, count: int = 1, of_click: Mapping[str, Any] = MappingProxyType({}), **said: Any
    ) -> list[str]:
        """Let visitors of an offer convert; return their clicks."""
        clicks = [self.visit(landing_id=0, offer_id=offer_id, target=URL, **of_click) for _ in range(count)]
        self.settle_clicks()
        for click_id in clicks:
            self.notify(click_id, **said)
        self.settle_notices()
        return clicks

    def look(self) -> dict[int, int]:
        """Let the worker look; return the offer that takes the visitors of each capped one."""
        self.watch.step()
        return {one.offer_id: one.instead_id for one in self.states.current.capped}

    def spans(self, offer_id: int = 1) -> list[CapSpan]:
        with self.ledger.read() as tx:
            return spans_of_offer(tx, offer_id, 10)[::-1]


def _shown(_tx: object, offer: Offer) -> Offer:
    return offer


@pytest.fixture
def machine(tmp_path: Path) -> CapMachine:
    return CapMachine(tmp_path)


# What counts ----------------------------------------------------------------------------------------------------------


def test_a_reached_cap_sends_visitors_to_the_alternative(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=3, then_offer_id=2))
    machine.convert(1, 2)
    assert machine.look() == {}
    machine.convert(1)
    assert machine.look() == {1: 2}
    span = machine.spans()[0]
    assert (span.counted, span.instead_id, span.reached_at, span.ended_at) == (3, 2, machine.now, None)


def test_a_cap_without_alternative_takes_the_offer_out_of_the_rotation(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1))
    machine.convert(1)
    assert machine.look() == {1: 0}


def test_rejected_and_test_conversions_do_not_count(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1))
    machine.convert(1, status="rejected")
    machine.convert(1, of_click={"screening": "test"})
    assert machine.look() == {}
    machine.convert(1, status="lead")
    assert machine.look() == {1: 0}


def test_a_cap_by_status_counts_conversions_that_have_it_now(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1, statuses=("sale",)))
    click_id = machine.convert(1, status="lead", txid="t")[0]
    assert machine.look() == {}
    machine.notify(click_id, status="sale", txid="t")
    machine.settle_notices()
    assert machine.look() == {1: 0}


def test_a_late_rejection_gives_room_again(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=2, then_offer_id=2))
    click_id = machine.convert(1, 2, txid="t")[0]
    assert machine.look() == {1: 2}
    machine.notify(click_id, status="rejected", txid="t")
    machine.settle_notices()
    machine.now += 1_000
    assert machine.look() == {}
    assert machine.spans()[0].ended_at == machine.now
    machine.convert(1)
    assert machine.look() == {1: 2}
    assert len(machine.spans()) == 2


def test_a_conversion_counts_at_its_own_time(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1))
    clicks = [machine.visit(landing_id=0, offer_id=1, target=URL) for _ in range(2)]
    machine.settle_clicks()
    machine.now += DAY_MS
    machine.notify(clicks[0], at=iso_text(machine.now - DAY_MS + MINUTE_MS))
    machine.settle_notices()
    assert machine.look() == {}
    machine.notify(clicks[1], at=iso_text(machine.now))
    machine.settle_notices()
    assert machine.look() == {1: 0}


def test_conversions_of_another_offer_do_not_count(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1))
    machine.convert(2, 5)
    assert machine.look() == {}


def test_a_cap_of_clicks_counts_visitors_sent_directly_and_by_a_landing(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=3, of=CapUnit.CLICKS))
    machine.visit(landing_id=0, offer_id=1)
    machine.visit(landing_id=0, offer_id=1, screening="crawler")
    machine.press(machine.visit(), offer_id=1)
    machine.run(1_000)
    assert machine.look() == {}
    machine.visit(landing_id=0, offer_id=1)
    machine.settle()
    assert machine.look() == {1: 0}


def test_a_cap_of_unique_clicks_counts_unique_visitors(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=2, of=CapUnit.UNIQUE_CLICKS))
    for unique in (True, False, False):
        machine.visit(landing_id=0, offer_id=1, unique=unique)
    machine.settle()
    assert machine.look() == {}
    machine.visit(landing_id=0, offer_id=1, unique=True)
    machine.settle()
    assert machine.look() == {1: 0}


def test_clicks_of_earlier_minutes_count_with_those_of_the_last(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=4, of=CapUnit.CLICKS))
    for _ in range(3):
        machine.visit(landing_id=0, offer_id=1)
        machine.settle()
        assert machine.look() == {}
        machine.now += 10 * MINUTE_MS
    machine.visit(landing_id=0, offer_id=1)
    machine.settle()
    assert machine.look() == {1: 0}


# Periods --------------------------------------------------------------------------------------------------------------


def _at(machine: CapMachine, text: str, zone: str = BERLIN, fold: int = 0) -> None:
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    machine.now = round(local.timestamp()) * 1000


def test_a_new_day_of_the_zone_gives_room_again(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1, time_zone=BERLIN))
    _at(machine, "2026-06-01T23:59:59")
    machine.convert(1)
    assert machine.look() == {1: 0}
    machine.now += 999
    assert machine.look() == {1: 0}
    machine.now += 1
    assert machine.look() == {}


def test_the_day_on_which_clocks_are_put_back_has_25_hours(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1, time_zone=BERLIN))
    _at(machine, "2026-10-25T00:00")
    machine.convert(1)
    machine.now += 25 * HOUR_MS - 1
    assert machine.look() == {1: 0}
    machine.now += 1
    assert machine.look() == {}


def test_the_second_of_two_equal_hours_has_room_of_its_own(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1, per=CapPeriod.HOUR, time_zone=BERLIN))
    _at(machine, "2026-10-25T02:30")
    machine.convert(1)
    assert machine.look() == {1: 0}
    _at(machine, "2026-10-25T02:00", fold=1)
    assert machine.look() == {}


def test_a_cap_in_total_stays_reached(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1, per=CapPeriod.TOTAL))
    machine.convert(1)
    machine.look()
    machine.now += 400 * DAY_MS
    assert machine.look() == {1: 0}


def test_a_cap_of_clicks_in_total_stays_reached_when_old_clicks_are_deleted(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1, per=CapPeriod.TOTAL, of=CapUnit.CLICKS))
    machine.visit(landing_id=0, offer_id=1)
    machine.settle()
    assert machine.look() == {1: 0}
    machine.facts.delete_clicks(machine.now + DAY_MS)
    machine.now += 10 * MINUTE_MS
    machine.restart()
    assert machine.look() == {1: 0}


def test_a_changed_zone_of_the_instance_moves_the_periods(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1))
    _at(machine, "2026-06-01T23:30", "UTC")
    machine.convert(1)
    machine.now += HOUR_MS
    assert machine.look() == {}
    machine.zone = "America/New_York"
    assert machine.look() == {1: 0}


# Changes of the set-up ------------------------------------------------------------------------------------------------


def test_a_raised_or_removed_cap_gives_room_at_once(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1))
    machine.convert(1)
    machine.look()
    machine.cap(1, OfferCap(amount=2))
    assert machine.look() == {}
    machine.cap(1, OfferCap(amount=1))
    assert machine.look() == {1: 0}
    machine.cap(1, None)
    assert machine.look() == {}
    assert [span.ended_at is not None for span in machine.spans()] == [True, True]


def test_another_alternative_goes_into_force_within_the_same_span(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1, then_offer_id=2))
    machine.convert(1)
    machine.look()
    machine.cap(1, OfferCap(amount=1, then_offer_id=3))
    assert machine.look() == {1: 3}
    assert [span.instead_id for span in machine.spans()] == [3]


def test_a_lowered_cap_that_is_reached_begins_a_span_of_its_own(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=2))
    machine.convert(1, 2)
    machine.look()
    machine.cap(1, OfferCap(amount=1))
    assert machine.look() == {1: 0}
    assert [(span.cap.amount, span.ended_at is None) for span in machine.spans()] == [(2, False), (1, True)]


def test_an_archived_offer_is_capped_no_longer(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1))
    machine.convert(1)
    machine.look()
    archive(machine.saving, offers.NOUN, 1, _shown)
    assert machine.look() == {}
    assert machine.spans()[0].ended_at is not None


def test_capped_alternatives_send_visitors_on(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1, then_offer_id=2))
    machine.cap(2, OfferCap(amount=1, then_offer_id=3))
    machine.convert(1)
    assert machine.look() == {1: 2}
    machine.convert(2)
    assert machine.look() == {1: 3, 2: 3}
    assert [span.instead_id for span in machine.spans(1)] == [3]


def test_an_alternative_that_was_archived_takes_nobody() -> None:
    caps = {1: OfferCap(amount=1, then_offer_id=2)}
    assert capped_offers({1}, caps, live={2}) == (CappedOffer(1, 2),)
    assert capped_offers({1}, caps, live=()) == (CappedOffer(1, 0),)


def test_a_loop_of_alternatives_that_got_here_all_the_same_takes_nobody() -> None:
    caps = {1: OfferCap(amount=1, then_offer_id=2), 2: OfferCap(amount=1, then_offer_id=1)}
    assert capped_offers({1, 2}, caps, live={1, 2}) == (CappedOffer(1, 0), CappedOffer(2, 0))


def test_saving_refuses_a_cap_that_leads_back_or_nowhere(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1, then_offer_id=2))
    machine.cap(2, OfferCap(amount=1, then_offer_id=3))
    for offer_id, alternative, code in (
        (3, 1, FaultCode.NOT_ALLOWED),
        (1, 1, FaultCode.NOT_ALLOWED),
        (4, 99, FaultCode.NOT_FOUND),
    ):
        with pytest.raises(InvalidInputError) as refused:
            machine.cap(offer_id, OfferCap(amount=1, then_offer_id=alternative))
        assert [(fault.field, fault.code) for fault in refused.value.faults] == [("cap.then_offer_id", code)]


def test_saving_refuses_an_unknown_status(machine: CapMachine) -> None:
    with pytest.raises(InvalidInputError) as refused:
        machine.cap(1, OfferCap(amount=1, statuses=("sale", "never")))
    assert [fault.field for fault in refused.value.faults] == ["cap.statuses"]


def test_an_alternative_cannot_be_archived_while_a_cap_leads_to_it(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1, then_offer_id=2))
    with pytest.raises(InvalidInputError, match="offer 'Offer 1' still uses it"):
        archive(machine.saving, offers.NOUN, 2, _shown)


def test_of_two_alternatives_that_form_a_loop_only_one_is_saved(machine: CapMachine) -> None:
    both, outcomes = threading.Barrier(2), []

    def save(offer_id: int, alternative: int) -> None:
        both.wait()
        try:
            machine.cap(offer_id, OfferCap(amount=1, then_offer_id=alternative))
            outcomes.append("saved")
        except InvalidInputError:
            outcomes.append("refused")

    threads = [threading.Thread(target=save, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "saved"]


# Publishing, restarts, cost -------------------------------------------------------------------------------------------


def test_a_reached_cap_is_published_and_each_version_is_kept(machine: CapMachine) -> None:
    published = RoutingStateFile(machine.folder)
    machine.cap(1, OfferCap(amount=1, then_offer_id=2))
    machine.convert(1)
    machine.look()
    state = published.changed()
    assert state is not None
    assert state.capped == (CappedOffer(1, 2),)
    with machine.ledger.read() as tx:
        assert find_routing_state(tx, state.version) == state
    machine.look()
    assert published.changed() is None


def test_states_of_deleted_clicks_are_deleted_but_the_one_in_force(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1, then_offer_id=2))
    machine.convert(1)
    machine.look()
    machine.cap(1, None)
    machine.look()
    machine.states.forget(machine.now + DAY_MS)
    with machine.ledger.read() as tx:
        found = [find_routing_state(tx, version) for version in (1, 2)]
    assert found == [None, machine.states.current]


def test_a_restarted_core_goes_on_with_the_same_span(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1, then_offer_id=2))
    machine.convert(1)
    machine.look()
    version = machine.states.current.version
    machine.restart()
    assert machine.look() == {1: 2}
    assert (machine.states.current.version, len(machine.spans())) == (version, 1)


def test_an_older_ledger_uses_no_version_again_that_edges_have(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1))
    machine.convert(1)
    machine.look()
    seen = machine.states.current
    # As in a ledger that was copied before the state was published, beside the file that edges have.
    with machine.ledger.write() as tx:
        tx.execute(routing_states.delete().where(routing_states.c.version == seen.version))
    write_routing_state(machine.folder, seen)
    machine.restart()
    assert machine.states.current.version < seen.version
    machine.states.set_capped((CappedOffer(2),))
    assert machine.states.current.version == seen.version + 1


def test_conversions_are_counted_again_only_when_the_cap_may_have_been_crossed(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=8))
    for _ in range(7):
        machine.convert(1)
        machine.look()
    # At first, and once the changes since then might have been enough.
    assert machine.watch.conversions.queries <= 4
    machine.convert(1)
    assert machine.look() == {1: 0}


def test_a_look_without_changes_costs_the_same_after_many_conversions(machine: CapMachine) -> None:
    machine.cap(1, OfferCap(amount=1_000))
    machine.convert(1, 2)
    machine.look()
    before = executed_lines(machine.look)
    machine.convert(1, 60)
    machine.look()
    assert executed_lines(machine.look) <= before * 1.05


def test_the_engine_counts_towards_a_cap_by_the_index_alone(machine: CapMachine) -> None:
    query = (
        "EXPLAIN QUERY PLAN SELECT count(*) FROM conversions WHERE offer_id = 1 AND converted_at >= 0 AND converted_at < 9 "
        "AND test = 0 AND counts_as != 'rejected'"
    )
    with machine.ledger.read() as tx:
        plan = " ".join(str(row) for row in tx.exec_driver_sql(query))
    assert "USING COVERING INDEX ix_conversions_cap" in plan
