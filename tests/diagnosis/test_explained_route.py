"""Routes are explained as the edge decides them, and past ones as the click kept them."""

import random
from collections import Counter

import msgspec
import pytest

from clickloop.click.click import Click
from clickloop.click.routing.flow import choose, draw_after_hop
from clickloop.click.routing.not_served import NotServedReason
from clickloop.click.routing.visitor_values import click_value_of
from clickloop.diagnosis.condition_phrases import FlowNames
from clickloop.diagnosis.route.explained import (
    ClosedReason,
    ConditionVerdict,
    Doubt,
    ExplainedFlow,
    RouteExplanation,
    RouteState,
    RuleVerdict,
    ValueState,
    VisitorValue,
)
from clickloop.diagnosis.route.explaining import CapInForce, FlowContext, FlowInForce, keyed_flow
from clickloop.diagnosis.route.recorded import KeptValues, explain_click, steps_of
from clickloop.diagnosis.route.simulated import explain_visitor
from clickloop.setup.condition import Condition, Operator
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, Path, PathTarget, Rule
from clickloop.setup.instance import IpStorage
from tests.diagnosis.random_flow import random_flow, random_visitor

EVERYTHING = FlowContext(lists={}, names=FlowNames(), why_not=lambda _path, _kind, _number: None)
CLICK = Click(click_id="c", at=1_790_000_000_000, campaign_id=1, source_id=1, flow_id=5, flow_version=2)
WHOLE = KeptValues()
US = Condition(field="country", values=("US",))
MOBILE = Condition(field="device", values=("mobile",))


def flow_of(parts: FlowParts, flow_id: int = 5, version: int = 2) -> FlowInForce:
    return FlowInForce(flow_id=flow_id, version=version, name="campaign 'A'", parts=parts)


def recorded(click: Click, parts: FlowParts, draw: int) -> Click:
    """A click as the edge keeps it after a decision."""
    ready = keyed_flow(parts, {})
    choice = choose(ready, [click_value_of(click, field) for field in ready.fields], draw)
    item = None if choice.path is None else choice.path.choose(draw)
    kind, number = item or (None, 0)
    return msgspec.structs.replace(
        click,
        rule_id=choice.rule_id,
        path_id=0 if choice.path is None else choice.path.id,
        failed_conditions=choice.failed,
        landing_id=number if kind is PathTarget.LANDING_AND_OFFER else 0,
        offer_id=number if kind is PathTarget.OFFER else 0,
        draw=draw,
    )


def explained(
    click: Click, *flows: FlowInForce, context: FlowContext = EVERYTHING, kept: KeptValues = WHOLE
) -> RouteExplanation:
    return explain_click(click, {(flow.flow_id, flow.version): flow for flow in flows}, context, kept)


def chosen_path(flow: ExplainedFlow) -> int:
    return next((path.share.id for path in flow.paths if path.share.chosen), 0)


def test_what_is_explained_of_2000_random_flows_is_what_the_edge_chooses() -> None:
    chance = random.Random(20261130)
    taken = Counter[bool]()
    for _ in range(2000):
        parts = random_flow(chance)
        click = random_visitor(chance, CLICK)
        draw = chance.getrandbits(63)
        click = recorded(click, parts, draw)

        of_click = explained(click, flow_of(parts))
        assert of_click.agrees
        of_visitor = explain_visitor(flow_of(parts), {}, lambda field, c=click: _known(c, field), EVERYTHING, draw)  # type: ignore[misc]
        for flow in (of_click.flows[0], of_visitor.flows[0]):
            assert (flow.rule_id, chosen_path(flow)) == (click.rule_id, click.path_id)
            for path in flow.paths:
                if path.share.chosen:
                    assert [share.id for share in path.landings if share.chosen] == [click.landing_id][
                        : click.landing_id
                    ]
                    assert flow.path_draw is not None
                    assert path.share.start <= flow.path_draw < path.share.end
        failed = [rule for rule in of_click.flows[0].rules if rule.verdict is RuleVerdict.FAILED]
        assert [_first_failed(rule.conditions) for rule in failed] == [
            ord(letter) - 97 for letter in click.failed_conditions
        ]
        taken[click.rule_id > 0] += 1

        shares = explain_visitor(flow_of(parts), {}, lambda field, c=click: _known(c, field), EVERYTHING)  # type: ignore[misc]
        assert sum(one.percent for one in shares.destinations) == pytest.approx(100)
    assert min(taken.values()) > 500


def _known(click: Click, field: str) -> VisitorValue:
    value = click_value_of(click, field)
    return VisitorValue(value, ValueState.KNOWN if value else ValueState.UNKNOWN)


def _first_failed(conditions: tuple[object, ...]) -> int:
    return [getattr(condition, "verdict", None) for condition in conditions].index(ConditionVerdict.FAILED)


