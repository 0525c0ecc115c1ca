"""The check: a chain without findings, and for each code the change that produces it."""

from typing import Any

import pytest

from clickloop.conversion.notice import RefusalReason
from clickloop.diagnosis.check.caps import CapEvidence
from clickloop.diagnosis.check.check import CheckResult, check_chain
from clickloop.diagnosis.check.evidence import CheckEvidence
from clickloop.diagnosis.check.finding import CheckCode, CheckFinding, CheckPlaceKind, moment_words
from clickloop.diagnosis.check.holdups import ArchivedRule, Holdups, SlowReceiver
from clickloop.diagnosis.check.records import looks_like_a_macro
from clickloop.diagnosis.check.views import check_text, check_view
from clickloop.macro import Severity, TemplateIssueCode
from clickloop.postback.rule import BodyKind, Header, Method, RequestTemplate
from clickloop.report.evidence import ClickEvidence, RefusedNotices, RuleEvidence
from clickloop.setup.flow import FlowParts
from clickloop.setup.offer_cap import OfferCap
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
from tests.diagnosis.test_check_of_flows import CASES as FLOW_CASES
from tests.flows import offers_by_weight

E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE
GOOD_URL = RULE.request.url


def held(**given: Any) -> CheckEvidence:
    """Return evidence that all is well except for held-up postbacks."""
    return changed(WELL, holdups=Holdups(**given), checked_at=NOW)


def slow(**given: Any) -> CheckEvidence:
    """Return evidence that all is well except for a receiver."""
    return held(receivers=(SlowReceiver(receiver="r.example:443", waiting=2, **given),))


CAPPED: dict[str, Any] = {"offer": changed(OFFER, cap=OfferCap(amount=5_000, statuses=("deposit",)))}

