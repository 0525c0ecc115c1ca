"""Replay recorded clicks along a changed flow, with the edge's own code and in bounded memory. Pure."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from clickloop.click.routing.conditions import ReadyCondition, Value
from clickloop.click.routing.flow import (
    ReadyFlow,
    ReadyPath,
    Weighted,
    choose_path,
    draw_after_hop,
    path_id_of,
    rule_for,
)
from clickloop.click.routing.recall import PATH_CHOICE, Recall, read_recall
from clickloop.diagnosis.backtest.field_reader import ComparedFields, FieldReader, columns_of, is_unjudged
from clickloop.diagnosis.backtest.result import UnjudgedField
from clickloop.diagnosis.route.recalled import ItemKey, key_id, left_of
from clickloop.diagnosis.route.recorded import KeptValues
from clickloop.report.click_rows import ConversionSum
from clickloop.setup.flow import MAX_DEPTH, PathTarget

MAX_REMEMBERED = 100_000
"""Maximum number of cached decisions, and of cached values per field."""
MAX_ROUTE_PAIRS = 20_000
"""Pairs of recorded and new route that are counted apart."""
REST, MOVED_REST = (-1, -1, -1, -1), (-2, -2, -2, -2)
"""Stand-ins for pairs beyond ``MAX_ROUTE_PAIRS``: those with the same destination, and those with another one."""


class RouteEnd(NamedTuple):
    """The end of a click's route: ids of the last flow's rule and path, and of landing or offer; 0 for none."""

    rule_id: int
    path_id: int
    landing_id: int
    offer_id: int

    @property
    def destination(self) -> tuple[int, int, int]:
        """Return what the visitor sees: a landing, an offer, else the path to a URL or a 404; all 0: the fallback."""
        return (self.landing_id, self.offer_id, 0 if self.landing_id or self.offer_id else self.path_id)


class Tally:
    """The sums of the clicks of one pair of routes."""

    __slots__ = ("clicks", "conversions", "money")

    def __init__(self) -> None:
        self.clicks = 0
        self.conversions = 0
        self.money: dict[str, list[int]] = {}
        """Cost, revenue and pending by currency."""

    def add_money(self, currency: str, cost: int = 0, revenue: int = 0, pending: int = 0) -> None:
        """Add amounts in micros."""
        sums = self.money.setdefault(currency, [0, 0, 0])
        sums[0] += cost
        sums[1] += revenue
        sums[2] += pending


class _Decision(NamedTuple):
    """A flow's decision for all visitors for whom the same conditions hold. ``unjudged``: fields that the clicks did not store."""

    rule_id: int
    paths: Weighted[ReadyPath[ItemKey]]
    values: tuple[Value, ...]
    unjudged: tuple[str, ...]


class BacktestFlows(msgspec.Struct, frozen=True, kw_only=True):
    """The changed flow, and those of the campaigns that paths may lead to, by campaign."""

    first: ReadyFlow[ItemKey]
    others: Mapping[int, ReadyFlow[ItemKey]] = {}

    def fields(self) -> tuple[str, ...]:
        """Return the fields that any of the flows compares."""
        return tuple(dict.fromkeys(field for flow in (self.first, *self.others.values()) for field in flow.fields))

    def conditions_on(self, field: str) -> tuple[ReadyCondition, ...]:
        """Return the conditions of all flows that compare a field."""
        return tuple(
            condition
            for flow in (self.first, *self.others.values())
            for rule in flow.rules
            for _, condition, _ in rule.conditions
            if condition.field == field
        )


class _Versions:
    """A cache of the fields that each version of a flow compared."""

    def __init__(self, compared: ComparedFields) -> None:
        self._compared = compared
        self._known: dict[tuple[int, int], Collection[str]] = {}

    def of(self, flow_id: int, version: int) -> Collection[str]:
        found = self._known.get((flow_id, version))
        if found is None:
            found = self._known[flow_id, version] = self._compared(flow_id, version) if flow_id else ()
        return found


