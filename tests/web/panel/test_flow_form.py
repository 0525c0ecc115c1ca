"""The form of a flow: what it shows is what it sends, and what it sends is what is saved."""

import random
from typing import Any

import msgspec
import pytest
from litestar.exceptions import HTTPException

from clickloop.setup.condition import FIELDS, OPERATORS, Comparison, Condition, Operator, UnknownValue, condition_faults
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, Path, PathTarget, Rule
from clickloop.setup.learning import Goal, Learning
from clickloop.setup.redirect import PassQuery, RedirectMode
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.routing.flow_draft import FlowDraft, RuleDraft, draft_of, parts_tree, without_blanks
from clickloop.web.panel.routing.flow_editing import submitted_flow
from clickloop.web.panel.routing.flow_form import packed_rule, read_draft, typed_values
from clickloop.web.panel.routing.flow_steps import anchor_of, focus_of, step_of, with_step

VALUES: dict[Comparison, tuple[str, ...]] = {
    Comparison.WORD: ("Android", "Verizon, Inc."),
    Comparison.TEXT: ("77", "a, b"),
    Comparison.LANGUAGE: ("en", "pt-br"),
    Comparison.VERSION: ("12", "17.5"),
    Comparison.NUMBER: ("1", "3"),
    Comparison.ADDRESS: ("203.0.113.0/24", "2001:db8::/32"),
    Comparison.SCHEDULE: ("Europe/Berlin", "mon 9-17", "sun 0-24"),
    Comparison.MARKS: ("datacenter", "listed_ip"),
    Comparison.DATE: ("2026-12-24", "2026-12-26T18:00", "Europe/Berlin"),
}
CODES = {
    "country": ("US", "CA"),
    "continent": ("EU", "AF"),
    "region": ("US-CA", "DE-BE"),
    "connection": ("mobile",),
    "device": ("mobile", "tv"),
    "unique": ("yes",),
    "ip_version": ("6",),
}


def conditions() -> list[Condition]:
    """A condition for each field, operator and answer for unknown values."""
    found = []
    for field, comparison in {**FIELDS, "query.sub id": Comparison.TEXT}.items():
        for op in OPERATORS[comparison]:
            for unknown in (None, *UnknownValue):
                values = () if op is Operator.EMPTY else CODES.get(field) or VALUES[comparison]
                found.append(
                    Condition(field=field, op=op, values=values, unknown=None if op is Operator.EMPTY else unknown)
                )
    return [one for one in found if not condition_faults("", one)]


def pairs_of(draft: FlowDraft) -> list[tuple[str, str]]:
    """Return the fields that the form of a draft sends, everything open."""
    pairs: list[tuple[str, str]] = []

    def add(name: str, value: str) -> None:
        pairs.append((name, value))

    def paths(at: str, found: Any) -> None:
        for number, path in enumerate(found):
            here = f"{at}[{number}]"
            for name in ("id", "name", "weight", "target", "url", "campaign_id", "redirect", "pass_query"):
                add(f"{here}.{name}", getattr(path, name))
            add(f"{here}.active", "on" if path.is_active else "")
            for name in ("goal", "window_hours", "least_share", "delay_hours"):
                add(f"{here}.{name}", getattr(path, name))
            if path.is_frozen:
                add(f"{here}.frozen", "on")
            for kind in ("landings", "offers"):
                for position, share in enumerate(getattr(path, kind)):
                    add(f"{here}.{kind}[{position}].number", share.number)
                    add(f"{here}.{kind}[{position}].weight", share.weight)

    for number, rule in enumerate(draft.rules):
        at = f"rules[{number}]"
        for name in ("id", "name"):
            add(f"{at}.{name}", getattr(rule, name))
        add(f"{at}.active", "on" if rule.is_active else "")
        for position, one in enumerate(rule.conditions):
            here = f"{at}.conditions[{position}]"
            add(f"{here}.field", one.field)
            add(f"{here}.parameter", one.field.removeprefix("query."))
            add(f"{here}.op", one.op)
            add(f"{here}.unknown", one.unknown)
            add(f"{here}.list_id", one.list_id)
            if one.field == "schedule":
                add(f"{here}.zone", one.values[0])
                for text in one.values[1:]:
                    day, _, span = text.partition(" ")
                    first, _, last = span.partition("-")
                    for hour in range(int(first), int(last)):
                        add(f"{here}.hours", f"{day} {hour}")
            elif one.op == "between":
                low, high, zone = (*one.values, "UTC")[:3]
                add(f"{here}.low", low)
                add(f"{here}.high", high)
                add(f"{here}.zone", zone)
            else:
                add(f"{here}.values", "\r\n".join(one.values))
        paths(f"{at}.paths", rule.paths)
    paths("default_paths", draft.default_paths)
    return pairs


def saved(draft: FlowDraft) -> FlowParts:
    """Return a draft as the API saves it."""
    return msgspec.convert(parts_tree(without_blanks(draft)), FlowParts)


