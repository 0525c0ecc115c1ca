"""Attribution: what a notice does to a conversion, refusal by refusal and rule by rule."""

from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.click import Click
from clickloop.clock import DAY_MS, HOUR_MS, MINUTE_MS
from clickloop.conversion.attribution import (
    MAX_OVERDUE_RECHECK_MS,
    SETTLED_SLACK_MS,
    WAIT_MS,
    Attribution,
    Changed,
    ConversionSlot,
    MissingClick,
    New,
    Refused,
    Repeated,
    Waiting,
    attribute,
    without_future_orders,
)
from clickloop.conversion.conversion import Conversion, Parameters
from clickloop.conversion.notice import Channel, Notice, NoticeFlag, RefusalReason
from clickloop.conversion.status import CountsAs, Status, StatusTable, StatusWords
from clickloop.conversion.terms import NO_NETWORK, NO_OFFER, NoticeTerms
from clickloop.money import Money
from clickloop.setup.network import Network
from clickloop.setup.offer import Offer

SUBSCRIPTION_STATUSES = (
    StatusWords(Status("start", "Start", CountsAs.CONFIRMED), ("start", "started", "subscribe", "subscribed")),
    StatusWords(
        Status("rebill", "Rebill", CountsAs.CONFIRMED), ("rebill", "rebilled", "renewal", "renewed", "recurring")
    ),
    StatusWords(Status("buyout", "Buyout", CountsAs.CONFIRMED), ("buyout", "buy out", "buy_out")),
    StatusWords(Status("stop", "Stop", CountsAs.REJECTED), ("stop", "stopped", "unsubscribe", "unsubscribed")),
)

NOW = 1_772_366_400_000
CLICK = Click(click_id="c", at=NOW - MINUTE_MS, campaign_id=1, source_id=1, offer_id=1, network_id=1)
STATUSES = StatusTable(
    [
        StatusWords(Status("hold", "Hold", CountsAs.PENDING), ("lead",)),
        StatusWords(Status("sale", "Sale", CountsAs.CONFIRMED), ("approved",)),
        StatusWords(Status("rejected", "Rejected", CountsAs.REJECTED), ("rejected",)),
        StatusWords(Status("other", "Rest", CountsAs.PENDING), ()),
        *SUBSCRIPTION_STATUSES,
    ]
)
TERMS = NoticeTerms(NO_NETWORK, NO_OFFER, STATUSES, "USD")


def offer_of(payout_micros: int | None, currency: str = "") -> Offer:
    return Offer(name="", url="", payout_micros=payout_micros, currency=currency)


def _network(**settings: Any) -> NoticeTerms:
    return msgspec.structs.replace(TERMS, network=Network(name="", **settings))


def _notice(number: int = 1, **said: Any) -> Notice:
    given: dict[str, Any] = {
        "notice_id": f"n{number:03d}",
        "at": NOW + number,
        "channel": Channel.S2S,
        "ip": "198.51.100.7",
    }
    return Notice(**(given | said))


def _attribute(
    notice: Notice,
    known: Conversion | None = None,
    terms: NoticeTerms = TERMS,
    click: Click | MissingClick = CLICK,
    now: int = NOW,
) -> Attribution:
    place = ConversionSlot(conversion_id="v", is_first=known is None)
    return attribute(notice, click, known, terms, place, now)


def _after(*notices: Notice, terms: NoticeTerms = TERMS, now: int = NOW, at: int | None = None) -> Conversion:
    """Return the conversion after these notices, settled in the order given. ``at``: the time of all of them, if not their own."""
    known: Conversion | None = None
    for notice in notices:
        given = notice if at is None else msgspec.structs.replace(notice, at=at)
        match _attribute(given, known, terms, now=now):
            case New(known) | Changed(_, known) | Repeated(known):
                pass
            case other:
                raise AssertionError(other)
    assert known is not None
    return known


# Refusals -------------------------------------------------------------------------------------------------------------


def test_a_click_that_never_arrived_refuses_as_unknown_click() -> None:
    missing = MissingClick(first_look_at=NOW - WAIT_MS, settled_to=NOW)
    assert _attribute(_notice(), click=missing) == Refused(RefusalReason.UNKNOWN_CLICK)


