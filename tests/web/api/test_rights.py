"""Rights: every endpoint that changes something requires a right and adds an audit entry."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.people.user import Right, Role
from clickloop.saving.access import find_invitation
from clickloop.web.api.rights import READING, RIGHT, right_of

if TYPE_CHECKING:
    from tests.web.conftest import Instance

WITHOUT_EFFECT = {
    ("POST", "/api/v1/simulate"),
    ("POST", "/api/v1/campaigns/{number}/route"),
    ("POST", "/api/v1/backtests"),
    ("POST", "/api/v1/backtests/{backtest_id}/stop"),
    ("POST", "/api/v1/networks/{number}/offer-url"),
}
"""Endpoints that look as if they changed something, but do not."""
OWN = ("/api/v1/profile", "/api/v1/exports")
"""Endpoints through which all users change only their own data."""
ADMINISTERED = ("/api/v1/users", "/api/v1/tokens", "/api/v1/changes")


def doors(instance: "Instance") -> list[tuple[str, str, Any]]:
    """Return method, path and handler of every endpoint."""
    found = []
    for route in instance.api.app.routes:
        if route.path.startswith("/api/v1"):
            for handler in route.route_handlers:
                found += [
                    (method, route.path_format, handler) for method in handler.http_methods if method != "OPTIONS"
                ]
    return found


def is_own(path: str) -> bool:
    return path.startswith(OWN)


def asked(instance: "Instance", role: Role, method: str, path: str) -> int:
    place = path
    for name in ("number", "key"):
        place = place.replace(f"{{{name}}}", "1")
    place = place.replace("{receiver}", "source.example:443")
    while "{" in place:
        place = place[: place.index("{")] + "abc" + place[place.index("}") + 1 :]
    headers = {"authorization": f"Bearer clk_{role.value}_None"}
    body: dict[str, Any] | None = {} if method in ("POST", "PATCH", "PUT") else None
    return int(instance.api.request(method, place, headers=headers, json=body).status_code)


def test_every_endpoint_that_changes_something_requires_a_right(instance: "Instance") -> None:
    for method, path, handler in doors(instance):
        right = right_of(handler, method)
        if method in READING:
            assert right is (Right.ADMINISTER if path.startswith(ADMINISTERED) else None), (method, path)
        elif (method, path) in WITHOUT_EFFECT or is_own(path):
            assert RIGHT in handler.opt
            assert right is None
        else:
            assert right in (Right.WORK, Right.ADMINISTER), (method, path)


def test_a_viewer_changes_nothing_and_reads_everything_but_administration(instance: "Instance") -> None:
    instance.token_of(Role.VIEWER)
    for method, path, _ in doors(instance):
        status = asked(instance, Role.VIEWER, method, path)
        may = method in READING or (method, path) in WITHOUT_EFFECT or is_own(path)
        assert (status == 403) is (not may or path.startswith(ADMINISTERED)), (method, path, status)


def test_a_worker_works_but_does_not_administer(instance: "Instance") -> None:
    instance.token_of(Role.WORKER)
    for method, path, handler in doors(instance):
        status = asked(instance, Role.WORKER, method, path)
        assert (status == 403) is (right_of(handler, method) is Right.ADMINISTER), (method, path, status)


def test_a_rejection_by_role_is_a_problem_with_a_sentence(instance: "Instance") -> None:
    answer = instance.api.post("/api/v1/offers", json={}, headers=instance.token_of(Role.VIEWER))
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["detail"] == "Your role, viewer, may read but not change anything."


def test_old_tokens_and_the_local_token_may_do_everything(instance: "Instance") -> None:
    assert instance.got("profile")["rights"] == ["work", "secrets", "administer"]
    local = instance.api.get("/api/v1/profile", headers={"authorization": "Bearer clk_local"}).json()
    assert (local["name"], local["role"], local["via"]) == ("command line", "owner", "command")


def last_line(instance: "Instance") -> Any:
    return instance.got("changes?limit=1")["items"][0]


def test_a_networks_token_is_hidden_from_users_who_may_not_see_secrets(instance: "Instance") -> None:
    worker = instance.token_of(Role.WORKER)
    body = {"name": "Network", "token": "s3cret&<", "postback_parameters": {"cid": "{sub1}"}}
    made = instance.made("networks", body)
    assert made["token"] == "s3cret&<"
    for path in ("/api/v1/networks/1", "/api/v1/networks"):
        answer = instance.api.get(path, headers=worker)
        assert answer.status_code == 200
        assert "s3cret" not in answer.text
    shown = instance.api.get("/api/v1/networks/1", headers=worker).json()
    assert (shown["token"], shown["postback_url"].endswith("&token=•••")) == ("•••", True)
    assert "token=•••" in shown["pixel_code"]
    answer = instance.api.patch("/api/v1/networks/1", json={"token": "•••", "name": "New name"}, headers=worker)
    assert answer.status_code == 200
    assert "s3cret" not in answer.text
    assert (instance.got("networks/1")["token"], instance.got("networks/1")["name"]) == ("s3cret&<", "New name")
    assert instance.faults(instance.api.patch("/api/v1/networks/1", json={"token": "x•••"}, headers=worker)) == {
        "token": "masked"
    }
    assert "s3cret" not in instance.api.get("/api/v1/changes").text


def test_an_audit_entry_has_before_after_and_actor(instance: "Instance") -> None:
    anna = instance.user(Role.ADMIN, "anna")
    headers = instance.token_of(Role.ADMIN, anna.id)
    instance.set_up()
    answer = instance.api.patch("/api/v1/offers/1", json={"name": "Renamed"}, headers=headers)
    assert answer.status_code == 200
    line = last_line(instance)
    assert (line["actor"], line["user_id"], line["via"]) == ("anna, token admin", anna.id, "token")
    assert (line["action"], line["noun"], line["record_id"]) == ("changed", "offers", "1")
    assert (line["before"]["name"], line["after"]["name"]) == ("Offer", "Renamed")
    assert instance.got(f"changes/{line['id']}") == line
    assert [one["id"] for one in instance.got(f"changes?user_id={anna.id}")["items"]] == [line["id"]]
    assert len(instance.got("changes?noun=offers&record_id=1")["items"]) == 2
    assert instance.faults(instance.api.get("/api/v1/changes?record_id=1")) == {"record_id": "required"}


def test_a_rejected_change_adds_no_audit_entry(instance: "Instance") -> None:
    instance.set_up()
    before = len(instance.got("changes")["items"])
    assert instance.api.patch("/api/v1/offers/1", json={"url": "ftp://x"}).status_code == 422
    assert instance.api.delete("/api/v1/networks/1").status_code == 422
    assert len(instance.got("changes")["items"]) == before


def test_the_audit_log_is_paged(instance: "Instance") -> None:
    instance.set_up()
    lines = instance.got("changes")["items"]
    seen, cursor = [], ""
    while True:
        page = instance.got(f"changes?limit=3&cursor={cursor}")
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert seen == lines
    assert len(lines) >= 4


@pytest.mark.parametrize(
    ("actor", "other", "may"),
    [
        (Role.OWNER, Role.OWNER, True),
        (Role.OWNER, Role.ADMIN, True),
        (Role.ADMIN, Role.OWNER, False),
        (Role.ADMIN, Role.ADMIN, False),
        (Role.ADMIN, Role.WORKER, True),
        (Role.ADMIN, Role.VIEWER, True),
    ],
)
def test_only_an_owner_creates_changes_and_signs_in_owners_and_admins(
    instance: "Instance", actor: Role, other: Role, may: bool
) -> None:
    instance.user(Role.OWNER, "first")
    headers = instance.token_of(actor)
    existing = instance.user(other, "existing")
    asks = [
        ("POST", "/api/v1/users", {"name": "made", "role": other.value}, 201),
        ("PATCH", f"/api/v1/users/{existing.id}", {"time_zone": "Europe/Berlin"}, 200),
        ("POST", f"/api/v1/users/{existing.id}/link", None, 201),
        ("POST", f"/api/v1/users/{existing.id}/sign-out", None, 200),
        ("DELETE", f"/api/v1/users/{existing.id}", None, 200),
    ]
    for method, path, body, good in asks:
        status = instance.api.request(method, path, json=body, headers=headers).status_code
        assert status == (good if may else 403), (method, path)


def test_an_admin_cannot_promote_a_worker_to_owner(instance: "Instance") -> None:
    worker = instance.user(Role.WORKER)
    answer = instance.api.patch(
        f"/api/v1/users/{worker.id}", json={"role": "owner"}, headers=instance.token_of(Role.ADMIN)
    )
    assert answer.status_code == 403


def test_a_token_cannot_have_more_rights_than_its_creator(instance: "Instance") -> None:
    headers = instance.token_of(Role.ADMIN)
    answer = instance.api.post("/api/v1/tokens", json={"name": "x", "role": "owner"}, headers=headers)
    assert instance.faults(answer) == {"role": "not_allowed"}
    made = instance.api.post("/api/v1/tokens", json={"name": "x"}, headers=headers).json()
    assert made["role"] == "admin"
    assert instance.api.delete("/api/v1/tokens/1", headers=headers).status_code == 403
    assert instance.api.delete(f"/api/v1/tokens/{made['id']}", headers=headers).status_code == 200


def test_a_new_user_signs_in_only_by_their_link(instance: "Instance") -> None:
    made = instance.made("users", {"name": "ben", "role": "viewer"})
    assert made["has_password"] is False
    assert made["link"].startswith("/panel/welcome?key=")
    assert "link" not in instance.got(f"users/{made['id']}")
    assert made["link"].partition("=")[2] not in instance.api.get("/api/v1/changes").text


@pytest.mark.parametrize(
    ("before", "after", "is_good"),
    [
        (Role.WORKER, Role.OWNER, False),
        (Role.VIEWER, Role.ADMIN, False),
        (Role.VIEWER, Role.WORKER, True),
        (Role.ADMIN, Role.OWNER, True),
        (Role.ADMIN, Role.VIEWER, True),
    ],
)
def test_a_link_by_an_admin_ends_when_its_user_is_promoted_beyond_the_admins_rights(
    instance: "Instance", before: Role, after: Role, is_good: bool
) -> None:
    instance.user(Role.OWNER, "first")
    made = instance.made("users", {"name": "ben", "role": before.value})
    assert instance.api.patch(f"/api/v1/users/{made['id']}", json={"role": after.value}).status_code == 200
    key = made["link"].partition("=")[2]
    assert (find_invitation(instance.context.access, key) is not None) is is_good


@pytest.mark.parametrize("body", [{"role": "admin"}, {"disabled": True}])
def test_the_last_owner_cannot_be_removed_through_the_api(instance: "Instance", body: dict[str, Any]) -> None:
    owner = instance.user(Role.OWNER)
    answer = instance.api.patch(f"/api/v1/users/{owner.id}", json=body)
    assert set(instance.faults(answer).values()) == {"in_use"}


def test_all_users_read_and_change_their_own_profile(instance: "Instance") -> None:
    ben = instance.user(Role.VIEWER, "ben")
    headers = instance.token_of(Role.VIEWER, ben.id)
    assert instance.api.get("/api/v1/profile", headers=headers).json()["time_zone"] == "UTC"
    answer = instance.api.patch("/api/v1/profile", json={"time_zone": "Asia/Tokyo"}, headers=headers)
    assert (answer.status_code, answer.json()["time_zone"], answer.json()["rights"]) == (200, "Asia/Tokyo", [])
    assert instance.faults(instance.api.patch("/api/v1/profile", json={"time_zone": "Mars"}, headers=headers)) == {
        "time_zone": "not_found"
    }
    bad = {"current": "wrong", "password": "a new long password"}
    assert instance.faults(instance.api.post("/api/v1/profile/password", json=bad, headers=headers)) == {
        "current": "not_allowed"
    }
    assert instance.api.get("/api/v1/profile/sessions", headers=headers).json() == {"items": []}
    assert instance.api.delete("/api/v1/profile/sessions/1", headers=headers).status_code == 404
    assert instance.api.delete("/api/v1/profile/sessions", headers=headers).status_code == 200


def test_a_token_without_a_user_has_no_profile_to_change(instance: "Instance") -> None:
    assert instance.api.patch("/api/v1/profile", json={"time_zone": "UTC"}).status_code == 404