def random_learning(chance: random.Random) -> Learning | None:
    """How a path learns, if it does."""
    if chance.random() < 0.5:
        return None
    return Learning(
        goal=chance.choice(list(Goal)),
        window_hours=chance.randrange(1, 2_000),
        least_share=chance.randrange(50),
        delay_hours=chance.choice((None, 0, 7)),
        frozen=chance.random() < 0.5,
    )


def random_path(chance: random.Random) -> Path:
    """A path with what belongs to its target."""
    target = chance.choice(list(PathTarget))
    return Path(
        id=chance.randrange(100),
        name=chance.choice(("", "Quiz, then offer")),
        active=chance.random() < 0.8,
        weight=chance.randrange(1000),
        target=target,
        landings=(LandingShare(1, 30), LandingShare(2, 0)) if target is PathTarget.LANDING_AND_OFFER else (),
        offers=(OfferShare(3), OfferShare(4, 7)) if target in (PathTarget.OFFER, PathTarget.LANDING_AND_OFFER) else (),
        url="https://x.example/?a={clickid}" if target is PathTarget.URL else "",
        campaign_id=5 if target is PathTarget.CAMPAIGN else None,
        redirect=chance.choice((None, *RedirectMode)),
        learning=random_learning(chance) if target in (PathTarget.OFFER, PathTarget.LANDING_AND_OFFER) else None,
        pass_query=chance.choice((None, *PassQuery)),
    )


def test_what_the_form_sends_is_the_flow_that_it_showed() -> None:
    chance = random.Random(7)
    waiting = conditions()
    chance.shuffle(waiting)
    assert len(waiting) > 300
    while waiting:
        rules = []
        for number in range(3):
            some, waiting = tuple(waiting[:9]), waiting[9:]
            paths = tuple(random_path(chance) for _ in range(chance.randrange(4)))
            rules.append(Rule(id=number, name=f"R{number}", active=number != 1, conditions=some, paths=paths))
        parts = FlowParts(rules=tuple(rules), default_paths=(random_path(chance), random_path(chance)))
        shown = draft_of(parts)
        assert saved(read_draft(Form(pairs_of(shown)))) == parts


def test_a_closed_rule_comes_back_whole_with_the_weights_and_the_switch_that_it_shows() -> None:
    path = Path(id=4, weight=10, offers=(OfferShare(1), OfferShare(2)))
    rule = Rule(id=9, conditions=(Condition(field="country", values=("DE",)),), paths=(path, path))
    draft = draft_of(FlowParts(rules=(rule,))).rules[0]
    pairs = [
        ("rules[0].packed", packed_rule(draft)),
        ("rules[0].active", ""),
        ("rules[0].paths[1].weight", "90"),
        ("rules[0].paths[1].offers[0].weight", "5"),
        ("rules[0].paths[1].offers[1].weight", ""),
    ]
    (read,) = saved(read_draft(Form(pairs))).rules
    assert read.conditions == rule.conditions
    assert not read.active
    assert read.paths[0] == path
    assert read.paths[1].weight == 90
    assert read.paths[1].offers == (OfferShare(1, 5), OfferShare(2, 100))


@pytest.mark.parametrize(
    "packed", ["x", "[]", '{"id": 5}', '{"conditions": [{}]}', "[" * 100_000, '{"id":"1","paths":7}']
)
def test_a_damaged_rule_is_an_unreadable_form_and_never_a_lost_rule(packed: str) -> None:
    with pytest.raises(HTTPException) as caught:
        read_draft(Form([("rules[0].packed", packed)]))
    assert caught.value.status_code == 400
    assert "Nothing was saved" in caught.value.detail


@pytest.mark.parametrize(
    ("field", "typed", "values"),
    [
        ("country", "Germany, at\nthe united states,UK", ["DE", "AT", "US", "GB"]),
        ("country", "Atlantis", ["Atlantis"]),
        ("region", "us-ca, US-NY", ["US-CA", "US-NY"]),
        ("language", "EN, pt_BR", ["en", "pt-br"]),
        ("asn", "AS15169, 8075", ["15169", "8075"]),
        ("isp", "Verizon, Inc.\n\n Telekom ", ["Verizon, Inc.", "Telekom"]),
        ("v1", "1\n1\n2", ["1", "2"]),
    ],
)
def test_values_are_read_as_people_type_them(field: str, typed: str, values: list[str]) -> None:
    assert typed_values(field, typed) == values


def test_two_values_typed_before_the_operator_was_changed_are_bounds() -> None:
    at = "rules[0].conditions[0]"
    form = Form([(f"{at}.field", "os_version"), (f"{at}.op", "between"), (f"{at}.values", "12, 15")])
    assert read_draft(form).rules[0].conditions[0].values == ("12", "15")


def test_more_rows_than_allowed_are_one_more_so_that_the_excess_is_reported() -> None:
    form = Form([(f"rules[{number}].id", "0") for number in range(300)])
    assert len(read_draft(form).rules) == 101