def test_a_click_older_than_the_lifetime_refuses_as_expired_click() -> None:
    notice = _notice(at=CLICK.at + 30 * DAY_MS + 1)
    found = _attribute(notice, terms=_network(click_lifetime_days=30), now=notice.at)
    assert found == Refused(RefusalReason.EXPIRED_CLICK)


def test_while_the_clock_is_in_doubt_a_click_that_seems_too_old_is_waited_with() -> None:
    notice = _notice(at=CLICK.at + 400 * DAY_MS)
    place = ConversionSlot(conversion_id="v", is_first=True)
    found = attribute(notice, CLICK, None, TERMS, place, notice.at, is_clock_trusted=lambda: False)
    assert found == Waiting(notice.at + MAX_OVERDUE_RECHECK_MS)


def test_a_notice_that_was_noted_by_a_clock_that_was_ahead_is_no_older_than_now() -> None:
    assert isinstance(_attribute(_notice(at=CLICK.at + 400 * DAY_MS), now=NOW), New)


@pytest.mark.parametrize("token", ["", "secre", "Secret", "secrét"])
def test_another_token_refuses_as_wrong_token(token: str) -> None:
    assert _attribute(_notice(token=token), terms=_network(token="secret")) == Refused(RefusalReason.WRONG_TOKEN)


@pytest.mark.parametrize("ip", ["198.51.101.7", "2001:db8::1", "", "nonsense"])
def test_another_address_refuses_as_address_not_allowed(ip: str) -> None:
    refused = _attribute(_notice(ip=ip), terms=_network(addresses=("198.51.100.0/24",)))
    assert refused == Refused(RefusalReason.ADDRESS_NOT_ALLOWED)


def test_a_repeat_refuses_as_duplicate_where_the_network_refuses_repeats() -> None:
    known = _after(_notice(1, payout_text="5"))
    refused = _attribute(_notice(2, payout_text="5"), known, _network(refuse_duplicates=True))
    assert refused == Refused(RefusalReason.DUPLICATE)


def test_a_click_that_is_no_test_refuses_as_test_only() -> None:
    assert _attribute(_notice(), terms=_network(test_only=True)) == Refused(RefusalReason.TEST_ONLY)


# What passes ----------------------------------------------------------------------------------------------------------


def test_a_notice_waits_for_its_click_ever_longer_but_no_more_than_ten_minutes() -> None:
    missing = MissingClick(first_look_at=NOW, settled_to=NOW)
    looks = [_attribute(_notice(), click=missing, now=NOW + waited) for waited in (0, 1000, MINUTE_MS, WAIT_MS - 1)]
    assert looks == [Waiting(NOW + 100), Waiting(NOW + 2000), Waiting(NOW + MINUTE_MS + 30_000), Waiting(NOW + WAIT_MS)]


@pytest.mark.parametrize("age_ms", [0, WAIT_MS, DAY_MS, 30 * DAY_MS])
def test_the_wait_begins_with_the_first_check_however_old_the_notice_is(age_ms: int) -> None:
    missing = MissingClick(first_look_at=NOW, settled_to=NOW + DAY_MS)
    assert isinstance(_attribute(_notice(at=NOW - age_ms), click=missing, now=NOW + WAIT_MS - 1), Waiting)


@pytest.mark.parametrize("settled_to", [None, 0, NOW - 1, NOW, NOW + SETTLED_SLACK_MS - 1])
@pytest.mark.parametrize("waited_ms", [WAIT_MS, DAY_MS, 400 * DAY_MS])
def test_a_notice_is_not_refused_while_older_clicks_are_unsettled(settled_to: int | None, waited_ms: int) -> None:
    missing = MissingClick(first_look_at=NOW, settled_to=settled_to)
    found = _attribute(_notice(), click=missing, now=NOW + waited_ms)
    assert isinstance(found, Waiting)
    assert 0 < found.look_again_at - (NOW + waited_ms) <= MAX_OVERDUE_RECHECK_MS


