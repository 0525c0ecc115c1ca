"""The check of a rule when it is saved: one case for every fault."""

from typing import Any

import msgspec
import pytest

from clickloop.postback.checking import FORBIDDEN_HEADERS, RuleFault, check_request, check_rule
from clickloop.postback.rule import (
    BodyKind,
    Conditions,
    Header,
    Method,
    PostbackRule,
    RequestTemplate,
    Schedule,
    Success,
    Trigger,
    rule_of_row,
)
from clickloop.postback.sending.address_guard import AddressGuard, Policy

GOOD = RequestTemplate(url="https://source.example/pb?id={externalid}")
STATUSES = ("hold", "sale", "rejected")


def request(**given: Any) -> dict[str, Any]:
    return {"request": msgspec.structs.replace(GOOD, **given)}


def posted(kind: BodyKind, body: str) -> dict[str, Any]:
    return request(method=Method.POST, body_kind=kind, body=body)


CASES: list[tuple[RuleFault, str, dict[str, Any]]] = [
    (RuleFault.NAME_MISSING, "name", {"name": "  "}),
    (RuleFault.NAME_TOO_LONG, "name", {"name": "n" * 201}),
    (RuleFault.NAME_CHARACTER, "name", {"name": "a\0b"}),
    (RuleFault.TWO_OWNERS, "campaign_id", {"source_id": 1, "campaign_id": 2}),
    (
        RuleFault.ALARM_OF_ONE,
        "source_id",
        {"source_id": 1, "conditions": Conditions(trigger=Trigger.ALARM), **request(url="https://a.example/")},
    ),
    (
        RuleFault.ALARM_CONDITIONS,
        "conditions.trigger",
        {"conditions": Conditions(trigger=Trigger.ALARM, delay_seconds=1)},
    ),
    (
        RuleFault.VIEW_OF_ONE,
        "campaign_id",
        {"campaign_id": 1, "conditions": Conditions(trigger=Trigger.VIEW), **request(url="https://a.example/")},
    ),
    (
        RuleFault.VIEW_CONDITIONS,
        "conditions.trigger",
        {"conditions": Conditions(trigger=Trigger.VIEW, every_nth=2)},
    ),
    (RuleFault.URL_MISSING, "request.url", request(url="")),
    (RuleFault.URL_TOO_LONG, "request.url", request(url="https://a.example/" + "x" * 9000)),
    (RuleFault.URL_CHARACTER, "request.url", request(url="https://a.example/a b")),
    (RuleFault.URL_CHARACTER, "request.url", request(url="https://a.example\\@b.example/")),
    (RuleFault.URL_CHARACTER, "request.url", request(url="java\tscript:alert(1)")),
    (RuleFault.URL_CHARACTER, "request.url", request(url=" https://a.example/")),
    (RuleFault.URL_CHARACTER, "request.url", request(url="https://a.exam\0ple/")),
    (RuleFault.URL_SCHEME, "request.url", request(url="gopher://a.example/")),
    (RuleFault.URL_SCHEME, "request.url", request(url="file:///etc/passwd")),
    (RuleFault.URL_SCHEME, "request.url", request(url="javascript:alert(1)")),
    (RuleFault.URL_SCHEME, "request.url", request(url="//a.example/")),
    (RuleFault.URL_SCHEME, "request.url", request(url="http:/a.example/")),
    (RuleFault.URL_CREDENTIALS, "request.url", request(url="https://user:secret@a.example/")),
    (RuleFault.URL_HOST, "request.url", request(url="https:///pb")),
    (RuleFault.URL_HOST, "request.url", request(url="https://a..example/")),
    (RuleFault.URL_HOST, "request.url", request(url="https://a%2eexample/")),
    (RuleFault.URL_HOST, "request.url", request(url="https://[::1/")),
    (RuleFault.URL_HOST, "request.url", request(url="https://[fe80::1%25eth0]/")),
    (RuleFault.URL_PORT, "request.url", request(url="https://a.example:0/")),
    (RuleFault.URL_PORT, "request.url", request(url="https://a.example:65536/")),
    (RuleFault.URL_PORT, "request.url", request(url="https://a.example:８０/")),
    (RuleFault.URL_FRAGMENT, "request.url", request(url="https://a.example/#/pb?id={externalid}")),
    (RuleFault.URL_MACRO_IN_AUTHORITY, "request.url", request(url="https://{v1}.example/")),
    (RuleFault.URL_MACRO_IN_AUTHORITY, "request.url", request(url="{v1}://a.example/")),
    (RuleFault.URL_MACRO_IN_AUTHORITY, "request.url", request(url="https://a.example:{v1}/")),
    (RuleFault.URL_OWN_HOST, "request.url", request(url="https://TRACK.example:443/postback")),
    (RuleFault.URL_OWN_HOST, "request.url", request(url="https://track.example./postback")),
    (RuleFault.URL_ADDRESS_REFUSED, "request.url", request(url="http://127.0.0.1:9000/pb")),
    (RuleFault.URL_ADDRESS_REFUSED, "request.url", request(url="http://localhost/pb")),
    (RuleFault.URL_PORT_REFUSED, "request.url", request(url="http://a.example:6379/pb")),
    (RuleFault.HEADER_NAME, "request.headers[0].name", request(headers=(Header("X Y", "1"),))),
    (RuleFault.HEADER_NAME, "request.headers[0].name", request(headers=(Header("X-{v1}", "1"),))),
    (RuleFault.HEADER_FORBIDDEN, "request.headers[0].name", request(headers=(Header("HOST", "a.example"),))),
    (RuleFault.HEADER_TWICE, "request.headers[1].name", request(headers=(Header("X-A", "1"), Header("x-a", "2")))),
    (RuleFault.HEADER_CHARACTER, "request.headers[0].value", request(headers=(Header("X-A", "1\r\nX-B: 2"),))),
    (RuleFault.HEADER_TOO_LONG, "request.headers[0].value", request(headers=(Header("X-A", "1" * 4001),))),
    (
        RuleFault.TOO_MANY_HEADERS,
        "request.headers",
        request(headers=tuple(Header(f"X-{number}", "1") for number in range(51))),
    ),
    (RuleFault.BODY_TOO_LONG, "request.body", posted(BodyKind.TEXT, "x" * 65_537)),
    (RuleFault.BODY_WITHOUT_KIND, "request.body", request(method=Method.POST, body="a=1")),
    (RuleFault.BODY_WITH_GET, "request.body", request(body_kind=BodyKind.FORM, body="a=1")),
    (RuleFault.BODY_NOT_JSON, "request.body", posted(BodyKind.JSON, '{"id": "{externalid}"')),
    (RuleFault.BODY_NOT_JSON, "request.body", posted(BodyKind.JSON, "[" * 60_000)),
    (RuleFault.STATUS_UNKNOWN, "conditions.statuses[1]", {"conditions": Conditions(statuses=("sale", "sold"))}),
    (
        RuleFault.MINIMUM_OUT_OF_RANGE,
        "conditions.minimum_payout_micros",
        {"conditions": Conditions(minimum_payout_micros=10**19)},
    ),
    (RuleFault.EVERY_NTH_OUT_OF_RANGE, "conditions.every_nth", {"conditions": Conditions(every_nth=0)}),
    (RuleFault.DELAY_OUT_OF_RANGE, "conditions.delay_seconds", {"conditions": Conditions(delay_seconds=-1)}),
    (RuleFault.PERCENT_OUT_OF_RANGE, "conditions.payout_percent", {"conditions": Conditions(payout_percent=101)}),
    (RuleFault.SUCCESS_NOT_A_PATTERN, "success.must_match", {"success": Success(must_match="(ok")}),
    (RuleFault.SUCCESS_NOT_A_PATTERN, "success.must_not_match", {"success": Success(must_not_match="(?=ok)")}),
    (RuleFault.SUCCESS_NOT_A_PATTERN, "success.must_match", {"success": Success(must_match="o" * 501)}),
    (RuleFault.SECRETS_UNFIT, "request.secrets", request(secrets=("abc",))),
    (RuleFault.SECRETS_UNFIT, "request.secrets", request(secrets=("secret",) * 21)),
    (RuleFault.SUCCESS_TOO_LONG, "success.must_contain", {"success": Success(must_contain="x" * 1001)}),
    (RuleFault.SCHEDULE_TOO_LONG, "waits_seconds", {"schedule": Schedule(waits_seconds=(1,) * 30)}),
    (RuleFault.SCHEDULE_OUT_OF_RANGE, "waits_seconds", {"schedule": Schedule(waits_seconds=(0,))}),
]


