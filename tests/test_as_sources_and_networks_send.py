"""Requests as sources and networks really send them are still parsed correctly."""

from urllib.parse import parse_qs, urlsplit

import pytest

from clickloop.conversion.notice import Channel, RawNotice, read_notice
from clickloop.macro import EncodingContext, TemplateIssueCode, check, parse
from clickloop.money import Amount, read_amount
from clickloop.postback.sending.target import RequestTarget, TargetFault, target_of
from clickloop.setup.fault import FaultCode
from clickloop.setup.web_address import address_faults
from clickloop.text import escape_bytes, unescape_bytes
from clickloop.tracking.take import record_clicks, take_click
from tests.tracking.test_take import an_edge, arriving, recorded

POSTBACK = parse("https://source.example/pb?id={externalid}")


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b"YWI+Yg/==", b"YWI+Yg/=="),
        (b"a+b/c=", b"a+b/c="),
        (b"a%2Bb%2Fc%3D", b"a+b/c="),
        (b"a%252Bb", b"a%2Bb"),
        (b"a%25252B", b"a%252B"),
        (b"%E2%82%AC%FF", b"\xe2\x82\xac\xff"),
        (b"a;b|c~d", b"a;b|c~d"),
        (b"=a==", b"=a=="),
        (b"a?b", b"a?b"),
        (b"amp%3Bx", b"amp;x"),
    ],
)
def test_an_external_id_goes_to_the_source_byte_for_byte(sent: bytes, meant: bytes) -> None:
    edge, clicks, _ = an_edge()
    take_click(edge, arriving(b"external_id=" + sent + b"&cost=1"), b"Ab12Cd")
    record_clicks(edge)
    click = recorded(clicks)
    assert (unescape_bytes(click.external_id), click.flags, click.cost_micros) == (meant, "", 1_000_000)
    url = POSTBACK.render({"externalid": click.external_id}, EncodingContext.URL, 0)
    told = parse_qs(urlsplit(url).query, keep_blank_values=True, encoding="latin-1")
    assert told["id"][0].encode("latin-1") == meant


@pytest.mark.parametrize("number", [1, 5, 24])
def test_what_platforms_append_to_a_link_changes_nothing(number: int) -> None:
    edge, clicks, _ = an_edge()
    appended = "".join(f"&utm_{place}=a%20b&fbclid=IwAR{place}&gclid=x&ttclid=E.C.P.1" for place in range(number))
    take_click(edge, arriving(f"external_id=a&zone=7{appended}".encode()), b"Ab12Cd")
    record_clicks(edge)
    assert (recorded(clicks).external_id, recorded(clicks).v1, recorded(clicks).flags) == ("a", "7", "")


@pytest.mark.parametrize("part", ["%2F", "%3A", "%28", "%41", "|", "%2f", "%7C", "a%2Fb%3Fc", "(x)", "~", "%C3%A4"])
def test_escapes_in_a_postback_url_leave_as_they_stand(part: str) -> None:
    template = f"https://source.example/p{part}/x?a={part}&id={{externalid}}"
    target = target_of(parse(template).render({"externalid": "7"}, EncodingContext.URL, 0))
    assert isinstance(target, RequestTarget)
    assert target.url == f"https://source.example/p{part}/x?a={part}&id=7"


@pytest.mark.parametrize(
    ("text", "micros", "currency"),
    [
        ("1.234,56", 1_234_560_000, ""),
        ("-9,13\N{NO-BREAK SPACE}€", -9_130_000, "EUR"),
        ("-9,13\N{NARROW NO-BREAK SPACE}€", -9_130_000, "EUR"),
        ("1 234.50", 1_234_500_000, ""),
        ("1,234.50", 1_234_500_000, ""),
        ("$5", 5_000_000, "USD"),
        ("5 USD", 5_000_000, "USD"),
    ],
)
def test_amounts_are_read_as_people_write_them(text: str, micros: int, currency: str) -> None:
    amount = read_amount(text)
    assert isinstance(amount, Amount)
    assert (amount.micros, amount.currency) == (micros, currency)


def test_of_a_notice_an_upper_case_click_id_is_taken_and_return_is_told() -> None:
    raw = RawNotice(
        notice_id="n", at=0, channel=Channel.S2S, query=escape_bytes(b"CID=01KAQJ6Z8M4X2C9V7B5N3T1W0Y&return=1")
    )
    notice = read_notice(raw)
    assert (notice.click_id_text, notice.return_text, notice.flags) == ("01KAQJ6Z8M4X2C9V7B5N3T1W0Y", "1", ())


def test_braces_spaces_and_fragments_in_an_address_are_refused_or_named() -> None:
    named = [finding.code for finding in check("https://offer.example/?sub1=%7Bclickid%7D", at_click=True)]
    assert TemplateIssueCode.ENCODED_BRACES in named
    (fault,) = address_faults("url", "https://offer.example/a b", required=True)
    assert fault.code == FaultCode.CHARACTER
    assert target_of("https://source.example/#x") is TargetFault.FRAGMENT
    assert target_of("https://source.example/a b") is TargetFault.CHARACTER