@given(st.integers(-DAY_MS, 2 * DAY_MS), st.none() | st.integers(-DAY_MS, 2 * DAY_MS))
def test_a_notice_is_refused_exactly_when_ten_minutes_have_passed_and_older_clicks_are_settled(
    waited_ms: int, settled_after: int | None
) -> None:
    missing = MissingClick(NOW, None if settled_after is None else NOW + settled_after)
    found = _attribute(_notice(), click=missing, now=NOW + waited_ms)
    over = waited_ms >= WAIT_MS and settled_after is not None and settled_after >= SETTLED_SLACK_MS
    assert isinstance(found, Refused if over else Waiting)


def test_a_first_check_by_a_fast_clock_counts_from_now() -> None:
    missing = MissingClick(first_look_at=NOW + 60 * DAY_MS, settled_to=NOW)
    assert _attribute(_notice(), click=missing) == Waiting(NOW + 100)


def test_the_right_token_and_a_listed_address_pass() -> None:
    terms = _network(token="secret", addresses=("2001:db8::/32", "198.51.100.0/24", "not one"))
    for ip in ("198.51.100.7", "::ffff:198.51.100.7", "2001:db8::1"):
        assert isinstance(_attribute(_notice(token="secret", ip=ip), terms=terms), New)


def test_the_owner_needs_no_token_address_or_test_click() -> None:
    terms = _network(token="secret", addresses=("203.0.113.0/24",), test_only=True)
    assert all(
        isinstance(_attribute(_notice(channel=channel), terms=terms), New)
        for channel in (Channel.API, Channel.HAND, Channel.UPLOAD)
    )


def test_a_test_click_makes_a_test_conversion_even_in_test_mode() -> None:
    click = msgspec.structs.replace(CLICK, screening="test")
    made = _attribute(_notice(), terms=_network(test_only=True), click=click)
    assert isinstance(made, New)
    assert made.conversion.test


def test_a_chargeback_of_an_old_conversion_is_taken_after_the_lifetime() -> None:
    known = _after(_notice(1, payout_text="5"))
    late = _notice(2, at=CLICK.at + 91 * DAY_MS, payout_text="-5", status_word="rejected")
    assert isinstance(_attribute(late, known), Changed)


def test_a_change_of_status_passes_where_repeats_are_refused() -> None:
    known = _after(_notice(1, payout_text="5", status_word="lead"))
    assert isinstance(_attribute(_notice(2, status_word="approved"), known, _network(refuse_duplicates=True)), Changed)


# Status ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "key"), [("", "sale"), ("  LEAD ", "hold"), ("Approved", "sale"), ("HOLD", "hold"), ("rebill", "rebill")]
)
def test_a_word_is_matched_trimmed_and_in_any_case(word: str, key: str) -> None:
    assert _after(_notice(status_word=word)).status.key == key


@pytest.mark.parametrize("word", ["strange", "{status}", "other"])
def test_an_unknown_word_is_registered_as_pending_and_flagged(word: str) -> None:
    conversion = _after(_notice(status_word=word))
    assert conversion.status == Status("other", "Rest", CountsAs.PENDING)
    assert (conversion.status_word, conversion.flags) == (word, (NoticeFlag.UNKNOWN_STATUS,))


def test_a_word_that_was_mapped_since_changes_the_conversion_when_its_notice_is_run_again() -> None:
    notice = _notice(status_word="strange")
    mapped = StatusTable([StatusWords(Status("sale", "Sale", CountsAs.CONFIRMED), ("strange",))])
    changed = _attribute(notice, _after(notice), msgspec.structs.replace(TERMS, statuses=mapped))
    assert isinstance(changed, Changed)
    assert (changed.after.status.key, changed.after.flags) == ("sale", ())


def test_a_status_that_counts_otherwise_now_is_a_change_when_its_notice_is_run_again() -> None:
    notice = _notice(status_word="lead")
    counted = StatusTable([StatusWords(Status("hold", "Hold", CountsAs.CONFIRMED), ("lead",))])
    assert isinstance(_attribute(notice, _after(notice), msgspec.structs.replace(TERMS, statuses=counted)), Changed)


