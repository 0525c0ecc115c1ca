"""The macro values of a change, and the request they produce."""

import json
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.click import Click
from clickloop.click.click_values import SetupNames
from clickloop.conversion.conversion import Conversion, Parameters
from clickloop.conversion.status import SALE
from clickloop.macro import KNOWN, Values
from clickloop.money import Money
from clickloop.postback.rule import BodyKind, Conditions, Header, Method, PostbackRequest, PostbackRule, RequestTemplate
from clickloop.postback.sending.target import RequestTarget, TargetFault, escaped_url, target_of
from clickloop.postback.values import change_values, ready_request, reported_micros
from clickloop.text import escape_bytes, unescape_bytes

NOW = 1_800_000_000_000
SETUP = SetupNames(
    campaign_key="15Gptd", campaign_name="Sweeps", source_name="Clickadu", offer_name="Gift", network_name="EF"
)
ALL = Conditions()
ROWS = (("zoneid", "token1"), ("external_id", "externalid"))


def resolve(template: RequestTemplate, conversion: Conversion, conditions: Conditions = ALL) -> PostbackRequest:
    ready = ready_request(template, ROWS)
    rule = PostbackRule(rule_id=1, name="r", request=template, conditions=conditions)
    return ready.resolve(values_of(conversion, rule, "p" * 26), NOW, lambda: 7)


def values_of(conversion: Conversion, rule: PostbackRule, postback_id: str) -> Values:
    values = change_values(conversion, rule.conditions.payout_percent, SETUP)
    values.put("postback_id", postback_id)
    values.put("rule.name", rule.name)
    return values


def query_of(text: str, conversion: Conversion, conditions: Conditions = ALL) -> dict[str, str]:
    request = resolve(RequestTemplate(url=f"https://s.example/pb?{text}"), conversion, conditions)
    return dict(parse_qsl(request.url.partition("?")[2], keep_blank_values=True))


def test_the_macros_of_a_change_include_ids_money_status_and_times(conversion: Any) -> None:
    macros = (
        "clickid externalid txid conversion_id postback_id payout currency conversion conversion.group conversion.key"
    )
    query = "&".join(f"{name}={{{name}}}" for name in f"{macros} conversion_time now zoneid".split())

    assert query_of(query, conversion()) == {
        "clickid": "c" * 26,
        "externalid": "w9Xk2-7fA",
        "txid": "T-1",
        "conversion_id": "0" * 26,
        "postback_id": "p" * 26,
        "payout": "12.5",
        "currency": "USD",
        "conversion": "approved",
        "conversion.group": "Sale",
        "conversion.key": "sale",
        "conversion_time": "1800000000",
        "now": "1800000000",
        "zoneid": "4711",
    }


def test_the_names_of_a_clicks_set_up_are_macros(conversion: Any) -> None:
    query = "a={campaign.name}&b={campaign.key}&c={trafficsource.name}&d={offer.name}&e={network.name}&f={campaign.id}"

    values = {"a": "Sweeps", "b": "15Gptd", "c": "Clickadu", "d": "Gift", "e": "EF", "f": "7"}
    assert query_of(query, conversion()) == values


def test_the_notices_own_parameters_are_macros(conversion: Any) -> None:
    parameters = Parameters(conversion_id="N-9", params={1: "blue"}, events={30: "3"})

    query = query_of("a={conversion_id}&b={param1}&c={event30}&d={param2}", conversion(parameters=parameters))

    assert query == {"a": "N-9", "b": "blue", "c": "3", "d": ""}


def test_a_conversion_without_a_status_word_reports_its_status_key(conversion: Any) -> None:
    assert query_of("s={status}", conversion(status_word="")) == {"s": "sale"}


def test_a_rule_may_report_a_share_of_the_payout(conversion: Any) -> None:
    assert query_of("p={payout}", conversion(), Conditions(payout_percent=70)) == {"p": "8.75"}


