"""Who gets in, what every answer carries, and how every error looks."""

import contextlib
import dataclasses
import json
import sqlite3
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar.testing import TestClient

from clickloop.store.facts.facts import FactsError, FactsReader
from clickloop.web.api.application import create_api, description
from tests.store.ledger.test_page_audit import zeroed_page_of
from tests.web.conftest import application

if TYPE_CHECKING:
    from tests.web.conftest import Instance

HEADERS = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def paths(instance: "Instance") -> dict[str, Any]:
    found: dict[str, Any] = instance.api.get("/api/openapi.json").json()["paths"]
    return found


def test_every_door_but_the_description_asks_for_a_token(instance: "Instance") -> None:
    doors = [(path, method) for path, methods in paths(instance).items() for method in methods]
    del instance.api.headers["authorization"]
    for path, method in doors:
        place = path.replace("{number}", "1")
        for name in ("click_id", "notice_id", "conversion_id", "postback_id", "key"):
            place = place.replace(f"{{{name}}}", "abc")
        answer = instance.api.request(method.upper(), place, json={} if method in ("post", "patch") else None)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"].startswith("application/problem+json")
    assert instance.api.get("/api/openapi.json").status_code == 200


@pytest.mark.parametrize(
    "header", ["Bearer wrong", "Bearer", "Bearer ", "Basic abc", "bearer  ", "Bearer " + "x" * 5000, "Bearer \xff\xfe"]
)
def test_a_wrong_token_is_refused(instance: "Instance", header: str) -> None:
    answer = instance.api.get("/api/v1/macros", headers={b"authorization": header.encode("latin-1")})
    assert answer.status_code == 401


def test_the_local_token_opens_too(instance: "Instance") -> None:
    assert instance.api.get("/api/v1/macros", headers={"authorization": "Bearer clk_local"}).status_code == 200


def test_a_revoked_token_is_out_at_once(instance: "Instance") -> None:
    made = instance.made("tokens", {"name": "script"})
    headers = {"authorization": f"bearer {made['secret']}"}
    assert instance.api.get("/api/v1/macros", headers=headers).status_code == 200
    instance.api.delete(f"/api/v1/tokens/{made['id']}")
    assert instance.api.get("/api/v1/macros", headers=headers).status_code == 401


def test_a_secret_is_shown_once_and_kept_as_a_hash(instance: "Instance") -> None:
    secret = instance.made("tokens", {"name": "script"})["secret"]
    assert secret not in instance.api.get("/api/v1/tokens").text
    assert secret not in instance.api.get("/api/v1/tokens/2").text
    instance.ledger.close()
    stored = b"".join(path.read_bytes() for path in instance.folder.glob("ledger.sqlite*"))
    assert secret.encode() not in stored


def test_the_use_of_a_token_is_noted_to_the_minute(instance: "Instance") -> None:
    instance.got("macros")
    instance.now += 30_000
    instance.got("macros")
    assert instance.got("tokens/1")["last_used_at"] == "2026-03-01T12:00:00.000Z"
    instance.now += 60_001
    instance.got("macros")
    assert instance.got("tokens/1")["last_used_at"] == "2026-03-01T12:01:30.001Z"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/macros", 200),
        ("GET", "/api/openapi.json", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/campaigns/7", 404),
        ("GET", "/api/v1/campaigns/x", 404),
        ("PUT", "/api/v1/campaigns", 405),
        ("GET", "/api/v1/campaigns?limit=501", 422),
        ("GET", "/api/v1/campaigns?limit=0", 422),
        ("GET", "/api/v1/campaigns?limit=1e9", 422),
        ("GET", "/api/v1/campaigns?cursor=abc", 422),
        ("GET", "/api/v1/campaigns?cursor=%00", 422),
        ("GET", "/api/v1/campaigns?surce_id=1", 422),
        ("GET", "/api/v1/campaigns/99999999999999999999", 422),
        ("GET", "/api/v1/clicks?since=yesterday", 422),
        ("GET", "/api/v1/postbacks?state=lost", 422),
        ("GET", "/api/v1/clicks/%F0%9F%98%80/trace", 404),
        ("GET", "/api/v1/notices/%00", 404),
    ],
)
def test_every_answer_has_the_security_headers_and_every_error_is_a_problem(
    instance: "Instance", method: str, path: str, status: int
) -> None:
    answer = instance.api.request(method, path)
    assert answer.status_code == status, answer.text
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    if status >= 400:
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.json()["status"] == status
        assert answer.json()["title"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"name": "\\ud800"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"a":' * 50_000, "application/json", 400),
        (b"name=x", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b" " * (1 << 20) + b"{}", "application/json", 413),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'{"name": 3}', "application/json", 422),
        (b'{"name": "x", "colour": 1}', "application/json", 422),
        (b'{"name": "' + b"x" * 201 + b'"}', "application/json", 422),
        (b'{"name": "a\\u0000b"}', "application/json", 422),
        (b'{"name": "x", "cost_model": "barter"}', "application/json", 422),
        (b'{"name": "x", "cost_currency": "XXQ"}', "application/json", 422),
    ],
)
def test_a_bad_body_is_refused_with_its_own_status(
    instance: "Instance", body: bytes, content_type: str, status: int
) -> None:
    answer = instance.api.post("/api/v1/traffic-sources", content=body, headers={"content-type": content_type})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert instance.got("traffic-sources")["items"] == []