# Payout and currency --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "payout"),
    [
        ({"payout_text": "5"}, Money(5_000_000, "EUR")),
        ({"payout_text": "0"}, Money(0, "EUR")),
        ({"payout_text": "5", "currency_text": "gbp"}, Money(5_000_000, "GBP")),
        ({"payout_text": "$5"}, Money(5_000_000, "USD")),
        ({"payout_text": "{payout}"}, Money(7_000_000, "EUR")),
        ({}, Money(7_000_000, "EUR")),
        ({"currency_text": "GBP"}, Money(7_000_000, "EUR")),
    ],
)
def test_the_payout_is_the_notices_else_the_offers(said: dict[str, Any], payout: Money) -> None:
    terms = msgspec.structs.replace(TERMS, offer=offer_of(7_000_000, "EUR"))
    assert _after(_notice(**said), terms=terms).payout == payout


@pytest.mark.parametrize(("offer", "network", "currency"), [("EUR", "GBP", "EUR"), ("", "GBP", "GBP"), ("", "", "USD")])
def test_a_currency_that_is_not_named_is_of_offer_network_or_instance(offer: str, network: str, currency: str) -> None:
    terms = NoticeTerms(Network(name="", currency=network), offer_of(None, offer), STATUSES, "USD")
    assert _after(_notice(payout_text="1"), terms=terms).payout.currency == currency


def test_a_repeat_without_a_currency_keeps_the_currency_in_any_order_of_settling() -> None:
    first = _notice(1, payout_text="5", currency_text="GBP")
    second, third = _notice(2, payout_text="6"), _notice(3, payout_text="7", currency_text="{currency}")
    assert {_after(*order).payout for order in permutations((first, second, third))} == {Money(7_000_000, "GBP")}


def test_a_repeat_that_names_a_currency_sets_it() -> None:
    first, second = _notice(1, payout_text="5 EUR"), _notice(2, payout_text="6", currency_text="GBP")
    assert {_after(*order).payout for order in permutations((first, second))} == {Money(6_000_000, "GBP")}


def test_a_default_currency_is_kept_although_the_offers_has_changed_since() -> None:
    def terms_of(currency: str) -> NoticeTerms:
        return msgspec.structs.replace(TERMS, offer=offer_of(None, currency))

    first = _notice(1, payout_text="5")
    known = _after(first, terms=terms_of("GBP"))
    repeat = _attribute(_notice(2, payout_text="6"), known, terms_of("EUR"))
    assert isinstance(repeat, Changed)
    assert repeat.after.payout == Money(6_000_000, "GBP")
    rerun = _attribute(first, known, terms_of("EUR"))
    assert isinstance(rerun, Changed)
    assert rerun.after.payout == Money(5_000_000, "EUR")


def test_a_payout_after_one_that_nobody_named_has_the_currency_of_today() -> None:
    known = _after(_notice(1), terms=msgspec.structs.replace(TERMS, offer=offer_of(7_000_000, "GBP")))
    change = _attribute(_notice(2, payout_text="6"), known, msgspec.structs.replace(TERMS, offer=offer_of(None, "EUR")))
    assert isinstance(change, Changed)
    assert change.after.payout == Money(6_000_000, "EUR")


@pytest.mark.parametrize("said", [{"payout_text": "5", "currency_text": "XYZ"}, {"payout_text": "5 USDT"}])
def test_an_unknown_currency_is_flagged_and_not_guessed(said: dict[str, Any]) -> None:
    conversion = _after(_notice(**said))
    assert (conversion.payout, conversion.flags) == (Money(5_000_000, ""), (NoticeFlag.UNKNOWN_CURRENCY,))


def test_an_unknown_currency_is_stored_as_it_came() -> None:
    assert _after(_notice(payout_text="5", currency_text="XYZ")).parameters.others == {"currency": "XYZ"}


@pytest.mark.parametrize("macro", ["{currency}", "${CURRENCY}", "#currency#", "[currency]", "%7Bcurrency%7D"])
@pytest.mark.parametrize(("payout", "currency"), [("5", "GBP"), ("5 EUR", "EUR")])
def test_an_unreplaced_currency_macro_names_no_currency_and_is_flagged(macro: str, payout: str, currency: str) -> None:
    terms = msgspec.structs.replace(TERMS, offer=offer_of(None, "GBP"))
    conversion = _after(_notice(payout_text=payout, currency_text=macro), terms=terms)
    assert (conversion.payout, conversion.flags) == (
        Money(5_000_000, currency),
        (NoticeFlag.CURRENCY_UNREPLACED_MACRO,),
    )
    assert conversion.parameters.others == {}