def rule(**given: Any) -> PostbackRule:
    return msgspec.structs.replace(PostbackRule(rule_id=0, name="Postback", request=GOOD), **given)


@pytest.mark.parametrize(("fault", "field", "given"), CASES)
def test_a_rule_with_a_fault_is_refused_with_its_field(fault: RuleFault, field: str, given: dict[str, Any]) -> None:
    found = check_rule(rule(**given), STATUSES, AddressGuard(Policy(own_hosts=frozenset(("track.example",)))))

    assert [(one.fault, one.field) for one in found] == [(fault, field)]


@pytest.mark.parametrize("fault", RuleFault)
def test_every_fault_has_a_sentence_and_a_case(fault: RuleFault) -> None:
    assert fault.sentence.endswith(".")
    assert fault in {case[0] for case in CASES}


@pytest.mark.parametrize("name", sorted(FORBIDDEN_HEADERS))
def test_a_header_that_frames_or_names_the_request_is_refused(name: str) -> None:
    found = check_request(msgspec.structs.replace(GOOD, headers=(Header(name.title(), "1"),)))

    assert [one.fault for one in found] == [RuleFault.HEADER_FORBIDDEN]


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example",
        "https://a.example:8443/pb?id={externalid}&t={click_time|format:%Y-%m-%d %H:%M}",
        "https://a_b.example./pb?x=%26{unknown}&list[]=1",
        "https://täst.example/ü?x=é",
        "http://[2606:4700::1111]:81/{v1|raw}",
        "http://198.20.0.1/pb",
        "https://a.example/pb@home?mail=a@b.example&u=https://c.example/",
    ],
)
def test_a_url_of_the_usual_kinds_is_accepted(url: str) -> None:
    assert check_request(RequestTemplate(url=url)) == ()


def test_a_json_body_is_accepted_with_macros_in_and_outside_of_quotes() -> None:
    body = '{"id": "{externalid}", "amount": {payout}, "note": "sale of {offer.name}"}'

    assert check_rule(rule(**posted(BodyKind.JSON, body)), STATUSES) == ()


def test_a_rule_is_read_back_from_its_row_unchanged() -> None:
    saved = rule(
        source_id=4,
        conditions=Conditions(statuses=("sale",), minimum_payout_micros=5),
        schedule=Schedule(waits_seconds=(1, 2)),
        **request(method=Method.POST, headers=(Header("X-A", "1"),), body_kind=BodyKind.TEXT, body="hi"),
    )
    row = {
        "id": 0,
        "name": saved.name,
        "source_id": 4,
        "campaign_id": None,
        "active": 1,
        "request": msgspec.to_builtins(saved.request),
        "conditions": msgspec.to_builtins(saved.conditions),
        "success": {},
        "schedule": [1, 2],
    }

    assert rule_of_row(row) == saved
    assert rule_of_row(row | {"schedule": []}).schedule.attempts == 1
    assert rule_of_row(row | {"schedule": None}).schedule == Schedule()