CASES: list[tuple[CheckCode, Severity, CheckPlaceKind, str, dict[str, Any] | CheckEvidence]] = [
    (
        CheckCode.NO_EXTERNAL_ID_PLACEHOLDER,
        E,
        CheckPlaceKind.TRAFFIC_SOURCE,
        "parameters[0].placeholder",
        {"source": rows(SourceParameter(-1, "external_id"))},
    ),
    (
        CheckCode.PLACEHOLDER_NOT_A_MACRO,
        E,
        CheckPlaceKind.TRAFFIC_SOURCE,
        "parameters[0].placeholder",
        {"source": rows(SourceParameter(-1, "external_id", "SUBID"))},
    ),
    (
        CheckCode.PLACEHOLDER_NOT_A_MACRO,
        W,
        CheckPlaceKind.TRAFFIC_SOURCE,
        "parameters[2].placeholder",
        {"source": rows(SourceParameter(1, "zone", "main"))},
    ),
    (
        CheckCode.PLACEHOLDER_NOT_A_MACRO,
        W,
        CheckPlaceKind.NETWORK,
        "postback_parameters.cid",
        {"network": changed(NETWORK, postback_parameters={"cid": "sub1", "status": "{event}"})},
    ),
    (
        CheckCode.OUR_MACRO_AS_PLACEHOLDER,
        E,
        CheckPlaceKind.TRAFFIC_SOURCE,
        "parameters[0].placeholder",
        {"source": rows(SourceParameter(-1, "external_id", "{externalid}"))},
    ),
    (
        CheckCode.OUR_MACRO_AS_PLACEHOLDER,
        E,
        CheckPlaceKind.NETWORK,
        "postback_parameters.cid",
        {"network": changed(NETWORK, postback_parameters={"cid": "{externalid}", "status": "{event}"})},
    ),
    (CheckCode.LINK_NOT_PUBLIC, W, CheckPlaceKind.INSTANCE, "public_url", {"base_url": "http://127.0.0.1:8080"}),
    (CheckCode.CAMPAIGN_PAUSED, N, CheckPlaceKind.CAMPAIGN, "active", {"campaign": changed(CAMPAIGN, active=False)}),
    (CheckCode.NO_LIVE_OFFERS, E, CheckPlaceKind.CAMPAIGN, "offers", {"campaign": changed(CAMPAIGN, flow=FlowParts())}),
    (
        CheckCode.NO_LIVE_OFFERS,
        E,
        CheckPlaceKind.CAMPAIGN,
        "offers",
        {"campaign": changed(CAMPAIGN, flow=offers_by_weight((5, 0)))},
    ),
    (
        CheckCode.OFFER_LEFT_OUT,
        N,
        CheckPlaceKind.CAMPAIGN,
        "offers",
        {"campaign": changed(CAMPAIGN, flow=offers_by_weight((5, 100), (9, 100)))},
    ),
    (CheckCode.OFFER_LOOPS, E, CheckPlaceKind.OFFER, "url", offering(OWN_LINK)),
    (
        CheckCode.NO_FALLBACK,
        N,
        CheckPlaceKind.CAMPAIGN,
        "fallback_url",
        {"campaign": changed(CAMPAIGN, fallback_url="")},
    ),
    (
        CheckCode.CLICK_ID_NOT_IN_OFFER,
        E,
        CheckPlaceKind.OFFER,
        "url",
        offering("https://network.example/?sub1={externalid}"),
    ),
    (
        CheckCode.CLICK_ID_IN_OTHER_PARAMETER,
        W,
        CheckPlaceKind.OFFER,
        "url",
        offering("https://network.example/?aff={clickid}&sub1=x"),
    ),
    (
        CheckCode.OFFER_WITHOUT_NETWORK,
        N,
        CheckPlaceKind.OFFER,
        "network_id",
        {"network": None, "offer": changed(OFFER, network_id=None)},
    ),
    (
        CheckCode.NO_VALUE_YET,
        W,
        CheckPlaceKind.OFFER,
        "url",
        offering("https://network.example/?sub1={clickid}&p={payout}"),
    ),
    (
        CheckCode.NO_CLICK_ID_IN_NOTICE,
        E,
        CheckPlaceKind.NETWORK,
        "postback_parameters.cid",
        {"network": changed(NETWORK, postback_parameters={"status": "{event}"})},
    ),
    (
        CheckCode.NO_CLICK_ID_IN_NOTICE,
        W,
        CheckPlaceKind.NETWORK,
        "postback_parameters.cid",
        {"network": changed(NETWORK, postback_parameters={})},
    ),
    (CheckCode.NETWORK_OPEN, W, CheckPlaceKind.NETWORK, "token", {"network": changed(NETWORK, token="")}),
    (
        CheckCode.NETWORK_TEST_ONLY,
        W,
        CheckPlaceKind.NETWORK,
        "test_only",
        {"network": changed(NETWORK, test_only=True)},
    ),
    (CheckCode.NO_POSTBACK_URL, E, CheckPlaceKind.TRAFFIC_SOURCE, "postback_url", {"rules": (TELEGRAM,)}),
    (
        CheckCode.NO_POSTBACK_URL,
        W,
        CheckPlaceKind.TRAFFIC_SOURCE,
        "postback_url",
        {"rules": (TELEGRAM,), "source": changed(SOURCE, preset="facebook")},
    ),
    (
        CheckCode.EXTERNAL_ID_NOT_SENT,
        E,
        CheckPlaceKind.TRAFFIC_SOURCE,
        "postback_url",
        sending("https://source.example/pb?p={payout}"),
    ),
    (
        CheckCode.CLICK_ID_INSTEAD_OF_EXTERNAL_ID,
        E,
        CheckPlaceKind.TRAFFIC_SOURCE,
        "postback_url",
        sending("https://source.example/pb?cid={click_id}"),
    ),
    (
        CheckCode.PRESET_WORD_LEFT,
        E,
        CheckPlaceKind.TRAFFIC_SOURCE,
        "postback_url",
        {"source": changed(SOURCE, preset="clickadu")} | sending("https://s.example/REPLACE/?v={externalid}"),
    ),
    (CheckCode.RULE_OFF, W, CheckPlaceKind.POSTBACK_RULE, "active", {"rules": (changed(RULE, active=False),)}),
    (CheckCode.RULE_OFF, N, CheckPlaceKind.POSTBACK_RULE, "active", {"rules": (RULE, changed(TELEGRAM, active=False))}),
    (CheckCode.RULE_PAUSED, E, CheckPlaceKind.POSTBACK_RULE, "", {"paused": True}),
    (
        CheckCode.SOURCE_RULES_OFF,
        W,
        CheckPlaceKind.CAMPAIGN,
        "source_rules_off",
        {"campaign": changed(CAMPAIGN, source_rules_off=True)},
    ),
    (CheckCode.STATUS_UNKNOWN, E, CheckPlaceKind.POSTBACK_RULE, "conditions.statuses", waiting_for("sale", "gone")),
    (
        CheckCode.STATUS_WITHOUT_WORDS,
        W,
        CheckPlaceKind.POSTBACK_RULE,
        "conditions.statuses",
        waiting_for("sale", "deposit"),
    ),
    (
        CheckCode.STATUS_NOT_SENT,
        W,
        CheckPlaceKind.POSTBACK_RULE,
        "conditions.statuses",
        waiting_for("hold") | {"network": changed(NETWORK, postback_parameters={"cid": "{sub1}"})},
    ),
    (
        CheckCode.SOURCE_MACRO_IN_OURS,
        E,
        CheckPlaceKind.POSTBACK_RULE,
        "request.url",
        sending("https://source.example/pb?visitor_id=${SUBID}&x={externalid}"),
    ),
    (
        CheckCode.SOURCE_MACRO_IN_OURS,
        W,
        CheckPlaceKind.POSTBACK_RULE,
        "request.url",
        sending(f"{GOOD_URL}&zz={{zoneid}}"),
    ),
    (
        CheckCode.NETWORK_MACRO_IN_OURS,
        E,
        CheckPlaceKind.OFFER,
        "url",
        offering("https://network.example/?sub1={sub1}&x={clickid}"),
    ),
    (CheckCode.OTHER_STYLE, W, CheckPlaceKind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&c=__CLICKID__")),
    (
        CheckCode.UNKNOWN_MACRO,
        W,
        CheckPlaceKind.POSTBACK_RULE,
        "request.headers[0].value",
        sending(GOOD_URL, headers=(Header("X-Y", "{pay_out}"),)),
    ),
    (
        CheckCode.UNKNOWN_FILTER,
        W,
        CheckPlaceKind.POSTBACK_RULE,
        "request.url",
        sending(f"{GOOD_URL}&c={{payout|nope}}"),
    ),
    (
        CheckCode.WRONG_ARGUMENT,
        W,
        CheckPlaceKind.POSTBACK_RULE,
        "request.body",
        sending(GOOD_URL, method=Method.POST, body_kind=BodyKind.FORM, body="p={payout|round:x}"),
    ),
    (CheckCode.ENCODED_BRACES, W, CheckPlaceKind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&c=%7Bpayout%7D")),
    (CheckCode.UNCLOSED_MACRO, W, CheckPlaceKind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&c={{payout")),
    (CheckCode.STRAY_BRACE, W, CheckPlaceKind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}}}")),
    (CheckCode.FULL_WIDTH_BRACES, W, CheckPlaceKind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&c=｛payout｝")),
    (
        CheckCode.INVISIBLE_CHARACTER,
        W,
        CheckPlaceKind.POSTBACK_RULE,
        "request.url",
        sending(f"{GOOD_URL}&c=\u200b{{payout}}"),
    ),
    (CheckCode.HTML_ENTITY, W, CheckPlaceKind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&amp;c={{payout}}")),
    (
        CheckCode.SECOND_QUESTION_MARK,
        W,
        CheckPlaceKind.POSTBACK_RULE,
        "request.url",
        sending(f"{GOOD_URL}?c={{payout}}"),
    ),
    (CheckCode.AMPERSAND_MISSING, W, CheckPlaceKind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}c=1")),
    (
        CheckCode.QUESTION_MARK_MISSING,
        W,
        CheckPlaceKind.OFFER,
        "url",
        {"offer": changed(OFFER, url="https://network.example/a&sub1={clickid}")},
    ),
    (
        CheckCode.MACRO_IN_FRAGMENT,
        W,
        CheckPlaceKind.OFFER,
        "url",
        {"offer": changed(OFFER, url="https://network.example/?sub1={clickid}#b={country}")},
    ),
    (
        CheckCode.CLICK_ID_IN_OTHER_PARAMETER,
        W,
        CheckPlaceKind.OFFER,
        "url",
        {"offer": changed(OFFER, url="https://network.example/?a=1&amp;sub1={clickid}")},
    ),
    (
        CheckCode.MACRO_IN_AUTHORITY,
        E,
        CheckPlaceKind.POSTBACK_RULE,
        "request.url",
        sending("https://{zone}.example/?i={externalid}"),
    ),
    (
        CheckCode.ROW_OFF,
        W,
        CheckPlaceKind.POSTBACK_RULE,
        "request.url",
        {"source": rows(SourceParameter(1, "zone", "{zoneid}", tracked=False))},
    ),
    (
        CheckCode.ROW_OFF,
        W,
        CheckPlaceKind.OFFER,
        "url",
        {"source": rows(SourceParameter(1, "zone", "{zoneid}", tracked=False))},
    ),
    (CheckCode.ROW_MISSING, W, CheckPlaceKind.POSTBACK_RULE, "request.url", sending(f"{GOOD_URL}&c={{token9}}")),
    (CheckCode.ROW_WITHOUT_PLACEHOLDER, N, CheckPlaceKind.OFFER, "url", {"source": rows(SourceParameter(1, "zone"))}),
    (CheckCode.EMPTY_MACRO, W, CheckPlaceKind.POSTBACK_RULE, "request", sending(f"{GOOD_URL}&a={{alarm}}")),
    (CheckCode.NO_CLICKS, N, CheckPlaceKind.CAMPAIGN, "", seen(clicks=ClickEvidence())),
    (CheckCode.EXTERNAL_ID_EMPTY, E, CheckPlaceKind.CAMPAIGN, "", clicks(without_external_id=500)),
    (CheckCode.EXTERNAL_ID_EMPTY, W, CheckPlaceKind.CAMPAIGN, "", clicks(without_external_id=50)),
    (CheckCode.EXTERNAL_ID_EMPTY, N, CheckPlaceKind.CAMPAIGN, "", clicks(without_external_id=1)),
    (CheckCode.EXTERNAL_ID_UNREPLACED, W, CheckPlaceKind.CAMPAIGN, "", clicks(unreplaced=60)),
    (CheckCode.EXTERNAL_ID_EMPTY, E, CheckPlaceKind.CAMPAIGN, "", clicks(without_external_id=490, unreplaced=490)),
    (CheckCode.EXTERNAL_ID_UNREPLACED, E, CheckPlaceKind.CAMPAIGN, "", clicks(without_external_id=490, unreplaced=490)),
    (CheckCode.EXTERNAL_ID_EMPTY, E, CheckPlaceKind.CAMPAIGN, "", clicks(without_external_id=490, unreplaced=30)),
    (CheckCode.EXTERNAL_ID_UNREPLACED, N, CheckPlaceKind.CAMPAIGN, "", clicks(without_external_id=490, unreplaced=30)),
    (CheckCode.EXTERNAL_ID_EMPTY, W, CheckPlaceKind.CAMPAIGN, "", clicks(without_external_id=30, unreplaced=30)),
    (CheckCode.COST_UNREADABLE, W, CheckPlaceKind.CAMPAIGN, "", clicks(cost_unreadable=1000)),
    (CheckCode.COST_UNREADABLE, N, CheckPlaceKind.CAMPAIGN, "", clicks(cost_unreadable=1)),
    (CheckCode.NO_CONVERSIONS, W, CheckPlaceKind.CAMPAIGN, "", seen(conversions=0, last_conversion_at=None)),
    (
        CheckCode.NO_CONVERSIONS,
        N,
        CheckPlaceKind.CAMPAIGN,
        "",
        seen(conversions=0, clicks=ClickEvidence(recent=10, last_at=NOW)),
    ),
    (
        CheckCode.NOTICES_REFUSED,
        W,
        CheckPlaceKind.NETWORK,
        "",
        changed(WELL, refused=(RefusedNotices(reason=RefusalReason.WRONG_TOKEN, network_id=2, count=3, last_at=NOW),)),
    ),
    (CheckCode.WORDS_NOT_MAPPED, W, CheckPlaceKind.STATUS, "words", changed(WELL, words={"ftd": 3})),
    (
        CheckCode.CAP_NEVER_COUNTS,
        W,
        CheckPlaceKind.OFFER,
        "cap.statuses",
        {"offer": changed(OFFER, cap=OfferCap(amount=5, statuses=("gone",)))},
    ),
    (
        CheckCode.CAP_OUT_OF_REACH,
        N,
        CheckPlaceKind.OFFER,
        "cap.amount",
        changed(WELL, caps={5: CapEvidence(visits=500, conversions=60, statuses={"deposit": 60}, best=50)}),
    ),
    (
        CheckCode.CAP_ALTERNATIVE_GONE,
        W,
        CheckPlaceKind.OFFER,
        "cap.then_offer_id",
        {"offer": changed(OFFER, cap=OfferCap(amount=5, then_offer_id=77))},
    ),
    (
        CheckCode.CAP_WITHOUT_TRAFFIC,
        N,
        CheckPlaceKind.OFFER,
        "cap",
        {"offers": {5: OFFER, 6: changed(OFFER, id=6, cap=OfferCap(amount=5))}},
    ),
    (
        CheckCode.STATUS_NEVER_CAME,
        W,
        CheckPlaceKind.POSTBACK_RULE,
        "conditions.statuses",
        waiting_for("hold"),
    ),
    (
        CheckCode.NOT_DELIVERED,
        E,
        CheckPlaceKind.POSTBACK_RULE,
        "",
        changed(WELL, rules=(RuleEvidence(rule_id=1, failed=2, last_error="The receiver answered 404."),)),
    ),
    (
        CheckCode.NOT_DELIVERED,
        W,
        CheckPlaceKind.POSTBACK_RULE,
        "",
        changed(WELL, rules=(RuleEvidence(rule_id=1, delivered=80, failed=20),)),
    ),
    (CheckCode.ADDRESS_REFUSED, E, CheckPlaceKind.POSTBACK_RULE, "request.url", held(address_refused={1: 2})),
    (
        CheckCode.ARCHIVED_RULE_HOLDS,
        E,
        CheckPlaceKind.POSTBACK_RULE,
        "",
        held(archived=(ArchivedRule(rule_id=9, name="R", waiting=1),)),
    ),
    (
        CheckCode.RECEIVER_PAUSED,
        E,
        CheckPlaceKind.RECEIVER,
        "",
        slow(paused_at=NOW, why="9 of 10 failed.", next_probe_at=NOW),
    ),
    (CheckCode.RECEIVER_ASKED_TO_WAIT, N, CheckPlaceKind.RECEIVER, "", slow(held_until=NOW + 1)),
    (CheckCode.BACKLOG, W, CheckPlaceKind.RECEIVER, "", slow(due=1, due_since=NOW - 16 * 60_000)),
]


def checked(case: dict[str, Any] | CheckEvidence) -> CheckResult:
    if isinstance(case, CheckEvidence):
        return check_chain(chain(**(CAPPED if case.caps else {})), case)
    return check_chain(chain(**case), WELL)


def found(case: dict[str, Any] | CheckEvidence, code: CheckCode) -> CheckFinding:
    return next(finding for finding in checked(case).findings if finding.code is code)


def test_nothing_is_found_in_a_chain_that_works() -> None:
    assert check_chain(chain(), WELL).findings == ()


@pytest.mark.parametrize(("code", "severity", "kind", "field", "case"), CASES)
def test_what_breaks_the_chain_is_found_where_it_is(
    code: CheckCode, severity: Severity, kind: CheckPlaceKind, field: str, case: dict[str, Any] | CheckEvidence
) -> None:
    finding = next(finding for finding in checked(case).findings if (finding.code, finding.place.kind) == (code, kind))
    assert (finding.severity, finding.place.field) == (severity, field)
    assert finding.sentence.endswith(".")
    assert finding.remedy.endswith((".", "?"))


@pytest.mark.parametrize("code", CheckCode)
def test_every_code_has_a_meaning_and_a_case(code: CheckCode) -> None:
    assert code.sentence.endswith(".")
    assert code in {case[0] for case in (*CASES, *FLOW_CASES)} | {
        CheckCode.OLD_CLICK_IDS_SERVED,
        CheckCode.PATH_CANNOT_LEARN,
        CheckCode.VIEW_NOT_SENT,  # tests/tracking/views
        *(CheckCode.RULE_ON_MARK_OFF, CheckCode.MARK_HITS_MANY, CheckCode.MARK_LIST_USELESS),
    }


@pytest.mark.parametrize("code", TemplateIssueCode)
def test_everything_that_the_check_of_a_template_finds_has_a_code_here(code: TemplateIssueCode) -> None:
    assert CheckCode(code.value)


@pytest.mark.parametrize(
    ("got", "code"),
    [
        (CapEvidence(visits=500, conversions=20, statuses={"sale": 20}), CheckCode.CAP_NEVER_COUNTS),
        (CapEvidence(visits=500, conversions=19, statuses={"sale": 19}), None),
        (CapEvidence(visits=500, conversions=20, statuses={"sale": 19, "deposit": 1}, best=51), None),
        (CapEvidence(), CheckCode.CAP_WITHOUT_TRAFFIC),
        (CapEvidence(visits=500, conversions=60, statuses={"deposit": 60}, best=50), CheckCode.CAP_OUT_OF_REACH),
        (CapEvidence(visits=99, conversions=60, statuses={"deposit": 60}, best=50), None),
    ],
)
def test_a_cap_is_compared_with_what_its_offer_got(got: CapEvidence, code: CheckCode | None) -> None:
    result = check_chain(chain(**CAPPED), changed(WELL, caps={OFFER.id: got}))
    assert [finding.code for finding in result.findings] == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("code", "case", "remedy"),
    [
        (CheckCode.SOURCE_MACRO_IN_OURS, sending("https://source.example/?v=${SUBID}"), "Write {externalid}."),
        (CheckCode.SOURCE_MACRO_IN_OURS, sending(f"{GOOD_URL}&zz={{zoneid}}"), "Write {zone}."),
        (CheckCode.NETWORK_MACRO_IN_OURS, offering("https://network.example/?sub1={sub1}"), "Write {clickid}."),
        (CheckCode.UNKNOWN_MACRO, sending(f"{GOOD_URL}&p={{pay_outt}}"), "Did you mean {payout}?"),
        (CheckCode.CLICK_ID_NOT_IN_OFFER, offering("https://network.example/"), "Add sub1={clickid} to the URL."),
    ],
)
def test_the_remedy_names_the_replacement(code: CheckCode, case: dict[str, Any], remedy: str) -> None:
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

    assert [one.code for one in found] == [CheckCode.ROW_OFF]
    assert found[0].sentence.startswith("{zone} (parameter V1 of 'S3', 'S4', 'S5' and 2 more) is not tracked")


@pytest.mark.parametrize("reason", RefusalReason)
def test_every_reason_for_refusing_notices_has_a_remedy(reason: RefusalReason) -> None:
    evidence = changed(WELL, refused=(RefusedNotices(reason=reason, count=1, last_at=NOW),))
    finding = found(evidence, CheckCode.NOTICES_REFUSED)
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
    case = {"network": changed(NETWORK, token=""), "campaign": changed(CAMPAIGN, fallback_url="", flow=FlowParts())}
    findings = checked(case).findings
    order = list(Severity)
    assert [order.index(finding.severity) for finding in findings] == sorted(
        order.index(finding.severity) for finding in findings
    )
    assert len(set(findings)) == len(findings)


def test_the_page_of_text_counts_and_shows_nothing_that_moves_a_cursor() -> None:
    case = {"campaign": changed(CAMPAIGN, name="\x1b[31mred", flow=FlowParts())}
    text = check_text(check_view(checked(case)))
    assert "1 error, 0 warnings, 0 notes." in text
    assert "\x1b" not in text
    assert "[no_live_offers]" in text
    assert "1,000 recent clicks" in text


def test_a_place_is_named_with_kind_number_name_and_field() -> None:
    finding = found({"network": changed(NETWORK, token="")}, CheckCode.NETWORK_OPEN)
    assert finding.place.text == "network 2 'Everflow', token"


def test_the_times_of_a_finding_are_in_its_sentences() -> None:
    (finding,) = checked(slow(paused_at=NOW, next_probe_at=NOW + 60_000)).findings
    assert finding.moments == (NOW, NOW + 60_000)
    assert moment_words(NOW) in finding.sentence
    assert moment_words(NOW + 60_000) in finding.remedy
