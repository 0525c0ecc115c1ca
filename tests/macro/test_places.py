"""Values in their encoding contexts: URL, form, JSON, header, text."""

import json
import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clickloop.macro import EncodingContext, parse
from clickloop.text import escape_bytes, unescape_bytes

NASTY = st.binary() | st.sampled_from(
    [
        b"&payout=9999",
        b"\r\nX: 1",
        b"../",
        b"#",
        b"%",
        b"+",
        "😀".encode(),
        b"\xff\xfe",
        b"\0",
        b"{payout}",
        b"a b",
        b"=;",
    ]
)


def parameters(query: str) -> list[tuple[str, bytes]]:
    """Return a query or form as a receiver decodes it, values as bytes."""
    pairs = [pair.partition("=") for pair in query.split("&")]
    return [(name, unquote_to_bytes(value.replace("+", " "))) for name, _, value in pairs]


@given(NASTY)
@example(bytes(range(256)))
def test_a_url_carries_exactly_the_octets_in_one_parameter(octets: bytes) -> None:
    template = parse("https://x.example/{externalid}?a=1&id={externalid}&b=2#{externalid}")

    url = template.render({"externalid": escape_bytes(octets)}, EncodingContext.URL)

    before_fragment, fragment = url.split("#")
    path, query = before_fragment.split("?")
    assert parameters(query) == [("a", b"1"), ("id", octets), ("b", b"2")]
    assert unquote_to_bytes(path.removeprefix("https://x.example/")) == unquote_to_bytes(fragment) == octets
    assert path.count("/") == 3


@given(NASTY)
@example(bytes(range(256)))
def test_a_form_contains_exactly_the_bytes_in_one_parameter(octets: bytes) -> None:
    form = parse("a=1&id={externalid}&b=2").render({"externalid": escape_bytes(octets)}, EncodingContext.FORM)

    assert form.isascii()
    assert parameters(form) == [("a", b"1"), ("id", octets), ("b", b"2")]


def test_only_unreserved_characters_stay_in_a_url() -> None:
    every_ascii = "".join(map(chr, range(33, 127)))

    rendered = parse("{externalid}").render({"externalid": every_ascii}, EncodingContext.URL)

    assert re.sub("%[0-9A-F]{2}", "", rendered) == re.sub("[^A-Za-z0-9._~-]", "", every_ascii)


def test_a_space_is_a_plus_in_a_form_and_an_escape_in_a_url() -> None:
    template = parse("{city}")

    assert template.render({"city": "San Jose"}, EncodingContext.FORM) == "San+Jose"
    assert template.render({"city": "San Jose"}, EncodingContext.URL) == "San%20Jose"


def test_raw_turns_off_encoding() -> None:
    assert (
        parse("{referrer|raw}").render({"referrer": "https://a/?b=c&d=e"}, EncodingContext.URL) == "https://a/?b=c&d=e"
    )


@given(NASTY)
@pytest.mark.parametrize("place", list(EncodingContext))
def test_raw_never_passes_a_line_break_or_nul(place: EncodingContext, octets: bytes) -> None:
    rendered = unescape_bytes(parse("{externalid|raw}").render({"externalid": escape_bytes(octets)}, place))

    assert not set(rendered) & set(b"\r\n\0")


@given(NASTY)
def test_a_raw_value_outside_ascii_is_escaped_in_a_url(octets: bytes) -> None:
    assert parse("{externalid|raw}").render({"externalid": escape_bytes(octets)}, EncodingContext.URL).isascii()


@given(value=st.binary().map(escape_bytes) | st.text(), around=st.text(alphabet="\r\n\0ab"))
def test_a_header_never_has_a_line_break_or_nul(value: str, around: str) -> None:
    rendered = unescape_bytes(parse(f"{around}{{externalid}}").render({"externalid": value}, EncodingContext.HEADER))

    assert not set(rendered) & set(b"\r\n\0")


@given(NASTY)
def test_a_header_and_a_text_keep_all_other_bytes(octets: bytes) -> None:
    template = parse("{externalid}")

    header = unescape_bytes(template.render({"externalid": escape_bytes(octets)}, EncodingContext.HEADER))
    text = unescape_bytes(template.render({"externalid": escape_bytes(octets)}, EncodingContext.TEXT))

    assert header == octets.translate(None, b"\r\n\0")
    assert text == octets.replace(b"\0", b"")


@given(NASTY)
@example(b'"\\\n</script>\x00\xed\xa0\x80')
def test_a_json_body_is_valid_and_holds_the_value(octets: bytes) -> None:
    body = parse('{"id": "{externalid}", "in": {"x": ["a{externalid}b"]}}').render(
        {"externalid": escape_bytes(octets)}, EncodingContext.JSON
    )

    expected = octets.decode("utf-8", "replace")
    assert json.loads(body) == {"id": expected, "in": {"x": [f"a{expected}b"]}}
    assert "</" not in body


@given(
    st.binary().map(escape_bytes)
    | st.text(alphabet="0123456789.-eE+")
    | st.sampled_from(["true", "null", "NaN", "1e999", "٣"])
)
def test_a_macro_outside_of_quotes_leaves_json_valid(value: str) -> None:
    body = parse('{"payout": {payout}, "say": "\\"{txid}"}').render(
        {"payout": value, "txid": value}, EncodingContext.JSON
    )

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(body, parse_constant=refuse)


@pytest.mark.parametrize(
    ("value", "written"), [("12.5", "12.5"), ("-3", "-3"), ("", "null"), ("007", '"007"'), ("approved", '"approved"')]
)
def test_a_macro_outside_of_quotes_is_a_number_null_or_a_string(value: str, written: str) -> None:
    assert parse('{"p":{payout}}').render({"payout": value}, EncodingContext.JSON) == f'{{"p":{written}}}'


def test_a_json_body_full_of_braces_survives() -> None:
    text = '{"a":{"b":{}},"c":[{"d":"{clickid}"},{ }],"e":"{{x}}"}'

    assert parse(text).render({"clickid": "k"}, EncodingContext.JSON) == text.replace("{clickid}", "k")
