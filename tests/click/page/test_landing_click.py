"""A press on a landing's button: which offer it leads to, and what is read from the click URL."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.page.landing_click import (
    MAX_PRESSED,
    OfferChoice,
    button_of,
    choose_offer,
    click_id_in_referrer,
    read_page_query,
    with_pressed,
    without_own_parameters,
)
from clickloop.click.page.page_event import PageEventFlag

BEYOND, UNREADABLE, REPEATED = (
    PageEventFlag.BUTTON_BEYOND_LAST,
    PageEventFlag.BUTTON_UNREADABLE,
    PageEventFlag.REPEATED,
)


def chosen(button: int | None, *pressed: tuple[int, int], offers: Sequence[int] = (11, 12, 13)) -> OfferChoice[int]:
    """The choice among offers that are their own ids; by weight it is the second."""
    return choose_offer(
        offers, lambda: offers[1] if offers else None, lambda offer: offer if offer in offers else None, button, pressed
    )


@pytest.mark.parametrize(
    ("tail", "button"),
    [
        (b"", 0),
        (b"/", 0),
        (b"/1", 1),
        (b"/2/", 2),
        (b"/007", 7),
        (b"/0", None),
        (b"/-1", None),
        (b"/one", None),
        (b"/1.5", None),
        (b"/%31", None),
        ("/²".encode(), None),
        (b"/1000000000", 1_000_000_000),
        (b"/" + b"9" * 100_000, 9_999_999_999),
    ],
)
def test_a_button_is_a_number_from_1(tail: bytes, button: int | None) -> None:
    assert button_of(tail) == button


def test_a_button_leads_to_the_offer_of_its_number() -> None:
    assert chosen(3) == OfferChoice(3, 13)


def test_without_a_number_the_offer_is_chosen_by_weight() -> None:
    assert chosen(0) == OfferChoice(0, 12)


def test_a_button_beyond_the_last_leads_to_the_last_offer() -> None:
    assert chosen(10**9) == OfferChoice(3, 13, (BEYOND,))


def test_an_unreadable_button_is_one_without_a_number() -> None:
    assert chosen(None) == OfferChoice(0, 12, (UNREADABLE,))


def test_the_same_button_leads_to_the_same_offer_though_the_offers_have_changed() -> None:
    assert chosen(1, (2, 11), (1, 13)) == OfferChoice(1, 13, (REPEATED,))
    assert chosen(0, (0, 11)) == OfferChoice(0, 11, (REPEATED,))


def test_an_offer_that_is_out_of_use_is_replaced() -> None:
    assert chosen(1, (1, 99)) == OfferChoice(1, 11, (REPEATED,))


def test_a_path_without_offers_has_none_behind_any_button() -> None:
    assert chosen(2, offers=()) == OfferChoice(0, None, (BEYOND, PageEventFlag.FALLBACK))


def test_pressed_buttons_are_bounded_and_each_is_there_once() -> None:
    pressed: tuple[tuple[int, int], ...] = ()
    for number in range(200):
        pressed = with_pressed(pressed, number % 120, number)
    assert len(pressed) == MAX_PRESSED
    assert len(dict(pressed)) == MAX_PRESSED
    assert pressed[-1] == (79, 199)


def test_events_add_numbers_that_may_be_negative() -> None:
    read = read_page_query(b"cid=x&event1=2.5&EVENT30=-3&event31=1&event0=1&foo=9")
    assert (read.click_id_text, read.events, read.has_unreadable_event) == ("x", {1: 2_500_000, 30: -3_000_000}, False)


def test_an_event_that_is_not_a_number_is_ignored_and_noticed() -> None:
    read = read_page_query(b"event1={x}&event2=1&event3=NaN")
    assert (read.events, read.has_unreadable_event) == ({2: 1_000_000}, True)


def test_ten_thousand_events_are_at_most_thirty() -> None:
    read = read_page_query(b"&".join(b"event%d=1" % (number % 40) for number in range(10_000)))
    assert len(read.events) <= 30


def test_what_is_passed_on_has_none_of_our_parameters() -> None:
    assert without_own_parameters(b"cid=x&fbclid=1&Event3=2&%63lickid=y&a") == b"fbclid=1&a"


@pytest.mark.parametrize(
    ("referrer", "click_id"),
    [
        (b"https://landing.example/quiz?a=1&cid=01ABC&b=2", "01ABC"),
        (b"https://landing.example/quiz?cid=01ABC#cid=2", "01ABC"),
        (b"https://landing.example/?CID=01ABC", "01ABC"),
        (b"https://landing.example/", ""),
        (b"cid=01ABC", ""),
        (b"?" * 100_000, ""),
    ],
)
def test_a_referrers_click_id_is_its_cid(referrer: bytes, click_id: str) -> None:
    assert click_id_in_referrer(referrer) == click_id


@given(st.binary(max_size=300))
def test_no_query_breaks_reading(query: bytes) -> None:
    ascii_query = query.decode("latin-1").encode("ascii", "replace")
    assert isinstance(read_page_query(ascii_query).events, dict)
    assert isinstance(click_id_in_referrer(b"https://a.example/?" + ascii_query), str)
    button_of(query)
