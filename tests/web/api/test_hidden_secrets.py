"""Whoever may not see a rule's secrets cannot have them sent to a host of their choice, nor have them shown, by changing the rest."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.people.user import Role
from clickloop.store.ledger.setup.postback_rules import find_stored_rule

if TYPE_CHECKING:
    from tests.web.conftest import Instance

BEARER, IN_PATH, IN_BODY, LISTED = "Bearer s3cretHeader", "s3cretPathValue", "s3cretBodyValue", "s3cretListed"
REQUEST: dict[str, Any] = {
    "url": f"https://receiver.example/hook/{IN_PATH}?token=s3cretToken&id={{externalid}}",
    "method": "POST",
    "headers": [{"name": "Authorization", "value": BEARER}, {"name": "X-Plain", "value": f"a {LISTED} b"}],
    "body_kind": "json",
    "body": f'{{"api_key": "{IN_BODY}", "note": "{LISTED}"}}',
    "secrets": [IN_PATH, LISTED],
}
ELSEWHERE = "https://elsewhere.example/?id={externalid}"


def rule(instance: "Instance") -> None:
    """A rule, number 1, of the whole instance."""
    instance.made("postback-rules", {"name": "Rule", "request": REQUEST})


def saved(instance: "Instance", number: int = 1) -> Any:
    """The request of a rule as it is in the ledger."""
    with instance.ledger.read() as tx:
        kept = find_stored_rule(tx, number)
    assert kept is not None
    return kept.rule.request


def changed(
    instance: "Instance", headers: dict[str, str], change: dict[str, Any], record: str = "postback-rules/1"
) -> Any:
    """The answer to a PATCH; of a rule, ``change`` is to its request."""
    body = {"request": change} if record.startswith("postback-rules") else change
    return instance.api.patch(f"/api/v1/{record}", json=body, headers=headers)


@pytest.fixture
def worker(instance: "Instance") -> dict[str, str]:
    """The header of a worker's token."""
    return instance.token_of(Role.WORKER)


@pytest.mark.parametrize(
    ("request_part", "fields"),
    [
        ({"url": ELSEWHERE}, {"request.headers[0].value", "request.headers[1].value", "request.body"}),
        ({"url": ELSEWHERE, "headers": []}, {"request.body"}),
        ({"url": ELSEWHERE, "body": "", "body_kind": "none"}, {"request.headers[0].value", "request.headers[1].value"}),
        (
            {"url": "https://receiver.example:8443/"},
            {"request.headers[0].value", "request.headers[1].value", "request.body"},
        ),
        ({"url": "http://receiver.example/"}, {"request.headers[0].value", "request.headers[1].value", "request.body"}),
    ],
)
def test_a_worker_cannot_send_hidden_parts_to_another_host_by_leaving_them_out(
    instance: "Instance", worker: dict[str, str], request_part: dict[str, Any], fields: set[str]
) -> None:
    rule(instance)
    before = saved(instance)
    answer = changed(instance, worker, request_part)
    assert set(instance.faults(answer)) == fields
    assert set(instance.faults(answer).values()) == {"masked"}
    assert saved(instance) == before
    assert "s3cret" not in answer.text


@pytest.mark.parametrize("secrets", [[], ["token"], ["api_key"], ["s"], ["Authorization"], [IN_PATH], ["•"]])
def test_a_worker_cannot_show_hidden_parts_by_changing_what_is_listed_as_secret(
    instance: "Instance", worker: dict[str, str], secrets: list[str]
) -> None:
    rule(instance)
    before = saved(instance)
    answer = changed(instance, worker, {"secrets": secrets})
    assert "request.url" in instance.faults(answer)
    assert saved(instance) == before
    assert "s3cret" not in answer.text


def test_a_worker_who_writes_every_part_anew_may_send_it_anywhere(instance: "Instance", worker: dict[str, str]) -> None:
    rule(instance)
    anew = {"url": ELSEWHERE, "headers": [], "body": "{}", "secrets": ["abcdefgh"]}
    assert changed(instance, worker, anew).status_code == 200
    assert saved(instance).url == ELSEWHERE


def test_a_worker_may_change_what_hides_nothing_and_goes_nowhere_else(
    instance: "Instance", worker: dict[str, str]
) -> None:
    rule(instance)
    before = saved(instance)
    shown = instance.got("postback-rules/1")["request"]
    assert changed(instance, worker, shown | {"method": "PUT"}).status_code == 200
    assert saved(instance).headers == before.headers
    assert saved(instance).secrets == before.secrets
    instance.made("postback-rules", {"name": "Plain", "request": {"url": "https://a.example/?id={externalid}"}})
    assert changed(instance, worker, {"url": ELSEWHERE, "secrets": ["abcdefgh"]}, "postback-rules/2").status_code == 200


@pytest.mark.parametrize("role", [Role.ADMIN, Role.OWNER])
def test_who_may_see_secrets_may_take_them_elsewhere(instance: "Instance", role: Role) -> None:
    rule(instance)
    headers = instance.token_of(role)
    assert changed(instance, headers, {"url": ELSEWHERE}).status_code == 200
    assert saved(instance).headers[0].value == BEARER
    assert changed(instance, headers, {"secrets": [LISTED, IN_BODY]}).status_code == 200
    assert saved(instance).secrets == (LISTED, IN_BODY)


def test_a_worker_cannot_send_hidden_parts_elsewhere_by_the_address_of_the_source(
    instance: "Instance", worker: dict[str, str]
) -> None:
    instance.set_up()
    (first,) = instance.got("postback-rules?source_id=1")["items"]
    number, owner = first["id"], instance.token_of(Role.OWNER)
    headers = {"headers": [{"name": "X-Api-Key", "value": "s3cretHeader"}]}
    assert changed(instance, owner, headers, f"postback-rules/{number}").status_code == 200
    before = saved(instance, number)
    answer = changed(instance, worker, {"postback_url": ELSEWHERE}, "traffic-sources/1")
    assert instance.faults(answer) == {"postback_url": "masked"}
    assert saved(instance, number) == before
    same_host = {"postback_url": "https://source.example/other?id={externalid}"}
    assert changed(instance, worker, same_host, "traffic-sources/1").status_code == 200
    assert changed(instance, worker, {"postback_url": ""}, "traffic-sources/1").status_code == 200
    answer = changed(instance, worker, {"postback_url": ELSEWHERE}, "traffic-sources/1")
    assert instance.faults(answer) == {"postback_url": "masked"}
    assert changed(instance, owner, {"postback_url": ELSEWHERE}, "traffic-sources/1").status_code == 200