def test_of_two_currencies_the_parameter_counts_and_the_conflict_is_flagged() -> None:
    conversion = _after(_notice(payout_text="5 EUR", currency_text="GBP"))
    assert (conversion.payout, conversion.flags) == (Money(5_000_000, "GBP"), (NoticeFlag.CURRENCY_CONFLICT,))


@pytest.mark.parametrize("text", ["(5.00)", "($5.00)", "$(5.00)", "5.00-"])
def test_a_refund_in_accountants_notation_takes_the_payout_back(text: str) -> None:
    conversion = _after(_notice(1, payout_text="5"), _notice(2, payout_text=text))
    assert (conversion.payout, conversion.flags) == (Money(-5_000_000, "USD"), ())


@pytest.mark.parametrize(
    ("offer", "payout", "flag"),
    [
        ("SEK", Money(10_000_000, "SEK"), NoticeFlag.PAYOUT_AMBIGUOUS),
        ("USD", Money(10_000_000, ""), NoticeFlag.UNKNOWN_CURRENCY),
    ],
)
def test_an_ambiguous_sign_means_the_default_currency_or_nothing(offer: str, payout: Money, flag: NoticeFlag) -> None:
    terms = NoticeTerms(NO_NETWORK, offer_of(None, offer), STATUSES, "USD")
    conversion = _after(_notice(payout_text="10 kr"), terms=terms)
    assert (conversion.payout, conversion.flags) == (payout, (flag,))


def test_an_ambiguous_sign_and_a_parameter_that_it_allows_do_not_conflict() -> None:
    conversion = _after(_notice(payout_text="10 kr", currency_text="NOK"))
    assert (conversion.payout, conversion.flags) == (Money(10_000_000, "NOK"), ())


def test_digits_beyond_the_sixth_are_rounded_and_flagged() -> None:
    conversion = _after(_notice(payout_text="1.0000005"))
    assert (conversion.payout, conversion.flags) == (Money(1_000_001, "USD"), (NoticeFlag.PAYOUT_ROUNDED,))


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("9" * 70, NoticeFlag.PAYOUT_TOO_LONG),
        ("{payout}", NoticeFlag.PAYOUT_UNREPLACED_MACRO),
        ("NaN", NoticeFlag.PAYOUT_NOT_A_NUMBER),
        ("1e9", NoticeFlag.PAYOUT_EXPONENT),
        ("1234567890123", NoticeFlag.PAYOUT_TOO_MANY_DIGITS),
        ("lots", NoticeFlag.PAYOUT_UNREADABLE),
    ],
)
def test_a_refused_payout_registers_zero_keeps_the_text_and_is_flagged(text: str, flag: NoticeFlag) -> None:
    conversion = _after(_notice(payout_text=text))
    assert (conversion.payout, conversion.payout_text, conversion.flags) == (Money(0, "USD"), text, (flag,))


def test_a_repeat_without_payout_keeps_the_payout() -> None:
    assert _after(_notice(1, payout_text="5"), _notice(2)).payout == Money(5_000_000, "USD")


def test_a_repeat_with_an_unreadable_payout_keeps_the_payout() -> None:
    assert _after(_notice(1, payout_text="5"), _notice(2, payout_text="{payout}")).payout == Money(5_000_000, "USD")


def test_a_repeat_with_an_unreadable_payout_flags_the_conversion() -> None:
    assert _after(_notice(1, payout_text="5"), _notice(2, payout_text="{payout}")).flags == (
        NoticeFlag.PAYOUT_UNREPLACED_MACRO,
    )


def test_a_repeat_with_payout_0_sets_zero() -> None:
    assert _after(_notice(1, payout_text="5"), _notice(2, payout_text="0")).payout == Money(0, "USD")


def test_a_negative_payout_is_a_chargeback() -> None:
    assert _after(_notice(1, payout_text="5"), _notice(2, payout_text="-5")).payout == Money(-5_000_000, "USD")


