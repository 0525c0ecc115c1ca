"""The check: a chain without findings, and for each code the change that produces it."""

from typing import Any

import pytest

from clickloop.conversion.notice import RefusalReason
from clickloop.diagnosis.check.check import CheckResult, check_chain
from clickloop.diagnosis.check.evidence import Evidence
from clickloop.diagnosis.check.finding import Code, Finding, Kind, moment_words
from clickloop.diagnosis.check.held import ArchivedRule, Held, SlowReceiver
from clickloop.diagnosis.check.records import looks_like_a_macro
from clickloop.diagnosis.check.views import check_text, told_check
from clickloop.macro import FindingCode, Severity
from clickloop.postback.rule import BodyKind, Header, Method, RequestTemplate
from clickloop.report.evidence import Clicks, RefusedNotices, RuleEvidence
from clickloop.setup.campaign import OfferShare
from clickloop.setup.preset.preset import network_presets, source_presets
from clickloop.setup.traffic_source import SourceParameter
from tests.diagnosis.chains import (
    CAMPAIGN,
    NETWORK,
    NOW,
    OFFER,
    OWN_LINK,
    RULE,
    SOURCE,
    TELEGRAM,
    WELL,
    chain,
    changed,
    clicks,
    offering,
    rows,
    seen,
    sending,
    waiting_for,
)

E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE
GOOD_URL = RULE.request.url


def held(**given: Any) -> Evidence:
    """Return evidence that all is well except for held-up postbacks."""
    return changed(WELL, holdups=Held(**given), checked_at=NOW)


def slow(**given: Any) -> Evidence:
    """Return evidence that all is well except for a receiver."""
    return held(receivers=(SlowReceiver(receiver="r.example:443", waiting=2, **given),))