def test_each_condition_says_what_the_visitor_had() -> None:
    zone = Condition(field="v1", op=Operator.NOT_IN, values=("77", "78"))
    rules = (
        Rule(id=1, name="Off", active=False, conditions=(US,)),
        Rule(id=2, name="Tablets", conditions=(Condition(field="device", values=("tablet",)), US)),
        Rule(id=3, name="US", conditions=(US, zone), paths=(Path(id=9, offers=(OfferShare(4),)),)),
        Rule(id=4, name="Rest", conditions=(MOBILE,)),
    )
    parts = FlowParts(rules=rules)
    click = recorded(msgspec.structs.replace(CLICK, country="US", device="mobile"), parts, 7)
    (flow,) = explained(click, flow_of(parts)).flows
    assert [(rule.name, rule.verdict) for rule in flow.rules] == [
        ("Off", RuleVerdict.INACTIVE),
        ("Tablets", RuleVerdict.FAILED),
        ("US", RuleVerdict.TOOK),
        ("Rest", RuleVerdict.NOT_TRIED),
    ]
    told = [(c.phrase, c.value, c.state, c.verdict) for rule in flow.rules[1:3] for c in rule.conditions]
    assert told == [
        ("on tablets", "mobile", ValueState.KNOWN, ConditionVerdict.FAILED),
        ("from the United States", "US", ValueState.KNOWN, ConditionVerdict.NOT_TRIED),
        ("from the United States", "US", ValueState.KNOWN, ConditionVerdict.HELD),
        ("whose V1 is not 77 or 78", "", ValueState.UNKNOWN, ConditionVerdict.HELD),
    ]
    assert [c.by_default for c in flow.rules[2].conditions] == [False, True]


def test_a_path_without_visitors_says_why() -> None:
    paths = (
        Path(id=1, name="A", offers=(OfferShare(1, 30), OfferShare(2, 10), OfferShare(3, 0))),
        Path(id=2, name="B", active=False, offers=(OfferShare(1),)),
        Path(id=3, name="C", weight=0, offers=(OfferShare(1),)),
        Path(id=4, name="D"),
        Path(id=5, name="E", weight=300, target=PathTarget.URL, url="https://a.example/"),
    )
    context = msgspec.structs.replace(
        EVERYTHING, why_not=lambda _path, _kind, number: NotServedReason.OFFER_GONE if number == 2 else None
    )
    route = explain_visitor(flow_of(FlowParts(default_paths=paths)), {}, _no_value, context)
    (flow,) = route.flows
    assert [(path.share.percent, path.share.left_out) for path in flow.paths] == [
        (25, None),
        (0, ClosedReason.INACTIVE),
        (0, ClosedReason.NO_WEIGHT),
        (0, ClosedReason.NOTHING_SERVED),
        (75, None),
    ]
    assert [(offer.percent, offer.left_out) for offer in flow.paths[0].offers][:2] == [
        (100, None),
        (0, NotServedReason.OFFER_GONE),
    ]
    assert [(one.kind, one.name, one.percent) for one in route.destinations] == [
        (PathTarget.OFFER, "offer 1", 25),
        (PathTarget.URL, "https://a.example/", 75),
    ]


def _no_value(_field: str) -> VisitorValue:
    return VisitorValue("", ValueState.UNKNOWN)


def test_a_hop_to_another_campaign_is_explained_with_its_own_draw() -> None:
    first = FlowParts(
        default_paths=(Path(id=1, target=PathTarget.CAMPAIGN, campaign_id=2), Path(id=2, offers=(OfferShare(1),)))
    )
    second = FlowParts(default_paths=(Path(id=3, offers=(OfferShare(8), OfferShare(9))),))
    other = flow_of(second, flow_id=6, version=1)
    route = explain_visitor(flow_of(first), {2: other}, _no_value, EVERYTHING)
    assert [(flow.flow_id, flow.percent) for flow in route.flows] == [(5, 100), (6, 50)]
    assert [(one.name, one.percent) for one in route.destinations] == [
        ("offer 1", 50),
        ("offer 8", 25),
        ("offer 9", 25),
    ]

    draw = next(n for n in range(100) if choose(keyed_flow(first, {}), (), n).path == keyed_flow(first, {}).path(1))
    click = recorded(
        msgspec.structs.replace(CLICK, flow_id=6, flow_version=1, hops="5:2:0:1:"), second, draw_after_hop(draw)
    )
    click = msgspec.structs.replace(click, draw=draw)
    told = explained(click, flow_of(first), other)
    assert told.agrees
    assert [(flow.flow_id, chosen_path(flow)) for flow in told.flows] == [(5, 1), (6, 3)]


def test_a_click_whose_kept_values_lead_elsewhere_says_why() -> None:
    office = Condition(field="ip", values=("198.51.100.7",))
    parts = FlowParts(
        rules=(Rule(id=1, name="Office", conditions=(office,), paths=(Path(id=2, offers=(OfferShare(1),)),)),),
        default_paths=(Path(id=3, offers=(OfferShare(1), OfferShare(2))),),
    )
    click = recorded(msgspec.structs.replace(CLICK, ip="198.51.100.7"), parts, 99)
    shortened = msgspec.structs.replace(click, ip="198.51.100.0")
    told = explained(shortened, flow_of(parts), kept=KeptValues(ip_storage=IpStorage.SHORTENED))
    assert [(one.doubt, one.where) for one in told.doubts] == [(Doubt.VALUE_NOT_KEPT, "'Office', condition 1")]
    assert told.flows[0].rules[0].verdict is RuleVerdict.TOOK  # as the click kept it
    assert told.flows[0].rules[0].conditions[0].state is ValueState.SHORTENED


