"""Ratios are computed from sums, and formatted figures are exact."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.report.export import CsvReport, CsvRow, csv_lines, not_converted_text, percent_text
from clickloop.report.measure import Measure, OtherMoney, Sums, quotient, relative_change, signed_names
from clickloop.report.query import Dimension
from clickloop.report.rate_text import day_text, rate_text, read_day, read_rate, read_rate_lines

SUMS = Sums(
    clicks=300,
    confirmed=2,
    pending=1,
    rejected=3,
    cost_micros=10_000_000,
    revenue_micros=7_000_000,
    pending_micros=9,
    by_status={"sale": 2},
)


def test_every_ratio_is_computed_from_sums() -> None:
    assert (Measure.CONVERSIONS.of(SUMS), Measure.PROFIT.of(SUMS)) == (3, -3_000_000)
    assert (Measure.CR.of(SUMS), Measure.APPROVAL_RATE.of(SUMS), Measure.ROI.of(SUMS)) == (10_000, 333_333, -300_000)
    assert (Measure.CPA.of(SUMS), Measure.ECPM.of(SUMS), Measure.ROAS.of(SUMS)) == (3_333_333, 23_333_333, 700_000)
    assert (Measure.EPC.of(SUMS), Measure.CPC.of(SUMS), Measure.AVERAGE_PAYOUT.of(SUMS)) == (23_333, 33_333, 3_500_000)


def test_a_measure_without_a_divisor_is_its_sum() -> None:
    assert {measure.value: measure.of(SUMS) for measure in Measure if not measure.divisor} == {
        "clicks": 300,
        "unique_clicks": 0,
        "clicks_recorded": 0,
        "clean_clicks": 0,
        "marked_clicks": 300,
        "landing_visits": 0,
        "landing_views": 0,
        "landing_clicks": 0,
        "offer_visits": 0,
        "events": 0,
        "conversions": 3,
        "confirmed": 2,
        "pending": 1,
        "rejected": 3,
        "revenue": 7_000_000,
        "pending_revenue": 9,
        "rejected_revenue": 0,
        "cost": 10_000_000,
        "profit": -3_000_000,
        "expected_revenue": 0,
        "expected_profit": -3_000_000,
        "delay_p50": None,
    }


@pytest.mark.parametrize("measure", Measure)
def test_a_measure_consists_of_sums_and_has_a_title(measure: Measure) -> None:
    assert measure.label
    for _, name in (*signed_names(measure.dividend), *(signed_names(measure.divisor) if measure.divisor else ())):
        assert name in Sums.__struct_fields__


def test_a_ratio_without_a_divisor_is_none() -> None:
    assert {measure.of(Sums()) for measure in Measure if measure.divisor} == {None}
    sums = [measure for measure in Measure if not measure.divisor and measure is not Measure.DELAY_P50]
    assert {measure.of(Sums()) for measure in sums} == {0}
    assert Measure.DELAY_P50.of(Sums()) is None


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**24))
def test_a_quotient_is_off_by_at_most_a_half(dividend: int, divisor: int) -> None:
    found = quotient(dividend, divisor)
    assert found is not None
    assert abs(2 * (dividend - found * divisor)) <= divisor


def test_changes_and_texts_of_shares() -> None:
    assert (relative_change(15, 10), relative_change(5, -10), relative_change(5, 0), relative_change(0, 10)) == (
        500_000,
        1_500_000,
        None,
        -1_000_000,
    )
    assert percent_text(12_345) == "1.2345"


def test_the_table_has_a_column_for_each_measure_and_status() -> None:
    shape = CsvReport(
        group_by=(Dimension.V3,), columns=tuple(Measure), statuses={"sale": "Sale", "hold": "Hold"}, currency="USD"
    )
    head, line = csv_lines(shape, [CsvRow(("=cmd()",), SUMS)])
    cells = dict(zip(*csv.reader([head.decode(), line.decode()]), strict=True))
    assert head.startswith(b"V3,Clicks,")
    assert line.startswith(b"'=cmd(),300,")
    assert b"-3," in line
    assert (cells["Clicks"], cells["Conversions: Sale"], cells["Payouts: Hold, USD"]) == ("300", "2", "0")


def test_unconverted_money_is_listed_by_currency() -> None:
    apart = (
        OtherMoney(currency="", cost_micros=5),
        OtherMoney(currency="EUR", revenue_micros=1_500_000, pending_micros=1),
    )
    assert not_converted_text(Sums(not_converted=apart)) == (
        "unknown currency: cost 0.000005; EUR: revenue 1.5, pending 0.000001"
    )


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1", 10**12),
        ("1.0823", 1_082_300_000_000),
        ("0.000000000001", 1),
        ("999999.999999999999", 10**18 - 1),
        (" 2 ", 2 * 10**12),
    ],
)
def test_a_rate_is_exact(text: str, rate: int) -> None:
    assert read_rate(text) == rate
    assert rate_text(rate) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "0", "0.0", "-1", "1,5", "1e3", "NaN", "1234567", "1.0000000000001", "١", "1.", ".5"]
)
def test_an_invalid_rate_is_none(text: str) -> None:
    assert read_rate(text) is None


def test_days_are_counted_from_1970() -> None:
    assert (read_day("1970-01-02"), day_text(1), read_day("2026-03-01")) == (1, "1970-01-02", 20_513)
    assert [read_day(text) for text in ("2026-02-30", "1969-12-31", "2026-3-1", "20260301", "٢٠٢٦-٠٣-٠١")] == [None] * 5


def test_rates_are_parsed_line_by_line_with_any_separator() -> None:
    text = "currency,day,rate\n\neur,2026-02-01,1.1\nGBP;2026-02-01;1.3\nPLN\t2026-02-01  0.25\n"
    assert read_rate_lines(text) == [
        ("EUR", "2026-02-01", "1.1"),
        ("GBP", "2026-02-01", "1.3"),
        ("PLN", "2026-02-01", "0.25"),
    ]
    assert read_rate_lines("EUR 2026-02-01 1\nEUR 1.1") == 2
