"""Values that a visit carries to its landing clicks."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from clickloop.click.click import Click
from clickloop.click.page.carried_values import (
    AT_HAND,
    CARRIED,
    carried_of_fields,
    carried_values,
)
from clickloop.click.visitor_cookie import MAX_VALUE_BYTES, Visit

_VISIT = Visit("01jx0000000000000000000000", 1_772_712_000, 7, 12, 3, 99)
_NAMES = (*sorted(CARRIED), "country", "offer.name", "clickid")


@given(
    external_id=st.text(max_size=5),
    v1=st.text(max_size=5),
    v30=st.text(max_size=5),
    referrer=st.text(max_size=5),
    unique=st.booleans(),
    cost=st.one_of(st.none(), st.integers(-(10**9), 10**9)),
)
def test_a_click_that_is_being_taken_carries_what_the_recorded_one_does(cost: int | None, **fields: object) -> None:
    given_fields = fields | ({} if cost is None else {"cost_micros": cost, "cost_currency": "USD"})
    click = replace(Click(click_id=_VISIT.click_id, at=0, campaign_id=7, source_id=3), **given_fields)
    assert carried_of_fields(_NAMES, given_fields) == carried_values(_NAMES, click)


def test_only_what_the_offers_use_is_carried() -> None:
    assert carried_of_fields(("token1",), {"v1": "77", "v2": "x", "external_id": "e"}) == {"token1": "77"}


def test_a_visit_is_enough_for_the_macros_at_hand() -> None:
    values = replace(_VISIT, values=dict.fromkeys(CARRIED, "x")).macro_values()
    assert values.keys() | {"now"} == AT_HAND


def test_values_that_are_too_long_stay_out_of_the_cookie() -> None:
    fitting = replace(_VISIT, values={"externalid": "é" * (MAX_VALUE_BYTES // 2)})
    assert fitting.for_cookie() == fitting
    assert replace(_VISIT, values={"externalid": "é" * MAX_VALUE_BYTES}).for_cookie().values is None
