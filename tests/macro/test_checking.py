"""The check of a template, and the recognition of unreplaced macros."""

import uuid
from base64 import b64encode, urlsafe_b64encode
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.click_values import _VALUES
from clickloop.macro import EncodingContext, Severity, TemplateIssue, TemplateIssueCode, check, unreplaced_macro
from clickloop.macro.known import BY_NAME

VALUES_OF_CLICKS = frozenset(_VALUES)
ROWS = {"external_id": "externalid", "zoneid": "token1", "bid": "token2"}


def one(text: str, *, at_click: bool = False) -> TemplateIssue:
    findings = check(text, ROWS, at_click=at_click)
    assert len(findings) == 1, findings
    return findings[0]


def test_a_correct_template_has_no_issues() -> None:
    assert check("https://x.example/pb?id={externalid}&p={payout|round:2}&z={zoneid}", ROWS) == ()


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("{payuot}", "payout"),
        ("{extern_id}", "externalid"),
        ("{zone_id}", "zoneid"),
        ("{click-id}", "clickid"),
        ("{ payout }", "payout"),
        ("{token0}", "token1"),
        ("{v31}", "token30"),
        ("{param21}", "param20"),
    ],
)
def test_an_unknown_macro_is_reported_with_the_nearest_name(wrong: str, meant: str) -> None:
    finding = one(f"https://x.example/?a={wrong}")

    assert (finding.code, finding.severity) == (TemplateIssueCode.UNKNOWN_MACRO, Severity.WARNING)
    assert (finding.position, finding.text) == (21, wrong)
    assert finding.remedy == f"Did you mean {{{meant}}}?"


def test_a_macro_unlike_any_known_one_is_reported_without_a_guess() -> None:
    assert "Did you mean" not in one("https://x.example/?a={qqqqqqqq}").remedy


def test_keitaros_mapping_is_reported_with_our_spelling() -> None:
    finding = one("https://x.example/?s={status:lead=0 sale=1}")

    assert finding.code is TemplateIssueCode.UNKNOWN_MACRO
    assert finding.remedy == "Write {status|map:lead=0,sale=1}."


def test_an_unknown_filter_is_reported_with_the_nearest() -> None:
    finding = one("https://x.example/?a={payout|rond:2}")

    assert finding.code is TemplateIssueCode.UNKNOWN_FILTER
    assert "|round" in finding.remedy


def test_an_unknown_time_zone_is_reported() -> None:
    finding = one("https://x.example/?a={now|format:%Y,Europe/Berln}")

    assert finding.code is TemplateIssueCode.WRONG_ARGUMENT
    assert "Europe/Berln" in finding.remedy


@pytest.mark.parametrize(
    "url",
    [
        *(
            "{zoneid}",
            "{zoneid}://x.example/",
            "https://{zoneid}/",
            "https://{zoneid}.x.example/",
            "https://x.example:{bid}/a",
        ),
        *(
            "https://{zoneid}@x.example/",
            "https://x.example{zoneid}",
            "https:\\\\{zoneid}/",
            "//{zoneid}/",
            "https:///{zoneid}/",
        ),
    ],
)
def test_a_macro_before_the_path_is_an_error(url: str) -> None:
    assert one(url).code is TemplateIssueCode.MACRO_IN_AUTHORITY
    assert one(url).severity is Severity.ERROR


@pytest.mark.parametrize(
    "url", ["https://x.example/{zoneid}", "https://x.example?{zoneid}", "https://x.example#{zoneid}"]
)
def test_a_macro_in_path_query_or_fragment_is_fine(url: str) -> None:
    assert check(url, ROWS) == ()


def test_a_text_has_no_authority() -> None:
    assert check("{zoneid}", ROWS, EncodingContext.TEXT) == ()


@pytest.mark.parametrize(
    "style",
    [
        *("${SUBID}", "[CID]", "__CLICKID__", "{{id}}", "%CID%", "#price#", "##SUB_ID_SHORT(action)##", "[[subid]]"),
        *("[=SID=]", "@trackingid@", "{{campaign.id}}", "${clickid}"),
    ],
)
def test_another_systems_macro_in_a_url_is_reported(style: str) -> None:
    finding = one(f"https://x.example/?id={style}&a=1")

    assert (finding.code, finding.severity) == (TemplateIssueCode.OTHER_STYLE, Severity.WARNING)
    assert (finding.position, finding.text) == (22, style)


