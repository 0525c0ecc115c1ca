"""Bodies that a broken or hostile program sends to the API: each is refused in words, and none breaks anything."""

import gzip
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.web.api.ending import converted, ended

if TYPE_CHECKING:
    from tests.web.conftest import Instance

MANY = 100_000
DEEP_LIST = b"[" * MANY + b"]" * MANY
DEEP_OBJECT = b'{"a":' * MANY + b"1" + b"}" * MANY
NUMBERS = (
    b"9" * 5_000,
    b"1e400",
    b"-1e400",
    b"0." + b"1" * 5_000,
    b"1" + b"0" * 400,
    b"-0",
    b"1E+99999",
    b"2147483648",
)
NO_JSON = (
    *(
        b"",
        b" ",
        b"\0",
        b"{",
        b"}",
        b'{"name"',
        b"'name'",
        b"{name: 1}",
        b"// x",
        b"\xff\xfe{\0}\0",
        b"\xff" * 100,
        b'{"a": "\xff"}',
    ),
    *(
        b"NaN",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": -Infinity}',
        b'{"name": 01}',
        b'{"name": .5}',
        b'{"a":1}{"a":2}',
    ),
    *(
        '{"name": "é"}'.encode("utf-16"),
        '{"name": "é"}'.encode("latin-1"),
        "{}".encode("utf-32"),
        gzip.compress(b"{}"),
        b'{"\\ud8": 1}',
    ),
)
KINDS = (
    "application/json",
    "application/json; charset=utf-16",
    "application/json; charset=nothing",
    "application/vnd.x+json",
)
OTHER_KINDS = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "/",
    "json",
)


def bodies(names: list[str]) -> list[bytes]:
    """Return what is sent to an operation whose body has fields of these names."""
    found = [*NO_JSON, DEEP_LIST, DEEP_OBJECT, b"\xef\xbb\xbf{}", b"[]", b"null", b"1", b'"x"', b"true"]
    found += [b"[" + b"{}," * 60_000 + b"{}]", b'{"x": [' + b"1," * 80_000 + b"1]}", b'"' + b"x" * 900_000 + b'"']
    found.append(b"{" + b",".join(b'"k%d":1' % number for number in range(20_000)) + b"}")
    for value in (
        *NUMBERS,
        *(
            b"null",
            b"true",
            b"[]",
            b"{}",
            b"[null]",
            b"[[]]",
            b'[{"x":1}]',
            b'{"":{}}',
            b'""',
            b'"\\u0000"',
            b'"\\ud800"',
        ),
        *(b'"\\udfff\\ud800"', b'"\\ud83d\\ude00"', b'"' + b"x" * 100_000 + b'"', b'"' + "漢".encode() * 50_000 + b'"'),
        *(
            b"[" * 900 + b"]" * 900,
            b'{"a":' * 900 + b"1" + b"}" * 900,
            b"[" + b'"x",' * 20_000 + b'"x"]',
            b'"{clickid"',
            b'"://"',
        ),
    ):
        found.append(b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name in names or ["x"]) + b"}")
    for name in names:
        found.append(b'{"%s":"x","%s":"y"}' % (name.encode(), name.encode()))
        found.append(b'{"%s":[' % name.encode() + b"{}," * 3_000 + b"{}]}")
    return found


@pytest.fixture
def places(instance: "Instance") -> dict[str, str]:
    """Return what stands in the parameters of paths for records that are there."""
    instance.set_up()
    instance.made("tokens", {"name": "script"})
    failed = ended(instance, converted(instance))
    conversion = instance.got("conversions")["items"][0]
    return {
        "number": "1",
        "key": "sale",
        "receiver": "source.example:443",
        "postback_id": failed,
        "conversion_id": conversion["conversion_id"],
        "notice_id": instance.got("notices")["items"][0]["notice_id"],
    }


def operations(instance: "Instance") -> list[tuple[str, str, list[str]]]:
    """Return method, path and names of fields of every operation that takes JSON, and of those that take no body."""
    document = instance.api.get("/api/openapi.json").json()
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method not in ("post", "patch", "put"):
                continue
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            found.append((method, path, sorted(_fields(document, schema))))
    return found


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """Return the names of the fields of a schema, whichever way it is referred to."""
    if "$ref" in schema:
        return _fields(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    inner = [one for way in ("oneOf", "anyOf", "allOf") for one in schema.get(way, ())]
    return {*schema.get("properties", ()), *(name for one in inner for name in _fields(document, one))}


def fault_of(answer: Any) -> str:
    """Return what is wrong with an answer to a hostile request; empty: nothing."""
    if answer.status_code >= 500:
        return f"{answer.status_code}"
    if answer.status_code < 400:
        return ""
    if not answer.headers["content-type"].startswith("application/problem+json"):
        return f"{answer.status_code} as {answer.headers['content-type']}"
    problem = msgspec.json.decode(answer.content)
    if not problem.get("detail") or problem["status"] != answer.status_code:
        return f"{answer.status_code} without a sentence"
    if answer.status_code == 422 and not all(one["message"] and one["code"] for one in problem["errors"]):
        return "a fault without a code or a sentence"
    return f"an answer of {len(answer.content)} bytes" if len(answer.content) > 100_000 else ""


def test_no_body_breaks_the_api_and_each_refusal_says_what_is_wrong(
    instance: "Instance", places: dict[str, str]
) -> None:
    broken = []
    sent = 0
    for method, path, names in operations(instance):
        place = path.format_map({name: places.get(name, "x") for name in _parameters(path)})
        for body in bodies(names):
            answer = instance.api.request(method, place, content=body, headers={"content-type": "application/json"})
            sent += 1
            if fault := fault_of(answer):
                broken.append((method, path, body[:80], fault))
    assert sent > 1_000, "the operations were not found"
    assert broken == []


@pytest.mark.parametrize("kind", [*KINDS, *OTHER_KINDS, "", "é"])
def test_a_body_of_any_kind_is_read_as_json_or_refused_with_415(
    instance: "Instance", places: dict[str, str], kind: str
) -> None:
    for method, path, names in operations(instance):
        if not names:
            continue
        place = path.format_map({name: places.get(name, "x") for name in _parameters(path)})
        for body in (b"{", b"\xff\xfe{\0}\0", b'{"x": "\xff"}'):
            answer = instance.api.request(
                method, place, content=body, headers=[(b"content-type", kind.encode("latin-1"))]
            )
            assert fault_of(answer) == "", (path, kind, body)
            assert answer.status_code == (400 if kind in KINDS else 415), (path, kind, answer.text)


@pytest.mark.parametrize("octets", [1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_body_is_taken_up_to_a_mebibyte(instance: "Instance", octets: int) -> None:
    body = b'{"name": "' + b"x" * (octets - 12) + b'"}'
    answer = instance.api.post("/api/v1/networks", content=body, headers={"content-type": "application/json"})
    assert fault_of(answer) == ""
    assert answer.status_code == (422 if octets == 1 << 20 else 413)


def _parameters(path: str) -> list[str]:
    return [part.strip("{}") for part in path.split("/") if part.startswith("{")]