def two_rules() -> FlowDraft:
    rules = tuple(
        Rule(
            id=number,
            name=name,
            conditions=(Condition(field="country", values=("DE",)),),
            paths=(Path(id=10 + number, offers=(OfferShare(1), OfferShare(2))),),
        )
        for number, name in ((1, "One"), (2, "Two"))
    )
    return draft_of(FlowParts(rules=rules, default_paths=(Path(id=20, offers=(OfferShare(3),)),)))


def after(step: str, field: str = "") -> FlowDraft:
    return with_step(two_rules(), step_of(step), field)


def test_rules_are_moved_copied_and_removed() -> None:
    assert [rule.name for rule in after("down:rules[0]").rules] == ["Two", "One"]
    assert [rule.name for rule in after("up:rules[1]").rules] == ["Two", "One"]
    assert [rule.name for rule in after("up:rules[0]").rules] == ["One", "Two"]
    assert [rule.name for rule in after("remove:rules[0]").rules] == ["Two"]
    copy = after("copy:rules[0]").rules[1]
    assert (copy.name, copy.id, copy.paths[0].id, copy.is_open) == ("One (copy)", "0", "0", True)


def test_conditions_paths_offers_and_landings_are_added_and_removed() -> None:
    added = after("add_condition:rules[1]", "os").rules[1].conditions[1]
    assert (added.field, added.op) == ("os", "in")
    assert after("add_condition:rules[1]", "nonsense").rules[1].conditions[1].field == "query."
    assert after("remove_condition:rules[1].conditions[0]").rules[1].conditions == ()
    assert len(after("add_path:rules[0]").rules[0].paths) == 2
    assert len(after("add_path:default_paths").default_paths) == 2
    assert after("remove:default_paths[0]").default_paths == ()
    assert len(after("add_offer:default_paths[0]").default_paths[0].offers) == 2
    assert len(after("add_landing:rules[0].paths[0]").rules[0].paths[0].landings) == 1
    removed = after("remove:rules[0].paths[0].offers[0]").rules[0].paths[0].offers
    assert [share.number for share in removed] == ["2"]
    moved = after("up:rules[0].paths[0].offers[1]").rules[0].paths[0].offers
    assert [share.number for share in moved] == ["2", "1"]
    assert after("copy:rules[0].paths[0]").rules[0].paths[1].id == "0"


@pytest.mark.parametrize(
    "step",
    [
        *(
            "remove:rules[7]",
            "up:rules[7].paths[3]",
            "remove:rules[0].paths[9].offers[3]",
            "x",
            "remove:",
            "copy:default_paths",
        ),
        *(
            "remove:rules[0].paths[0].offers[99]",
            "remove_condition:rules[0].conditions[9]",
            "a:rules[99999]",
            "down:rules[0].x",
        ),
    ],
)
def test_a_step_that_fits_nothing_changes_nothing(step: str) -> None:
    assert after(step) == two_rules()


def test_nothing_is_added_to_what_is_full() -> None:
    full = FlowDraft(rules=tuple(RuleDraft(id=str(number)) for number in range(100)))
    assert with_step(full, step_of("copy:rules[0]")) == full
    form = Form([*((f"rules[{number}].id", "0") for number in range(100)), ("do", "add_rule")])
    assert len(submitted_flow(form).draft.rules) == 100


def test_a_rule_by_country_takes_names_and_codes_and_enter_in_its_field_adds_it_too() -> None:
    for pressed in ([("do", "add_country_rule")], []):
        submitted = submitted_flow(Form([("new_countries", "Germany, at"), *pressed]))
        assert submitted.step == "add_country_rule"
        (rule,) = submitted.draft.rules
        assert rule.conditions[0].values == ("DE", "AT")
        assert rule.is_open


def test_rows_without_a_record_and_what_belongs_to_another_target_are_not_saved() -> None:
    at = "default_paths[0]"
    form = Form(
        [
            (f"{at}.target", "url"),
            (f"{at}.url", "https://x.example/"),
            (f"{at}.offers[0].number", "3"),
            (f"{at}.campaign_id", "4"),
        ]
    )
    (path,) = submitted_flow(form).draft.default_paths
    assert (path.url, path.offers, path.campaign_id) == ("https://x.example/", (), "")
    blank = Form([(f"{at}.offers[0].number", ""), (f"{at}.offers[1].number", "3"), (f"{at}.offers[1].weight", "5")])
    (path,) = submitted_flow(blank).draft.default_paths
    assert [share.number for share in path.offers] == ["3"]


def test_a_button_leads_the_eye_to_what_it_changed() -> None:
    assert anchor_of("rules[2].paths[0]") == "rule-3-path-1"
    assert anchor_of("default_paths") == "default"
    assert focus_of(after("down:rules[0]"), step_of("down:rules[0]")) == "rule-2"
    assert focus_of(after("add_path:default_paths"), step_of("add_path:default_paths")) == "default-path-2"
    assert focus_of(two_rules(), step_of("add_rule")) == "rule-2"
