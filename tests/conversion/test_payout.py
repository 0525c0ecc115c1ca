"""The payout grammar: what is an amount, what is rejected; no text is slow or raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.currency import CURRENCIES, SIGNS, meanings
from clickloop.money import Amount, AmountFault, amount_text, currency_of, read_amount
from tests.steps import executed_lines

MAX_MICROS = 10**18 - 1


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("12.5", "12.5", ""),
        ("12,5", "12.5", ""),
        ("1 234.50", "1234.5", ""),
        ("1\u00a0234,50", "1234.5", ""),
        ("1,234.50", "1234.5", ""),
        ("1.234,50", "1234.5", ""),
        ("1.234.567", "1234567", ""),
        ("1,234,567", "1234567", ""),
        ("1'234.5", "1234.5", ""),
        ("1 234,567", "1234.567", ""),
        ("1.234", "1.234", ""),
        ("0,125", "0.125", ""),
        ("1234,567", "1234.567", ""),
        (".5", "0.5", ""),
        ("5.", "5", ""),
        ("  7 ", "7", ""),
        ("+7", "7", ""),
        ("0", "0", ""),
        ("-0", "0", ""),
        ("-3", "-3", ""),
        ("−3", "-3", ""),
        ("-$5", "-5", "USD"),
        ("$-5", "-5", "USD"),
        ("$5", "5", "USD"),
        ("5 USD", "5", "USD"),
        ("usd 5", "5", "USD"),
        ("5€", "5", "EUR"),
        ("£1,234.50", "1234.5", "GBP"),
        ("¥100", "100", "JPY"),
        ("99 ₽", "99", "RUB"),
        ("5 USDT", "5", "USDT"),
        ("000000000000000012.50", "12.5", ""),
        ("999999999999.999999", "999999999999.999999", ""),
        ("12.50000000", "12.5", ""),
        ("0.12500000", "0.125", ""),
        ("-3.000000000", "-3", ""),
        ("(5.00)", "-5", ""),
        ("($5.00)", "-5", "USD"),
        ("$(5.00)", "-5", "USD"),
        ("(12,50 €)", "-12.5", "EUR"),
        ("(12,50) €", "-12.5", "EUR"),
        ("( 1,234.50 )", "-1234.5", ""),
        ("(R$ 5,00)", "-5", "BRL"),
        ("12.50-", "-12.5", ""),
        ("12,50- EUR", "-12.5", "EUR"),
        ("12,50 €-", "-12.5", "EUR"),
        ("–5", "-5", ""),
        ("R$ 10,00", "10", "BRL"),
        ("R$1.234,56", "1234.56", "BRL"),
        ("-R$ 5", "-5", "BRL"),
        ("R$ -5", "-5", "BRL"),
        ("US$ 5", "5", "USD"),
        ("A$5", "5", "AUD"),
        ("C$5", "5", "CAD"),
        ("NZ$5", "5", "NZD"),
        ("HK$5", "5", "HKD"),
        ("MX$5", "5", "MXN"),
        ("S/ 5.50", "5.5", "PEN"),
        ("S/.5", "5", "PEN"),
        ("5 zł", "5", "PLN"),
        ("5,50 Kč", "5.5", "CZK"),
        ("5 Ft", "5", "HUF"),
        ("5 лв.", "5", "BGN"),
        ("5 руб.", "5", "RUB"),
        ("5 RUR", "5", "RUB"),
        ("Rp 10.000,50", "10000.5", "IDR"),
        ("RM5", "5", "MYR"),
        ("₹1,23,456.78", "123456.78", "INR"),
        ("1,23,456", "123456", ""),
        ("12,34,56,789.5", "123456789.5", ""),
        ("10 kr", "10", "KR"),
        ("Rs.5", "5", "RS."),
        ("100 р.", "100", "Р."),
        ("$5.00 USD", "5", "USD"),
        ("$5.00 CAD", "5", "CAD"),
        ("CAD$5", "5", "CAD"),
        ("€5 EUR", "5", "EUR"),
        ("USD.5", "0.5", "USD"),
        ("1\u2009234,50 €", "1234.5", "EUR"),
        ("1\u2002234.50", "1234.5", ""),
        ("1`234.50", "1234.5", ""),
        ("1′234,50", "1234.5", ""),
        ("'12.50", "12.5", ""),
        ('"$12.50"', "12.5", "USD"),
        ("‐5", "-5", ""),
        ("‑5,00 €", "-5", "EUR"),
        ("－5", "-5", ""),
        ("—5", "-5", ""),
        ("5 euro", "5", "EUR"),
        ("12,50 Euros", "12.5", "EUR"),
        ("5 dollars", "5", "USD"),
        ("10 US Dollars", "10", "USD"),
        ("5 pounds", "5", "GBP"),
        ("100 рублей", "100", "RUB"),
        ("100 rubles", "100", "RUB"),
        ("5 долл.", "5", "USD"),
        ("5 евро", "5", "EUR"),
        ("\u202d$5.00\u202c", "5", "USD"),
        ("\ufeff5", "5", ""),
    ],
)
def test_an_amount_is_read_as_a_media_buyer_would(text: str, amount: str, currency: str) -> None:
    read = read_amount(text)
    assert isinstance(read, Amount)
    assert (amount_text(read.micros), read.currency, read.ambiguous) == (amount, currency, False)


def test_one_comma_before_three_digits_separates_thousands_and_is_flagged() -> None:
    assert read_amount("1,234") == Amount(1_234_000_000, "", ambiguous=True)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1,234", "1234"),
        ("Rp 10.000", "10000"),
        ("10.000 ₫", "10000"),
        ("5.-", "5"),
        ("5,– Kč", "5"),
        ("5:-", "5"),
        ("SEK 5:-", "5"),
        ("₹ 500/-", "500"),
        ("1.234 €", "1.234"),
        ("$10.000", "10"),
    ],
)
def test_what_can_be_read_otherwise_is_flagged(text: str, amount: str) -> None:
    read = read_amount(text)
    assert isinstance(read, Amount)
    assert (amount_text(read.micros), read.ambiguous) == (amount, True)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0.00012345678", 123),
        ("0.1234565", 123_457),
        ("-0.1234565", -123_457),
        ("(0.1234565)", -123_457),
        ("0.1234564999", 123_456),
        ("0.0000001", 0),
        ("0.30000000000000004", 300_000),
        ("1,23456789 €", 1_234_568),
        ("0.9999999", 1_000_000),
    ],
)
def test_digits_beyond_the_sixth_are_rounded_half_away_from_zero(text: str, micros: int) -> None:
    read = read_amount(text)
    assert isinstance(read, Amount)
    assert (read.micros, read.rounded) == (micros, True)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", AmountFault.EMPTY),
        (" \u00a0 ", AmountFault.EMPTY),
        ("9" * 5000, AmountFault.TOO_LONG),
        ("{payout}", AmountFault.UNREPLACED_MACRO),
        ("${PAYOUT}", AmountFault.UNREPLACED_MACRO),
        ("#price#", AmountFault.UNREPLACED_MACRO),
        ("[PAYOUT]", AmountFault.UNREPLACED_MACRO),
        ("__PAYOUT__", AmountFault.UNREPLACED_MACRO),
        ("%payout%", AmountFault.UNREPLACED_MACRO),
        ("NaN", AmountFault.NOT_A_NUMBER),
        ("Infinity", AmountFault.NOT_A_NUMBER),
        ("-inf", AmountFault.NOT_A_NUMBER),
        ("1e309", AmountFault.EXPONENT),
        ("1E+1000000", AmountFault.EXPONENT),
        ("1.5e3", AmountFault.EXPONENT),
        ("1" * 13, AmountFault.TOO_MANY_DIGITS),
        ("999999999999.9999999", AmountFault.TOO_MANY_DIGITS),
        ("(1234567890123)", AmountFault.TOO_MANY_DIGITS),
        ("٣", AmountFault.UNREADABLE),
        ("１２", AmountFault.UNREADABLE),
        ("12 5", AmountFault.UNREADABLE),
        ("123,45,678", AmountFault.UNREADABLE),
        ("1.23.456", AmountFault.UNREADABLE),
        ("(5", AmountFault.UNREADABLE),
        ("5)", AmountFault.UNREADABLE),
        ("-(5)", AmountFault.UNREADABLE),
        ("(-5)", AmountFault.UNREADABLE),
        ("-5-", AmountFault.UNREADABLE),
        (")5(", AmountFault.UNREADABLE),
        ("((5))", AmountFault.UNREADABLE),
        ("Ux$5", AmountFault.UNREADABLE),
        ("5.00 USD CAD", AmountFault.UNREADABLE),
        ("A$5 CAD", AmountFault.UNREADABLE),
        ("({payout})", AmountFault.UNREPLACED_MACRO),
        ("(1e5)", AmountFault.EXPONENT),
        ("$1E+5", AmountFault.EXPONENT),
        ("12.34.56", AmountFault.UNREADABLE),
        ("1.2,3,4", AmountFault.UNREADABLE),
        ("--5", AmountFault.UNREADABLE),
        ("€5 USD", AmountFault.UNREADABLE),
        ("5%", AmountFault.UNREADABLE),
        (".", AmountFault.UNREADABLE),
        ("free", AmountFault.UNREADABLE),
    ],
)
def test_what_is_no_amount_is_refused_with_its_fault(text: str, fault: AmountFault) -> None:
    assert read_amount(text) is fault


@given(st.integers(-MAX_MICROS, MAX_MICROS))
def test_every_amount_is_read_back_from_its_text(micros: int) -> None:
    assert read_amount(amount_text(micros)) == Amount(micros)


@given(st.integers(0, MAX_MICROS), st.sampled_from([(",", "."), (".", ","), (" ", "."), ("'", ","), (" ", ",")]))
def test_thousands_and_decimals_are_told_apart(micros: int, separators: tuple[str, str]) -> None:
    thousands, point = separators
    whole, fraction = divmod(micros, 1_000_000)
    text = f"{whole:,}".replace(",", thousands) + f"{point}{fraction:06d}"
    assert read_amount(text) == Amount(micros)


@given(st.text(max_size=80) | st.text("0123456789.,' -+$€eEUSDnai{}", max_size=70))
def test_no_text_raises_or_exceeds_what_a_ledger_holds(text: str) -> None:
    read = read_amount(text)
    assert isinstance(read, AmountFault) or abs(read.micros) <= MAX_MICROS


@pytest.mark.parametrize(
    "text",
    [
        "1 " * 31 + "x",
        "1" * 63 + "x",
        ".," * 32,
        "9" * 100000,
        "-USD " + "1 " * 28 + "x",
        "(" * 64,
        "$" * 64,
        "kr" * 32,
        "(R$ 1.234.567.890,123456789)",
        "1," * 32,
        "1,23," * 12 + "456",
    ],
)
def test_no_text_takes_many_steps(text: str) -> None:
    assert executed_lines(lambda: read_amount(text)) < 20 * executed_lines(lambda: read_amount("12.50"))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("usd", "USD"),
        (" Eur ", "EUR"),
        ("€", "EUR"),
        ("R$", "BRL"),
        ("rur", "RUB"),
        ("kr", None),
        ("XYZ", None),
        ("", None),
    ],
)
def test_a_currency_is_recognised_in_any_case_or_not_at_all(text: str, code: str | None) -> None:
    assert currency_of(text) == code


def test_every_currency_is_a_code_of_three_letters() -> None:
    assert all(len(code) == 3 and code.isupper() for code in CURRENCIES)


def test_every_sign_means_known_currencies_alone() -> None:
    assert all(meanings(sign) and CURRENCIES.issuperset(meanings(sign)) for sign in SIGNS)


@given(
    st.integers(0, MAX_MICROS),
    st.sampled_from(["{}", "({})", "{}-", "-{}", "R$ {}", "({} €)", "$({})", "{} kr", "{} USD", "+{}", "{}00000000"]),
)
def test_text_around_a_number_changes_no_digit(micros: int, form: str) -> None:
    whole, fraction = divmod(micros, 1_000_000)
    read = read_amount(form.format(f"{whole}.{fraction:06d}"))
    negative = "(" in form or "-" in form
    assert isinstance(read, Amount)
    assert (read.micros, read.rounded) == (-micros if negative else micros, False)
