"""Summarize a backtest: moves by rule, path, landing and offer. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

from clickloop.diagnosis.backtest.replay import MOVED_REST, Replay, RouteEnd, Tally
from clickloop.diagnosis.backtest.result import BacktestResult, ClickSum, Move, MoveLevel
from clickloop.report.click_rows import MoneySum

MAX_MOVES = 100
"""Moves per level in a result. A reader looks for the large ones."""


class PartNames(msgspec.Struct, frozen=True, kw_only=True):
    """Names by id. ``parts``: of rules and paths, negative for those that are not saved."""

    parts: Mapping[int, str] = {}
    landings: Mapping[int, str] = {}
    offers: Mapping[int, str] = {}


def summed_up(replay: Replay, names: PartNames) -> BacktestResult:
    """Return the result of a replay."""
    pairs = replay.route_pairs()
    moved = [
        tally
        for (before, after), tally in pairs.items()
        if before.destination != after.destination and (before.rule_id >= 0 or tuple(after) == MOVED_REST)
    ]
    moves: list[Move] = []
    omitted = 0
    for level in MoveLevel:
        found = sorted(_moves(level, pairs, names), key=lambda move: -move.sum.clicks)
        moves += found[:MAX_MOVES]
        omitted += max(0, len(found) - MAX_MOVES)
    return BacktestResult(
        all=_sum(pairs.values()),
        moved=_sum(moved),
        without_draw=replay.without_draw,
        returning=replay.returning,
        unjudged=replay.unjudged(),
        moves=tuple(moves),
        omitted=omitted,
    )


def _moves(level: MoveLevel, pairs: Mapping[tuple[RouteEnd, RouteEnd], Tally], names: PartNames) -> Iterable[Move]:
    grouped: dict[tuple[int, int], list[Tally]] = {}
    for (before, after), tally in pairs.items():
        pair = _id_at(level, before), _id_at(level, after)
        if pair[0] != pair[1] and before.rule_id > -1:
            grouped.setdefault(pair, []).append(tally)
    for (before_id, after_id), tallies in grouped.items():
        yield Move(
            level=level,
            from_id=before_id,
            from_name=_name(level, before_id, names),
            to_id=max(0, after_id),
            to_name=_name(level, after_id, names),
            sum=_sum(tallies),
        )


def _id_at(level: MoveLevel, end: RouteEnd) -> int:
    match level:
        case MoveLevel.RULE:
            return end.rule_id
        case MoveLevel.PATH:
            return end.path_id
        case MoveLevel.LANDING:
            return end.landing_id
        case MoveLevel.OFFER:
            return end.offer_id


def _name(level: MoveLevel, number: int, names: PartNames) -> str:
    """Return the name of a part; empty for none."""
    if not number:
        return ""
    known = {MoveLevel.LANDING: names.landings, MoveLevel.OFFER: names.offers}.get(level, names.parts)
    return known.get(number, "") or (f"{level} {number}" if number > 0 else f"New {level}")


def _sum(tallies: Iterable[Tally]) -> ClickSum:
    total = Tally()
    for tally in tallies:
        total.clicks += tally.clicks
        total.conversions += tally.conversions
        for currency, (cost, revenue, pending) in tally.money.items():
            total.add_money(currency, cost, revenue, pending)
    money = tuple(MoneySum(currency, *sums) for currency, sums in sorted(total.money.items()) if any(sums))
    return ClickSum(total.clicks, total.conversions, money)
