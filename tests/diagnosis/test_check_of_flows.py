"""The check of flows: each finding's change, and no false alarm about hidden rules."""

import itertools
import random
from typing import Any

import pytest

from clickloop.click.routing.conditions import ready_condition
from clickloop.diagnosis.check.chain import Chain, CheckedFlow
from clickloop.diagnosis.check.evidence import evidence_findings
from clickloop.diagnosis.check.finding import CheckCode, CheckPlaceKind
from clickloop.diagnosis.check.flows import flow_findings
from clickloop.diagnosis.check.shadowing import hidden_rules
from clickloop.macro import Severity
from clickloop.report.evidence import LandingEvidence
from clickloop.setup.catalog import Catalog, CatalogFlow
from clickloop.setup.condition import Condition, Operator, UnknownValue
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, Path, PathTarget, Rule
from clickloop.setup.landing import Landing
from clickloop.setup.named_list import NamedList
from clickloop.setup.redirect import RedirectMode
from clickloop.setup.traffic_source import SourceParameter, TrafficSource
from tests.diagnosis.chains import CAMPAIGN, OFFER, SOURCE, WELL, chain, changed
from tests.diagnosis.random_flow import random_flow

E, W = Severity.ERROR, Severity.WARNING
TO_OFFER = Path(id=1, name="All", offers=(OfferShare(5),))
BY_LANDING = Path(id=2, target=PathTarget.LANDING_AND_OFFER, landings=(LandingShare(4),), offers=(OfferShare(5),))
QUIZ = Landing(id=4, name="Quiz", url="https://quiz.example/")
OTHER_OFFER = changed(OFFER, id=6, name="Other")
EMPTY = NamedList(id=8, name="Bad zones")
US = Condition(field="country", values=("US",))
GOOGLE = changed(SOURCE, preset="google-ads", name="Google")


def flowing(
    parts: FlowParts, landing: Landing = QUIZ, flow_id: int = 9, source: TrafficSource = SOURCE, **campaign: Any
) -> Chain:
    """Return the working chain whose campaign has this flow."""
    working = chain(source=source)
    (in_catalog,) = working.catalog.campaigns
    return changed(
        working,
        flows=(CheckedFlow(id=flow_id, campaign_id=7, parts=parts),),
        landings={4: landing},
        lists={8: EMPTY},
        offers={5: OFFER, 6: OTHER_OFFER},
        catalog=changed(
            working.catalog,
            campaigns=(changed(in_catalog, flow_id=flow_id, **campaign),),
            flows=(CatalogFlow(flow_id, 1, parts),),
        ),
    )


def ruled(*rules: Rule, **others: Any) -> Chain:
    return flowing(FlowParts(rules=rules, default_paths=(TO_OFFER,)), **others)


def by_default(*paths: Path, **others: Any) -> Chain:
    return flowing(FlowParts(default_paths=paths), **others)


def rule(*conditions: Condition, **fields: Any) -> Rule:
    return Rule(conditions=conditions, paths=(TO_OFFER,), **fields)


def listed(op: str) -> Condition:
    return Condition(field="v1", op=Operator(op), list_id=8)


def _leading(*ways: tuple[int, int]) -> Chain:
    """Return a chain of campaigns whose paths lead from one to another."""
    numbers = sorted(set(itertools.chain(*ways)))
    flows, campaigns = [], []
    for number in numbers:
        paths = tuple(Path(target=PathTarget.CAMPAIGN, campaign_id=to) for at, to in ways if at == number)
        flows.append(CheckedFlow(id=number, campaign_id=number, parts=FlowParts(default_paths=paths or (TO_OFFER,))))
        campaigns.append(changed(chain().catalog.campaigns[0], id=number, key=f"aaaaa{number}", flow_id=number))
    return changed(
        chain(),
        campaigns=tuple(changed(CAMPAIGN, id=number) for number in numbers),
        flows=tuple(flows),
        catalog=Catalog(campaigns=tuple(campaigns), flows=tuple(CatalogFlow(flow.id, 1, flow.parts) for flow in flows)),
    )


