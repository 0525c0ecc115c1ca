"""Which landing click a new conversion belongs to, and when its notice waits."""

from typing import Any

import msgspec
import pytest

from clickloop.click.click import Click
from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from clickloop.conversion.attribution import FIRST_RECHECK_MS, MAX_RECHECK_MS, ConversionSlot, New, Waiting, attribute
from clickloop.conversion.landing_click import click_with_offer, wait_for_landing_clicks
from clickloop.conversion.notice import Channel, Notice, NoticeFlag
from clickloop.conversion.status import StatusTable
from clickloop.conversion.terms import NO_NETWORK, NO_OFFER, NoticeTerms
from clickloop.setup.network import Network

NOW = 1_772_366_400_000  # noon
CLICK = Click(click_id="c", at=NOW - DAY_MS, campaign_id=1, source_id=1, landing_id=3)
NETWORKS = {1: Network(name="", token="one"), 2: Network(name="", addresses=("198.51.100.0/24",)), 3: NO_NETWORK}


def press(at: int, offer_id: int, network_id: int = 3, **fields: Any) -> PageEvent:
    kind = PageEventKind.LANDING_CLICK
    return PageEvent(
        event_id=str(at), at=at, kind=kind, click_id="c", offer_id=offer_id, network_id=network_id, **fields
    )


def notice(**fields: Any) -> Notice:
    usual: dict[str, Any] = {"notice_id": "n", "at": NOW, "channel": Channel.S2S, "ip": "203.0.113.5"}
    return Notice(**(usual | fields))


def chosen(*presses: PageEvent, click: Click = CLICK, **fields: Any) -> int:
    return click_with_offer(click, presses, notice(**fields), NETWORKS.__getitem__).offer_id


def test_the_latest_landing_click_before_the_notice_decides() -> None:
    presses = press(NOW - HOUR_MS, 1), press(NOW - MINUTE_MS, 2), press(NOW + MINUTE_MS, 3)
    assert chosen(*presses) == 2


def test_the_latest_whose_network_accepts_the_notice_decides_else_the_latest() -> None:
    presses = press(NOW - 3, 1, 1), press(NOW - 2, 2, 2), press(NOW - 1, 1, 1)
    assert chosen(*presses, ip="198.51.100.7") == 2
    assert chosen(*presses, ip="198.51.100.7", token="one") == 1
    assert chosen(*presses[:2]) == 2
    assert chosen(*presses, channel=Channel.HAND) == 1


def test_the_time_of_the_conversion_counts_and_a_date_is_its_whole_day() -> None:
    early, late = press(NOW - 6 * HOUR_MS, 1), press(NOW - HOUR_MS, 2)
    assert chosen(early, late, converted_at=NOW - 3 * HOUR_MS) == 1
    assert chosen(early, late, converted_at=NOW - 12 * HOUR_MS) == 2  # midnight: a date without a time
    assert chosen(early, late, converted_at=NOW + DAY_MS) == 2


def test_screened_landing_clicks_and_those_to_the_fallback_lead_to_no_offer() -> None:
    assert chosen(press(NOW - 2, 1), press(NOW - 1, 2, screening="prefetch"), press(NOW - 1, 0)) == 1


@pytest.mark.parametrize("offer_id", [0, 8])
def test_without_a_landing_click_before_it_a_click_over_a_landing_has_no_offer(offer_id: int) -> None:
    # With an offer_id: the click of an earlier conversion.
    click = msgspec.structs.replace(CLICK, offer_id=offer_id)
    assert chosen(click=click) == 0
    assert chosen(press(NOW + MINUTE_MS, 1), click=click) == 0


def test_a_click_sent_directly_to_an_offer_keeps_it() -> None:
    click = Click(click_id="c", at=NOW, campaign_id=1, source_id=1, path_id=2, offer_id=5, target="https://o.example/")
    assert chosen(press(NOW - 1, 1), click=click) == 5


def test_a_page_tracked_directly_has_the_offer_of_the_pressed_link() -> None:
    page = msgspec.structs.replace(CLICK, landing_id=0, path_id=2)
    assert chosen(press(NOW - 1, 1), click=page) == 1
    assert chosen(press(NOW - 1, 1), click=msgspec.structs.replace(page, offer_id=8)) == 1


def test_a_conversion_without_an_offer_is_flagged_if_there_was_a_landing() -> None:
    terms = NoticeTerms(NO_NETWORK, NO_OFFER, StatusTable([]), "USD")
    slot = ConversionSlot(conversion_id="v", is_first=True)
    for click, flags in ((CLICK, {NoticeFlag.NO_LANDING_CLICK}), (msgspec.structs.replace(CLICK, offer_id=1), set())):
        outcome = attribute(notice(), click, None, terms, slot, NOW)
        assert isinstance(outcome, New)
        assert set(outcome.flags) & {NoticeFlag.NO_LANDING_CLICK} == flags


@pytest.mark.parametrize(
    ("settled_to", "waits"), [(None, True), (NOW - 1, True), (NOW, False), (NOW + SECOND_MS, False)]
)
def test_a_notice_waits_until_what_was_there_before_it_is_settled(settled_to: int | None, waits: bool) -> None:
    found = wait_for_landing_clicks(CLICK, notice(), settled_to, NOW, NOW)
    assert found == (Waiting(NOW + FIRST_RECHECK_MS) if waits else None)


def test_the_pauses_between_its_checks_grow() -> None:
    assert wait_for_landing_clicks(CLICK, notice(), None, NOW, NOW + 5_000) == Waiting(NOW + 10_000)
    assert wait_for_landing_clicks(CLICK, notice(), None, NOW, NOW + HOUR_MS) == Waiting(NOW + HOUR_MS + MAX_RECHECK_MS)


def test_what_a_person_or_a_file_reports_does_not_wait() -> None:
    for channel in (Channel.HAND, Channel.UPLOAD, Channel.API):
        assert wait_for_landing_clicks(CLICK, notice(channel=channel), None, NOW, NOW) is None


def test_a_notice_from_a_fast_clock_waits_for_what_was_there_at_the_first_look() -> None:
    assert wait_for_landing_clicks(CLICK, notice(at=NOW + DAY_MS), NOW, NOW, NOW) is None
