"""The traffic source: its rows, and that a row never changes its number."""

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.setup.fault import FaultCode, FieldFault
from clickloop.setup.traffic_source import RowInput, SourceParameter, TrafficSource, numbered_rows, source_faults


def rows(
    *wishes: RowInput, before: tuple[SourceParameter, ...] = (), used_numbers: Collection[int] = ()
) -> tuple[SourceParameter, ...]:
    found = numbered_rows(wishes, before, used_numbers)
    assert all(isinstance(row, SourceParameter) for row in found), found
    return tuple(row for row in found if isinstance(row, SourceParameter))


def codes(*wishes: RowInput, used_numbers: Collection[int] = ()) -> set[str]:
    found = numbered_rows(wishes, (), used_numbers)
    faults = [row for row in found if isinstance(row, FieldFault)]
    if not faults:
        source = TrafficSource(name="S", parameters=tuple(row for row in found if isinstance(row, SourceParameter)))
        faults = source_faults(source)
    return {fault.code for fault in faults}


def numbers(found: tuple[SourceParameter, ...]) -> dict[str, int]:
    return {row.parameter: row.number for row in found}


def test_external_id_and_cost_are_added_if_left_out() -> None:
    assert numbers(rows()) == {"external_id": -1, "cost": 0}


def test_rows_are_numbered_in_the_requested_order() -> None:
    assert numbers(rows(RowInput("b"), RowInput("a")))["a"] == 2


def test_a_new_row_does_not_get_a_removed_rows_number() -> None:
    before = rows(RowInput("a"), RowInput("b"))
    assert numbers(rows(RowInput("b"), RowInput("c"), before=before)) == {"external_id": -1, "cost": 0, "b": 2, "c": 3}


def test_a_renamed_row_keeps_its_number_if_it_is_set() -> None:
    before = rows(RowInput("a"), RowInput("b"))
    assert numbers(rows(RowInput("a"), RowInput("renamed", number=2), before=before))["renamed"] == 2


def test_placeholders_of_fixed_rows_stay_when_they_are_left_out() -> None:
    before = rows(RowInput("external_id", placeholder="${SUBID}"))
    assert rows(RowInput("a"), before=before)[0].placeholder == "${SUBID}"


def test_thirty_rows_fit_and_one_more_does_not() -> None:
    thirty = [RowInput(f"p{number}") for number in range(30)]
    assert len(rows(*thirty)) == 32
    assert codes(*thirty, RowInput("more")) == {FaultCode.TOO_MANY}


def test_a_removed_rows_number_is_reused_only_if_requested() -> None:
    thirty = range(1, 31)
    assert codes(RowInput("new"), used_numbers=thirty) == {FaultCode.TOO_MANY}
    assert numbers(rows(RowInput("new", number=7), used_numbers=thirty))["new"] == 7
    assert numbers(rows(RowInput("new"), used_numbers=(*range(1, 7), *range(8, 31))))["new"] == 7


def test_a_row_without_a_name_is_named_after_its_parameter() -> None:
    assert [row.name for row in rows(RowInput("zone"), RowInput("external_id"))] == ["External ID", "Cost", "zone"]


def test_the_last_free_number_is_found_when_the_highest_is_taken() -> None:
    assert numbers(rows(RowInput("last", number=30), RowInput("next")))["next"] == 1


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (RowInput(""), FaultCode.REQUIRED),
        (RowInput("x" * 201), FaultCode.TOO_LONG),
        (RowInput("a\nb"), FaultCode.CHARACTER),
        (RowInput("cid"), FaultCode.RESERVED),
        (RowInput("Cost"), FaultCode.RESERVED),
        (RowInput("External_ID"), FaultCode.RESERVED),
        (RowInput("cost", number=3), FaultCode.RESERVED),
        (RowInput("a", number=0), FaultCode.OUT_OF_RANGE),
        (RowInput("a", number=31), FaultCode.OUT_OF_RANGE),
        (RowInput("a", placeholder="{a}&b={b}"), FaultCode.CHARACTER),
        (RowInput("external_id", tracked=False), FaultCode.ALWAYS_TRACKED),
    ],
)
def test_an_invalid_row_is_refused(wish: RowInput, code: FaultCode) -> None:
    assert code in codes(wish)


def test_two_rows_of_one_name_or_number_are_refused() -> None:
    assert codes(RowInput("zone"), RowInput("Zone")) == {FaultCode.DUPLICATE}
    assert codes(RowInput("a", number=4), RowInput("b", number=4)) == {FaultCode.DUPLICATE}
    assert FaultCode.DUPLICATE in codes(RowInput("external_id"), RowInput("external_id"))


_NAMES = st.lists(st.sampled_from([f"p{number}" for number in range(40)]), unique=True, max_size=15)


@given(st.lists(_NAMES, min_size=2, max_size=5))
def test_whatever_is_saved_later_a_row_that_stays_keeps_its_number(changes: list[list[str]]) -> None:
    before: tuple[SourceParameter, ...] = ()
    for names in changes:
        after = rows(*(RowInput(name) for name in names), before=before)
        known, now = numbers(before), numbers(after)
        assert all(now[name] == known[name] for name in known.keys() & now.keys())
        assert len(set(now.values())) == len(now)
        assert all(-1 <= number <= 30 for number in now.values())
        before = after
