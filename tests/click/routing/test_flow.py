"""The way of a visitor along a flow, against a slow model that shares no code with it."""

import random
from collections import Counter

import pytest

from clickloop.click.routing.conditions import Value
from clickloop.click.routing.flow import (
    ReadyFlow,
    choose,
    derived,
    ready_flow,
    rule_for,
)
from clickloop.setup.condition import Condition, Operator, UnknownValue
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, Path, PathTarget, Rule, flow_faults

_COUNTRIES = ("US", "CA", "DE", "BR", "")
_DEVICES = ("mobile", "desktop", "tablet", "")
_VERSIONS = ("9", "9.9", "10", "10.3", "17.5", "")
_ZONES = ("a1", "a2", "b1", "")


def flow_of(parts: FlowParts) -> ReadyFlow[int]:
    """Return a flow whose landings and offers are their numbers: landings those from 101."""

    def item_of(_rule_id: int, _path: Path, kind: PathTarget, item_id: int) -> int:
        return item_id + 100 if kind is PathTarget.LANDING_AND_OFFER else item_id

    return ready_flow(parts, {}, item_of)


def random_flow(chance: random.Random) -> FlowParts:
    """A flow with up to six rules of up to three conditions."""
    numbers = iter(range(1, 1000))

    def condition() -> Condition:
        field, op, values = chance.choice(
            [
                ("country", "in", chance.sample(_COUNTRIES[:4], 2)),
                ("country", "not_in", chance.sample(_COUNTRIES[:4], 1)),
                ("device", "in", [chance.choice(_DEVICES[:3])]),
                ("os_version", "between", ["9.5", chance.choice(["", "10", "17"])]),
                ("os_version", "in", [chance.choice(["9", "10", "17.5"])]),
                ("v1", "starts_with", [chance.choice("ab")]),
                ("v1", "empty", []),
            ]
        )
        unknown = None if op == "empty" else chance.choice([None, None, *UnknownValue])
        return Condition(field=field, op=Operator(op), values=tuple(values), unknown=unknown)

    def paths() -> tuple[Path, ...]:
        return tuple(
            Path(
                id=next(numbers),
                weight=chance.choice([0, 1, 50, 100]),
                active=chance.random() < 0.9,
                target=PathTarget.LANDING_AND_OFFER,
                landings=tuple(LandingShare(n, chance.choice([0, 10, 30])) for n in range(1, chance.randint(1, 4))),
                offers=tuple(OfferShare(n, chance.choice([0, 100, 200])) for n in range(1, chance.randint(1, 5))),
            )
            for _ in range(chance.randint(0, 3))
        )

    rules = tuple(
        Rule(
            id=next(numbers),
            active=chance.random() < 0.9,
            conditions=tuple(condition() for _ in range(chance.randint(0, 3))),
            paths=paths(),
        )
        for _ in range(chance.randint(0, 6))
    )
    return FlowParts(rules=rules, default_paths=paths())


def slow_rule(parts: FlowParts, visitor: dict[str, str]) -> Rule | None:
    """The rule for a visitor, spelled out."""
    return next(
        (rule for rule in parts.rules if rule.active and all(slow_holds(c, visitor) for c in rule.conditions)), None
    )


def slow_failures(parts: FlowParts, taken: Rule | None, visitor: dict[str, str]) -> list[str]:
    """Return the letter of the first condition that fails in each active rule before the one that holds."""
    tried = [rule for rule in parts.rules[: parts.rules.index(taken) if taken else None] if rule.active]
    return [
        next("abc"[place] for place, condition in enumerate(rule.conditions) if not slow_holds(condition, visitor))
        for rule in tried
    ]


def slow_holds(condition: Condition, visitor: dict[str, str]) -> bool:
    """Whether a condition holds, spelled out for what ``random_flow`` makes."""
    value = visitor[condition.field]
    if condition.op is Operator.EMPTY:
        return value == ""
    if value == "":
        return condition.unknown is UnknownValue.MATCH if condition.unknown else condition.op is Operator.NOT_IN
    if condition.field == "os_version":
        if condition.op is Operator.IN:
            return any(f"{value}.".startswith(f"{one}.") for one in condition.values)
        low, high = condition.values
        number = float(value)
        return number >= float(low) and (high == "" or number < float(high) + 1)
    if condition.op is Operator.STARTS_WITH:
        return any(value.startswith(one) for one in condition.values)
    return (value in condition.values) is (condition.op is Operator.IN)


