"""Rules and flows read as a person would say them."""

from typing import Any

import pytest

from clickloop.diagnosis.condition_phrases import FlowNames, can_be_unknown, condition_phrase, unknown_phrase
from clickloop.diagnosis.flow_sentences import flow_sentences, paths_phrase, percent, rule_sentences
from clickloop.setup.condition import FIELDS, OPERATORS, Condition, Operator, UnknownValue
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, Path, PathTarget, Rule
from clickloop.setup.learning import Goal, Learning

NAMES = FlowNames(
    offers={1: "Offer A", 2: "Offer B", 3: "Offer C"},
    landings={1: "Quiz", 2: "Story"},
    campaigns={5: "Other"},
    lists={7: "Bad zones"},
    parameters={"v1": "Zone"},
)
SPLIT = Path(offers=(OfferShare(1, 60), OfferShare(2, 40)))


def test_a_path_that_learns_has_its_goal_in_place_of_shares() -> None:
    learning = Path(learning=Learning(), offers=SPLIT.offers)
    assert paths_phrase((learning,), NAMES) == "to “Offer A” or “Offer B” (learning: revenue per visit)"
    single = Path(learning=Learning(), offers=SPLIT.offers[:1])
    assert paths_phrase((single,), NAMES) == "to “Offer A”"
    landings = (LandingShare(1), LandingShare(2))
    goal = Learning(goal=Goal.LANDING_CTR)
    path = Path(target=PathTarget.LANDING_AND_OFFER, learning=goal, landings=landings, offers=SPLIT.offers)
    assert paths_phrase((path,), NAMES) == (
        "to the landings “Quiz” or “Story” (learning: landing CTR), then “Offer A” (60%) or “Offer B” (40%)"
    )


def on(field: str, op: str, *values: str, **more: Any) -> Condition:
    return Condition(field=field, op=Operator(op), values=values, **more)


@pytest.mark.parametrize(
    ("condition", "phrase"),
    [
        (on("country", "in", "US", "CA"), "from the United States or Canada"),
        (on("country", "in", "NL", "DE"), "from the Netherlands or Germany"),
        (on("country", "not_in", "PH", "GB"), "from outside the Philippines and the United Kingdom"),
        (on("country", "empty"), "whose country is unknown"),
        (on("country", "in", list_id=7), "whose country is in the list “Bad zones”"),
        (on("country", "in", "DE", list_id=7), "from Germany or one in the list “Bad zones”"),
        (on("country", "not_in", "DE", list_id=7), "from outside Germany and those in the list “Bad zones”"),
        (on("continent", "in", "EU"), "from Europe"),
        (on("region", "in", "US-CA", "US-NY"), "from region US-CA or US-NY"),
        (on("city", "in", "Berlin"), "in Berlin"),
        (on("city", "contains", "burg"), "whose city contains “burg”"),
        (on("isp", "in", "Telekom"), "with the ISP Telekom"),
        (on("asn", "in", "15169"), "in AS15169"),
        (on("asn", "between", "1", ""), "whose ASN is 1 or higher"),
        (on("connection", "in", "mobile", "dialup"), "on a mobile or dial-up connection"),
        (on("device", "in", "mobile", "tablet"), "on phones or tablets"),
        (on("device", "not_in", "desktop"), "on devices other than desktop computers"),
        (on("brand", "in", "Apple"), "with a device by Apple"),
        (on("model", "not_in", "Pixel 7"), "with a model other than Pixel 7"),
        (on("os", "in", "Android"), "on Android"),
        (on("os", "not_in", "Android", "iOS"), "on systems other than Android or iOS"),
        (on("os_version", "between", "12", "15.4"), "with OS version 12 to 15.4"),
        (on("os_version", "between", "", "15"), "with OS version 15 or lower"),
        (on("browser", "in", "Chrome", "Firefox"), "in Chrome or Firefox"),
        (on("browser_version", "not_in", "120"), "with a browser version other than 120"),
        (on("language", "in", "en", "pt-br"), "whose language is en or pt-br"),
        (on("language", "not_in", "en"), "whose language is not en"),
        (on("referrer", "starts_with", "https://a.example"), "whose referrer starts with “https://a.example”"),
        (on("referrer", "empty"), "without a referrer"),
        (on("useragent", "matches", "Chrome/1[0-9]"), "whose user agent matches the expression “Chrome/1[0-9]”"),
        (on("ip", "in", "203.0.113.0/24"), "with an IP address in 203.0.113.0/24"),
        (on("ip", "not_in", "10.0.0.1", "10.0.0.2"), "with an IP address outside 10.0.0.1 and 10.0.0.2"),
        (on("ip_version", "in", "6"), "using IPv6"),
        (on("unique", "in", "yes"), "on a unique visit"),
        (on("unique", "not_in", "yes"), "on a repeat visit"),
        (on("visit_number", "in", "1"), "on visit 1"),
        (on("visit_number", "between", "2", "5"), "on visit 2 to 5"),
        (on("date", "between", "2026-12-24", ""), "from 2026-12-24 on (UTC)"),
        (on("date", "between", "", "2026-12-24T18:00", "Europe/Berlin"), "until 2026-12-24 18:00 (Europe/Berlin)"),
        (on("mark", "in", "bot_useragent", "listed_ip"), "marked as bot user agent or listed IP"),
        (on("mark", "not_in", "datacenter"), "not marked as data center"),
        (on("external_id", "in", "a"), "whose external ID is a"),
        (on("v1", "in", "77", list_id=7), "whose Zone (V1) is 77 or in the list “Bad zones”"),
        (on("v1", "not_in", list_id=7), "whose Zone (V1) is not in the list “Bad zones”"),
        (on("v2", "empty"), "without V2"),
        (on("query.sub", "in", "x"), "whose link parameter sub is x"),
    ],
)
def test_a_condition_reads_as_plain_english(condition: Condition, phrase: str) -> None:
    assert condition_phrase(condition, NAMES) == phrase


