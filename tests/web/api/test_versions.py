"""ETag and If-Match: a change applies to the version its sender has seen, or to any."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from clickloop.setup.offer import OfferChange
from clickloop.store.ledger.setup.versions import Expectation, StaleRecordError
from clickloop.web.api.setup.offers import change_offer
from clickloop.web.api.versions import read_if_match

if TYPE_CHECKING:
    from tests.web.conftest import Instance

RECORDS: dict[str, dict[str, Any]] = {
    "traffic-sources/1": {"name": "Changed"},
    "networks/1": {"name": "Changed"},
    "offers/1": {"name": "Changed"},
    "campaigns/1": {"name": "Changed"},
    "landings/1": {"name": "Changed"},
    "lists/1": {"name": "Changed"},
    "flows/2": {"name": "Changed"},
    "views/1": {"name": "Changed"},
    "statuses/vip": {"name": "Changed"},
    "postback-rules/1": {"name": "Changed"},
    "users/1": {"name": "changed"},
    "settings": {"currency": "EUR"},
}
"""A change of a record, by path."""
ARCHIVED = (
    "traffic-sources/2",
    "networks/2",
    "offers/2",
    "campaigns/1",
    "postback-rules/1",
    "landings/1",
    "lists/1",
    "flows/2",
    "views/1",
)


@pytest.fixture
def worked(instance: "Instance") -> "Instance":
    """Return an instance with records of each kind; those with number 2 are not in use."""
    instance.set_up()
    instance.made("traffic-sources", {"name": "Unused"})
    instance.made("networks", {"name": "Unused", "postback_parameters": {"cid": "{sub1}"}})
    instance.made("offers", {"name": "Unused", "url": "https://network.example/?sub1={clickid}"})
    instance.made("landings", {"name": "Unused", "url": "https://landing.example/"})
    instance.made("lists", {"name": "Unused", "entries": ["a"]})
    instance.made("views", {"name": "Unused"})
    instance.made("flows", {"name": "Unused"})  # number 1 is the campaign's own
    instance.made("statuses", {"key": "vip", "name": "VIP", "counts_as": "pending"})
    instance.made("users", {"name": "anna", "role": "worker"})
    answer = instance.api.patch("/api/v1/settings", json={"currency": "USD"})
    assert answer.status_code == 200
    return instance


def send(instance: "Instance", method: str, path: str, if_match: str | None, body: Any = None) -> Any:
    headers = {} if if_match is None else {"If-Match": if_match}
    return instance.api.request(method, f"/api/v1/{path}", json=body, headers=headers)


def tag(instance: "Instance", path: str) -> str:
    return str(instance.api.get(f"/api/v1/{path}").headers["etag"])


def changes(instance: "Instance") -> int:
    return len(instance.got("changes?limit=500")["items"])


@pytest.mark.parametrize("path", RECORDS)
def test_a_record_carries_its_version_as_its_etag(worked: "Instance", path: str) -> None:
    answer = worked.api.get(f"/api/v1/{path}")
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'


@pytest.mark.parametrize("path", [path for path in RECORDS if path != "settings"])
def test_the_records_of_a_list_carry_their_versions(worked: "Instance", path: str) -> None:
    noun, _, key = path.partition("/")
    items = {str(item.get("id", item.get("key"))): item["version"] for item in worked.got(noun)["items"]}
    assert f'"{items[key]}"' == tag(worked, path)


@pytest.mark.parametrize("path", RECORDS)
def test_a_change_of_the_current_version_is_saved(worked: "Instance", path: str) -> None:
    before = tag(worked, path)
    answer = send(worked, "PATCH", path, before, RECORDS[path])
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == tag(worked, path) != before


@pytest.mark.parametrize("path", RECORDS)
def test_a_change_of_another_version_is_rejected_and_changes_nothing(worked: "Instance", path: str) -> None:
    stale = tag(worked, path)
    send(worked, "PATCH", path, None, RECORDS[path])
    there, logged = worked.got(path), changes(worked)
    answer = send(worked, "PATCH", path, stale, RECORDS[path])
    assert answer.status_code == 412
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["title"], problem["status"]) == ("Precondition Failed", 412)
    assert f"it now has version {there['version']}" in problem["detail"]
    assert f"GET /api/v1/{path}" in problem["detail"]
    assert answer.headers["etag"] == f'"{there["version"]}"'
    assert worked.got(path) == there
    assert changes(worked) == logged


@pytest.mark.parametrize("path", [*ARCHIVED, "statuses/vip", "users/1"])
def test_archiving_and_deleting_check_the_version_too(worked: "Instance", path: str) -> None:
    stale = f'"{worked.got(path)["version"] - 1}"'
    assert send(worked, "DELETE", path, stale).status_code == 412
    assert worked.got(path).get("archived_at") is None
    assert send(worked, "DELETE", path, tag(worked, path)).status_code == 200


@pytest.mark.parametrize("path", ARCHIVED)
def test_restoring_checks_the_version_too(worked: "Instance", path: str) -> None:
    stale = tag(worked, path)
    archived = send(worked, "DELETE", path, None).headers["etag"]
    answer = send(worked, "POST", f"{path}/restore", stale)
    assert answer.status_code == 412
    assert f"GET /api/v1/{path})" in answer.json()["detail"]
    assert send(worked, "POST", f"{path}/restore", archived).status_code == 200


@pytest.mark.parametrize("path", ARCHIVED)
def test_a_record_archived_in_the_meantime_is_stale(worked: "Instance", path: str) -> None:
    seen = tag(worked, path)
    send(worked, "DELETE", path, None)
    assert send(worked, "PATCH", path, seen, {"name": "Late"}).status_code == 412
    assert send(worked, "DELETE", path, seen).status_code == 412, (
        "archiving what is archived changes nothing, but was seen"
    )


def test_a_status_deleted_and_created_again_is_another_record(worked: "Instance") -> None:
    seen = tag(worked, "statuses/vip")
    send(worked, "DELETE", "statuses/vip", None)
    assert send(worked, "PATCH", "statuses/vip", seen, {"name": "Late"}).status_code == 404
    worked.now += 1
    worked.made("statuses", {"key": "vip", "name": "New", "counts_as": "rejected"})
    assert send(worked, "PATCH", "statuses/vip", seen, {"name": "Late"}).status_code == 412
    assert worked.got("statuses/vip")["name"] == "New"


def test_a_user_disabled_in_the_meantime_is_stale(worked: "Instance") -> None:
    seen = tag(worked, "users/1")
    send(worked, "DELETE", "users/1", None)
    assert send(worked, "PATCH", "users/1", seen, {"disabled": False}).status_code == 412
    assert worked.got("users/1")["disabled_at"] is not None


def test_the_first_save_of_the_settings_checks_the_version_too(instance: "Instance") -> None:
    assert tag(instance, "settings") == '"0"'
    assert send(instance, "PATCH", "settings", '"0"', {"currency": "EUR"}).status_code == 200
    assert send(instance, "PATCH", "settings", '"0"', {"currency": "GBP"}).status_code == 412
    assert instance.got("settings")["currency"] == "EUR"


@pytest.mark.parametrize("path", RECORDS)
@pytest.mark.parametrize("if_match", [None, "*", " * "])
def test_without_a_version_any_current_version_is_changed(worked: "Instance", path: str, if_match: str | None) -> None:
    assert send(worked, "PATCH", path, if_match, RECORDS[path]).status_code == 200


def test_one_of_several_tags_is_enough(worked: "Instance") -> None:
    listed = f'"1", "a,b" ,W/"5",{tag(worked, "offers/1")}'
    assert send(worked, "PATCH", "offers/1", listed, {"name": "Listed"}).status_code == 200


@pytest.mark.parametrize("given", ['"1"', '""', '"abc"', '"1,2"', '"*"', '"-1"', '"1e3"', f'"{"9" * 900}"', '"٣"'])
def test_a_tag_that_does_not_match_is_stale(worked: "Instance", given: str) -> None:
    headers = {b"If-Match": given.encode("utf-8")}
    answer = worked.api.patch("/api/v1/offers/1", json={"name": "Stale"}, headers=headers)
    assert answer.status_code == 412


def test_a_weak_tag_never_matches(worked: "Instance") -> None:
    answer = send(worked, "PATCH", "offers/1", f"W/{tag(worked, 'offers/1')}", {"name": "Weak"})
    assert answer.status_code == 412


@pytest.mark.parametrize(
    "given",
    [
        "",
        " ",
        "1",
        "abc",
        '"1',
        '1"',
        '"1""2"',
        '"1",',
        ',"1"',
        '*, "1"',
        "**",
        "w/1",
        'w/"1"',
        '"a b"',
        f'"{"9" * 2000}"',
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", "offers/1"), ("DELETE", "offers/2"), ("POST", "offers/2/restore")]
)
def test_an_unreadable_if_match_is_rejected_with_a_sentence(
    worked: "Instance", given: str, method: str, path: str
) -> None:
    answer = send(worked, method, path, given, {"name": "Odd"} if method == "PATCH" else None)
    assert answer.status_code == 400
    assert "ETag" in answer.json()["detail"]
    assert worked.got("offers/1")["name"] == "Offer"
    assert worked.got("offers/2")["archived_at"] is None


def test_a_repeated_header_is_one_list() -> None:
    assert read_if_match(['"1"', '"2"']) == Expectation(frozenset({1, 2}))


def test_reading_an_if_match_takes_linear_time() -> None:
    for odd in ('"' * 900, '"1",' * 240, '"1" ' * 240, "W/" * 480, '"1"' + " \t" * 400 + "x"):
        with pytest.raises(Exception, match="If-Match"):
            read_if_match([odd])


@pytest.mark.parametrize("number", range(5))
def test_of_two_concurrent_changes_of_one_version_one_is_saved(worked: "Instance", number: int) -> None:
    seen = Expectation(frozenset({worked.got("offers/1")["version"]}))
    logged = changes(worked)
    raised = race(
        lambda name: change_offer(dataclasses.replace(worked.context, expected=seen), 1, OfferChange(name=name))
    )
    assert sorted(raised) == [False, True]
    assert worked.got("offers/1")["name"] == ("Name 0" if not raised[0] else "Name 1")
    assert changes(worked) == logged + 1


def test_without_a_version_both_are_saved_in_turn(worked: "Instance") -> None:
    logged = changes(worked)
    assert race(lambda name: change_offer(worked.context, 1, OfferChange(name=name))) == [False, False]
    assert changes(worked) == logged + 2


def race(change: Callable[[str], object]) -> list[bool]:
    """Run two changes in two threads, and return which were stale."""
    together = Barrier(2)

    def run(name: str) -> bool:
        together.wait(10)
        try:
            change(name)
        except StaleRecordError:
            return True
        return False

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, ("Name 0", "Name 1")))


def test_over_http_one_of_two_concurrent_changes_is_saved(worked: "Instance") -> None:
    seen, logged = tag(worked, "campaigns/1"), changes(worked)
    together = Barrier(2)

    def save(name: str) -> int:
        together.wait(10)
        return int(send(worked, "PATCH", "campaigns/1", seen, {"name": name, "offers": []}).status_code)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(save, ("One", "Two"))) == [200, 412]
    assert changes(worked) == logged + 1


def test_a_source_gets_a_new_version_with_the_rule_of_its_postback_url(worked: "Instance") -> None:
    seen = tag(worked, "traffic-sources/1")
    send(worked, "PATCH", "postback-rules/1", None, {"request": {"url": "https://other.example/?id={externalid}"}})
    assert send(worked, "PATCH", "traffic-sources/1", seen, {"name": "Stale"}).status_code == 412


def test_a_copy_has_its_own_version(worked: "Instance") -> None:
    worked.now += 5
    for path in ("campaigns/1", "postback-rules/1"):
        answer = send(worked, "POST", f"{path}/clone", None, {} if path == "campaigns/1" else None)
        assert answer.json()["version"] == worked.now
        assert answer.headers["etag"] == f'"{worked.now}"'


def test_a_rules_own_state_changes_leave_its_version_alone(worked: "Instance") -> None:
    seen = tag(worked, "postback-rules/1")
    assert send(worked, "POST", "postback-rules/1/resume", None).status_code == 200
    assert send(worked, "PATCH", "postback-rules/1", seen, {"name": "Mine"}).status_code == 200


def test_saving_an_unchanged_record_adds_no_audit_entry(worked: "Instance") -> None:
    send(worked, "PATCH", "offers/1", None, {"name": "Same"})
    logged = changes(worked)
    send(worked, "PATCH", "offers/1", None, {"name": "Same"})
    assert changes(worked) == logged


def test_every_operation_that_changes_a_record_describes_and_honors_if_match(worked: "Instance") -> None:
    document = worked.api.get("/api/openapi.json").json()
    paths = {"{number}": "1", "{key}": "vip"}
    described = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parameters = {parameter["name"]: parameter for parameter in operation.get("parameters", ())}
            if "If-Match" not in parameters:
                continue
            assert parameters["If-Match"]["in"] == "header"
            assert {"400", "412"} <= operation["responses"].keys()
            assert "ETag" in operation["responses"]["200"]["headers"]
            described.add(f"{method} {path.removeprefix('/api/v1/')}")
            filled = path.removeprefix("/api/v1/")
            for name, value in (paths | ({"{number}": "2"} if filled.startswith("flows") else {})).items():
                filled = filled.replace(name, value)
            answer = send(worked, method.upper(), filled, '"1"', {} if method == "patch" else None)
            assert answer.status_code == 412, f"{method} {path}: {answer.text}"
    nouns = (
        "traffic-sources",
        "networks",
        "offers",
        "campaigns",
        "postback-rules",
        "landings",
        "lists",
        "flows",
        "views",
    )
    assert described == {
        *(f"{method} {noun}/{{number}}" for noun in nouns for method in ("patch", "delete")),
        *(f"post {noun}/{{number}}/restore" for noun in nouns),
        *(f"{method} users/{{number}}" for method in ("patch", "delete")),
        *(f"{method} statuses/{{key}}" for method in ("patch", "delete")),
        "patch settings",
    }


def test_reading_a_record_describes_its_etag(instance: "Instance") -> None:
    operations = instance.api.get("/api/openapi.json").json()["paths"]
    for noun in ("traffic-sources", "networks", "offers", "campaigns", "postback-rules", "users"):
        assert "ETag" in operations[f"/api/v1/{noun}/{{number}}"]["get"]["responses"]["200"]["headers"]
    assert "headers" not in operations["/api/v1/offers"]["get"]["responses"]["200"]
