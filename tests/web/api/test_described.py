"""All responses of the API match its description."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.web.api.ending import converted, ended

if TYPE_CHECKING:
    from tests.web.conftest import Instance


@pytest.fixture
def postback_id(instance: "Instance") -> str:
    instance.set_up()
    return ended(instance, converted(instance))


def described(instance: "Instance", method: str, path: str, answer: Any) -> bool:
    """Return whether the description has the status and the media type of an answer."""
    operation = instance.api.get("/api/openapi.json").json()["paths"][f"/api/v1{path}"][method]
    kind = answer.headers["content-type"].partition(";")[0]
    return kind in operation["responses"].get(str(answer.status_code), {}).get("content", {})


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "status"),
    [
        ("post", "/notices/rerun", "", {"preview": True, "outcome": "refused"}, 200),
        ("post", "/notices/rerun", "", {"outcome": "refused"}, 202),
        ("post", "/postbacks/resend", "", {"preview": True, "state": "failed"}, 200),
        ("post", "/postbacks/cancel", "", {"preview": True, "campaign_id": 1}, 200),
        ("post", "/postbacks/{postback_id}/cancel", "", None, 409),
        ("post", "/simulate", "", {"campaign_id": 99}, 404),
        ("post", "/simulate", "?format=text", {"campaign_id": 1}, 200),
        ("get", "/check", "?campaign_id=99", None, 404),
        ("get", "/check", "?format=text", None, 200),
        ("post", "/test-clicks", "", {"campaign_id": 99}, 404),
        ("patch", "/profile", "", {"time_zone": "UTC"}, 404),
        ("get", "/profile/sessions", "", None, 404),
        ("post", "/postback-rules/{number}/resume", "", None, 200),
    ],
)
def test_an_answer_is_described(
    instance: "Instance", postback_id: str, method: str, path: str, query: str, body: Any, status: int
) -> None:
    place = path.replace("{postback_id}", postback_id).replace("{number}", "1")
    answer = instance.api.request(method, f"/api/v1{place}{query}", json=body)
    assert answer.status_code == status, answer.text
    assert described(instance, method, path, answer)


def test_a_body_that_may_be_left_out_is_said_to_be_optional(instance: "Instance") -> None:
    document = instance.api.get("/api/openapi.json").json()
    resume = document["paths"]["/api/v1/postback-rules/{number}/resume"]["post"]
    assert resume["requestBody"]["required"] is False