def test_a_readable_payout_takes_the_flag_of_an_unreadable_one_away() -> None:
    assert _after(_notice(1, payout_text="{payout}"), _notice(2, payout_text="5")).flags == ()


def test_a_fixed_payout_that_was_set_since_counts_when_the_notice_is_run_again() -> None:
    notice = _notice()
    changed = _attribute(notice, _after(notice), msgspec.structs.replace(TERMS, offer=offer_of(3_000_000)))
    assert isinstance(changed, Changed)
    assert changed.after.payout == Money(3_000_000, "USD")


# Repeats, changes, order ----------------------------------------------------------------------------------------------


def test_the_same_again_is_a_repeat() -> None:
    said = {"payout_text": "5", "status_word": "lead", "parameters": Parameters(params={1: "a"}, events={2: "1"})}
    assert isinstance(_attribute(_notice(2, **said), _after(_notice(1, **said))), Repeated)


def test_the_same_notice_again_is_a_repeat() -> None:
    assert _attribute(_notice(), _after(_notice())) == Repeated(_after(_notice()), ())


def test_an_unknown_parameter_alone_makes_no_change() -> None:
    again = _notice(2, parameters=Parameters(others={"attempt": "2"}))
    assert isinstance(_attribute(again, _after(_notice(1))), Repeated)


def test_a_further_param_is_a_change_and_keeps_the_others() -> None:
    changed = _attribute(
        _notice(2, parameters=Parameters(params={2: "b"})), _after(_notice(1, parameters=Parameters(params={1: "a"})))
    )
    assert isinstance(changed, Changed)
    assert (changed.after.parameters.params, changed.after.version) == ({1: "a", 2: "b"}, 2)


def test_the_time_of_a_conversion_is_that_of_its_first_notice() -> None:
    assert _after(_notice(1, converted_at=NOW - 5), _notice(2, converted_at=NOW)).converted_at == NOW - 5
    assert _after(_notice(1, at=NOW - 7), _notice(2)).converted_at == NOW - 7


@pytest.mark.parametrize(
    ("at", "flags"),
    [
        (CLICK.at - MINUTE_MS, ()),
        (CLICK.at - MINUTE_MS - 1, (NoticeFlag.AT_BEFORE_CLICK,)),
        (NOW + MINUTE_MS + 1, ()),
        (NOW + MINUTE_MS + 2, (NoticeFlag.AT_IN_FUTURE,)),
    ],
)
def test_an_implausible_time_is_stored_and_flagged(at: int, flags: tuple[NoticeFlag, ...]) -> None:
    conversion = _after(_notice(1, converted_at=at))
    assert (conversion.converted_at, conversion.flags) == (at, flags)


def test_a_day_without_a_time_means_the_click_on_that_day() -> None:
    day = CLICK.at - CLICK.at % DAY_MS
    for at, meant, flags in ((day, CLICK.at, ()), (day - DAY_MS, day - DAY_MS, (NoticeFlag.AT_BEFORE_CLICK,))):
        conversion = _after(_notice(1, converted_at=at))
        assert (conversion.converted_at, conversion.flags) == (meant, flags)


def test_approved_and_rejected_in_the_same_millisecond_end_by_notice_id() -> None:
    approved = _notice(at=NOW, notice_id="a", status_word="approved")
    rejected = _notice(at=NOW, notice_id="b", status_word="rejected")
    assert {_after(*order).status.key for order in permutations((approved, rejected))} == {"rejected"}


def test_rejected_before_lead_ends_as_lead_in_any_order_of_settling() -> None:
    rejected, lead = _notice(1, status_word="rejected"), _notice(2, status_word="lead")
    assert {_after(*order).status.key for order in permutations((rejected, lead))} == {"hold"}


def test_a_notice_that_is_settled_late_still_gives_the_payout_that_no_later_one_named() -> None:
    conversion = _after(_notice(2, status_word="rejected"), _notice(1, payout_text="5"))
    assert (conversion.status.key, conversion.payout) == ("rejected", Money(5_000_000, "USD"))