@pytest.mark.parametrize(
    "url", ["https://x.example/a[0]=1", "https://x.example/?f[name]=b&g=%D0%BF#top", "https://x.example/?m=a@b.de"]
)
def test_brackets_and_escapes_of_a_plain_url_are_not_macros(url: str) -> None:
    assert check(url) == ()


def test_encoded_braces_are_reported() -> None:
    finding = one("https://x.example/?id=%7Bexternalid%7D")

    assert (finding.code, finding.remedy) == (TemplateIssueCode.ENCODED_BRACES, "Write {externalid}.")


def test_a_conversions_macro_in_an_offer_url_is_found() -> None:
    assert one("https://x.example/?p={payout}", at_click=True).code is TemplateIssueCode.NO_VALUE_YET


def test_names_of_rule_path_and_landing_are_filled_in_everywhere() -> None:
    for name in ("rule.name", "path.name", "landing.id", "lander_name"):
        for at_click in (True, False):
            assert check(f"https://x.example/?a={{{name}}}", ROWS, at_click=at_click) == ()


def test_every_macro_with_a_value_before_a_conversion_gets_its_value_from_a_click_or_the_clock() -> None:
    given = {name for name, macro in BY_NAME.items() if macro.at_click}
    assert given - VALUES_OF_CLICKS == {"now"}


def test_a_json_body_is_not_mistaken_for_macros() -> None:
    assert check('{"a": {"b": "{payout}", "c": "${payout}"}, "d": [CID]}', context=EncodingContext.JSON) == ()


@given(
    st.text() | st.lists(st.sampled_from(["{", "}", "$", "|", "[", "]", "__A", "%7B", "x", ":", "/", "="])).map("".join)
)
def test_no_text_breaks_the_check(text: str) -> None:
    for place in EncodingContext:
        for finding in check(text, ROWS, place, at_click=True):
            assert 0 <= finding.position <= len(text)
            assert finding.sentence.endswith(".")
            assert finding.remedy[-1] in ".?"


def test_ten_thousand_unknown_macros_are_checked_in_bounded_time() -> None:
    started = thread_time()
    check("".join(f"{{payuot{n}}}" for n in range(10_000)))

    assert thread_time() - started < 3


MACROS = [
    *(
        "{clickid}",
        "${SUBID}",
        "[CID]",
        "__CLICKID__",
        "{{id}}",
        "%CID%",
        "#price#",
        "{payout}",
        "{{{bidhash}}}",
        "[[subid]]",
    ),
    *(
        "[=SID=]",
        "##SUB_ID_SHORT(action)##",
        "@trackingid@",
        "{!tscode!}",
        "${TRACKING_ID}",
        "__CAMPAIGN_ID__",
        "{click-id}",
    ),
    *(
        "%7Bclickid%7D",
        "%7b%7bid%7d%7d",
        " {clickid} ",
        "\U0010ffcaMPAIGN_ID%",
        "#s2#",
        "{campaign.id}",
        "[clickid]",
        "[=_TransID=]",
    ),
]
IDS = [
    *(
        "",
        "0",
        "12345",
        "w9Xk2-7fA_x.y",
        "{6F9619FF-8B86-D011-B42D-00CF4FC964FF}",
        "https://x.example/?a={b}",
        "#1",
        "[1,2]",
    ),
    *(
        "100%",
        "%41%42",
        "a@b.de",
        "__",
        "_",
        "{}",
        "[]",
        "%%",
        "##",
        "[fe80::1]",
        '{"a":1}',
        "{900150983cd24fb0d6963f7d28e17f72}",
    ),
    *("IwAR0_x-__", "$12.50", "{1}", "[0]", "fb.1.1554763741205.AbCdEf", "{" * 5000, "{" + "a" * 5000 + "}"),
]


@pytest.mark.parametrize("value", MACROS)
def test_an_unreplaced_macro_is_recognized(value: str) -> None:
    assert unreplaced_macro(value)


@pytest.mark.parametrize("value", IDS)
def test_a_real_value_is_not_a_macro(value: str) -> None:
    assert not unreplaced_macro(value)


@given(st.binary(min_size=4) | st.uuids().map(lambda made: made.bytes))
def test_ids_in_base64_hex_and_as_uuid_are_not_macros(octets: bytes) -> None:
    assert not unreplaced_macro(b64encode(octets).decode())
    assert not unreplaced_macro(urlsafe_b64encode(b"\0" + octets).decode())
    assert not unreplaced_macro(octets.hex())
    if len(octets) == 16:
        made = uuid.UUID(bytes=octets)
        assert not any(map(unreplaced_macro, (str(made), f"{{{made}}}", made.urn, f"{{{str(made).upper()}}}")))
