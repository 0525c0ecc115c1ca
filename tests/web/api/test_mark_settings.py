"""Marks in the settings of the instance and of campaigns."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.setup.mark import DEFAULT_MARKS, Mark, MarkSetting, marks_in_force

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def saved(instance: "Instance", **body: Any) -> Any:
    answer = instance.api.patch("/api/v1/settings", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def faults_of(instance: "Instance", path: str, **body: Any) -> dict[str, str]:
    answer = instance.api.patch(f"/api/v1/{path}", json=body)
    assert answer.status_code in {400, 422}, answer.text
    return {fault["field"]: fault["message"] for fault in answer.json()["errors"]}


def test_switches_and_thresholds_are_saved_for_the_instance_and_for_a_campaign(instance: "Instance") -> None:
    instance.set_up()
    marks = [{"mark": "frequent_ip", "on": True, "threshold": 100}, {"mark": "datacenter", "on": False, "threshold": 0}]
    assert saved(instance, marks=marks)["marks"] == marks
    own = [{"mark": "no_referrer", "on": True, "threshold": 0}]
    instance.api.patch("/api/v1/campaigns/1", json={"marks": [{"mark": "no_referrer"}]})
    assert instance.got("campaigns/1")["marks"] == own


@pytest.mark.parametrize(
    ("setting", "field", "message"),
    [
        ({"mark": "frequent_ip", "threshold": -1}, "marks[0].threshold", "Enter 1 to 10,000"),
        ({"mark": "frequent_ip", "threshold": 10_001}, "marks[0].threshold", "Enter 1 to 10,000"),
        ({"mark": "repeat", "threshold": 60_001}, "marks[0].threshold", "Enter 100 to 60,000"),
        ({"mark": "datacenter", "threshold": 5}, "marks[0].threshold", "datacenter has no threshold"),
        ({"mark": "nonsense"}, "marks[0].mark", ""),
    ],
)
@pytest.mark.parametrize("path", ["settings", "campaigns/1"])
def test_a_faulty_setting_is_refused(instance: "Instance", path: str, setting: Any, field: str, message: str) -> None:
    instance.set_up()
    found = faults_of(instance, path, marks=[setting])
    assert found[field].startswith(message)


def test_a_mark_has_one_setting(instance: "Instance") -> None:
    found = faults_of(instance, "settings", marks=[{"mark": "repeat"}, {"mark": "repeat"}])
    assert found == {"marks[1].mark": "repeat has a setting already."}


def test_lists_of_marks_must_exist_and_stay(instance: "Instance") -> None:
    number = instance.made("lists", {"name": "Bad addresses", "entries": ["192.0.2.0/24"]})["id"]
    assert faults_of(instance, "settings", ip_lists=[number, 99]) == {"ip_lists[1]": "There is no live list 99."}
    assert saved(instance, ip_lists=[number, number], useragent_lists=[number])["ip_lists"] == [number]
    answer = instance.api.delete(f"/api/v1/lists/{number}")
    assert answer.status_code == 422
    assert "settings of marks still uses it" in answer.text
    saved(instance, ip_lists=[], useragent_lists=None)
    assert instance.api.delete(f"/api/v1/lists/{number}").status_code < 300


def test_too_many_lists_are_refused(instance: "Instance") -> None:
    found = faults_of(instance, "settings", ip_lists=list(range(1, 12)))
    assert found["ip_lists"] == "The maximum is 10 lists."


def test_a_list_of_a_million_addresses_is_refused(instance: "Instance") -> None:
    entries = [f"{number}" for number in range(1_000_000)]
    answer = instance.api.post("/api/v1/lists", json={"name": "All", "entries": entries})
    assert answer.status_code in {413, 422}
    assert "maximum" in answer.text


def test_a_campaign_keeps_the_instance_s_threshold_unless_it_has_its_own() -> None:
    instance = [MarkSetting(Mark.FREQUENT_IP, True, 100)]
    in_force = {one.mark: one for one in marks_in_force(instance, [MarkSetting(Mark.FREQUENT_IP, False)])}
    assert in_force[Mark.FREQUENT_IP] == MarkSetting(Mark.FREQUENT_IP, False, 100)
    assert in_force[Mark.REPEAT] in DEFAULT_MARKS
    assert list(in_force) == list(Mark)


def test_each_mark_has_a_sentence_and_those_with_a_threshold_a_default() -> None:
    assert all(mark.sentence.endswith(".") for mark in Mark)
    assert [mark.value for mark in Mark if mark.threshold] == [
        *("frequent_ip", "frequent_campaign", "repeat", "reused_external_id", "fast_click", "no_view")
    ]