def test_a_schedule_joins_days_with_the_same_hours() -> None:
    hours = [f"{day} 9-17" for day in ("mon", "tue", "wed", "thu", "fri")]
    schedule = on("schedule", "in", "Europe/Berlin", *hours, "sat 0-12", "sat 13-24", "sun 0-24")
    assert condition_phrase(schedule, NAMES) == (
        "during Mon–Fri 9:00–17:00, Sat 0:00–12:00, 13:00–24:00 and Sun all day (Europe/Berlin)"
    )
    assert condition_phrase(on("schedule", "not_in", "UTC", "mon 0-24"), NAMES) == "outside Mon all day (UTC)"


def test_of_many_values_the_first_are_named_and_the_others_counted() -> None:
    phrase = condition_phrase(on("v1", "in", *(str(number) for number in range(10_000))), NAMES)
    assert phrase == "whose Zone (V1) is 0, 1, 2, 3, 4, 5 or 9,994 others"


@pytest.mark.parametrize("field", [*FIELDS, "query.sub"])
def test_every_field_has_a_phrase_with_each_operator_and_each_setting_for_unknown_values(field: str) -> None:
    """None is left half-filled, whatever the values."""
    for op in OPERATORS[FIELDS.get(field, FIELDS["external_id"])]:
        for values in ((), ("a",), ("a", "b"), ("a", "b", "c")):
            for unknown in (None, *UnknownValue):
                condition = Condition(field=field, op=op, values=values, unknown=unknown)
                text = rule_sentences(Rule(conditions=(condition,), paths=(SPLIT,)), NAMES)
                assert text.startswith("Visitors ")
                assert not {*"{}[]"} & {*text}
                assert "  " not in text
                is_told = "unknown" in text.partition(".")[2] or "without" in text.partition(".")[2]
                assert is_told == (can_be_unknown(field) and op is not Operator.EMPTY), text


def test_a_rule_says_who_goes_where_and_what_becomes_of_the_unknown() -> None:
    rule = Rule(conditions=(on("country", "in", "US", "CA"), on("os", "in", "Android")), paths=(SPLIT,))
    who = "Visitors from the United States or Canada on Android: 60% to “Offer A”, 40% to “Offer B”."
    assert rule_sentences(rule, NAMES) == (
        f"{who} Visitors whose country or operating system is unknown go on to the next rule."
    )
    assert rule_sentences(rule, NAMES, is_last=True) == (
        f"{who} Visitors whose country or operating system is unknown take the default paths."
    )