class Replay:
    """Replayed clicks, summed up by their recorded and new route.

    A decision depends only on which conditions hold. That is cached per value of a field, and the decision per combination, so that
    few clicks are decided from scratch.
    """

    def __init__(
        self,
        flows: BacktestFlows,
        kept: KeptValues,
        compared: ComparedFields,
        *,
        max_route_pairs: int = MAX_ROUTE_PAIRS,
        max_remembered: int = MAX_REMEMBERED,
    ) -> None:
        """``compared``: called once per version of a flow, for values that are stored only if they were compared."""
        self._flows = flows
        self._max_route_pairs = max_route_pairs
        self._max_remembered = max_remembered
        self._fields = flows.fields()
        self.columns = (*columns_of(self._fields, kept), "instead_of", "seen")
        """Fields of a click to read behind those of ``ClickRow``. The last ones: the path's own offer where a cap sent the visitor on
        to another, and what the visitor's cookie remembered."""
        versions = _Versions(compared)
        self._readers = [
            FieldReader(field, flows.conditions_on(field), self.columns, kept, versions.of, max_remembered)
            for field in self._fields
        ]
        self._decisions: dict[tuple[int, ...], _Decision] = {}
        self._places = {id(flow): _places(flow, self._fields) for flow in (flows.first, *flows.others.values())}
        self._tallies: dict[tuple[tuple[int | None, ...], tuple[int, ...]], Tally] = {}
        self._unjudged: dict[str, int] = {}
        self.clicks = 0
        self.without_draw = 0
        self.returning = 0

    def add(self, rows: Sequence[tuple[Any, ...]], earned: Mapping[str, Sequence[ConversionSum]]) -> None:
        """Add clicks. A row: ``ClickRow``, then ``columns``. ``earned``: the conversions of those that have any, by click id."""
        decisions, tallies = self._decisions, self._tallies
        readers = [(reader.key_of, reader.remembered, reader.remember) for reader in self._readers]
        for row in rows:
            signature = []
            for key_of, remembered, remember in readers:
                key = key_of(row)
                found = remembered.get(key)
                signature.append(remember(row, key) if found is None else found)
            decision = decisions.get(tuple(signature)) or self._decide(row, tuple(signature))
            draw = row[2]
            if not draw:
                draw = derived_draw(row[0])
                self.without_draw += 1
            recall = read_recall(row[-1], key_id) if row[-1] else None
            if recall is None:
                path = decision.paths.choose(draw, PATH_CHOICE)
            else:
                path = choose_path(decision.paths, draw, recall)[0]
                self.returning += 1
            if path is None:
                after: tuple[int, ...] = (decision.rule_id, 0, 0, 0)
            elif path.target is not PathTarget.CAMPAIGN:
                after = _end_of(decision.rule_id, path, draw, recall)
            else:
                after = self._follow(decision, path, draw, recall)
            # Caps are left out on both sides: no change of the flow would have moved a visitor whom a cap sent on.
            before = (*row[5:8], row[-2]) if row[-2] else row[5:9]
            tally = tallies.get((before, after)) or self._new_tally(before, after)
            tally.clicks += 1
            if row[9]:
                tally.add_money(row[10] or "", cost=row[9])
            if row[0] in earned:
                _add_earned(tally, earned[row[0]])
            for field in decision.unjudged:
                self._unjudged[field] = self._unjudged.get(field, 0) + 1
        self.clicks += len(rows)

    def route_pairs(self) -> dict[tuple[RouteEnd, RouteEnd], Tally]:
        """Return the sums of the clicks of each pair of recorded and new route."""
        return {(_recorded_end(before), RouteEnd(*after)): tally for (before, after), tally in self._tallies.items()}

    def unjudged(self) -> tuple[UnjudgedField, ...]:
        """Return the fields whose value some clicks did not store."""
        return tuple(UnjudgedField(field, clicks) for field, clicks in sorted(self._unjudged.items()))

    def _decide(self, row: tuple[Any, ...], signature: tuple[int, ...]) -> _Decision:
        """Decide by the stored values of a click, and cache it for all clicks for which the same conditions hold."""
        seen = [reader.value_of(row) for reader in self._readers]
        values = tuple(value.value for value in seen)
        flow = self._flows.first
        rule, _ = rule_for(flow, [values[place] for place in self._places[id(flow)]])
        decision = _Decision(
            0 if rule is None else rule.id,
            flow.default_paths if rule is None else rule.paths,
            values,
            tuple(field for field, value in zip(self._fields, seen, strict=True) if is_unjudged(value)),
        )
        if len(self._decisions) >= self._max_remembered:
            self._decisions.clear()
        self._decisions[signature] = decision
        return decision

    def _follow(
        self, decision: _Decision, path: ReadyPath[ItemKey], draw: int, recall: Recall[ItemKey] | None
    ) -> tuple[int, ...]:
        """Return the end of the route of a visitor whose path leads along the flow of another campaign."""
        for _ in range(MAX_DEPTH):
            flow = self._flows.others.get(path.campaign_id or 0)
            if flow is None:
                break
            draw = draw_after_hop(draw)
            rule, _failed = rule_for(flow, [decision.values[place] for place in self._places[id(flow)]])
            rule_id = 0 if rule is None else rule.id
            paths = flow.default_paths if rule is None else rule.paths
            following = left_of(paths, path_id_of, recall, PATH_CHOICE)[0].choose(draw, PATH_CHOICE)
            if following is None:
                return (rule_id, 0, 0, 0)
            if following.target is not PathTarget.CAMPAIGN:
                return _end_of(rule_id, following, draw, recall)
            path = following
        return (0, 0, 0, 0)

    def _new_tally(self, before: tuple[int | None, ...], after: tuple[int, ...]) -> Tally:
        """Return the tally of a pair of routes. Beyond ``MAX_ROUTE_PAIRS`` only whether the destination differs is distinguished."""
        if len(self._tallies) >= self._max_route_pairs:
            went = _recorded_end(before).destination
            before, after = REST, (REST if went == RouteEnd(*after).destination else MOVED_REST)
        return self._tallies.setdefault((before, after), Tally())


def derived_draw(click_id: str) -> int:
    """Return a draw of 63 bits for a click that stored none, derived from its id so that it is reproducible."""
    return int.from_bytes(hashlib.blake2b(click_id.encode(), digest_size=8).digest(), "big") >> 1


def _recorded_end(numbers: Iterable[int | None]) -> RouteEnd:
    """Return the end of a route from a row, in which None stands for 0."""
    return RouteEnd(*(number or 0 for number in numbers))


def _end_of(rule_id: int, path: ReadyPath[ItemKey], draw: int, recall: Recall[ItemKey] | None) -> tuple[int, ...]:
    if path.landings.items:
        item = path.choose(draw, recall)
        return (rule_id, path.id, item[1] if item else 0, 0)
    item = path.choose_offer(draw, recall) if path.single is None else None
    return (rule_id, path.id, 0, item[1] if item else 0)


def _add_earned(tally: Tally, conversions: Iterable[ConversionSum]) -> None:
    for one in conversions:
        tally.conversions += one.conversions
        tally.add_money(one.currency, revenue=one.revenue_micros, pending=one.pending_micros)


def _places(flow: ReadyFlow[ItemKey], fields: Sequence[str]) -> tuple[int, ...]:
    return tuple(fields.index(field) for field in flow.fields)
