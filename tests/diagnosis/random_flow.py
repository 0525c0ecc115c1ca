"""Random flows and visitors, for properties that hold of all of them."""

import random

import msgspec

from clickloop.click.click import Click
from clickloop.setup.condition import Condition, Operator, UnknownValue
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, Path, PathTarget, Rule

COUNTRIES = ("US", "CA", "DE", "BR", "")
DEVICES = ("mobile", "desktop", "tablet", "")
VERSIONS = ("9", "9.9", "10", "10.3", "17.5", "")
ZONES = ("a1", "a2", "b1", "")
_TARGETS = (PathTarget.OFFER, PathTarget.OFFER, PathTarget.LANDING_AND_OFFER, PathTarget.URL, PathTarget.NOTHING)


def random_flow(chance: random.Random) -> FlowParts:
    """Return a flow with up to six rules of up to three conditions, and paths of all kinds but to campaigns."""
    numbers = iter(range(1, 1000))
    rules = tuple(
        Rule(
            id=next(numbers),
            active=chance.random() < 0.9,
            conditions=tuple(_condition(chance) for _ in range(chance.randint(0, 3))),
            paths=tuple(_path(chance, next(numbers)) for _ in range(chance.randint(0, 3))),
        )
        for _ in range(chance.randint(0, 6))
    )
    return FlowParts(
        rules=rules, default_paths=tuple(_path(chance, next(numbers)) for _ in range(chance.randint(0, 3)))
    )


def random_visitor(chance: random.Random, click: Click) -> Click:
    """Return a click with random values of what the flows compare."""
    return msgspec.structs.replace(
        click,
        country=chance.choice(COUNTRIES),
        device=chance.choice(DEVICES),
        os_version=chance.choice(VERSIONS),
        v1=chance.choice(ZONES),
    )


def _condition(chance: random.Random) -> Condition:
    field, op, values = chance.choice(
        [
            ("country", "in", chance.sample(COUNTRIES[:4], 2)),
            ("country", "not_in", chance.sample(COUNTRIES[:4], 1)),
            ("device", "in", [chance.choice(DEVICES[:3])]),
            ("os_version", "between", ["9.5", chance.choice(["", "10", "17"])]),
            ("os_version", "in", [chance.choice(["9", "10", "17.5"])]),
            ("v1", "starts_with", [chance.choice("ab")]),
            ("v1", "empty", []),
        ]
    )
    unknown = None if op == "empty" else chance.choice([None, None, *UnknownValue])
    return Condition(field=field, op=Operator(op), values=tuple(values), unknown=unknown)


def _path(chance: random.Random, number: int) -> Path:
    target = chance.choice(_TARGETS)
    return Path(
        id=number,
        weight=chance.choice([0, 1, 50, 100]),
        active=chance.random() < 0.9,
        target=target,
        landings=tuple(LandingShare(n, chance.choice([0, 10, 30])) for n in range(1, chance.randint(1, 4))),
        offers=tuple(OfferShare(n, chance.choice([0, 100, 200])) for n in range(1, chance.randint(1, 5))),
        url="https://a.example/" if target is PathTarget.URL else "",
    )
