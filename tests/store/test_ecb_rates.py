"""The bank's rates, without a network, and the user's own before them."""

from datetime import date

import pytest

from clickloop.report.query import ExchangeRate
from clickloop.report.rate_text import E12
from clickloop.report.rates import RateTable, with_rates_beneath
from clickloop.store.ecb_rates import ecb_rates

FRIDAY = date(2025, 1, 3).toordinal() - date(1970, 1, 1).toordinal()  # a euro was 1.0299 dollars and 0.82993 pounds


def rate(into: str, currency: str, day: int = FRIDAY) -> int | None:
    return RateTable(into, ecb_rates(into, day, day)).rate_of(currency, day)


@pytest.mark.parametrize(
    ("into", "currency", "value"),
    [
        ("USD", "EUR", 1_029_900_000_000),
        ("EUR", "USD", 970_968_055_151),
        ("USD", "GBP", 1_240_948_031_762),
        ("USD", "USD", E12),
        ("USD", "UAH", None),
        ("UAH", "USD", None),
    ],
)
def test_a_currency_is_worth_what_the_bank_said_on_that_day(into: str, currency: str, value: int | None) -> None:
    assert rate(into, currency) == value


def test_a_weekend_has_the_rate_of_friday_and_later_days_the_last_known() -> None:
    assert rate("USD", "EUR", FRIDAY + 2) == rate("USD", "EUR")
    assert rate("USD", "EUR", FRIDAY + 36_500) is not None
    assert rate("USD", "EUR", 0) is None


def test_a_currency_that_the_bank_gave_up_has_no_rate_two_weeks_later() -> None:
    last = date(2022, 3, 1).toordinal() - date(1970, 1, 1).toordinal()
    table = RateTable("USD", ecb_rates("USD", last, FRIDAY))
    assert table.rate_of("RUB", last + 13) == table.rate_of("RUB", last) is not None
    assert {table.rate_of("RUB", day) for day in (last + 14, last + 400, FRIDAY)} == {None}
    assert rate("RUB", "EUR") is None
    assert rate("RUB", "USD") is None


def test_a_currency_that_the_bank_took_up_again_has_rates_from_then_on() -> None:
    """It published no Icelandic króna from December 2008 to February 2018."""
    first = date(2012, 1, 2).toordinal() - date(1970, 1, 1).toordinal()
    table = RateTable("USD", ecb_rates("USD", first, FRIDAY))
    assert table.rate_of("ISK", first) is None
    assert table.rate_of("ISK", FRIDAY) is not None


def test_the_users_own_rates_count_from_their_first_day_on() -> None:
    own = (ExchangeRate("EUR", FRIDAY + 10, 2 * E12), ExchangeRate("UAH", FRIDAY, E12 // 40))
    table = RateTable("USD", with_rates_beneath(own, ecb_rates("USD", FRIDAY, FRIDAY + 30)))
    assert table.rate_of("EUR", FRIDAY) == 1_029_900_000_000
    assert {table.rate_of("EUR", day) for day in range(FRIDAY + 10, FRIDAY + 31)} == {2 * E12}
    assert table.rate_of("UAH", FRIDAY + 5) == E12 // 40
    assert table.rate_of("GBP", FRIDAY + 20) is not None