CASES: list[tuple[CheckCode, Severity, str, Chain]] = [
    (CheckCode.RULE_FOR_EVERYBODY, W, "flow.rules[0]", ruled(rule(), rule(US), rule(US))),
    (CheckCode.RULE_SHADOWED, W, "flow.rules[1]", ruled(rule(US), rule(US, Condition(field="device", values=("mobile",))))),
    (CheckCode.LIST_EMPTY, W, "flow.rules[0].conditions[0]", ruled(rule(listed("in")))),
    (CheckCode.NOT_IN_EMPTY_LIST, W, "flow.rules[0].conditions[0]", ruled(rule(listed("not_in")))),
    (CheckCode.PATHS_MISSING, E, "flow.default_paths", by_default()),
    (CheckCode.PATHS_MISSING, E, "flow.rules[0].paths", ruled(Rule(conditions=(US,), paths=(changed(TO_OFFER, active=False),)))),
    (CheckCode.WEIGHTS_ZERO, E, "flow.default_paths", by_default(changed(TO_OFFER, weight=0))),
    (CheckCode.WEIGHTS_ZERO, W, "flow.default_paths[1]", by_default(TO_OFFER, changed(TO_OFFER, offers=(OfferShare(5, 0),)))),
    (CheckCode.PATH_EMPTY, W, "flow.default_paths[1]", by_default(TO_OFFER, Path())),
    (CheckCode.PATH_EMPTY, W, "flow.default_paths[0]", by_default(changed(BY_LANDING, landings=(LandingShare(99),)))),
    (CheckCode.LANDING_WITHOUT_OFFERS, E, "flow.default_paths[0]", by_default(changed(BY_LANDING, offers=()))),
    (CheckCode.BUTTONS_WITHOUT_OFFER, W, "flow.default_paths[0]", by_default(BY_LANDING, landing=changed(QUIZ, buttons=2))),
    (CheckCode.LANDING_LOSES_CLICK_ID, W, "url", by_default(BY_LANDING, landing=changed(QUIZ, append_click_id=False))),
    (CheckCode.CLIENT_REDIRECT_FOR_GOOGLE, W, "redirect", by_default(TO_OFFER, source=GOOGLE, redirect=RedirectMode.SCRIPT)),
    (
        CheckCode.CLIENT_REDIRECT_FOR_GOOGLE,
        W,
        "flow.default_paths[0].redirect",
        by_default(changed(TO_OFFER, redirect=RedirectMode.META), source=GOOGLE),
    ),
    (CheckCode.CAMPAIGNS_TOO_DEEP, W, "flow", _leading((1, 2), (2, 3), (3, 4), (4, 5))),
    (CheckCode.CAMPAIGN_LOOP, E, "flow", by_default(Path(target=PathTarget.CAMPAIGN, campaign_id=7))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "severity", "field", "found_in"), CASES)
def test_each_change_brings_its_finding_alone(code: CheckCode, severity: Severity, field: str, found_in: Chain) -> None:
    findings = list(flow_findings(found_in))
    assert [(found.code, found.severity, found.place.field) for found in findings] == [(code, severity, field)]


def test_a_working_flow_has_no_findings() -> None:
    working = flowing(
        FlowParts(
            rules=(
                rule(US),
                rule(Condition(field="country", values=("US", "CA"))),
                rule(Condition(field="country", values=("DE",)), active=False),
                rule(Condition(field="country", values=("DE",))),
                rule(),
            ),
            default_paths=(TO_OFFER, BY_LANDING),
        ),
        source=GOOGLE,
        redirect=RedirectMode.TEMPORARY,
    )
    assert list(flow_findings(working)) == []
    cid = changed(QUIZ, url="https://quiz.example/?c={clickid}", append_click_id=False)
    assert list(flow_findings(by_default(BY_LANDING, landing=cid))) == []


@pytest.mark.parametrize(
    ("clicks", "old", "is_found"), [(50, 10, True), (50, 9, False), (51, 10, False), (9, 9, False)]
)
def test_a_landing_that_serves_old_click_ids_is_found(clicks: int, old: int, is_found: bool) -> None:
    seen = LandingEvidence(landing_id=4, landing_clicks=clicks, with_old_click_id=old)
    found = evidence_findings(by_default(BY_LANDING), changed(WELL, landings=(seen,)))
    assert [(one.code, one.place.name) for one in found] == [(CheckCode.OLD_CLICK_IDS_SERVED, "Quiz")] * is_found


def test_a_source_set_up_by_hand_is_google_by_its_click_id() -> None:
    by_hand = changed(SOURCE, parameters=(*SOURCE.parameters, SourceParameter(2, "gclid", "")))
    found = list(flow_findings(by_default(TO_OFFER, source=by_hand, redirect=RedirectMode.META)))
    assert [one.code for one in found] == [CheckCode.CLIENT_REDIRECT_FOR_GOOGLE]


def test_a_shared_flow_is_named_as_the_place() -> None:
    working = by_default()
    shared = changed(working, flows=(CheckedFlow(id=9, name="Sweeps worldwide", parts=FlowParts()),))
    (found,) = flow_findings(shared)
    assert (found.place.kind, found.place.name, found.place.field) == (
        CheckPlaceKind.FLOW,
        "Sweeps worldwide",
        "default_paths",
    )


