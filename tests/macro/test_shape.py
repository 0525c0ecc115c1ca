"""Issues around the macros of a template: each has a code, a sentence and a position."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.macro import EncodingContext, TemplateIssueCode, check
from clickloop.macro.shape import shape_issues
from clickloop.pasting import INVISIBLE, trimmed

URL = "https://offer.example/"


@pytest.mark.parametrize(
    ("rest", "code", "text"),
    [
        ("?a=1&amp;sub1={clickid}", TemplateIssueCode.HTML_ENTITY, "&amp;"),
        ("?a=1&AMP;sub1={clickid}", TemplateIssueCode.HTML_ENTITY, "&AMP;"),
        ("?a=1&#38;sub1={clickid}", TemplateIssueCode.HTML_ENTITY, "&#38;"),
        ("?a=&quot;{clickid}", TemplateIssueCode.HTML_ENTITY, "&quot;"),
        ("?sub1={clickid}}", TemplateIssueCode.STRAY_BRACE, "}"),
        ("?sub1=}{clickid}", TemplateIssueCode.STRAY_BRACE, "}"),
        ("?a={&sub1={clickid}", TemplateIssueCode.STRAY_BRACE, "{"),
        ("?sub1={clickid", TemplateIssueCode.UNCLOSED_MACRO, "{clickid"),
        ("?sub1={clickid&p={country}", TemplateIssueCode.UNCLOSED_MACRO, "{clickid"),
        ("?sub1={clickid%7D", TemplateIssueCode.UNCLOSED_MACRO, "{clickid"),
        ("?sub1=%7Bclickid}", TemplateIssueCode.STRAY_BRACE, "}"),
        ("?sub1=%7Bclickid%7D", TemplateIssueCode.ENCODED_BRACES, "%7Bclickid%7D"),
        ("?sub1=%257bclickid%257d", TemplateIssueCode.ENCODED_BRACES, "%257bclickid%257d"),
        ("?sub1=｛clickid｝", TemplateIssueCode.FULL_WIDTH_BRACES, "｛clickid｝"),
        ("?sub1=❴clickid❵", TemplateIssueCode.FULL_WIDTH_BRACES, "❴clickid❵"),
        ("path？sub1={clickid}", TemplateIssueCode.FULL_WIDTH_BRACES, "？sub1={clickid}"),
        ("?a=1＆sub1={clickid}", TemplateIssueCode.FULL_WIDTH_BRACES, "＆sub1={clickid}"),
        ("?sub1＝{clickid}", TemplateIssueCode.FULL_WIDTH_BRACES, "＝{clickid}"),
        ("?sub1={{clickid}}", TemplateIssueCode.OTHER_STYLE, "{{clickid}}"),
        ("?sub1={clickid}\u200b&b=1", TemplateIssueCode.INVISIBLE_CHARACTER, "\u200b"),
        ("?sub1={clickid}\u00a0", TemplateIssueCode.INVISIBLE_CHARACTER, "\u00a0"),
        ("?su\u2060b1={clickid}", TemplateIssueCode.INVISIBLE_CHARACTER, "\u2060"),
        ("?sub1=\u202e{clickid}", TemplateIssueCode.INVISIBLE_CHARACTER, "\u202e"),
        ("?a=1?sub1={clickid}", TemplateIssueCode.SECOND_QUESTION_MARK, "?sub1="),
        ("path&sub1={clickid}", TemplateIssueCode.QUESTION_MARK_MISSING, "&sub1="),
        ("?sub1={clickid}sub2=5", TemplateIssueCode.AMPERSAND_MISSING, "sub2="),
        ("?sub1={clickid};sub2=5", TemplateIssueCode.AMPERSAND_MISSING, ";sub2="),
        ("?sub1={clickid},sub2=5", TemplateIssueCode.AMPERSAND_MISSING, ",sub2="),
        ("?a=1#sub1={clickid}", TemplateIssueCode.MACRO_IN_FRAGMENT, "{clickid}"),
        ("#/page?sub1={clickid}", TemplateIssueCode.MACRO_IN_FRAGMENT, "{clickid}"),
    ],
)
def test_what_would_be_sent_wrong_is_reported_with_its_position(rest: str, code: TemplateIssueCode, text: str) -> None:
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


@pytest.mark.parametrize("place", [EncodingContext.JSON, EncodingContext.TEXT])
def test_messages_may_contain_braces_entities_and_joined_emoji(place: EncodingContext) -> None:
    assert check('{"text": "&amp; 👨\u200d👩\u200d👧 {payout}"}', context=place) == ()


@given(st.text("{}&amp;?=#ab \u200b｛%7B", max_size=300), st.sampled_from(EncodingContext))
def test_every_issue_is_at_its_position(text: str, place: EncodingContext) -> None:
    for finding in shape_issues(text, place):
        assert text[finding.position : finding.position + len(finding.text)] == finding.text


@pytest.mark.parametrize("piece", ["{", "}", "&amp;", "{a", "?a=", "}a=", "\u200b", "｛", "#{a}", "&a=", "%7B"])
def test_a_long_template_is_checked_in_linear_time(piece: str) -> None:
    text = URL + piece * (256_000 // len(piece))
    began = time.thread_time()
    list(shape_issues(text, EncodingContext.URL))
    assert time.thread_time() - began < 2  # quadratic time would take minutes


@given(st.text(max_size=20))
def test_trimming_takes_from_the_ends_alone(text: str) -> None:
    kept = trimmed(text)
    assert kept in text
    assert not kept or not (kept[0].isspace() or kept[-1].isspace())
    assert not kept or not (INVISIBLE.match(kept[0]) or INVISIBLE.match(kept[-1]))
