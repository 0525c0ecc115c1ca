"""Feeds formulas with random texts: none crashes, none brings a word of its own into the SQL, and steps grow with the length alone."""

import contextlib
import random
import re
import sys

import duckdb
import msgspec

from clickloop.report.column import figure_of, formula_column, kinds_of
from clickloop.report.condition import conditions_of
from clickloop.report.formula.evaluating import MAX_VALUE, evaluate
from clickloop.report.formula.parsing import MAX_LENGTH, FormulaError, parse_formula
from clickloop.report.formula.tree import Formula
from clickloop.report.measure import Measure
from clickloop.store.facts.duckdb.report.formula_sql import MAX_EXPRESSION_DEPTH, formula_sql
from tests.steps import executed_lines

STATUSES = ("sale", "hold")
FIGURES = (*(measure.key for measure in Measure), "conversions.sale", "revenue.hold", "event3", "EVENT30", "Clicks")
SIGNS = (
    *"+-*/()<>=!,.%",
    "<=",
    ">=",
    "!=",
    "<>",
    "==",
    "×",
    "÷",
    "−",
    "≤",
    "if(",
    "min(",
    "max(",
    "nullif(",
    " ",
)
NUMBERS = ("0", "1", "2.5", "0.000001", "999999999999", "9999999999999", "50%", ".5", "1.2.3", "١")
HOSTILE = (
    *(
        "'",
        '"',
        ";",
        "--",
        "/*",
        "*/",
        "\\",
        "\0",
        "\n",
        "$1",
        "?",
        "::",
        "[",
        "]",
        "{",
        "`",
        "#",
        "@",
        "é",
        "漢",
        "\ud800",
        "😀",
    ),
    *(
        " DROP TABLE facts",
        "' OR 1=1 --",
        "SELECT",
        "read_csv('/etc/passwd')",
        "facts.click_id",
        "__import__",
        "conversions.x'",
    ),
    *(
        "conversions.",
        "event0",
        "event31",
        "event99999999999999999999",
        "conversions.sale.sale",
        "as",
        "and",
        "1e9",
        "NaN",
        "Infinity",
    ),
)
# All that the compiler may write: integers, columns that it is given, and its own words.
_ALLOWED = re.compile(
    r"(?:column_[0-9]+|-?[0-9]+|TRY_CAST|TRY|round|greatest|least|nullif|HUGEINT|DECIMAL|CASE|WHEN|THEN|ELSE|END|AS"
    r"|::|//|<=|>=|!=|[-+*<>=(),]|\s)*"
)
_STEPS_EVERY = 20
"""Every so many texts are counted step by step: that takes a hundred times as long."""


class Fuzzed(msgspec.Struct):
    """The result of a run."""

    texts: int = 0
    compiled: int = 0
    calculated: int = 0
    refused: int = 0
    most_steps_per_character: float = 0
    problems: list[str] = []


def fuzz(count: int, seed: int, every: int = _STEPS_EVERY) -> Fuzzed:
    """Parse and compile random texts, and calculate one in ``every`` that compile."""
    chance = random.Random(seed)
    found = Fuzzed(problems=[])
    with duckdb.connect() as engine:
        engine.execute(f"SET max_expression_depth = {MAX_EXPRESSION_DEPTH}")
        for number in range(count):
            text = _text(chance)
            try:
                _try(text, found, engine if number % every == 0 else None)
            except FormulaError as error:
                found.refused += 1
                if not error.fault.sentence or not 0 <= error.fault.at <= len(text):
                    found.problems.append(f"{text[:200]!r}: a fault at {error.fault.at}: {error.fault.sentence}")
            except Exception as error:
                found.problems.append(f"{text[:200]!r}: {type(error).__name__}: {error}")
            if number % _STEPS_EVERY == 0:
                steps = executed_lines(lambda text=text: _refusable(text)) / (len(text) + 20)  # type: ignore[misc]
                found.most_steps_per_character = max(found.most_steps_per_character, steps)
            found.texts += 1
    return found