@pytest.mark.parametrize(
    ("micros", "percent", "reported"), [(1, 50, 1), (-1, 50, -1), (10, 33, 3), (-3_000_000, 100, -3_000_000), (5, 0, 0)]
)
def test_a_share_is_rounded_to_millionths_away_from_zero(micros: int, percent: int, reported: int) -> None:
    assert reported_micros(micros, percent) == reported


def test_profit_is_payout_less_cost_in_one_currency_and_otherwise_empty(conversion: Any) -> None:
    click = msgspec.structs.replace(conversion().click, cost_micros=500_000, cost_currency="USD")
    same = msgspec.structs.replace(conversion(), click=click)
    other = msgspec.structs.replace(conversion(), click=click, payout=Money(12_500_000, "EUR"))

    assert query_of("p={profit}", same) == {"p": "12"}
    assert query_of("p={profit}", other) == {"p": ""}


def test_every_known_macro_can_be_used(conversion: Any) -> None:
    assert len(query_of("&".join(f"{macro.name}={{{macro.name}}}" for macro in KNOWN), conversion())) == len(KNOWN)


def test_a_value_that_is_a_macro_is_not_expanded(conversion: Any) -> None:
    assert query_of("e={externalid}", conversion(external_id="x{payout}")) == {"e": "x{payout}"}


@given(st.binary(min_size=1, max_size=60))
def test_the_receiver_gets_one_parameter_with_exactly_the_sources_bytes(octets: bytes) -> None:
    click = Click(click_id="c", at=NOW, campaign_id=1, source_id=1, external_id=escape_bytes(octets))
    made = Conversion(
        conversion_id="a",
        click=click,
        txid="",
        status=SALE,
        status_word="",
        payout=Money(1, "USD"),
        first_of_click=True,
        converted_at=NOW,
        created_at=NOW,
        updated_at=NOW,
        version=1,
    )

    request = resolve(RequestTemplate(url="https://s.example/pb?id={externalid}&z=1"), made)

    target = target_of(request.url)
    assert isinstance(target, RequestTarget)
    first, second = target.query.split("&")
    assert unquote_to_bytes(first.removeprefix("id=")) == octets
    assert second == "z=1"


def test_a_raw_value_cannot_end_the_request_line(conversion: Any) -> None:
    hostile = conversion(external_id="a b\r\nHost: evil\\#frag\x07é")

    request = resolve(RequestTemplate(url="https://s.example/{externalid|raw}"), hostile)

    assert request.url == "https://s.example/a%20bHost:%20evil%5C%23frag%07%C3%A9"


@pytest.mark.parametrize(
    ("kind", "body", "sent", "content_type"),
    [
        (BodyKind.FORM, "id={externalid}&p={payout}", "id=a%22+%26b&p=12.5", "application/x-www-form-urlencoded"),
        (BodyKind.JSON, '{"id":"{externalid}","p":{payout}}', '{"id":"a\\" \\u0026b","p":12.5}', "application/json"),
        (BodyKind.TEXT, "Sale: {externalid}", 'Sale: a" &b', "text/plain; charset=utf-8"),
    ],
)
def test_a_body_is_encoded_for_its_kind(
    kind: BodyKind, body: str, sent: str, content_type: str, conversion: Any
) -> None:
    template = RequestTemplate(method=Method.POST, url="https://s.example/", body_kind=kind, body=body)

    request = resolve(template, conversion(external_id='a" &b'))

    assert (request.body, request.headers) == (sent, (Header("Content-Type", content_type),))


def test_the_rules_own_content_type_takes_precedence(conversion: Any) -> None:
    headers = (Header("content-type", "application/vnd.api+json"),)
    template = RequestTemplate(
        method=Method.POST, url="https://s.example/", headers=headers, body_kind=BodyKind.JSON, body="{}"
    )

    assert resolve(template, conversion()).headers == headers


@given(st.text(max_size=40))
def test_a_json_body_is_valid_json_whatever_the_values_hold(value: str) -> None:
    template = RequestTemplate(
        method=Method.POST, url="https://s.example/", body_kind=BodyKind.JSON, body='{"a":"{v1}","b":{v1}}'
    )

    body = ready_request(template).resolve({"token1": value}, NOW, lambda: 0).body_bytes()

    assert isinstance(json.loads(body), dict)


