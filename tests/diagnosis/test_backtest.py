"""Backtests decide recorded clicks as the edge would, and add up what moved."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from clickloop.click.click import Click
from clickloop.click.routing.flow import choose, draw_after_hop
from clickloop.click.routing.visitor_values import click_value_of
from clickloop.diagnosis.backtest.field_reader import FieldReader
from clickloop.diagnosis.backtest.replay import BacktestFlows, Replay, derived_draw
from clickloop.diagnosis.backtest.result import BacktestResult, MoveLevel
from clickloop.diagnosis.backtest.summary import PartNames, summed_up
from clickloop.diagnosis.route.explaining import keyed_flow, with_ids
from clickloop.diagnosis.route.recorded import KeptValues, kept_value
from clickloop.report.click_rows import ClickRow, ConversionSum, MoneySum
from clickloop.setup.condition import FIELDS, OPERATORS, Condition, Operator
from clickloop.setup.flow import FlowParts, OfferShare, Path, PathTarget, Rule
from clickloop.setup.instance import IpStorage
from tests.diagnosis.random_flow import random_flow, random_visitor

CLICK = Click(click_id="c", at=1_790_000_000_000, campaign_id=1, source_id=1, flow_id=5, flow_version=2)
WHOLE = KeptValues()
US = Condition(field="country", values=("US",))


def replayed(
    parts: FlowParts,
    clicks: Iterable[Click],
    earned: Mapping[str, Sequence[ConversionSum]] | None = None,
    others: dict[int, FlowParts] | None = None,
    kept: KeptValues = WHOLE,
    compared: tuple[str, ...] = (),
    **limits: int,
) -> Replay:
    flows = BacktestFlows(
        first=keyed_flow(parts, {}), others={number: keyed_flow(other, {}) for number, other in (others or {}).items()}
    )
    replay = Replay(flows, kept, lambda _flow, _version: compared, **limits)
    replay.add([row_of(click, replay.columns) for click in clicks], earned or {})
    return replay


def row_of(click: Click, columns: Sequence[str]) -> tuple[Any, ...]:
    """A click as the facts hold it: an absent field is NULL."""
    names = [*ClickRow._fields, *columns]
    values = [click.cost_currency if name == "currency" else getattr(click, name) for name in names]
    return tuple(None if value == "" or value == 0 else value for value in values)


def result_of(replay: Replay, **names: dict[int, str]) -> BacktestResult:
    return summed_up(replay, PartNames(**names))


def test_clicks_of_random_flows_go_where_the_edge_sends_them() -> None:
    chance = random.Random(5)
    for _ in range(150):
        parts = random_flow(chance)
        ready = keyed_flow(parts, {})
        clicks = [
            msgspec.structs.replace(random_visitor(chance, CLICK), click_id=f"c{n}", draw=chance.getrandbits(62) + 1)
            for n in range(30)
        ]
        expected = Counter[tuple[int, ...]]()
        for click in clicks:
            choice = choose(ready, [click_value_of(click, field) for field in ready.fields], click.draw)
            kind, number = (None if choice.path is None else choice.path.choose(click.draw)) or (None, 0)
            expected[
                choice.rule_id,
                0 if choice.path is None else choice.path.id,
                number if kind is PathTarget.LANDING_AND_OFFER else 0,
                number if kind is PathTarget.OFFER else 0,
            ] += 1
        found = Counter(
            {tuple(after): tally.clicks for (_, after), tally in replayed(parts, clicks).route_pairs().items()}
        )
        assert found == expected


def test_what_moved_is_counted_by_rule_path_and_offer_with_what_it_earned() -> None:
    parts = FlowParts(
        rules=(Rule(name="US", conditions=(US,), paths=(Path(name="New way", offers=(OfferShare(2),)),)),),
        default_paths=(Path(id=3, name="All", offers=(OfferShare(1),)),),
    )
    clicks = [
        msgspec.structs.replace(
            CLICK, click_id=f"c{n}", country=country, path_id=3, offer_id=1, cost_micros=1000, cost_currency="USD"
        )
        for n, country in enumerate(["US", "US", "DE", ""])
    ]
    earned = {"c0": [ConversionSum("EUR", 1, 5_000_000, 0)], "c2": [ConversionSum("USD", 2, 9_000_000, 1_000_000)]}
    result = result_of(
        replayed(with_ids(parts), clicks, earned), parts={3: "All", -1: "US", -2: "New way"}, offers={2: "B"}
    )
    assert (result.all.clicks, result.all.conversions, result.moved.clicks, result.moved.conversions) == (4, 3, 2, 1)
    assert result.moved.money == (MoneySum("EUR", 0, 5_000_000), MoneySum("USD", 2000))
    assert [
        (move.level, move.from_id, move.from_name, move.to_id, move.to_name, move.sum.clicks) for move in result.moves
    ] == [
        (MoveLevel.RULE, 0, "", 0, "US", 2),
        (MoveLevel.PATH, 3, "All", 0, "New way", 2),
        (MoveLevel.OFFER, 1, "offer 1", 2, "B", 2),
    ]


def test_an_unchanged_flow_moves_nobody_who_kept_a_draw() -> None:
    chance = random.Random(6)
    parts = FlowParts(
        default_paths=(Path(id=3, offers=(OfferShare(1), OfferShare(2))), Path(id=4, offers=(OfferShare(1),)))
    )
    ready = keyed_flow(parts, {})
    clicks = []
    for number in range(200):
        draw = chance.getrandbits(63)
        path = choose(ready, (), draw).path
        assert path is not None
        item = path.choose(draw)
        assert item is not None
        clicks.append(
            msgspec.structs.replace(CLICK, click_id=f"c{number}", draw=draw, path_id=path.id, offer_id=item[1])
        )
    result = result_of(replayed(parts, clicks))
    assert (result.moved.clicks, result.moves, result.without_draw) == (0, (), 0)


def test_a_click_without_a_draw_derives_one_from_its_id_and_is_counted() -> None:
    parts = FlowParts(default_paths=(Path(id=3, offers=(OfferShare(1), OfferShare(2))),))
    clicks = [msgspec.structs.replace(CLICK, click_id=f"c{n}", flow_id=0, offer_id=1) for n in range(1000)]
    first, again = (result_of(replayed(parts, clicks)) for _ in range(2))
    assert first == again
    assert first.without_draw == 1000
    assert 400 < first.moved.clicks < 600
    assert 0 <= derived_draw("c1") < 1 << 63


def test_a_path_to_another_campaign_is_followed_with_its_draw() -> None:
    first = FlowParts(default_paths=(Path(id=1, target=PathTarget.CAMPAIGN, campaign_id=2),))
    second = FlowParts(
        rules=(Rule(id=9, conditions=(US,), paths=(Path(id=8, offers=(OfferShare(1), OfferShare(2))),)),),
        default_paths=(Path(id=7, target=PathTarget.NOTHING),),
    )
    draw = 123_456_789
    clicks = [msgspec.structs.replace(CLICK, click_id=country, country=country, draw=draw) for country in ("US", "DE")]
    chosen = choose(keyed_flow(second, {}), ("US",), draw_after_hop(draw)).path
    assert chosen is not None
    item = chosen.choose(draw_after_hop(draw))
    assert item is not None
    ways = {tuple(after) for _, after in replayed(first, clicks, others={2: second}).route_pairs()}
    assert ways == {(9, 8, 0, item[1]), (0, 7, 0, 0)}
    assert {tuple(after) for _, after in replayed(first, clicks).route_pairs()} == {(0, 0, 0, 0)}


def test_a_value_that_clicks_did_not_keep_is_named_with_their_number() -> None:
    conditions = (
        Condition(field="query.sub", values=("x",)),
        Condition(field="ip", values=("198.51.100.7",)),
        Condition(field="city", values=("Berlin",)),
        Condition(field="query.zone", values=("77",)),
    )
    parts = FlowParts(rules=tuple(Rule(id=n + 1, conditions=(one,)) for n, one in enumerate(conditions)))
    clicks = [
        msgspec.structs.replace(CLICK, click_id="a", ip="198.51.100.0", v1="77"),
        msgspec.structs.replace(CLICK, click_id="b", ip="198.51.100.0", query="sub=x", city="Berlin"),
        msgspec.structs.replace(CLICK, click_id="old", ip="203.0.113.9", flow_id=0),
    ]
    kept = KeptValues(rows={"zone": "v1"}, ip_storage=IpStorage.SHORTENED)
    found = {one.field: one.clicks for one in replayed(parts, clicks, kept=kept).unjudged()}
    assert found == {"query.sub": 2, "ip": 2, "city": 1}
    known = replayed(parts, clicks[:2], kept=kept, compared=("query.sub",)).unjudged()
    assert [one.field for one in known] == ["ip"]


def test_every_field_is_read_from_rows_as_from_a_click() -> None:
    click = msgspec.structs.replace(
        CLICK, **{name: f"{name}!" for name in ("city", "isp", "os", "browser", "external_id", "v1", "v30", "useragent")},
        country="DE", ip="2001:db8::1", unique=True, visit_number=3, query="sub=a%20b&x=1", os_version="17.5",
    )  # fmt: skip
    kept = KeptValues(rows={"zone": "v1", "cost": "cost"})
    for field in (*FIELDS, "query.sub", "query.zone", "query.cost", "query.none"):
        for one in (click, CLICK):
            parts = FlowParts(rules=(Rule(id=1, conditions=(_condition(field),)),))
            replay = Replay(BacktestFlows(first=keyed_flow(parts, {})), kept, lambda _flow, _version: ("query.sub",))
            (reader,) = [FieldReader(field, (), replay.columns, kept, lambda _flow, _version: ("query.sub",), 9)]
            assert reader.value_of(row_of(one, replay.columns)) == kept_value(one, field, kept, ("query.sub",))


def _condition(field: str) -> Condition:
    if field in ("schedule", "date"):
        values = ("UTC", "mon 9-17") if field == "schedule" else ("2026-01-01", "")
        return Condition(field=field, op=OPERATORS[FIELDS[field]][0], values=values)
    return Condition(field=field, op=Operator.IN, values=("1.1.1.1" if field == "ip" else "1",))


def test_ways_beyond_the_limit_are_still_counted_and_told_apart_by_whether_they_moved() -> None:
    parts = FlowParts(default_paths=(Path(id=1, offers=(OfferShare(1),)),))
    clicks = [
        msgspec.structs.replace(CLICK, click_id=f"c{n}", path_id=n + 1, offer_id=1 + n % 2, draw=9) for n in range(20)
    ]
    replay = replayed(parts, clicks, max_route_pairs=3)
    result = result_of(replay)
    assert (result.all.clicks, result.moved.clicks, len(replay.route_pairs())) == (20, 10, 5)


def test_what_is_remembered_is_bounded_and_changes_no_result() -> None:
    chance = random.Random(8)
    parts = random_flow(chance)
    clicks = [msgspec.structs.replace(random_visitor(chance, CLICK), click_id=f"c{n}", draw=n + 1) for n in range(300)]
    usual = replayed(parts, clicks).route_pairs()
    bounded = replayed(parts, clicks, max_remembered=2).route_pairs()
    assert {way: tally.clicks for way, tally in usual.items()} == {way: tally.clicks for way, tally in bounded.items()}


def test_returning_visitors_are_decided_by_what_their_cookie_remembered() -> None:
    parts = FlowParts(
        default_paths=(Path(id=3, offers=(OfferShare(1), OfferShare(2))), Path(id=4, offers=(OfferShare(1),)))
    )
    clicks = [
        msgspec.structs.replace(CLICK, click_id=f"c{n}", draw=n + 1, path_id=3, offer_id=2, seen=seen)
        for n, seen in enumerate(["path;unseen;3;;;3;;1"] * 100 + ["offer;random;3;;2;;;"] * 100)
    ]
    result = result_of(replayed(parts, clicks))
    assert (result.returning, result.moved.clicks) == (200, 0)


def test_a_returning_visitors_path_is_followed_to_another_campaign() -> None:
    first = FlowParts(default_paths=(Path(id=1, target=PathTarget.CAMPAIGN, campaign_id=2), Path(id=2)))
    second = FlowParts(default_paths=(Path(id=5, offers=(OfferShare(1),)), Path(id=6, offers=(OfferShare(2),))))
    clicks = [
        msgspec.structs.replace(CLICK, click_id=f"c{n}", draw=n + 1, path_id=6, offer_id=2, seen="path;random;1,6;;;;;")
        for n in range(50)
    ]
    ways = replayed(first, clicks, others={2: second}).route_pairs()
    assert {tuple(after) for _, after in ways} == {(0, 6, 0, 2)}


def test_a_visitor_whom_a_cap_sent_on_counts_as_one_of_the_paths_own_offer() -> None:
    parts = FlowParts(default_paths=(Path(id=3, offers=(OfferShare(1),)),))
    clicks = [
        msgspec.structs.replace(CLICK, click_id=f"c{n}", draw=n + 1, path_id=3, offer_id=9, instead_of=1)
        for n in range(5)
    ]
    assert result_of(replayed(parts, clicks)).moved.clicks == 0