def test_a_key_that_stands_twice_in_an_object_is_refused(instance: "Instance") -> None:
    body = b'{"name": "a", "name": "b", "parameters": [{"parameter": "c", "parameter": "d"}]}'
    answer = instance.api.post("/api/v1/traffic-sources", content=body, headers={"content-type": "application/json"})
    assert instance.faults(answer) == {"name": "duplicate", "parameter": "duplicate"}


@pytest.mark.parametrize(
    ("path", "field", "known"),
    [
        ("postbacks?state=nonsense", "state", "waiting, paused"),
        ("postbacks?reason=nonsense", "reason", "rule_off"),
        ("notices?outcome=nonsense", "outcome", "refused"),
        ("clicks/x/trace?format=nonsense", "format", "json, text"),
        ("conversions?status=nonsense", "status", "hold, sale"),
    ],
)
def test_an_unknown_word_of_a_filter_is_refused_with_the_known_ones(
    instance: "Instance", path: str, field: str, known: str
) -> None:
    answer = instance.api.get(f"/api/v1/{path}")
    assert list(instance.faults(answer)) == [field]
    assert known in answer.json()["errors"][0]["message"]


def test_every_faulty_field_is_named_at_once(instance: "Instance") -> None:
    body = {"name": 3, "source_id": "x", "offers": [{"offer_id": 1, "weight": "a"}, {"of": 1}], "colour": 1}
    assert instance.faults(instance.api.post("/api/v1/campaigns", json=body)) == {
        "name": "wrong_type",
        "source_id": "wrong_type",
        "offers[0].offer_id": "not_found",
        "offers[0].weight": "wrong_type",
        "offers[1].of": "unknown_field",
        "offers[1].offer_id": "required",
        "colour": "unknown_field",
    }


