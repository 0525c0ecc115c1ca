"""Saved views over the API: names, sharing, addresses and the view that reports begin with."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.people.user import Role

if TYPE_CHECKING:
    from tests.web.conftest import Instance

QUERY: dict[str, Any] = {
    "group_by": ["campaign", "Zone"],
    "period": "this_month",
    "zone": "Asia/Kathmandu",
    "filter": ["country:DE", "campaign~:camp"],
    "having": "clicks > 0",
    "column": ["clicks", "cost"],
    "formula": ["Margin = profit / revenue"],
    "by": "click",
    "compare": "previous",
    "sort": "-Margin.change",
    "limit": 7,
}


def test_a_view_resolves_to_the_address_that_gives_the_same_report(instance: "Instance") -> None:
    instance.set_up()
    instance.visit(country="DE", v1="a")
    view = instance.made("views", {"name": "All of it", "query": QUERY})
    assert {name: view["query"][name] for name in QUERY} == QUERY
    assert instance.got(f"views/{view['id']}/report") == instance.got(f"reports?{view['address']}")
    csv = instance.api.get("/api/v1/views/1/report?format=csv").text
    assert csv == instance.api.get(f"/api/v1/reports?{view['address']}&format=csv").text


def test_names_are_unique_for_each_owner_in_any_case(instance: "Instance") -> None:
    user = instance.user(Role.WORKER)
    instance.made("views", {"name": "Zones"})
    assert instance.faults(instance.api.post("/api/v1/views", json={"name": " zONES"})) == {"name": "taken"}
    other = instance.api.post("/api/v1/views", json={"name": "ZONES"}, headers=instance.token_of(Role.WORKER, user.id))
    assert other.status_code == 201


def test_an_own_view_is_seen_by_its_owner_alone_and_a_shared_one_by_all(instance: "Instance") -> None:
    anna, ben = instance.user(Role.WORKER, "anna"), instance.user(Role.WORKER, "ben")
    admin, viewer = instance.user(Role.ADMIN), instance.user(Role.VIEWER)
    as_anna, as_ben = instance.token_of(Role.WORKER, anna.id), instance.token_of(Role.WORKER, ben.id)
    as_admin, as_viewer = instance.token_of(Role.ADMIN, admin.id), instance.token_of(Role.VIEWER, viewer.id)
    made = instance.api.post("/api/v1/views", json={"name": "Mine"}, headers=as_anna).json()
    path = f"/api/v1/views/{made['id']}"
    assert (made["owner"], made["owner_id"]) == ("anna", anna.id)
    for other in (as_ben, as_admin, as_viewer):
        assert instance.api.get("/api/v1/views", headers=other).json()["items"] == []
        for answer in (
            instance.api.get(path, headers=other),
            instance.api.get(f"{path}/report", headers=other),
            instance.api.get(f"{path}/request", headers=other),
        ):
            assert answer.status_code == 404
    for method, at in (("PATCH", path), ("DELETE", path), ("POST", f"{path}/restore")):
        body = {"name": "Taken"} if method == "PATCH" else None
        assert instance.api.request(method, at, json=body, headers=as_ben).status_code == 404
    instance.api.patch(path, json={"shared": True}, headers=as_anna)
    assert instance.api.get(f"{path}/report", headers=as_viewer).status_code == 200
    assert instance.api.patch(path, json={"name": "Taken"}, headers=as_ben).status_code == 403
    assert instance.api.delete(path, headers=as_ben).status_code == 403
    assert instance.api.patch(path, json={"name": "Ours"}, headers=as_admin).json()["owner_id"] == anna.id


def test_reports_begin_with_a_view_that_the_user_may_open(instance: "Instance") -> None:
    anna = instance.user(Role.VIEWER, "anna")
    as_anna = instance.token_of(Role.VIEWER, anna.id)
    view = instance.made("views", {"name": "Start"})["id"]

    def chosen(view_id: int | None) -> Any:
        return instance.api.patch("/api/v1/profile", json={"home_view_id": view_id}, headers=as_anna)

    assert instance.faults(chosen(view)) == {"home_view_id": "not_found"}
    instance.api.patch(f"/api/v1/views/{view}", json={"shared": True})
    assert chosen(view).json()["home_view_id"] == view
    assert chosen(None).json()["home_view_id"] is None
    instance.api.delete(f"/api/v1/views/{view}")
    assert instance.faults(chosen(view)) == {"home_view_id": "archived"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"query": {"group_by": ["no such"]}}, "query.group_by"),
        ({"query": {"having": "clicks >"}}, "query.having"),
        ({"query": {"filter": ["campaign:no such"]}}, "query.filter"),
        ({"query": {"from": "2026-13-01"}}, "query.from"),
        ({"query": {"zone": "Mars/Phobos"}}, "query.zone"),
        ({"schedule": {"rule_id": 99}}, "schedule.rule_id"),
        ({"schedule": {"rule_id": 1}}, "schedule.rule_id"),
        ({"schedule": {"rule_id": 99, "at": "25:00"}}, "schedule.at"),
        ({"schedule": {"rule_id": 99, "zone": "Mars/Phobos"}}, "schedule.zone"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
    ],
)
def test_what_is_wrong_with_a_view_is_named(instance: "Instance", body: dict[str, Any], field: str) -> None:
    instance.set_up()
    assert field in instance.faults(instance.api.post("/api/v1/views", json={"name": "V", **body}))
    assert instance.got("views")["items"] == []


def test_a_rule_for_views_has_no_conditions_and_stays_one(instance: "Instance") -> None:
    request = {"url": "https://x.example/?text={view.csv}"}
    rule = {"name": "Views", "request": request, "conditions": {"trigger": "view"}}
    made = instance.made("postback-rules", rule)
    path = f"/api/v1/postback-rules/{made['id']}"
    answer = instance.api.patch(path, json={"conditions": {"trigger": "new"}})
    assert instance.faults(answer) == {"conditions.trigger": "not_allowed"}
    answer = instance.api.patch(path, json={"conditions": {"every_nth": 2}})
    assert instance.faults(answer) == {"conditions.trigger": "view_conditions"}
    instance.set_up()
    answer = instance.api.post("/api/v1/postback-rules", json={**rule, "source_id": 1})
    assert instance.faults(answer) == {"source_id": "view_of_one"}


def test_a_conversion_is_not_sent_through_a_rule_for_views(instance: "Instance") -> None:
    instance.set_up()
    rule = {"name": "V", "request": {"url": "https://x.example/"}, "conditions": {"trigger": "view"}}
    number = instance.made("postback-rules", rule)["id"]
    instance.made("conversions", {"click_id": instance.visit(), "payout": "1"})
    assert [one["rule_id"] for one in instance.got("postbacks")["items"]] != []
    assert instance.got(f"postbacks?rule_id={number}")["items"] == []