@pytest.mark.parametrize("ahead_ms", [30_000, HOUR_MS, 80 * DAY_MS])
def test_what_comes_after_a_clock_was_set_back_counts_as_later(ahead_ms: int) -> None:
    known = _after(_notice(1, status_word="sale", payout_text="5"), now=NOW + ahead_ms, at=NOW + ahead_ms)
    notice = _notice(2, status_word="rejected", payout_text="0")
    found = _attribute(notice, without_future_orders(known, notice, NOW + 3), now=NOW + 3)
    assert isinstance(found, Changed)
    assert (found.after.status.key, found.after.payout, found.flags) == ("rejected", Money(0, "USD"), ())
    assert found.after.latest_order == notice.arrival_order


def test_arrival_orders_of_now_stay_unchanged() -> None:
    known = _after(_notice(1, status_word="sale"))
    assert without_future_orders(known, _notice(2), NOW) == known


def test_a_notice_by_the_same_fast_clock_still_counts_by_its_arrival_order() -> None:
    known = _after(_notice(1, status_word="sale"), now=NOW + HOUR_MS, at=NOW + HOUR_MS)
    assert without_future_orders(known, _notice(2, at=NOW + HOUR_MS - 1_000), NOW) == known


def test_a_notice_that_is_settled_late_is_flagged() -> None:
    late = _attribute(_notice(1, status_word="lead"), _after(_notice(2, status_word="sale")))
    assert isinstance(late, Repeated)
    assert late.flags == (NoticeFlag.OUT_OF_ORDER,)


SAID = st.fixed_dictionaries(
    {
        "status_word": st.sampled_from(["", "lead", "approved", "rejected", "strange", "{status}"]),
        "payout_text": st.sampled_from(["", "0", "5", "-5", "7 EUR", "{payout}"]),
        "parameters": st.sampled_from([Parameters(), Parameters(params={1: "a"}), Parameters(params={1: "b"})]),
    }
)


@given(st.lists(SAID, min_size=1, max_size=4).flatmap(lambda said: st.permutations(list(enumerate(said)))))
def test_any_order_of_settling_ends_in_the_same_status_and_payout(settled: list[tuple[int, dict[str, Any]]]) -> None:
    def state(order: list[tuple[int, dict[str, Any]]]) -> tuple[object, ...]:
        conversion = _after(*(_notice(number, **said) for number, said in order))
        return conversion.status, conversion.status_word, conversion.payout

    assert state(settled) == state(sorted(settled, key=lambda pair: pair[0]))


@given(st.lists(SAID, min_size=1, max_size=5))
def test_running_the_latest_notice_again_changes_nothing(said: list[dict[str, Any]]) -> None:
    notices = [_notice(number, **values) for number, values in enumerate(said)]
    assert isinstance(_attribute(notices[-1], _after(*notices)), Repeated)


def test_a_repeat_without_a_status_keeps_the_status() -> None:
    again = _attribute(_notice(2, payout_text="10"), _after(_notice(1, status_word="rejected", payout_text="9")))
    assert isinstance(again, Changed)
    assert again.after.status.key == "rejected"
    assert again.after.payout.micros == 10_000_000


@pytest.mark.parametrize("macro", ["{status}", "[STATUS]", "${STATUS}", "#status#", "__STATUS__"])
@pytest.mark.parametrize("first", [{"status_word": "approved"}, {}])
def test_a_repeat_whose_status_is_an_unreplaced_macro_keeps_the_status(first: dict[str, Any], macro: str) -> None:
    known = _after(_notice(1, **first))
    match _attribute(_notice(2, status_word=macro), known):
        case Repeated(conversion, flags):
            assert (conversion.status.key, conversion.status_word) == ("sale", first.get("status_word", ""))
            assert flags == (NoticeFlag.UNKNOWN_STATUS,)
        case other:
            raise AssertionError(other)


def test_a_new_conversion_whose_status_is_an_unreplaced_macro_is_no_confirmed_revenue() -> None:
    known = _after(_notice(1, status_word="{status}"))
    assert (known.status.key, known.status_word) == ("other", "{status}")
    assert _after(_notice(1, status_word="{status}"), _notice(2, status_word="approved")).status.key == "sale"


def test_a_status_that_is_settled_late_counts_if_none_was_named_since() -> None:
    late = _attribute(_notice(1, status_word="hold"), _after(_notice(2)))
    assert isinstance(late, Changed)
    assert late.after.status.key == "hold"
