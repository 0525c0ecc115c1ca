"""The compiled flow, which chooses the rule, path, landing and offer of a visitor. Pure: values and chance are passed in.

One random number, the ``draw``, is drawn per visitor, and each choice uses a number derived from it. The click stores the draw, so that
the decision can be replayed.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from string import ascii_lowercase
from typing import Generic, TypeVar

import msgspec

from clickloop.click.routing.conditions import ReadyCondition, SharedTests, Value, ready_condition
from clickloop.click.routing.recall import LANDING_CHOICE, OFFER_CHOICE, PATH_CHOICE, Recall, RecallEffect
from clickloop.setup.flow import FlowParts, Path, PathTarget

Item = TypeVar("Item")
Chosen = TypeVar("Chosen")

_HOP = 4
"""Derived from a draw, besides the choices of ``recall``."""
MAX_DRAW_BITS = 63
"""Fits into a signed 64-bit column."""
_MASK = (1 << 64) - 1


def derived(draw: int, choice: int) -> int:
    """Return the 64-bit number of one choice, derived from a draw by SplitMix64's finaliser (Steele et al., 2014)."""
    mixed = (draw + choice * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return mixed ^ (mixed >> 31)


def draw_after_hop(draw: int) -> int:
    """Return the draw for the flow of another campaign that a path leads to."""
    return derived(draw, _HOP)


class Weighted(msgspec.Struct, Generic[Item], frozen=True):
    """Items to choose among by weight. No weight is 0."""

    items: tuple[Item, ...]
    cumulative: tuple[int, ...]
    """Running sums of the weights; the last one is the total."""

    @property
    def total(self) -> int:
        """Return the sum of the weights."""
        return self.cumulative[-1] if self.cumulative else 0

    def spans(self) -> Iterator[tuple[Item, int, int]]:
        """Yield each item with the sums of the weights before it and up to it. A draw chooses it between their shares of ``total``."""
        for item, (start, end) in zip(self.items, pairwise((0, *self.cumulative)), strict=True):
            yield item, start, end

    def choose(self, draw: int, choice: int) -> Item | None:
        """Return the item for a draw, or None if there are no items."""
        if len(self.items) == 1:
            return self.items[0]
        if not self.items:
            return None
        return self.items[bisect_right(self.cumulative, (derived(draw, choice) * self.cumulative[-1]) >> 64)]


def weighted(pairs: Iterable[tuple[Item, int]]) -> Weighted[Item]:
    """Return weighted items, without those of weight 0."""
    kept = [(item, weight) for item, weight in pairs if weight > 0]
    return Weighted(tuple(item for item, _ in kept), tuple(accumulate(weight for _, weight in kept)))


class ReadyPath(msgspec.Struct, Generic[Item], frozen=True):
    """A compiled path with its destinations, as far as they can be served. If there are landings, visitors go to one of them first."""

    id: int
    target: PathTarget
    landings: Weighted[Item]
    offers: Weighted[Item]
    single: Item | None = None
    """The destination of a path to a URL, another campaign or a 404."""
    campaign_id: int | None = None
    """The campaign of a path to another campaign."""

    def choose(self, draw: int, recall: Recall[Item] | None = None) -> Item | None:
        """Return the destination for a draw: a landing if there are any, otherwise the single destination or an offer.

        ``recall``: for a campaign that treats returning visitors in a way of their own.
        """
        if self.landings.items:
            if recall is not None:
                return choose_again(self.landings, recall.id_of, recall, draw, LANDING_CHOICE)[0]
            return self.landings.choose(draw, LANDING_CHOICE)
        return self.single if self.single is not None else self.choose_offer(draw, recall)

    def choose_offer(self, draw: int, recall: Recall[Item] | None = None) -> Item | None:
        """Return the offer for a draw, which is the same directly and from a landing; None if there is none."""
        if recall is not None:
            return choose_again(self.offers, recall.id_of, recall, draw, OFFER_CHOICE)[0]
        return self.offers.choose(draw, OFFER_CHOICE)


class ReadyRule(msgspec.Struct, Generic[Item], frozen=True):
    """A compiled rule. ``conditions``: index in ``ReadyFlow.fields``, condition, and its letter in ``Choice.failed``."""

    id: int
    conditions: tuple[tuple[int, ReadyCondition, str], ...]
    paths: Weighted[ReadyPath[Item]]


class ReadyFlow(msgspec.Struct, Generic[Item], frozen=True):
    """A compiled flow. ``fields``: the fields that its rules compare, in the order in which values are passed."""

    fields: tuple[str, ...]
    rules: tuple[ReadyRule[Item], ...]
    default_paths: Weighted[ReadyPath[Item]]

    @property
    def serves(self) -> bool:
        """Return whether some path has a destination."""
        return next(self.paths(), None) is not None

    def paths(self) -> Iterator[ReadyPath[Item]]:
        """Yield the paths that serve visitors."""
        for paths in (self.default_paths, *(rule.paths for rule in self.rules)):
            yield from paths.items

    def path(self, path_id: int) -> ReadyPath[Item] | None:
        """Return a path by its id, or None if it serves no visitors."""
        return next((path for path in self.paths() if path.id == path_id), None)

    def campaign_ids(self) -> list[int]:
        """Return the campaigns that paths lead to."""
        return [path.campaign_id for path in self.paths() if path.campaign_id is not None]


class Choice(msgspec.Struct, Generic[Item], frozen=True):
    """The decision for a visitor. ``rule_id`` is 0 for the default paths, and ``path`` None if no path can be served."""

    rule_id: int
    path: ReadyPath[Item] | None
    failed: str
    """One letter per active rule that did not match: the position of the first failed condition, starting at ``a``."""


ItemOf = Callable[[int, Path, PathTarget, int], Item | None]
"""Returns the destination for a rule id, path, kind (LANDING_AND_OFFER means a landing) and record id; None if it is not served."""


def ready_flow(
    parts: FlowParts, lists: Mapping[int, Iterable[str]], item_of: ItemOf[Item], shared: SharedTests | None = None
) -> ReadyFlow[Item]:
    """Compile a flow without faults. ``lists``: entries of the named lists by id. Paths with nothing to serve are left out.

    ``shared``: see ``ready_condition``.
    """
    shared = {} if shared is None else shared
    fields: dict[str, int] = {}
    rules = tuple(
        ReadyRule(
            rule.id,
            tuple(
                (
                    fields.setdefault(condition.field, len(fields)),
                    ready_condition(condition, lists.get(condition.list_id or 0, ()), shared),
                    ascii_lowercase[position],
                )
                for position, condition in enumerate(rule.conditions)
            ),
            _ready_paths(rule.id, rule.paths, item_of),
        )
        for rule in parts.rules
        if rule.active
    )
    return ReadyFlow(tuple(fields), rules, _ready_paths(0, parts.default_paths, item_of))


def _ready_paths(rule_id: int, paths: Iterable[Path], item_of: ItemOf[Item]) -> Weighted[ReadyPath[Item]]:
    ready = ((_ready_path(rule_id, path, item_of), path.weight) for path in paths if path.active)
    return weighted((path, weight) for path, weight in ready if path is not None)


def _ready_path(rule_id: int, path: Path, item_of: ItemOf[Item]) -> ReadyPath[Item] | None:
    """Compile a path; None if it has nothing to serve. A path with landings needs at least one of them; its offers may be missing."""
    target = path.target
    nothing: Weighted[Item] = Weighted((), ())
    landings = offers = nothing
    if target is PathTarget.LANDING_AND_OFFER:
        landings = _items(
            ((item_of(rule_id, path, target, share.landing_id), share.weight) for share in path.landings),
        )
    if target in (PathTarget.OFFER, PathTarget.LANDING_AND_OFFER):
        offers = _items(
            (item_of(rule_id, path, PathTarget.OFFER, share.offer_id), share.weight) for share in path.offers
        )
        if not (landings.items if target is PathTarget.LANDING_AND_OFFER else offers.items):
            return None
        return ReadyPath(path.id, target, landings, offers)
    hop = path.campaign_id if target is PathTarget.CAMPAIGN else None
    single = item_of(rule_id, path, target, hop or 0)
    return None if single is None else ReadyPath(path.id, target, landings, offers, single, hop)


def _items(pairs: Iterable[tuple[Item | None, int]]) -> Weighted[Item]:
    return weighted((item, weight) for item, weight in pairs if item is not None)


def rule_for(flow: ReadyFlow[Item], values: Sequence[Value]) -> tuple[ReadyRule[Item] | None, str]:
    """Return the first matching rule, or None for the default paths, and ``Choice.failed``."""
    failed = ""
    for rule in flow.rules:
        for index, condition, letter in rule.conditions:
            value = values[index]
            # Not condition.holds(): the call would cost more than the comparison.
            if not (condition.test(value) if value else condition.holds_for_unknown):
                failed += letter
                break
        else:
            return rule, failed
    return None, failed


def choose(
    flow: ReadyFlow[Item], values: Sequence[Value], draw: int, recall: Recall[Item] | None = None
) -> Choice[Item]:
    """Choose the path of a visitor. ``values``: those of ``flow.fields``. ``draw``: a random number of up to 64 bits.

    ``recall``: for a campaign that treats returning visitors in a way of their own. Rules are tried anew at each visit.
    """
    rule, failed = rule_for(flow, values) if flow.rules else (None, "")
    paths = flow.default_paths if rule is None else rule.paths
    path = paths.choose(draw, PATH_CHOICE) if recall is None else choose_path(paths, draw, recall)[0]
    return Choice(0 if rule is None else rule.id, path, failed)


def choose_path(
    paths: Weighted[ReadyPath[Item]], draw: int, recall: Recall[Item]
) -> tuple[ReadyPath[Item] | None, RecallEffect | None]:
    """Return the path of a visitor as ``choose_again`` does."""
    return choose_again(paths, path_id_of, recall, draw, PATH_CHOICE)


def path_id_of(path: ReadyPath[Item]) -> int:
    """Return a path's id."""
    return path.id


def choose_again(
    items: Weighted[Chosen], id_of: Callable[[Chosen], int], recall: Recall[Item], draw: int, choice: int
) -> tuple[Chosen | None, RecallEffect | None]:
    """Return the item for a visitor who may have been here before, and how that mattered; None if it did not."""
    left, effect = left_for(items, id_of, recall, choice)
    return left.choose(draw, choice), effect


def left_for(
    items: Weighted[Chosen], id_of: Callable[[Chosen], int], recall: Recall[Item], choice: int
) -> tuple[Weighted[Chosen], RecallEffect | None]:
    """Return the items that are left to choose among for a visitor who may have been here before, and how that mattered.

    The item they had before if it is still served; else those that they have not seen; else all.
    """
    again, seen = recall.again(choice), recall.seen(choice)
    for item in items.items if again else ():
        if id_of(item) in again:
            return Weighted((item,), (1,)), RecallEffect.SAME
    if not seen or len(items.items) < 2:
        return items, RecallEffect.NOT_AGAIN if again and items.items else None
    # Not by weighted() and spans(): this is done at each visit of a returning visitor.
    unseen: list[Chosen] = []
    cumulative: list[int] = []
    before = total = 0
    for item, end in zip(items.items, items.cumulative, strict=True):
        if id_of(item) not in seen:
            total += end - before
            unseen.append(item)
            cumulative.append(total)
        before = end
    if not unseen:
        return items, RecallEffect.ALL_SEEN
    if len(unseen) < len(items.items):
        return Weighted(tuple(unseen), tuple(cumulative)), RecallEffect.UNSEEN
    return items, RecallEffect.NOT_AGAIN if again else None
