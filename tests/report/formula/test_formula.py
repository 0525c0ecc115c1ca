"""Formulas are parsed, typed and evaluated as written; anything else is refused with the place and a sentence."""

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.report.formula.evaluating import ONE, evaluate, rounded_quotient
from clickloop.report.formula.parsing import MAX_LENGTH, FormulaError, parse_formula
from clickloop.report.formula.tree import Kind
from tests.steps import executed_lines

KINDS = {
    "clicks": Kind.COUNT,
    "conversions": Kind.COUNT,
    "conversions.sale": Kind.COUNT,
    "event3": Kind.NUMBER,
    "cost": Kind.MONEY,
    "revenue": Kind.MONEY,
    "roi": Kind.NUMBER,
}
ROW = {
    "clicks": 300 * ONE,
    "conversions": 3 * ONE,
    "conversions.sale": 2 * ONE,
    "event3": 0,
    "cost": 10 * ONE,
    "revenue": 7_500_000,
    "roi": None,
}


def value(text: str) -> int | None:
    return evaluate(parse_formula(text, KINDS.get), ROW)


def fault(text: str) -> tuple[int, str]:
    with pytest.raises(FormulaError) as raised:
        parse_formula(text, KINDS.get)
    return raised.value.fault.at, raised.value.fault.sentence


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("24 / 4 / 2", 3),
        ("-2 * -3", 6),
        ("--2", 2),
        ("2 × 3 ÷ 4", 1.5),
        (".5 + 0.25", 0.75),
        ("revenue / clicks", 0.025),
        ("Revenue/CLICKS", 0.025),
        ("conversions.sale / conversions", 0.666667),
        ("revenue - cost", -2.5),
        ("if(cost >= 20, 1, 2)", 2),
        ("if(cost ≤ 10, 1, 2)", 1),
        ("if(clicks <> 300, 1, 2)", 2),
        ("if(roi = roi, 1, 2)", 2),
        ("min(clicks, conversions, 7)", 3),
        ("max(roi, 1)", 1),
        ("nullif(clicks, 0)", 300),
        ("1 / 3 * 3", 0.999999),
        ("-1 / 8000000", 0),
        ("-1 / 2000000", -0.000001),
    ],
)
def test_a_formula_has_the_value_that_arithmetic_gives(text: str, units: float) -> None:
    assert value(text) == round(units * ONE)


@pytest.mark.parametrize(
    "text",
    [
        "clicks / event3",
        "1 / 0",
        "0 / 0",
        "1 + 1 / 0",
        "roi + 1",
        "nullif(clicks, 300)",
        "min(roi, 1 / 0)",
        "999999999999 * 999999999999 * 999999999999",
        "if(1 = 1, 1 / 0, 2)",
    ],
)
def test_what_cannot_be_calculated_is_empty(text: str) -> None:
    assert value(text) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("revenue - cost", Kind.MONEY),
        ("revenue - 5", Kind.MONEY),
        ("revenue / clicks", Kind.MONEY),
        ("revenue / cost", Kind.NUMBER),
        ("revenue * 2", Kind.MONEY),
        ("clicks + conversions", Kind.COUNT),
        ("clicks / conversions", Kind.NUMBER),
        ("clicks * roi", Kind.NUMBER),
        ("if(clicks > 3, revenue, 0)", Kind.MONEY),
        ("min(cost, revenue)", Kind.MONEY),
    ],
)
def test_the_kind_of_a_formula_follows_from_its_figures(text: str, kind: Kind) -> None:
    assert parse_formula(text, KINDS.get).kind is kind


@pytest.mark.parametrize(
    ("text", "at", "part"),
    [
        ("", 0, "Enter a formula"),
        ("clicks +", 8, "ends where"),
        ("clicks clicks", 7, "operator is missing"),
        ("clicks)", 6, "no opening parenthesis"),
        ("(clicks", 7, "closing parenthesis"),
        ("clicks > 3", 7, "only inside if"),
        ("revenue + clicks", 8, "money and a count"),
        ("revenue * cost", 8, "cannot be multiplied"),
        ("clicks / revenue", 7, "Divide the money"),
        ("if(cost > clicks, 1, 2)", 8, "money and a count"),
        ("if(clicks, 1, 2)", 9, "begins with a comparison"),
        ("if(clicks > 1, 1)", 16, "three parts"),
        ("nullif(1)", 0, "two parts"),
        ("min(1)", 0, "2 to 20 values"),
        ("if + 1", 3, "write if(…)"),
        ("visitors / 2", 0, "no figure “visitors”"),
        ("__import__('os')", 11, "no meaning"),
        ("clicks; DROP TABLE facts", 6, "no meaning"),
        ("1.2.3", 0, "not a number"),
        ("1.1234567", 0, "6 after it"),
        ("1" * 13, 0, "12 digits"),
        ("(" * 1000, 41, "deep"),
        ("-" * 900 + "1", 41, "deep"),
        ("1+" * 400 + "1", 200, "at most 100"),
        ("1" * (MAX_LENGTH + 1), MAX_LENGTH, "1,001"),
    ],
)
def test_a_faulty_formula_is_refused_with_the_place_and_a_sentence(text: str, at: int, part: str) -> None:
    found_at, sentence = fault(text)
    assert part in sentence
    assert found_at == at


@given(st.text(alphabet="abcdefilmnrstuvxo_0123456789.+-*/()<>=!, ×÷≤\"';", max_size=80) | st.text(max_size=80))
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(FormulaError):
        result = value(text)
        assert result is None or isinstance(result, int)


def test_parsing_takes_steps_in_proportion_to_the_length() -> None:
    def steps(count: int) -> int:
        text = "+".join(["(1)"] * count)
        return executed_lines(lambda: parse_formula(text, KINDS.get))

    assert steps(96) < 10 * steps(12)


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
def test_quotients_are_rounded_half_away_from_zero(dividend: int, divisor: int) -> None:
    found = rounded_quotient(dividend, divisor)
    if divisor == 0:
        assert found is None
    else:
        exact = Fraction(dividend, divisor)
        assert found is not None
        assert abs(found - exact) <= Fraction(1, 2)
        assert abs(found) >= abs(exact) or abs(found - exact) < Fraction(1, 2)