def _text(chance: random.Random) -> str:
    """Return a formula that may be valid, maybe with something hostile in it, or rubbish of any length."""
    kind = chance.random()
    if kind < 0.45:
        text = _expression(chance, chance.randrange(6))
        return text if chance.random() < 0.6 else _spoilt(chance, text)
    pieces: tuple[tuple[str, ...], ...] = (FIGURES, SIGNS, NUMBERS, HOSTILE)
    length = chance.choice((3, 10, 40, 200, 900))
    if kind < 0.6:  # one piece again and again
        piece = chance.choice(chance.choice(pieces))
        return piece * (length // len(piece) + 1)
    return "".join(chance.choice(chance.choice(pieces)) for _ in range(chance.randrange(length)))


def _expression(chance: random.Random, depth: int) -> str:
    if depth == 0:
        leaves: tuple[str, ...] = chance.choice((FIGURES, NUMBERS[:5]))
        return chance.choice(leaves)
    inner = [_expression(chance, chance.randrange(depth)) for _ in range(4)]
    match chance.randrange(6):
        case 0:
            return (
                f"if({inner[0]} {chance.choice(('<', '<=', '=', '!=', '>', '>='))} {inner[1]}, {inner[2]}, {inner[3]})"
            )
        case 1:
            return f"{chance.choice(('min', 'max'))}({inner[0]}, {inner[1]}, {inner[2]})"
        case 2:
            return f"nullif({inner[0]}, {inner[1]})"
        case 3:
            return f"-({inner[0]})"
        case _:
            return f"({inner[0]} {chance.choice('+-*/')} {inner[1]})"


def _spoilt(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(HOSTILE) + text[at + chance.randrange(3) :]


def _refusable(text: str) -> None:
    with contextlib.suppress(FormulaError):
        parse_formula(text, kinds_of(STATUSES))


def _try(text: str, found: Fuzzed, engine: duckdb.DuckDBPyConnection | None) -> None:
    formulas = _formulas(text)
    for formula in formulas:
        names = sorted(formula.figures)
        columns = {
            figure.key: f"column_{place}" for place, name in enumerate(names) if (figure := figure_of(name, STATUSES))
        }
        sql = formula_sql(formula_column("A", formula, STATUSES), columns)
        found.compiled += 1
        if not _ALLOWED.fullmatch(sql):
            found.problems.append(f"{text[:200]!r} brought its own words into {sql[:200]}")
        elif engine is not None:
            _calculate(engine, sql, formula, names, found)


def _formulas(text: str) -> list[Formula]:
    """Return the formula of a text, also as the condition that it may be."""
    try:
        conditions = conditions_of(text, STATUSES)
    except FormulaError:
        return [parse_formula(text, kinds_of(STATUSES))]
    return [condition.formula for condition in conditions]


def _calculate(engine: duckdb.DuckDBPyConnection, sql: str, formula: Formula, names: list[str], found: Fuzzed) -> None:
    """Compare the engine's value with the plain evaluation."""
    values = {name: 1_000_000 * (7 * place - 3) for place, name in enumerate(names)}
    given = ", ".join(f"{values[name]}::HUGEINT AS column_{place}" for place, name in enumerate(names)) or "1"
    row = engine.execute(f"SELECT {sql} FROM (SELECT {given})").fetchone()
    wanted = evaluate(formula, values)
    found.calculated += 1
    if row is None or row[0] != wanted or (wanted is not None and abs(wanted) > MAX_VALUE):
        found.problems.append(f"{formula.text[:200]!r} is {row} in the engine, expected {wanted}")


def main(count: int = 100_000) -> list[str]:
    """Return the results as lines of Markdown."""
    found = fuzz(count, seed=100)
    lines = [
        "| What | |",
        "| --- | ---: |",
        f"| texts of up to {MAX_LENGTH:,} characters and beyond | {found.texts:,} |",
        f"| refused with a place and a sentence | {found.refused:,} |",
        f"| compiled to integers and columns alone | {found.compiled:,} |",
        f"| of these calculated in the engine, equal to the plain evaluation | {found.calculated:,} |",
        f"| most steps per character | {found.most_steps_per_character:.1f} |",
        f"| crashes, injections, differences | {len(found.problems):,} |",
    ]
    return [*lines, *found.problems[:10]]


if __name__ == "__main__":
    sys.stdout.write("\n".join(main()) + "\n")