def slow_pick(shares: list[tuple[int, int]], draw: int, choice: int) -> int | None:
    """The item whose stretch of the line of all weights holds the derived number."""
    line = [item for item, weight in shares for _ in range(weight)]
    return line[derived(draw, choice) * len(line) // 2**64] if line else None


def test_10000_visitors_of_random_flows_go_the_way_that_a_slow_model_says() -> None:
    chance = random.Random(20261130)
    taken = Counter[bool]()
    for _ in range(500):
        parts = random_flow(chance)
        assert flow_faults(parts) == []
        flow = flow_of(parts)
        for _ in range(20):
            visitor = {
                "country": chance.choice(_COUNTRIES),
                "device": chance.choice(_DEVICES),
                "os_version": chance.choice(_VERSIONS),
                "v1": chance.choice(_ZONES),
            }
            draw = chance.getrandbits(63)
            rule = slow_rule(parts, visitor)
            paths = rule.paths if rule else parts.default_paths
            served = [path for path in paths if path.active and any(share.weight for share in path.landings)]
            path_id = slow_pick([(path.id, path.weight) for path in served], draw, 1)
            path = next((path for path in paths if path.id == path_id), None)
            way = choose(flow, [visitor[field] for field in flow.fields], draw)
            assert (way.rule_id, way.path.id if way.path else None) == (rule.id if rule else 0, path_id)
            assert way.failed == "".join(slow_failures(parts, rule, visitor))
            if path is not None and way.path is not None:
                landing = slow_pick([(share.landing_id + 100, share.weight) for share in path.landings], draw, 2)
                assert way.path.choose(draw) == landing
                assert way.path.choose_offer(draw) == slow_pick([(s.offer_id, s.weight) for s in path.offers], draw, 3)
            taken[rule is not None] += 1
    assert min(taken.values()) > 2000


def test_shares_stay_within_four_standard_deviations_and_choices_do_not_depend_on_each_other() -> None:
    landings, offers = (LandingShare(1, 10), LandingShare(2, 30)), (OfferShare(1, 1), OfferShare(2, 1))
    path = Path(id=1, target=PathTarget.LANDING_AND_OFFER, landings=landings, offers=offers)
    flow = flow_of(FlowParts(default_paths=(path, Path(id=2, weight=300, offers=offers))))
    chance = random.Random(7)
    draws = [chance.getrandbits(63) for _ in range(40_000)]
    first = [
        (way.path.choose(draw), way.path.choose_offer(draw))
        for draw in draws
        if (way := choose(flow, (), draw)).path is not None and way.path.id == 1
    ]
    assert _is_share(len(first), 40_000, 0.25)
    assert _is_share(sum(landing == 102 for landing, _ in first), len(first), 0.75)
    assert _is_share(sum(pair == (102, 1) for pair in first), len(first), 0.375)


def _is_share(count: int, total: int, share: float) -> bool:
    return bool(abs(count - total * share) <= 4 * (total * share * (1 - share)) ** 0.5)


def test_neighbouring_draws_are_as_good_as_any() -> None:
    flow = flow_of(FlowParts(default_paths=(Path(id=1, offers=(OfferShare(1),)), Path(id=2, offers=(OfferShare(2),)))))
    first = sum((way := choose(flow, (), draw)).path is not None and way.path.id == 1 for draw in range(10_000))
    assert _is_share(first, 10_000, 0.5)


def test_only_the_fields_that_a_rule_compares_are_asked_for() -> None:
    rule = Rule(id=1, conditions=(Condition(field="country", values=("US",)), Condition(field="v9", values=("x",))))
    flow = flow_of(FlowParts(rules=(rule, rule), default_paths=(Path(id=1),)))
    values: list[Value] = ["US", "x"]
    assert flow.fields == ("country", "v9")
    found, failed = rule_for(flow, values)
    assert (found.id if found else None, failed) == (1, "")


@pytest.mark.parametrize(
    ("parts", "field", "code"),
    [
        (FlowParts(rules=(Rule(),) * 101), "rules", "too_many"),
        (FlowParts(rules=(Rule(conditions=(Condition(field="country", values=("US",)),) * 21),)), "rules[0].conditions", "too_many"),
        (FlowParts(default_paths=(Path(),) * 51), "default_paths", "too_many"),
        (FlowParts(default_paths=(Path(weight=-1),)), "default_paths[0].weight", "out_of_range"),
        (FlowParts(default_paths=(Path(weight=1_000_001),)), "default_paths[0].weight", "out_of_range"),
        (FlowParts(default_paths=(Path(offers=(OfferShare(1), OfferShare(1))),)), "default_paths[0].offers[1].offer_id", "duplicate"),
        (FlowParts(default_paths=(Path(target=PathTarget.URL),)), "default_paths[0].url", "required"),
        (FlowParts(default_paths=(Path(target=PathTarget.CAMPAIGN),)), "default_paths[0].campaign_id", "required"),
        (FlowParts(default_paths=(Path(id=3), Path(id=3))), "default_paths[1].id", "duplicate"),
        (FlowParts(rules=(Rule(id=3, paths=(Path(id=4),)),), default_paths=(Path(id=4),)), "default_paths[0].id", "duplicate"),
        (FlowParts(rules=(Rule(conditions=(Condition(field="x", values=("y",)),)),)), "rules[0].conditions[0].field", "not_found"),
        (FlowParts(rules=(Rule(name="a\nb"),)), "rules[0].name", "character"),
    ],
)  # fmt: skip
def test_a_faulty_flow_is_refused_where_it_is_faulty(parts: FlowParts, field: str, code: str) -> None:
    assert [(fault.field, fault.code) for fault in flow_faults(parts)] == [(field, code)]