class BrokenFacts:
    """Facts whose every method fails in a way of their own."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        raise self.error


def broken_facts(error: Exception) -> FactsReader:
    return cast(FactsReader, BrokenFacts(error))


def test_a_damaged_page_of_the_ledger_is_a_503_that_says_what_to_do(instance: "Instance") -> None:
    instance.ledger.close()
    zeroed_page_of(instance.folder / "ledger.sqlite", "networks")
    answer = instance.api.get("/api/v1/networks", headers={"authorization": "Bearer clk_local"})
    assert answer.status_code == 503
    assert "clickloop doctor" in answer.text
    assert "restore" in answer.text


def test_a_record_of_the_ledger_that_no_version_has_written_is_a_503_that_says_what_to_do(instance: "Instance") -> None:
    with contextlib.closing(sqlite3.connect(instance.folder / "ledger.sqlite")) as ledger:
        ledger.execute("PRAGMA ignore_check_constraints = ON")
        ledger.execute("UPDATE statuses SET counts_as = 'confirmec' WHERE key = 'sale'")
        ledger.commit()
    answer = instance.api.get("/api/v1/statuses", headers={"authorization": "Bearer clk_local"})
    assert answer.status_code == 503
    assert "clickloop doctor" in answer.text


def test_a_store_that_is_away_is_a_503_to_try_again(instance: "Instance") -> None:
    broken = dataclasses.replace(
        instance.context, facts=broken_facts(FactsError("the disk under /very/secret is gone"))
    )
    with TestClient(application(create_api, broken), raise_server_exceptions=False) as api:
        answer = api.get("/api/v1/clicks", headers={"authorization": "Bearer clk_local"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "secret" not in answer.text


def test_a_breakage_shows_nothing_of_the_inside(instance: "Instance") -> None:
    broken = dataclasses.replace(instance.context, facts=broken_facts(RuntimeError("/very/secret")))
    with TestClient(application(create_api, broken), raise_server_exceptions=False) as api:
        answer = api.get("/api/v1/clicks", headers={"authorization": "Bearer clk_local"})
    assert answer.status_code == 500
    assert answer.json() == {
        "title": "Internal Server Error",
        "status": 500,
        "detail": "Internal error. See the server's log for details.",
    }


@pytest.mark.parametrize(
    "odd", ["<script>alert(1)</script>", "\"'><img src=x>", "\u202eabc", "\U0010ff00x", "😀", "${jndi:x}"]
)
def test_odd_text_comes_back_as_json_text(instance: "Instance", odd: str) -> None:
    made = instance.made("traffic-sources", {"name": odd})
    answer = instance.api.get(f"/api/v1/traffic-sources/{made['id']}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["name"] == odd.replace("\U0010ff00", "�")


def test_the_description_tells_of_every_field_and_parameter(instance: "Instance") -> None:
    document = instance.api.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            assert operation["description"]
            assert "401" in operation["responses"]
            assert all(parameter["description"] for parameter in operation.get("parameters", ()))
    assert all(schema.get("description") for schema in document["components"]["schemas"].values())
    text = json.dumps(document)
    for name in set(_references(document)):
        assert name in document["components"]["schemas"], name
    assert "_View" not in text


def test_no_two_operations_share_an_id(instance: "Instance") -> None:
    ids = [operation["operationId"] for methods in paths(instance).values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"].rpartition("/")[2]] if isinstance(node.get("$ref"), str) else []
        return own + [name for value in node.values() for name in _references(value)]
    return [name for value in node for name in _references(value)] if isinstance(node, list) else []


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["https://x.example/{clickid}", "USD", "{", "\0", "1e9", "sale", "12.5", "\U0010ff41"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@cache
def described() -> Any:
    """Return the description, which takes a second to write."""
    return json.loads(description())


def body_fields(noun: str) -> list[str]:
    """Return the fields that a new record of a noun may have, by the description."""
    document = described()
    schema_of = document["paths"][f"/api/v1/{noun}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return sorted(document["components"]["schemas"][schema_of["$ref"].rpartition("/")[2]]["properties"])


@pytest.mark.parametrize(
    "noun",
    ["traffic-sources", "networks", "offers", "campaigns", "statuses", "postback-rules", "conversions", "tokens"],
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_body_breaks_a_door(instance: "Instance", noun: str, data: st.DataObject) -> None:
    fields = body_fields(noun)
    plausible = {
        "name": st.text(max_size=10),
        "source_id": st.just(1),
        "key": st.text("abcXYZ019_", min_size=1, max_size=8),
        "url": st.sampled_from(
            ["https://x.example/{clickid}", "http://[", "https://{ip}/", "https://x.example:99999/"]
        ),
        "click_id": st.just("0" * 26) | st.text(max_size=30),
        "request": st.fixed_dictionaries({"url": st.text(max_size=20)}) | _JSON,
        "counts_as": st.sampled_from(["pending", "confirmed", "nothing"]),
    }
    body = data.draw(
        st.dictionaries(st.sampled_from(fields), _JSON, max_size=6).flatmap(
            lambda drawn: st.fixed_dictionaries(
                {name: strategy | _JSON for name, strategy in plausible.items() if name in fields}
            ).map(lambda sound: drawn | sound)
        )
    )
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    answer = instance.api.post(f"/api/v1/{noun}", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 201, 202, 400, 422), (body, answer.text)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(max_size=40), name=st.sampled_from(["cursor", "since", "click_id", "external_id", "limit", "state"])
)
def test_no_parameter_breaks_a_door(instance: "Instance", text: str, name: str) -> None:
    for noun in ("clicks", "notices", "postbacks", "conversions"):
        answer = instance.api.get(f"/api/v1/{noun}", params={name: text.encode("utf-8", "replace")})
        assert answer.status_code in (200, 422), (noun, name, text, answer.text)
