"""Every error that each operation of the API can be made to answer is in its description, with its media type."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from clickloop.people.user import Role
from tests.web.api.ending import converted, ended

if TYPE_CHECKING:
    from tests.web.conftest import Instance

METHODS = ("get", "post", "put", "patch", "delete")
UNKNOWN = {"number": "2147483647", "receiver": "nowhere.example:443", "currency": "XXX", "day": "2020-01-01"}
BODIES: dict[str, Any] = {
    "offer-url": {"url": "https://a.example/"},
    "resend": {"request": "as_it_was"},
    "clone": {"name": "Another"},
}
"""Bodies with which an operation gets as far as looking up its record, by path ending. Others get an empty object."""


class Operation:
    """An operation as the description has it."""

    def __init__(self, method: str, path: str, described: dict[str, Any]) -> None:
        self.method, self.path, self._described = method, path, described
        self.takes_json = "application/json" in described.get("requestBody", {}).get("content", {})

    def __repr__(self) -> str:
        return f"{self.method} {self.path}"

    def send(self, instance: "Instance", query: str = "", **more: Any) -> Any:
        """Send it for records that are not there."""
        place = re.sub(r"{(\w+)}", lambda found: UNKNOWN.get(found[1], "0" * 26), self.path)
        if self.takes_json and "content" not in more:
            more["json"] = BODIES.get(self.path.rpartition("/")[2], {})
        return instance.api.request(self.method, place + query, **more)

    def fault_of(self, answer: Any) -> str:
        """Return how an answer differs from the description; empty: it does not."""
        kind = answer.headers.get("content-type", "").partition(";")[0]
        described = self._described["responses"].get(str(answer.status_code))
        if described is None:
            return f"{self}: {answer.status_code} is not described"
        if answer.content and kind not in described.get("content", {}):
            return f"{self}: {kind} of {answer.status_code} is not described"
        return ""


def operations(instance: "Instance") -> list[Operation]:
    document = instance.api.get("/api/openapi.json").json()
    found = [
        Operation(method, path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
        if method in METHODS
    ]
    assert len(found) > 100
    return found


def faults(answers: Iterator[tuple[Operation, Any, int | None]]) -> list[str]:
    """Return what differs, of operations and their answers, from the description or from the status that is expected."""
    found = []
    for operation, answer, status in answers:
        if status is not None and answer.status_code != status:
            found.append(f"{operation}: {answer.status_code} in place of {status}: {answer.text[:200]}")
        elif fault := operation.fault_of(answer):
            found.append(fault)
    return found


def test_without_a_token_each_operation_answers_401(instance: "Instance") -> None:
    headers = {"authorization": ""}
    assert faults((one, one.send(instance, headers=headers), 401) for one in operations(instance)) == []


def test_a_parameter_that_nobody_knows_is_refused_with_422(instance: "Instance") -> None:
    assert faults((one, one.send(instance, "?nobody_knows=1"), 422) for one in operations(instance)) == []


def test_a_record_that_is_not_there_is_answered_with_404(instance: "Instance") -> None:
    instance.set_up()
    # A receiver is any host: what is asked of one is kept before anything is sent to it.
    there = [
        one for one in operations(instance) if "{" in one.path and ("{receiver}" not in one.path or one.method == "get")
    ]
    assert faults((one, one.send(instance), 404) for one in there) == []


def test_a_number_or_key_that_is_none_is_answered_as_described(instance: "Instance") -> None:
    for operation in operations(instance):
        for text in ("0", "-1", "x", "9" * 30, "%00", "é", "a" * 301):
            if "{" in operation.path:
                place = re.sub(r"{\w+}", text, operation.path)
                body = {"json": BODIES.get(operation.path.rpartition("/")[2], {})} if operation.takes_json else {}
                answer = instance.api.request(operation.method, place, **body)
                if answer.status_code != 405:  # another operation has that path
                    assert operation.fault_of(answer) == "", (text, answer.text)


@pytest.mark.parametrize("role", list(Role))
def test_what_a_role_may_not_do_is_answered_as_described(instance: "Instance", role: Role) -> None:
    headers = instance.token_of(role)
    answers = [(one, one.send(instance, headers=headers), None) for one in operations(instance)]
    assert faults(iter(answers)) == []
    refused = sum(answer.status_code == 403 for _, answer, _ in answers)
    assert (refused == 0) == (role in (Role.OWNER, Role.ADMIN)), refused


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", None),
        (b"[1]", "application/json", 422),
        (b"{}", "text/csv", 415),
        (b'{"' + b"x" * (1 << 20) + b'": 1}', "application/json", 413),
    ],
)
def test_a_body_that_cannot_be_read_is_answered_as_described(
    instance: "Instance", content: bytes, kind: str, status: int | None
) -> None:
    taking = [one for one in operations(instance) if one.takes_json]
    headers = {"content-type": kind}
    assert faults((one, one.send(instance, content=content, headers=headers), status) for one in taking) == []


def test_the_methods_of_a_path_are_all_named(instance: "Instance") -> None:
    by_path: dict[str, set[str]] = {}
    for operation in operations(instance):
        by_path.setdefault(operation.path, {"OPTIONS"}).add(operation.method.upper())
    for path, methods in by_path.items():
        place = re.sub(r"{(\w+)}", lambda found: UNKNOWN.get(found[1], "x"), path)
        for asked, status in (("OPTIONS", 204), ("TRACE", 405)):
            answer = instance.api.request(asked, place)
            assert answer.status_code == status, path
            assert set(answer.headers["allow"].split(", ")) == methods, path


def test_a_conflict_is_answered_as_described(instance: "Instance") -> None:
    instance.set_up()
    failed = ended(instance, converted(instance))
    instance.made("statuses", {"key": "trial", "name": "Trial", "counts_as": "pending"})
    instance.made("networks", {"name": "Other", "status_words": {"begun": "trial"}})
    by_name = {repr(one): one for one in operations(instance)}
    conflicts = [
        ("delete /api/v1/statuses/{key}", "/api/v1/statuses/trial"),
        ("post /api/v1/postbacks/{postback_id}/cancel", f"/api/v1/postbacks/{failed}/cancel"),
    ]
    answers = [(by_name[name], instance.api.request(name.partition(" ")[0], place), 409) for name, place in conflicts]
    assert faults(iter(answers)) == []


def test_moments_days_and_cursors_have_a_shape_that_they_keep(instance: "Instance") -> None:
    instance.set_up()
    converted(instance)
    document = instance.api.get("/api/openapi.json").json()
    parameters = {one["name"]: one["schema"] for one in document["paths"]["/api/v1/notices"]["get"]["parameters"]}
    page = instance.got("notices?limit=1") | {"since": "2026-03-01T12:00:00.123Z", "until": "2026-03-01"}
    assert re.search(parameters["cursor"]["pattern"], page["next_cursor"] or "bm90aWNlczox")
    assert re.search(parameters["since"]["pattern"], page["since"])
    assert re.search(parameters["until"]["pattern"], page["until"])
    assert not re.search(parameters["until"]["pattern"], "yesterday")
    offer = document["components"]["schemas"]["OfferView"]["properties"]
    assert offer["created_at"]["format"] == "date-time"
    assert {"type": "string", "format": "date-time"} in offer["archived_at"]["oneOf"]


def test_a_second_reading_of_the_facts_is_described_as_429(instance: "Instance") -> None:
    responses = instance.api.get("/api/openapi.json").json()["paths"]["/api/v1/health/facts"]["post"]["responses"]
    assert "application/problem+json" in responses["429"]["content"]
