"""A flow's limits over all its rules together."""

import pytest

from clickloop.setup.condition import Condition, Operator
from clickloop.setup.flow import MAX_FLOW_EXPRESSIONS, MAX_FLOW_LISTS, FlowParts, Rule, flow_faults


def flow_with(conditions: list[Condition]) -> FlowParts:
    rules = (tuple(conditions[start : start + 20]) for start in range(0, len(conditions), 20))
    return FlowParts(rules=tuple(Rule(conditions=one) for one in rules))


@pytest.mark.parametrize(
    ("conditions", "most"),
    [
        ([Condition(field="city", op=Operator.MATCHES, values=("a", "b"))] * 60, MAX_FLOW_EXPRESSIONS),
        ([Condition(field="city", list_id=number) for number in range(1, 70)], MAX_FLOW_LISTS),
        ([Condition(field="v1", values=tuple(map(str, range(10_000))))] * 11, 100_000),
    ],
)
def test_what_all_conditions_need_together_is_limited(conditions: list[Condition], most: int) -> None:
    (fault,) = flow_faults(flow_with(conditions))
    assert (fault.field, fault.code) == ("rules", "too_many")
    assert f"The maximum is {most}" in fault.message


def test_one_list_may_stand_in_every_condition() -> None:
    assert flow_faults(flow_with([Condition(field="city", list_id=1)] * 2_000)) == []