def test_clauses_come_after_the_short_phrases() -> None:
    conditions = (on("v1", "in", "77"), on("country", "in", "DE"), on("language", "in", "en"))
    assert rule_sentences(Rule(conditions=conditions, paths=(SPLIT,)), NAMES).startswith(
        "Visitors from Germany whose Zone (V1) is 77 and whose language is en: "
    )


def test_an_unknown_value_that_matches_is_said_to() -> None:
    rule = Rule(
        conditions=(on("country", "not_in", "DE"), on("v1", "in", "1", unknown=UnknownValue.MATCH)), paths=(SPLIT,)
    )
    assert rule_sentences(rule, NAMES).endswith(
        "Visitors whose country is unknown or without Zone (V1) count as a match."
    )


def test_fields_that_are_unknown_are_named_once() -> None:
    assert unknown_phrase(["country", "region", "country"], NAMES) == "whose country or region is unknown"
    assert unknown_phrase(["referrer", "country"], NAMES) == "whose country is unknown or without a referrer"


@pytest.mark.parametrize(
    ("paths", "phrase"),
    [
        ([], "to the fallback URL, because there is no path"),
        ([Path(weight=0)], "to the fallback URL, because every path is off or has the weight 0"),
        ([Path()], "to the fallback URL, because no offer is chosen"),
        ([Path(offers=(OfferShare(1),))], "to “Offer A”"),
        ([Path(offers=(OfferShare(9),))], "to offer 9"),
        ([SPLIT], "60% to “Offer A”, 40% to “Offer B”"),
        ([Path(target=PathTarget.NOTHING)], "to a 404 page"),
        ([Path(target=PathTarget.URL, url="https://x.example/")], "to https://x.example/"),
        ([Path(target=PathTarget.CAMPAIGN, campaign_id=5)], "to the campaign “Other”"),
        (
            [
                Path(
                    target=PathTarget.LANDING_AND_OFFER,
                    landings=(LandingShare(1, 1), LandingShare(2, 2)),
                    offers=(OfferShare(1),),
                )
            ],
            "to the landings “Quiz” (33.3%) or “Story” (66.7%), then “Offer A”",
        ),
        (
            [Path(weight=30, offers=(OfferShare(1),)), Path(weight=70, offers=SPLIT.offers)],
            "30% to “Offer A”, 70% to “Offer A” (60%) or “Offer B” (40%)",
        ),
        ([Path(offers=(OfferShare(1),)), Path(offers=(OfferShare(2),), active=False)], "to “Offer A”"),
    ],
)
def test_paths_read_with_their_shares(paths: list[Path], phrase: str) -> None:
    assert paths_phrase(paths, NAMES) == phrase


def test_a_flow_reads_rule_by_rule_and_ends_with_everyone_else() -> None:
    rules = (
        Rule(conditions=(on("country", "in", "DE"),), paths=(Path(offers=(OfferShare(1),)),)),
        Rule(conditions=(on("device", "in", "tv"),), paths=(Path(offers=(OfferShare(2),)),), active=False),
    )
    reading = flow_sentences(FlowParts(rules=rules, default_paths=(Path(offers=(OfferShare(3),)),)), NAMES)
    assert reading.rules[0] == (
        "Visitors from Germany: to “Offer A”. Visitors whose country is unknown take the default paths."
    )
    assert reading.rules[1].startswith("Off. Visitors on TVs: to “Offer B”.")
    assert reading.default == "Everyone else: to “Offer C”."
    assert flow_sentences(FlowParts(default_paths=(SPLIT,)), NAMES).default.startswith("All visitors: ")


def test_shares_are_rounded_to_what_is_read() -> None:
    assert [percent(share) for share in (1, 0.5, 1 / 3, 0.9999, 0.0001, 0)] == [
        "100%",
        "50%",
        "33.3%",
        "100%",
        "<0.1%",
        "0%",
    ]