def test_only_a_request_that_contains_the_external_id_needs_one() -> None:
    url = "https://s.example/"

    assert ready_request(RequestTemplate(url=f"{url}?id={{external_id}}")).uses_external_id
    assert ready_request(RequestTemplate(url=url, headers=(Header("X-Id", "{externalid}"),))).uses_external_id
    assert not ready_request(RequestTemplate(url=f"{url}?id={{clickid}}")).uses_external_id


@given(st.text(max_size=80))
def test_the_url_parser_never_raises_and_what_it_accepts_is_one_line_of_ascii(rest: str) -> None:
    target = target_of(escaped_url(f"https://s.example/{rest}"))

    assert isinstance(target, RequestTarget)
    assert all("\x20" < character < "\x7f" for character in target.url)
    assert target_of(target.url) == target
    assert isinstance(target_of(rest), RequestTarget | TargetFault)


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("https://S.Example/pb", "s.example:443"),
        ("http://s.example:8080", "s.example:8080"),
        ("http://[2001:DB8::1]/", "[2001:db8::1]:80"),
        ("https://täst.example/", "xn--tst-qla.example:443"),
        ("https://１２７.０.０.１/", "127.0.0.1:443"),
    ],
)
def test_a_lane_is_the_receivers_host_and_port(url: str, receiver: str) -> None:
    target = target_of(url)

    assert isinstance(target, RequestTarget)
    assert target.receiver == receiver


def test_bytes_of_a_text_body_are_sent_unchanged() -> None:
    assert (
        unescape_bytes(escape_bytes(b"\xff\x00a"))
        == PostbackRequest(url="", body=escape_bytes(b"\xff\x00a")).body_bytes()
    )


@given(
    st.lists(
        st.sampled_from(
            [
                "{externalid}",
                "{token1|raw}",
                "{token1}",
                "{payout|default:5}",
                "/",
                "?",
                "#",
                "&a=",
                "é",
                "%41",
                "{x}",
                "\\",
                " ",
            ]
        ),
        max_size=6,
    ),
    st.sampled_from(
        ["https://H.example", "http://h.example:80", "https://h.example:8443", "https://[2001:DB8::1]", "ftp://h"]
    ),
    st.text(max_size=5),
)
def test_a_url_that_is_kept_ready_comes_out_as_one_that_is_read_anew(parts: list[str], start: str, value: str) -> None:
    ready = ready_request(RequestTemplate(url=start + "".join(parts)))
    values = {"externalid": escape_bytes(unescape_bytes(value)), "token1": "a/b"}
    anew = msgspec.structs.replace(ready, prepared_url=None)
    assert ready.resolve(values, NOW, lambda: 7) == anew.resolve(values, NOW, lambda: 7)


def test_values_that_many_rules_share_are_those_of_each(conversion: Any) -> None:
    other = change_values(conversion(), 100, SETUP)
    other.put("rule.name", "other")
    assert (other["payout"], other["token1"]) == ("12.5", "4711")
    shared = change_values(conversion(), 70, SETUP, other)
    for name in ("first", "second"):
        rule = PostbackRule(
            rule_id=1, name=name, request=RequestTemplate(url=""), conditions=Conditions(payout_percent=70)
        )
        template = RequestTemplate(
            method=Method.POST,
            url="https://s.example/?r={rule.name}&n={postback_id}&p={payout}&z={token1}&u={unknown}&l={landing.name}",
            headers=(Header("X-Rule", "{rule.name}"),),
            body_kind=BodyKind.JSON,
            body='{"p": {payout}, "r": "{rule.name|upper}", "n": "{postback_id}"}',
        )
        ready = ready_request(template)
        shared.put("postback_id", f"id of {name}")
        shared.put("rule.name", name)
        alone = values_of(conversion(), rule, f"id of {name}")
        assert ready.resolve(shared, NOW, lambda: 7) == ready.resolve(alone, NOW, lambda: 7)


def test_the_rule_has_its_name(conversion: Any) -> None:
    assert query_of("r={rule.name}", conversion()) == {"r": "r"}