def test_an_offer_archived_since_is_named_as_the_reason() -> None:
    parts = FlowParts(default_paths=(Path(id=3, name="All", offers=(OfferShare(1), OfferShare(2))),))
    draw = next(n for n in range(100) if recorded(CLICK, parts, n).offer_id == 2)
    click = recorded(CLICK, parts, draw)
    gone = msgspec.structs.replace(
        EVERYTHING, why_not=lambda _path, _kind, number: NotServedReason.OFFER_GONE if number == 2 else None
    )
    told = explained(click, flow_of(parts), context=gone)
    assert [(one.doubt, one.where) for one in told.doubts] == [(Doubt.GONE_SINCE, "the default paths, 'All'")]
    assert [share.percent for share in told.flows[0].paths[0].offers] == [50, 50]
    then = msgspec.structs.replace(click, offer_id=1)  # offer 2 was archived then and is back
    assert [one.doubt for one in explained(then, flow_of(parts)).doubts] == [Doubt.SERVED_THEN_UNKNOWN]


def test_a_click_from_before_flows_and_one_of_a_lost_version_say_so() -> None:
    assert explained(msgspec.structs.replace(CLICK, flow_id=0, offer_id=3)).state is RouteState.BEFORE_FLOWS
    assert explained(msgspec.structs.replace(CLICK, flow_id=0)).state is RouteState.NO_FLOW
    assert explained(CLICK).state is RouteState.VERSION_MISSING


def test_damaged_hops_end_the_route_and_raise_nothing() -> None:
    for hops in ("x", "1:2:3", "1:2:3:4:a,", "::::", "1:2:3:-4:", "٣:1:1:1:", "9" * 30 + ":1:1:1:"):
        assert len(steps_of(msgspec.structs.replace(CLICK, hops=hops))) <= 2


def test_of_a_page_tracked_directly_the_path_is_explained_without_a_doubt() -> None:
    landings = (LandingShare(landing_id=1), LandingShare(landing_id=2))
    parts = FlowParts(
        default_paths=(
            Path(
                id=3, target=PathTarget.LANDING_AND_OFFER, landings=landings, offers=(OfferShare(offer_id=1, weight=1),)
            ),
        )
    )
    click = msgspec.structs.replace(recorded(CLICK, parts, 77), landing_id=0, offer_id=0)
    found = explained(click, flow_of(parts))
    assert (found.doubts, chosen_path(found.flows[0])) == ((), 3)


# Caps -----------------------------------------------------------------------------------------------------------------

CAPPED_PARTS = FlowParts(default_paths=(Path(id=3, offers=(OfferShare(1, 50), OfferShare(2, 50))),))


def with_caps(**instead: int) -> FlowContext:
    """The context in which the caps of ``offer_1`` and so on are reached."""
    caps = {int(name[6:]): CapInForce(number, f"{name} had reached its cap") for name, number in instead.items()}

    def why_not(_path: Path, kind: PathTarget, number: int) -> NotServedReason | None:
        is_out = kind is PathTarget.OFFER and number in caps and not caps[number].instead_id
        return NotServedReason.CAPPED if is_out else None

    return msgspec.structs.replace(EVERYTHING, why_not=why_not, caps=caps)


def test_a_visitor_whom_a_cap_sent_on_is_explained_by_the_offer_of_the_path() -> None:
    chance = random.Random(9)
    for _ in range(50):
        click = recorded(CLICK, CAPPED_PARTS, chance.getrandbits(63))
        if click.offer_id == 1:
            click = msgspec.structs.replace(click, offer_id=9, instead_of=1)
        route = explained(click, flow_of(CAPPED_PARTS), context=with_caps(offer_1=9))
        assert route.agrees
        chosen = [share for share in route.flows[0].paths[0].offers if share.chosen]
        assert [(share.id, share.cap) for share in chosen] == (
            [(1, "offer_1 had reached its cap")] if click.instead_of else [(2, "")]
        )


def test_an_offer_that_its_cap_took_out_of_the_rotation_has_no_share() -> None:
    click = msgspec.structs.replace(CLICK, path_id=3, offer_id=2, draw=5, routing_state=1)
    route = explained(click, flow_of(CAPPED_PARTS), context=with_caps(offer_1=0))
    assert route.agrees
    first, second = route.flows[0].paths[0].offers
    assert (first.percent, first.left_out, second.percent) == (0, NotServedReason.CAPPED, 100)


def test_described_visitors_are_shared_among_the_offers_that_take_them() -> None:
    route = explain_visitor(flow_of(CAPPED_PARTS), {}, lambda field: _known(CLICK, field), with_caps(offer_1=9))
    assert [(one.id, one.percent) for one in route.destinations] == [(9, 50), (2, 50)]
