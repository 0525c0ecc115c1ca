"""Issues around the macros of a template: each has a code, a sentence and a position."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.macro import FindingCode, Place, check
from clickloop.macro.shape import shape_findings
from clickloop.pasting import INVISIBLE, trimmed

URL = "https://offer.example/"


@pytest.mark.parametrize(
    ("rest", "code", "text"),
    [
        ("?a=1&amp;sub1={clickid}", FindingCode.HTML_ENTITY, "&amp;"),
        ("?a=1&AMP;sub1={clickid}", FindingCode.HTML_ENTITY, "&AMP;"),
        ("?a=1&#38;sub1={clickid}", FindingCode.HTML_ENTITY, "&#38;"),
        ("?a=&quot;{clickid}", FindingCode.HTML_ENTITY, "&quot;"),
        ("?sub1={clickid}}", FindingCode.STRAY_BRACE, "}"),
        ("?sub1=}{clickid}", FindingCode.STRAY_BRACE, "}"),
        ("?a={&sub1={clickid}", FindingCode.STRAY_BRACE, "{"),
        ("?sub1={clickid", FindingCode.UNCLOSED_MACRO, "{clickid"),
        ("?sub1={clickid&p={country}", FindingCode.UNCLOSED_MACRO, "{clickid"),
        ("?sub1={clickid%7D", FindingCode.UNCLOSED_MACRO, "{clickid"),
        ("?sub1=%7Bclickid}", FindingCode.STRAY_BRACE, "}"),
        ("?sub1=%7Bclickid%7D", FindingCode.ENCODED_BRACES, "%7Bclickid%7D"),
        ("?sub1=%257bclickid%257d", FindingCode.ENCODED_BRACES, "%257bclickid%257d"),
        ("?sub1=｛clickid｝", FindingCode.FULL_WIDTH_BRACES, "｛clickid｝"),
        ("?sub1=❴clickid❵", FindingCode.FULL_WIDTH_BRACES, "❴clickid❵"),
        ("path？sub1={clickid}", FindingCode.FULL_WIDTH_BRACES, "？sub1={clickid}"),
        ("?a=1＆sub1={clickid}", FindingCode.FULL_WIDTH_BRACES, "＆sub1={clickid}"),
        ("?sub1＝{clickid}", FindingCode.FULL_WIDTH_BRACES, "＝{clickid}"),
        ("?sub1={{clickid}}", FindingCode.OTHER_STYLE, "{{clickid}}"),
        ("?sub1={clickid}\u200b&b=1", FindingCode.INVISIBLE_CHARACTER, "\u200b"),
        ("?sub1={clickid}\u00a0", FindingCode.INVISIBLE_CHARACTER, "\u00a0"),
        ("?su\u2060b1={clickid}", FindingCode.INVISIBLE_CHARACTER, "\u2060"),
        ("?sub1=\u202e{clickid}", FindingCode.INVISIBLE_CHARACTER, "\u202e"),
        ("?a=1?sub1={clickid}", FindingCode.SECOND_QUESTION_MARK, "?sub1="),
        ("path&sub1={clickid}", FindingCode.QUESTION_MARK_MISSING, "&sub1="),
        ("?sub1={clickid}sub2=5", FindingCode.AMPERSAND_MISSING, "sub2="),
        ("?sub1={clickid};sub2=5", FindingCode.AMPERSAND_MISSING, ";sub2="),
        ("?sub1={clickid},sub2=5", FindingCode.AMPERSAND_MISSING, ",sub2="),
        ("?a=1#sub1={clickid}", FindingCode.MACRO_IN_FRAGMENT, "{clickid}"),
        ("#/page?sub1={clickid}", FindingCode.MACRO_IN_FRAGMENT, "{clickid}"),
    ],
)
def test_what_would_be_sent_wrong_is_reported_with_its_position(rest: str, code: FindingCode, text: str) -> None:
    (finding,) = check(URL + rest)
    assert (finding.code, finding.text) == (code, text)
    assert (URL + rest)[finding.position :].startswith(text)
    assert finding.sentence.endswith(".")
    assert finding.remedy


@pytest.mark.parametrize(
    "rest",
    [
        "?sub1={clickid}&b={country}",
        "?u=https://b.example/?a={clickid}",
        "?u=https%3A%2F%2Fb.example%2F?a={clickid}",
        '?d={"a":"{clickid}"}',
        "?a=1&b",
        "a&b/{clickid}",
        "?q=what?&sub1={clickid}",
        "?sub1={clickid}#top",
        "?sub1={clickid}#{country}",
        "?sub1={clickid}-x",
        "?a=b;c&sub1={clickid}",
        "{clickid};v=1?a=1",
    ],
)
def test_intended_text_is_not_an_issue(rest: str) -> None:
    assert check(URL + rest) == ()


@pytest.mark.parametrize("place", [Place.JSON, Place.TEXT])
def test_messages_may_contain_braces_entities_and_joined_emoji(place: Place) -> None:
    assert check('{"text": "&amp; 👨\u200d👩\u200d👧 {payout}"}', context=place) == ()


@given(st.text("{}&amp;?=#ab \u200b｛%7B", max_size=300), st.sampled_from(Place))
def test_every_issue_is_at_its_position(text: str, place: Place) -> None:
    for finding in shape_findings(text, place):
        assert text[finding.position : finding.position + len(finding.text)] == finding.text


@pytest.mark.parametrize("piece", ["{", "}", "&amp;", "{a", "?a=", "}a=", "\u200b", "｛", "#{a}", "&a=", "%7B"])
def test_a_long_template_is_checked_in_linear_time(piece: str) -> None:
    text = URL + piece * (256_000 // len(piece))
    began = time.thread_time()
    list(shape_findings(text, Place.URL))
    assert time.thread_time() - began < 2  # quadratic time would take minutes


@given(st.text(max_size=20))
def test_trimming_takes_from_the_ends_alone(text: str) -> None:
    kept = trimmed(text)
    assert kept in text
    assert not kept or not (kept[0].isspace() or kept[-1].isspace())
    assert not kept or not (INVISIBLE.match(kept[0]) or INVISIBLE.match(kept[-1]))
