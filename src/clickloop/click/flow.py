"""A flow made ready: which rule takes a visitor, which path, landing and offer they get. Pure: values and chance are passed in.

One number is drawn for a visitor, ``draw``; each choice takes a number of its own that is derived from it. The draw is kept with the
click, so that the same visitor is sent the same way again, however often the decision is replayed.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

import msgspec

from clickloop.click.conditions import ReadyCondition, Value
from clickloop.setup.flow import PathTarget

Item = TypeVar("Item")

_PATH, _LANDING, _OFFER = 1, 2, 3
_MASK = (1 << 64) - 1


def derived(draw: int, choice: int) -> int:
    """Return a number of 64 bits for one of the choices that hang on a draw: SplitMix64's finaliser (Steele et al., 2014)."""
    mixed = (draw + choice * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return mixed ^ (mixed >> 31)


class Weighted(msgspec.Struct, Generic[Item], frozen=True):
    """Things to choose among, each as likely as its weight says. None has the weight 0."""

    items: tuple[Item, ...]
    cumulative: tuple[int, ...]
    """The weights added up; the last is the sum."""

    def choose(self, draw: int, choice: int) -> Item | None:
        """Return the item for a draw; None: there is none."""
        if len(self.items) == 1:
            return self.items[0]
        if not self.items:
            return None
        return self.items[bisect_right(self.cumulative, (derived(draw, choice) * self.cumulative[-1]) >> 64)]


def weighted(pairs: Iterable[tuple[Item, int]]) -> Weighted[Item]:
    """Return items with their weights ready to choose among; those without weight are left out."""
    kept = [(item, weight) for item, weight in pairs if weight > 0]
    return Weighted(tuple(item for item, _ in kept), tuple(accumulate(weight for _, weight in kept)))


class ReadyPath(msgspec.Struct, Generic[Item], frozen=True):
    """A path with all that a visitor may get there and that is in use."""

    id: int
    target: PathTarget
    landings: Weighted[Item]
    offers: Weighted[Item]
    url: Item | None
    """Of a path that leads to an address."""
    campaign_id: int | None
    """Of a path that leads along another campaign's flow."""


class ReadyRule(msgspec.Struct, Generic[Item], frozen=True):
    """A rule that is switched on. ``conditions``: the place of each one's field in ``ReadyFlow.fields``, and the condition."""

    id: int
    conditions: tuple[tuple[int, ReadyCondition], ...]
    paths: Weighted[ReadyPath[Item]]


class ReadyFlow(msgspec.Struct, Generic[Item], frozen=True):
    """A flow ready for visitors. ``fields``: what its rules compare; a visitor's values are passed in this order."""

    fields: tuple[str, ...]
    rules: tuple[ReadyRule[Item], ...]
    default_paths: Weighted[ReadyPath[Item]]


class Choice(msgspec.Struct, Generic[Item], frozen=True):
    """The way of a visitor. ``rule_id`` 0: the default paths; ``path`` None: there was none with a weight."""

    rule_id: int
    path: ReadyPath[Item] | None
    landing: Item | None
    offer: Item | None


def ready_rules(
    rules: Iterable[tuple[int, Iterable[ReadyCondition], Weighted[ReadyPath[Item]]]],
) -> tuple[tuple[str, ...], tuple[ReadyRule[Item], ...]]:
    """Return the fields that rules compare, each once, and the rules with the places of their fields."""
    fields: dict[str, int] = {}
    ready = tuple(
        ReadyRule(
            rule_id,
            tuple((fields.setdefault(condition.field, len(fields)), condition) for condition in conditions),
            paths,
        )
        for rule_id, conditions, paths in rules
    )
    return tuple(fields), ready


def rule_for(flow: ReadyFlow[Item], values: Sequence[Value]) -> ReadyRule[Item] | None:
    """Return the first rule whose conditions all hold for a visitor; None: the default paths are theirs."""
    for rule in flow.rules:
        for place, condition in rule.conditions:
            value = values[place]
            # Not condition.holds(): the call would cost more than the comparison.
            if not (condition.test(value) if value else condition.holds_for_unknown):
                break
        else:
            return rule
    return None


def choose(flow: ReadyFlow[Item], values: Sequence[Value], draw: int) -> Choice[Item]:
    """Return the way of a visitor with these values of ``flow.fields``. ``draw``: a random number of 64 bits."""
    rule = rule_for(flow, values) if flow.rules else None
    path = (flow.default_paths if rule is None else rule.paths).choose(draw, _PATH)
    return Choice(
        0 if rule is None else rule.id,
        path,
        None if path is None else path.landings.choose(draw, _LANDING),
        None if path is None else path.offers.choose(draw, _OFFER),
    )
