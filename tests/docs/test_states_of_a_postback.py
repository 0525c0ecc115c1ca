"""The page on a postback's states says what the table's constraints say."""

import re
from pathlib import Path

from sqlalchemy import CheckConstraint

from clickloop.postback.delivery.breaker import (
    FIRST_PROBE_SECONDS,
    MAX_PROBE_SECONDS,
    OPENS_AT,
    OPENS_PERCENT,
    WINDOW_SECONDS,
)
from clickloop.postback.state import PostbackState
from clickloop.store.ledger.schema.tables import postbacks

PAGE = (Path(__file__).parents[2] / "docs/why/states-of-a-postback.md").read_text(encoding="utf-8")
CONSTRAINTS = {
    str(constraint.name).removeprefix("ck_postbacks_"): str(constraint.sqltext)
    for constraint in postbacks.constraints
    if isinstance(constraint, CheckConstraint)
}
STORED = set(re.findall(r"'(\w+)'", CONSTRAINTS["state_known"]))


def test_every_state_that_can_be_stored_has_its_row_on_the_page_and_no_other() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == STORED


def test_every_state_stands_in_the_diagram() -> None:
    diagram = PAGE.split("```")[1]
    assert {state for state in STORED | {"paused"} if not re.search(rf"\b{state}\b", diagram)} == set()


def test_every_constraint_on_states_and_moments_is_named() -> None:
    of_states = {name for name, text in CONSTRAINTS.items() if "state" in text}
    assert {name for name in of_states if f"`{name}`" not in PAGE} == set()


def test_the_moments_that_the_page_ties_to_states_are_those_of_the_constraints() -> None:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| (.*?) \|", PAGE, re.MULTILINE)
    for state, tied in rows:
        column, name = re.findall(r"`(\w+)`", tied)[:2]
        assert column in CONSTRAINTS[name]
        assert (f"'{state}'" in CONSTRAINTS[name]) or name == "final_has_moment"


def test_what_is_shown_is_what_is_stored_and_paused() -> None:
    assert {state.value for state in PostbackState} == STORED | {"paused"}


def test_the_breakers_figures_are_those_of_the_code() -> None:
    plain = " ".join(PAGE.split())
    assert f"at least {OPENS_AT} attempts within {WINDOW_SECONDS // 60} minutes {OPENS_PERCENT} % have failed" in plain
    assert f"after {FIRST_PROBE_SECONDS} s" in plain
    assert f"at most {MAX_PROBE_SECONDS // 60} min" in plain