CASES: list[tuple[Code, Severity, Kind, str, dict[str, Any] | Evidence]] = [
    (
        Code.NO_EXTERNAL_ID_PLACEHOLDER,
        E,
        Kind.TRAFFIC_SOURCE,
        "parameters[0].placeholder",
        {"source": rows(SourceParameter(-1, "external_id"))},
    ),
    (
        Code.PLACEHOLDER_NOT_A_MACRO,
        E,
        Kind.TRAFFIC_SOURCE,
        "parameters[0].placeholder",
        {"source": rows(SourceParameter(-1, "external_id", "SUBID"))},
    ),
    (
        Code.PLACEHOLDER_NOT_A_MACRO,
        W,
        Kind.TRAFFIC_SOURCE,
        "parameters[2].placeholder",
        {"source": rows(SourceParameter(1, "zone", "main"))},
    ),
    (
        Code.PLACEHOLDER_NOT_A_MACRO,
        W,
        Kind.NETWORK,
        "postback_parameters.cid",
        {"network": changed(NETWORK, postback_parameters={"cid": "sub1", "status": "{event}"})},
    ),
    (
        Code.OUR_MACRO_AS_PLACEHOLDER,
        E,
        Kind.TRAFFIC_SOURCE,
        "parameters[0].placeholder",
        {"source": rows(SourceParameter(-1, "external_id", "{externalid}"))},
    ),
    (
        Code.OUR_MACRO_AS_PLACEHOLDER,
        E,
        Kind.NETWORK,
        "postback_parameters.cid",
        {"network": changed(NETWORK, postback_parameters={"cid": "{externalid}", "status": "{event}"})},
    ),
    (Code.LINK_NOT_PUBLIC, W, Kind.INSTANCE, "public_url", {"base_url": "http://127.0.0.1:8080"}),
    (Code.CAMPAIGN_PAUSED, N, Kind.CAMPAIGN, "active", {"campaign": changed(CAMPAIGN, active=False)}),
    (Code.NO_LIVE_OFFERS, E, Kind.CAMPAIGN, "offers", {"campaign": changed(CAMPAIGN, offers=())}),
    (Code.NO_LIVE_OFFERS, E, Kind.CAMPAIGN, "offers", {"campaign": changed(CAMPAIGN, offers=(OfferShare(5, 0),))}),
    (
        Code.OFFER_LEFT_OUT,
        N,
        Kind.CAMPAIGN,
        "offers",
        {"campaign": changed(CAMPAIGN, offers=(OfferShare(5), OfferShare(9)))},
    ),
    (Code.OFFER_LOOPS, E, Kind.OFFER, "url", offering(OWN_LINK)),
    (Code.NO_FALLBACK, N, Kind.CAMPAIGN, "fallback_url", {"campaign": changed(CAMPAIGN, fallback_url="")}),
    (Code.CLICK_ID_NOT_IN_OFFER, E, Kind.OFFER, "url", offering("https://network.example/?sub1={externalid}")),
    (Code.CLICK_ID_IN_OTHER_PARAMETER, W, Kind.OFFER, "url", offering("https://network.example/?aff={clickid}&sub1=x")),
    (
        Code.OFFER_WITHOUT_NETWORK,
        N,
        Kind.OFFER,
        "network_id",
        {"network": None, "offer": changed(OFFER, network_id=None)},
    ),
    (Code.NO_VALUE_YET, W, Kind.OFFER, "url", offering("https://network.example/?sub1={clickid}&p={payout}")),
    (Code.NO_VALUE_YET, W, Kind.OFFER, "url", offering("https://network.example/?sub1={clickid}&c={city}")),
    (
        Code.NO_CLICK_ID_IN_NOTICE,
        E,
        Kind.NETWORK,
        "postback_parameters.cid",
        {"network": changed(NETWORK, postback_parameters={"status": "{event}"})},
    ),
    (
        Code.NO_CLICK_ID_IN_NOTICE,
        W,
        Kind.NETWORK,
        "postback_parameters.cid",
        {"network": changed(NETWORK, postback_parameters={})},
    ),
    (Code.NETWORK_OPEN, W, Kind.NETWORK, "token", {"network": changed(NETWORK, token="")}),
    (Code.NETWORK_TEST_ONLY, W, Kind.NETWORK, "test_only", {"network": changed(NETWORK, test_only=True)}),
    (Code.NO_POSTBACK_URL, E, Kind.TRAFFIC_SOURCE, "postback_url", {"rules": (TELEGRAM,)}),
    (
        Code.NO_POSTBACK_URL,
        W,
        Kind.TRAFFIC_SOURCE,
        "postback_url",
        {"rules": (TELEGRAM,), "source": changed(SOURCE, preset="facebook")},
    ),
    (
        Code.EXTERNAL_ID_NOT_SENT,
        E,
        Kind.TRAFFIC_SOURCE,
        "postback_url",
        sending("https://source.example/pb?p={payout}"),
    ),
    (
        Code.CLICK_ID_INSTEAD_OF_EXTERNAL_ID,
        E,
        Kind.TRAFFIC_SOURCE,
        "postback_url",
        sending("https://source.example/pb?cid={click_id}"),
    ),
    (
        Code.PRESET_WORD_LEFT,
        E,
        Kind.TRAFFIC_SOURCE,
        "postback_url",
        {"source": changed(SOURCE, preset="clickadu")} | sending("https://s.example/REPLACE/?v={externalid}"),
    ),
    (Code.RULE_OFF, W, Kind.POSTBACK_RULE, "active", {"rules": (changed(RULE, active=False),)}),
    (Code.RULE_OFF, N, Kind.POSTBACK_RULE, "active", {"rules": (RULE, changed(TELEGRAM, active=False))}),
    (Code.RULE_PAUSED, E, Kind.POSTBACK_RULE, "", {"paused": True}),
    (
        Code.SOURCE_RULES_OFF,
        W,
        Kind.CAMPAIGN,
        "source_rules_off",
        {"campaign": changed(CAMPAIGN, source_rules_off=True)},
    ),
    (Code.STATUS_UNKNOWN, E, Kind.POSTBACK_RULE, "conditions.statuses", waiting_for("sale", "gone")),
    (Code.STATUS_WITHOUT_WORDS, W, Kind.POSTBACK_RULE, "conditions.statuses", waiting_for("sale", "deposit")),
    (
        Code.STATUS_NOT_SENT,
        W,
        Kind.POSTBACK_RULE,
        "conditions.statuses",
        waiting_for("hold") | {"network": changed(NETWORK, postback_parameters={"cid": "{sub1}"})},
    ),
    (
        Code.SOURCE_MACRO_IN_OURS,
        E,
        Kind.POSTBACK_RULE,
        "request.url",
        sending("https://source.example/pb?visitor_id=${SUBID}&x={externalid}"),
    ),
    (Code.SOURCE_MACRO_IN_OURS, W, Kind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&zz={{zoneid}}")),
    (
        Code.NETWORK_MACRO_IN_OURS,
        E,
        Kind.OFFER,
        "url",
        offering("https://network.example/?sub1={sub1}&x={clickid}"),
    ),
    (Code.OTHER_STYLE, W, Kind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&c=__CLICKID__")),
    (
        Code.UNKNOWN_MACRO,
        W,
        Kind.POSTBACK_RULE,
        "request.headers[0].value",
        sending(GOOD_URL, headers=(Header("X-Y", "{pay_out}"),)),
    ),
    (Code.UNKNOWN_FILTER, W, Kind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&c={{payout|nope}}")),
    (
        Code.WRONG_ARGUMENT,
        W,
        Kind.POSTBACK_RULE,
        "request.body",
        sending(GOOD_URL, method=Method.POST, body_kind=BodyKind.FORM, body="p={payout|round:x}"),
    ),
    (Code.ENCODED_BRACES, W, Kind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&c=%7Bpayout%7D")),
    (Code.UNCLOSED_MACRO, W, Kind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&c={{payout")),
    (Code.STRAY_BRACE, W, Kind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}}}")),
    (Code.FULL_WIDTH_BRACES, W, Kind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&c=｛payout｝")),
    (Code.INVISIBLE_CHARACTER, W, Kind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&c=\u200b{{payout}}")),
    (Code.HTML_ENTITY, W, Kind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&amp;c={{payout}}")),
    (Code.SECOND_QUESTION_MARK, W, Kind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}?c={{payout}}")),
    (Code.AMPERSAND_MISSING, W, Kind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}c=1")),
    (
        Code.QUESTION_MARK_MISSING,
        W,
        Kind.OFFER,
        "url",
        {"offer": changed(OFFER, url="https://network.example/a&sub1={clickid}")},
    ),
    (
        Code.MACRO_IN_FRAGMENT,
        W,
        Kind.OFFER,
        "url",
        {"offer": changed(OFFER, url="https://network.example/?sub1={clickid}#b={country}")},
    ),
    (
        Code.CLICK_ID_IN_OTHER_PARAMETER,
        W,
        Kind.OFFER,
        "url",
        {"offer": changed(OFFER, url="https://network.example/?a=1&amp;sub1={clickid}")},
    ),
    (Code.MACRO_IN_AUTHORITY, E, Kind.POSTBACK_RULE, "request.url", sending("https://{zone}.example/?i={externalid}")),
    (
        Code.ROW_OFF,
        W,
        Kind.POSTBACK_RULE,
        "request.url",
        {"source": rows(SourceParameter(1, "zone", "{zoneid}", tracked=False))},
    ),
    (Code.ROW_OFF, W, Kind.OFFER, "url", {"source": rows(SourceParameter(1, "zone", "{zoneid}", tracked=False))}),
    (Code.ROW_MISSING, W, Kind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&c={{token9}}")),
    (Code.ROW_WITHOUT_PLACEHOLDER, N, Kind.OFFER, "url", {"source": rows(SourceParameter(1, "zone"))}),
    (Code.EMPTY_MACRO, W, Kind.POSTBACK_RULE, "request", sending(f"{GOOD_URL}&a={{alarm}}")),
    (Code.NO_CLICKS, N, Kind.CAMPAIGN, "", seen(clicks=Clicks())),
    (Code.EXTERNAL_ID_EMPTY, E, Kind.CAMPAIGN, "", clicks(without_external_id=500)),
    (Code.EXTERNAL_ID_EMPTY, W, Kind.CAMPAIGN, "", clicks(without_external_id=50)),
    (Code.EXTERNAL_ID_EMPTY, N, Kind.CAMPAIGN, "", clicks(without_external_id=1)),
    (Code.EXTERNAL_ID_UNREPLACED, W, Kind.CAMPAIGN, "", clicks(unreplaced=60)),
    (Code.EXTERNAL_ID_EMPTY, E, Kind.CAMPAIGN, "", clicks(without_external_id=490, unreplaced=490)),
    (Code.EXTERNAL_ID_UNREPLACED, E, Kind.CAMPAIGN, "", clicks(without_external_id=490, unreplaced=490)),
    (Code.EXTERNAL_ID_EMPTY, E, Kind.CAMPAIGN, "", clicks(without_external_id=490, unreplaced=30)),
    (Code.EXTERNAL_ID_UNREPLACED, N, Kind.CAMPAIGN, "", clicks(without_external_id=490, unreplaced=30)),
    (Code.EXTERNAL_ID_EMPTY, W, Kind.CAMPAIGN, "", clicks(without_external_id=30, unreplaced=30)),
    (Code.COST_UNREADABLE, W, Kind.CAMPAIGN, "", clicks(cost_unreadable=1000)),
    (Code.COST_UNREADABLE, N, Kind.CAMPAIGN, "", clicks(cost_unreadable=1)),
    (Code.NO_CONVERSIONS, W, Kind.CAMPAIGN, "", seen(conversions=0, last_conversion_at=None)),
    (Code.NO_CONVERSIONS, N, Kind.CAMPAIGN, "", seen(conversions=0, clicks=Clicks(recent=10, last_at=NOW))),
    (
        Code.NOTICES_REFUSED,
        W,
        Kind.NETWORK,
        "",
        changed(WELL, refused=(RefusedNotices(reason=RefusalReason.WRONG_TOKEN, network_id=2, count=3, last_at=NOW),)),
    ),
    (Code.WORDS_NOT_MAPPED, W, Kind.STATUS, "words", changed(WELL, words={"ftd": 3})),
    (
        Code.STATUS_NEVER_CAME,
        W,
        Kind.POSTBACK_RULE,
        "conditions.statuses",
        waiting_for("hold"),
    ),
    (
        Code.NOT_DELIVERED,
        E,
        Kind.POSTBACK_RULE,
        "",
        changed(WELL, rules=(RuleEvidence(rule_id=1, failed=2, last_error="The receiver answered 404."),)),
    ),
    (
        Code.NOT_DELIVERED,
        W,
        Kind.POSTBACK_RULE,
        "",
        changed(WELL, rules=(RuleEvidence(rule_id=1, delivered=80, failed=20),)),
    ),
    (Code.ADDRESS_REFUSED, E, Kind.POSTBACK_RULE, "request.url", held(address_refused={1: 2})),
    (
        Code.ARCHIVED_RULE_HOLDS,
        E,
        Kind.POSTBACK_RULE,
        "",
        held(archived=(ArchivedRule(rule_id=9, name="R", waiting=1),)),
    ),
    (Code.RECEIVER_PAUSED, E, Kind.RECEIVER, "", slow(paused_at=NOW, why="9 of 10 failed.", next_probe_at=NOW)),
    (Code.RECEIVER_ASKED_TO_WAIT, N, Kind.RECEIVER, "", slow(held_until=NOW + 1)),
    (Code.BACKLOG, W, Kind.RECEIVER, "", slow(due=1, due_since=NOW - 16 * 60_000)),
]


def checked(case: dict[str, Any] | Evidence) -> CheckResult:
    return check_chain(chain(), case) if isinstance(case, Evidence) else check_chain(chain(**case), WELL)


def found(case: dict[str, Any] | Evidence, code: Code) -> Finding:
    return next(finding for finding in checked(case).findings if finding.code is code)


def test_nothing_is_found_in_a_chain_that_works() -> None:
    assert check_chain(chain(), WELL).findings == ()


@pytest.mark.parametrize(("code", "severity", "kind", "field", "case"), CASES)
def test_what_breaks_the_chain_is_found_where_it_is(
    code: Code, severity: Severity, kind: Kind, field: str, case: dict[str, Any] | Evidence
) -> None:
    finding = next(finding for finding in checked(case).findings if (finding.code, finding.place.kind) == (code, kind))
    assert (finding.severity, finding.place.field) == (severity, field)
    assert finding.sentence.endswith(".")
    assert finding.remedy.endswith((".", "?"))


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_meaning_and_a_case(code: Code) -> None:
    assert code.sentence.endswith(".")
    assert code in {case[0] for case in CASES}


@pytest.mark.parametrize("code", FindingCode)
def test_everything_that_the_check_of_a_template_finds_has_a_code_here(code: FindingCode) -> None:
    assert Code(code.value)


@pytest.mark.parametrize(
    ("code", "case", "remedy"),
    [
        (Code.SOURCE_MACRO_IN_OURS, sending("https://source.example/?v=${SUBID}"), "Write {externalid}."),
        (Code.SOURCE_MACRO_IN_OURS, sending(f"{GOOD_URL}&zz={{zoneid}}"), "Write {zone}."),
        (Code.NETWORK_MACRO_IN_OURS, offering("https://network.example/?sub1={sub1}"), "Write {clickid}."),
        (Code.UNKNOWN_MACRO, sending(f"{GOOD_URL}&p={{pay_outt}}"), "Did you mean {payout}?"),
        (Code.CLICK_ID_NOT_IN_OFFER, offering("https://network.example/"), "Add sub1={clickid} to the URL."),
    ],
)
def test_the_remedy_names_the_replacement(code: Code, case: dict[str, Any], remedy: str) -> None:
    assert found(case, code).remedy == remedy


@pytest.mark.parametrize("alias", ["clickid", "click_id", "subid", "cid", "ClickID"])
def test_an_alias_of_our_click_id_in_the_offer_is_enough(alias: str) -> None:
    assert check_chain(chain(**offering(f"https://network.example/?sub1={{{alias}}}")), WELL).findings == ()


def test_an_external_id_in_the_body_is_sent_too() -> None:
    case = sending(
        "https://source.example/pb", method=Method.POST, body_kind=BodyKind.JSON, body='{"id": "{externalid}"}'
    )
    assert check_chain(chain(**case), WELL).findings == ()


def test_a_rule_of_the_whole_instance_may_name_the_row_of_any_source() -> None:
    rule = changed(TELEGRAM, request=RequestTemplate(url="https://bot.example/?z={zone}"))
    assert check_chain(chain(rules=(RULE, rule)), WELL).findings == ()


def test_a_row_that_is_off_in_many_sources_is_one_finding_that_names_some() -> None:
    off = rows(SourceParameter(1, "zone", "{zoneid}", tracked=False)).parameters
    sources = {number: changed(SOURCE, id=number, name=f"S{number}", parameters=off) for number in range(3, 8)}
    rule = changed(TELEGRAM, request=RequestTemplate(url="https://bot.example/?z={zone}"))

    found = [one for one in check_chain(chain(rules=(RULE, rule), sources=sources), WELL).findings if one.place.id == 2]

    assert [one.code for one in found] == [Code.ROW_OFF]
    assert found[0].sentence.startswith("{zone} (row V1 of 'S3', 'S4', 'S5' and 2 more) is off")


@pytest.mark.parametrize("reason", RefusalReason)
def test_every_reason_for_refusing_notices_has_a_remedy(reason: RefusalReason) -> None:
    evidence = changed(WELL, refused=(RefusedNotices(reason=reason, count=1, last_at=NOW),))
    finding = found(evidence, Code.NOTICES_REFUSED)
    assert reason.sentence in finding.sentence
    assert finding.remedy.endswith(".")


@pytest.mark.parametrize(
    "placeholder",
    sorted(
        {preset.external_id for preset in source_presets().values()}
        | {row.placeholder for preset in source_presets().values() for row in preset.rows}
        | {macro for preset in network_presets().values() for macro in preset.postback.values()} - {""}
    ),
)
def test_every_macro_of_the_presets_looks_like_one(placeholder: str) -> None:
    assert placeholder == "" or looks_like_a_macro(placeholder)


@pytest.mark.parametrize("given", [{}, {"held_until": NOW}, {"due": 1, "due_since": NOW - 14 * 60_000}])
def test_a_receiver_that_answers_in_time_is_not_reported(given: dict[str, Any]) -> None:
    assert checked(slow(**given)).findings == ()


def test_the_worst_comes_first_and_nothing_twice() -> None:
    case = {"network": changed(NETWORK, token=""), "campaign": changed(CAMPAIGN, fallback_url="", offers=())}
    findings = checked(case).findings
    order = list(Severity)
    assert [order.index(finding.severity) for finding in findings] == sorted(
        order.index(finding.severity) for finding in findings
    )
    assert len(set(findings)) == len(findings)


def test_the_page_of_text_counts_and_shows_nothing_that_moves_a_cursor() -> None:
    case = {"campaign": changed(CAMPAIGN, name="\x1b[31mred", offers=())}
    text = check_text(told_check(checked(case)))
    assert "1 error, 0 warnings, 0 notes." in text
    assert "\x1b" not in text
    assert "[no_live_offers]" in text
    assert "1,000 recent clicks" in text


def test_a_place_is_named_with_kind_number_name_and_field() -> None:
    finding = found({"network": changed(NETWORK, token="")}, Code.NETWORK_OPEN)
    assert finding.place.text == "network 2 'Everflow', token"


def test_the_times_of_a_finding_are_in_its_sentences() -> None:
    (finding,) = checked(slow(paused_at=NOW, next_probe_at=NOW + 60_000)).findings
    assert finding.moments == (NOW, NOW + 60_000)
    assert moment_words(NOW) in finding.sentence
    assert moment_words(NOW + 60_000) in finding.remedy