def test_campaigns_of_a_loop_are_found_and_those_that_lead_into_it_are_not_blamed() -> None:
    found = list(flow_findings(_leading((1, 2), (2, 3), (3, 2), (4, 5))))
    assert [(one.code, one.place.id) for one in found] == [(CheckCode.CAMPAIGN_LOOP, 2), (CheckCode.CAMPAIGN_LOOP, 3)]


def test_a_visitor_passes_through_three_further_campaigns_and_not_through_four() -> None:
    assert list(flow_findings(_leading((1, 2), (2, 3), (3, 4)))) == []
    found = list(flow_findings(_leading((1, 2), (2, 3), (3, 4), (4, 5))))
    assert [(one.code, one.place.id) for one in found] == [(CheckCode.CAMPAIGNS_TOO_DEEP, 1)]


def c(field: str, op: str, *values: str, unknown: UnknownValue | None = None, list_id: int | None = None) -> Condition:
    return Condition(field=field, op=Operator(op), values=values, unknown=unknown, list_id=list_id)


@pytest.mark.parametrize(
    ("earlier", "later", "hides"),
    [
        (c("country", "in", "US", "CA"), c("country", "in", "CA"), True),
        (c("country", "in", "CA"), c("country", "in", "US", "CA"), False),
        (c("country", "not_in", "US"), c("country", "in", "CA"), True),
        (c("country", "not_in", "US"), c("country", "in", "CA", "US"), False),
        (c("country", "not_in", "US"), c("country", "not_in", "US", "CA"), True),
        (c("country", "not_in", "US", "CA"), c("country", "not_in", "US"), False),
        (c("country", "in", "US"), c("country", "in", "US", unknown=UnknownValue.MATCH), False),
        (c("country", "in", "US", unknown=UnknownValue.MATCH), c("country", "empty"), True),
        (c("language", "in", "en"), c("language", "in", "en-us"), True),
        (c("language", "in", "en-us"), c("language", "in", "en"), False),
        (c("language", "not_in", "en-us"), c("language", "in", "en"), False),
        (c("os_version", "in", "17"), c("os_version", "in", "17.5"), True),
        (c("os_version", "in", "17.5"), c("os_version", "in", "17"), False),
        (c("os_version", "between", "16", "17.3"), c("os_version", "in", "17"), False),
        (c("os", "in", "android"), c("os", "in", "Android"), True),
        (c("v1", "in", "a"), c("v1", "in", "A"), False),
        (c("v1", "starts_with", "a"), c("v1", "in", "abc"), True),
        (c("isp", "matches", "mobile"), c("isp", "in", "mobile"), False),  # in ignores case, matches does not
        (c("asn", "between", "10", "20"), c("asn", "in", "15"), True),
        (c("asn", "between", "10", "20"), c("asn", "in", "15", "21"), False),
        (c("asn", "between", "20", "10"), c("asn", "between", "10", "20"), False),
        (c("ip", "in", "10.0.0.0/8"), c("ip", "in", "10.1.0.0/16"), False),  # so, but not decided here
        (c("schedule", "in", "UTC", "mon 9-17"), c("schedule", "in", "Europe/Berlin", "mon 9-17"), False),
        (c("v1", "in", list_id=1), c("v1", "in", "b"), True),
        (c("v1", "in", list_id=2), c("v1", "in", "b"), False),
    ],
)
def test_a_condition_hides_those_that_it_holds_for_wherever_they_do(
    earlier: Condition, later: Condition, hides: bool
) -> None:
    found = list(hidden_rules([rule(earlier), rule(later, c("device", "in", "tv"))], {1: ("a", "b"), 2: ()}))
    assert found == ([(1, 0)] if hides else [])


def test_no_visitor_of_random_flows_is_taken_by_a_rule_that_is_called_hidden() -> None:
    chance = random.Random(11)
    hidden = 0
    for _ in range(800):
        rules = tuple(one for one in random_flow(chance).rules if one.conditions)
        for later, earlier in hidden_rules(rules, {}):
            hidden += 1
            for visitor in itertools.product(
                ("US", "CA", "DE", "BR", ""),
                ("mobile", "desktop", ""),
                ("9", "9.9", "10.3", "17.5", ""),
                ("a1", "b1", ""),
            ):
                values = dict(zip(("country", "device", "os_version", "v1"), visitor, strict=True))
                assert not _holds(rules[later], values) or _holds(rules[earlier], values)
    assert hidden > 50


def _holds(one: Rule, values: dict[str, str]) -> bool:
    return all(ready_condition(condition).holds(values[condition.field]) for condition in one.conditions)


def test_hidden_rules_of_a_hundred_with_ten_thousand_values_are_found_in_time() -> None:
    lists = {1: tuple(f"zone{number}" for number in range(10_000))}
    rules = [rule(c("v1", "in", f"x{number}", list_id=1)) for number in range(100)]
    assert list(hidden_rules(rules, lists)) == []
