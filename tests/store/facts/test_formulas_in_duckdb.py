"""Formulas compiled to DuckDB's SQL have exactly the values of the plain evaluation, also where 128 bits do not suffice."""

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickloop.report.column import formula_column, kinds_of
from clickloop.report.formula.evaluating import MAX_VALUE, evaluate
from clickloop.report.formula.parsing import MAX_DEPTH, MAX_TERMS, FormulaError, parse_formula
from clickloop.report.formula.tree import Formula
from clickloop.report.measure import Measure, Sums
from clickloop.store.facts.duckdb.report.formula_sql import MAX_EXPRESSION_DEPTH, formula_sql, measure_sql

FIGURES = ("clicks", "conversions", "cost", "profit", "roi", "epc")
_VALUES = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.integers(-(10**9), 10**9),
    st.sampled_from([10**30 - 1, 1 - 10**30, 10**30, 10**24, -(10**18), 500_000, -500_000, 1_500_000, 10**36]),
    st.integers(-(10**30), 10**30),
)
_LEAVES = st.one_of(
    st.sampled_from(FIGURES), st.sampled_from(["0", "1", "2.5", "0.000001", "999999999999", "3", "50%", "-7"])
)
_TEXTS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda one: f"({one[0]} {one[1]} {one[2]})"),
        st.tuples(inner, st.sampled_from(["<", "<=", ">", ">=", "=", "!="]), inner, inner, inner).map(
            lambda one: f"if({one[0]} {one[1]} {one[2]}, {one[3]}, {one[4]})"
        ),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner, inner).map(
            lambda one: f"{one[0]}({one[1]}, {one[2]}, {one[3]})"
        ),
        st.tuples(inner, inner).map(lambda one: f"nullif({one[0]}, {one[1]})"),
        inner.map(lambda one: f"-{one}"),
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(f"SET max_expression_depth = {MAX_EXPRESSION_DEPTH}")
        yield connection


def _in_engine(
    engine: duckdb.DuckDBPyConnection, formula: Formula, rows: list[dict[str, int | None]]
) -> list[int | None]:
    """Return a formula's values for several rows, since the engine calculates by columns."""
    figures = {name: f"TRY_CAST(column_{place} AS DECIMAL(30, 0))::HUGEINT" for place, name in enumerate(FIGURES)}
    sql = formula_sql(formula_column("Formula", formula, ()), figures)
    unnested = ", ".join(f"unnest(${name}::HUGEINT[]) AS column_{place}" for place, name in enumerate(FIGURES))
    values = {name: [row[name] for row in rows] for name in FIGURES}
    return [row[0] for row in engine.execute(f"SELECT {sql} FROM (SELECT {unnested})", values).fetchall()]


@settings(max_examples=300, deadline=None)
@given(text=_TEXTS, rows=st.lists(st.fixed_dictionaries(dict.fromkeys(FIGURES, _VALUES)), min_size=1, max_size=5))
def test_the_engine_calculates_what_the_evaluation_does(
    engine: duckdb.DuckDBPyConnection, text: str, rows: list[dict[str, int | None]]
) -> None:
    try:
        formula = parse_formula(text, kinds_of(()))
    except FormulaError:
        return  # kinds that do not fit
    assert _in_engine(engine, formula, rows) == [evaluate(formula, row) for row in rows]


@pytest.mark.parametrize("sign", ["*", "/", "+"])
def test_the_longest_and_the_deepest_formula_can_be_calculated(engine: duckdb.DuckDBPyConnection, sign: str) -> None:
    chain = f" {sign} ".join(["roi"] * MAX_TERMS)
    nested = "min(" * (MAX_DEPTH - 1) + "roi" + ", roi)" * (MAX_DEPTH - 1)
    for text in (chain, nested):
        formula = parse_formula(text, kinds_of(()))
        row = dict.fromkeys(FIGURES, 1_500_000)
        assert _in_engine(engine, formula, [dict(row)]) == [evaluate(formula, row)]


def test_a_step_beyond_the_largest_value_is_empty_in_both(engine: duckdb.DuckDBPyConnection) -> None:
    row: dict[str, int | None] = dict.fromkeys(FIGURES, MAX_VALUE)
    for text in ("clicks + 1", "clicks * 2", "clicks * clicks", "clicks / 0.000001", "-clicks - 1", "clicks - 1"):
        formula = parse_formula(text, kinds_of(()))
        found = _in_engine(engine, formula, [row])
        assert found == [evaluate(formula, row)]
        assert (found == [None]) is (text != "clicks - 1")


_COUNTS = st.integers(0, 10**12)
_MICROS = st.integers(-(10**20), 10**20)


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(_COUNTS, min_size=12, max_size=12), micros=st.lists(_MICROS, min_size=5, max_size=5))
def test_every_measure_is_the_same_in_the_engine(
    engine: duckdb.DuckDBPyConnection, counts: list[int], micros: list[int]
) -> None:
    names = [name for name in Sums.__struct_fields__ if name.endswith("_micros")]
    plain = [name for name in Sums.__struct_fields__ if not name.endswith("_micros")][: len(counts)]
    values: dict[str, int] = dict(zip(names, micros, strict=True)) | dict(zip(plain, counts, strict=True))
    values["delay_p50_seconds"] = counts[0]
    sums = Sums(**values)  # type: ignore[arg-type]
    source = ", ".join(f"{value}::HUGEINT AS {name}" for name, value in values.items())
    selected = ", ".join(f"{measure_sql(measure)} AS {measure}_" for measure in Measure)
    found = engine.execute(f"SELECT {selected} FROM (SELECT {source})").fetchone()
    assert found is not None
    assert dict(zip(Measure, found, strict=True)) == {measure: measure.of(sums) for measure in Measure}
