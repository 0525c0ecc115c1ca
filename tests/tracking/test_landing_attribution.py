"""Conversions of visitors who came over a landing: each belongs to the offer of an earlier landing click."""

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.clock import MINUTE_MS, SECOND_MS
from clickloop.conversion.conversion_input import ConversionInput
from clickloop.conversion.notice import Channel, NoticeFlag, RefusalReason
from clickloop.conversion.notice_log import NoticeFilter, NoticeOutcome
from clickloop.report.query import Dimension
from clickloop.store.facts.facts import FactsError
from clickloop.store.ledger.logs.notices import notices_before
from clickloop.tracking.notices import convert
from tests.partner import NOW
from tests.tracking.page_events_machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.facts.close()
    made.ledger.close()


class Unreadable:
    """Facts with a damaged block."""

    def find_page_events(
        self, click_ids: Collection[str], kind: PageEventKind | None = None
    ) -> dict[str, tuple[PageEvent, ...]]:
        raise FactsError("damaged")


def offers(machine: Machine, click_id: str) -> list[tuple[str, int, int]]:
    found = machine.conversions(click_id)
    return sorted((one.txid, one.click.offer_id, one.click.network_id) for one in found)


def test_a_conversion_has_the_offer_of_the_landing_click_and_counts_there(machine: Machine) -> None:
    machine.set_up_offer(7, payout_micros=5_000_000)
    click_id = machine.visit()
    machine.press(click_id)
    machine.now += SECOND_MS
    machine.notify(click_id)
    machine.run()
    (conversion,) = machine.conversions(click_id)
    assert (conversion.click.offer_id, conversion.click.network_id, conversion.flags) == (7, 9, ())
    assert conversion.payout.micros == 5_000_000
    (group,) = [group for group in machine.report(Dimension.OFFER).groups if group.keys == (7,)]
    assert (group.sums.offer_visits, group.sums.confirmed, group.sums.revenue_micros) == (1, 1, 5_000_000)


def test_it_is_the_latest_landing_click_before_the_notice(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id, 7, 9)
    machine.now += MINUTE_MS
    machine.press(click_id, 8, 10, button=2)
    machine.now += MINUTE_MS
    machine.notify(click_id)
    machine.now += MINUTE_MS
    machine.press(click_id, 7, 9)
    machine.run()
    assert offers(machine, click_id) == [("", 8, 10)]


def test_a_network_that_would_refuse_the_notice_is_passed_over(machine: Machine) -> None:
    machine.set_up_network(9, token="nine")
    machine.set_up_network(10, token="ten")
    click_id = machine.visit()
    machine.press(click_id, 7, 9)
    machine.press(click_id, 8, 10, button=2)
    machine.now += SECOND_MS
    machine.notify(click_id, token="nine", txid="a")
    machine.notify(click_id, token="ten", txid="b")
    machine.notify(click_id, token="guessed", txid="c")
    machine.run()
    assert offers(machine, click_id) == [("a", 7, 9), ("b", 8, 10)]
    with machine.ledger.read() as tx:
        refused = [one for one in notices_before(tx, NoticeFilter(), None, 10) if one.reason]
    assert [(one.reason, one.network_id) for one in refused] == [(RefusalReason.WRONG_TOKEN, 10)]


def test_a_later_landing_click_does_not_move_a_conversion(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id, 7, 9)
    machine.now += SECOND_MS
    machine.notify(click_id, status="hold")
    machine.run()
    machine.press(click_id, 8, 10, button=2)
    machine.now += SECOND_MS
    machine.notify(click_id, status="sale", payout="3")
    machine.notify(click_id, txid="second")
    machine.run()
    assert offers(machine, click_id) == [("", 7, 9), ("second", 8, 10)]
    sums = {group.keys: group.sums for group in machine.report(Dimension.OFFER).groups}
    assert (sums[(7,)].confirmed, sums[(7,)].pending, sums[(7,)].revenue_micros) == (1, 0, 3_000_000)


def test_a_notice_waits_until_older_landing_clicks_are_settled(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id, closed=False)
    machine.settle_clicks()
    machine.now += SECOND_MS
    machine.notify(click_id)
    for _ in range(50):
        machine.settle_notices()
        machine.now += SECOND_MS
    assert machine.conversions(click_id) == []
    machine.page_events.close_segment()
    machine.run()
    assert offers(machine, click_id) == [("", 7, 9)]


def test_a_notice_waits_no_longer_than_a_second_when_all_is_settled(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id)
    machine.run(SECOND_MS, 50)
    machine.notify(click_id)
    machine.run(SECOND_MS, 50)
    assert offers(machine, click_id) == [("", 7, 9)]


def test_the_landing_click_of_a_click_that_has_just_arrived_is_found(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id)
    machine.settle_page_events()
    machine.settle_clicks()
    machine.now += SECOND_MS
    machine.notify(click_id)
    for _ in range(10):
        machine.settle_notices()
        machine.now += SECOND_MS
    assert offers(machine, click_id) == [("", 7, 9)]


def test_without_a_landing_click_it_is_registered_without_an_offer_and_flagged(machine: Machine) -> None:
    click_id = machine.visit()
    machine.view(click_id)
    machine.press(click_id, screening="prefetch")
    machine.notify(click_id, payout="2")
    machine.run()
    (conversion,) = machine.conversions(click_id)
    assert (conversion.click.offer_id, conversion.payout.micros) == (0, 2_000_000)
    assert conversion.flags == (NoticeFlag.NO_LANDING_CLICK,)


def test_a_test_click_over_a_landing_converts_for_its_offer(machine: Machine) -> None:
    click_id = machine.visit(screening="test")
    machine.press(click_id)
    machine.now += SECOND_MS
    machine.notify(click_id)
    machine.run()
    assert offers(machine, click_id) == [("", 7, 9)]


def test_a_click_sent_directly_to_an_offer_keeps_it_and_waits_for_nothing(machine: Machine) -> None:
    click_id = machine.visit(landing_id=0, offer_id=6, network_id=2, target="https://o.example/")
    machine.press(machine.visit(), closed=False)
    machine.settle_clicks()
    machine.notify(click_id)
    machine.settle_notices()
    assert offers(machine, click_id) == [("", 6, 2)]


def test_a_conversion_entered_by_hand_belongs_to_the_landing_click_before_its_time(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id, 7, 9)
    machine.now += 10 * MINUTE_MS
    machine.press(click_id, 8, 10, button=2)
    machine.run()
    for txid, at in (("early", str((NOW + 5 * MINUTE_MS) // 1000)), ("", "")):
        data = ConversionInput(click_id=click_id, txid=txid, at=at)
        result = convert(machine.intake, data, Channel.HAND, machine.now)
        assert result.outcome is NoticeOutcome.NEW
    assert offers(machine, click_id) == [("", 8, 10), ("early", 7, 9)]


def test_while_the_facts_cannot_be_read_the_notice_waits(machine: Machine) -> None:
    click_id = machine.visit()
    machine.press(click_id)
    machine.run()
    machine.notify(click_id)
    machine.landing_clicks._lookup, readable = Unreadable(), machine.landing_clicks._lookup
    for _ in range(30):
        machine.settle_notices()
        machine.now += SECOND_MS
    assert machine.conversions(click_id) == []
    machine.landing_clicks._lookup = readable
    machine.run()
    assert offers(machine, click_id) == [("", 7, 9)]
