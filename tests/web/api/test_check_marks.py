"""What the check finds about marks."""

from typing import TYPE_CHECKING

from clickloop.diagnosis.check.marks import mark_evidence_findings
from clickloop.report.evidence import ClickEvidence
from clickloop.setup.campaign import Campaign

if TYPE_CHECKING:
    from tests.web.conftest import Instance

CAMPAIGN = Campaign(key="aB3xY9", name="Summer", source_id=1, id=1)


def codes(instance: "Instance", path: str = "check") -> list[str]:
    return [one["code"] for one in instance.got(path)["findings"]]


def test_a_mark_that_hits_40_percent_of_the_recent_clicks_is_reported() -> None:
    (finding,) = mark_evidence_findings(CAMPAIGN, ClickEvidence(recent=1_000, marks={"repeat": 400, "no_view": 399}))
    assert finding.sentence.startswith("400 of the last 1,000 clicks (40%) are marked 'repeat'. The same visitor")


def test_few_clicks_say_nothing_about_a_mark() -> None:
    assert not list(mark_evidence_findings(CAMPAIGN, ClickEvidence(recent=99, marks={"repeat": 99})))


def test_recent_clicks_are_counted_by_mark(instance: "Instance") -> None:
    instance.set_up()
    for _ in range(3):
        instance.visit(useragent="curl/8.5.0", marks="bot_useragent,repeat")
    instance.visit()
    assert instance.facts.recent_clicks(1_000)[1].marks == {"bot_useragent": 3, "repeat": 3}


def test_a_rule_on_a_mark_that_is_off_is_reported_until_it_is_on(instance: "Instance") -> None:
    instance.set_up()
    rule = {
        "conditions": [{"field": "mark", "values": ["no_referrer", "datacenter"]}],
        "paths": [{"target": "nothing"}],
    }
    flow = instance.got("campaigns/1")["flow"]
    instance.api.patch("/api/v1/campaigns/1", json={"flow": {**flow, "rules": [rule]}})
    assert "rule_on_mark_off" in codes(instance, "check?campaign_id=1")
    instance.api.patch("/api/v1/campaigns/1", json={"marks": [{"mark": "no_referrer"}]})
    assert "rule_on_mark_off" not in codes(instance)


def test_a_list_of_addresses_without_an_address_is_reported(instance: "Instance") -> None:
    number = instance.made("lists", {"name": "Agents", "entries": ["curl"]})["id"]
    instance.api.patch("/api/v1/settings", json={"ip_lists": [number]})
    assert codes(instance).count("mark_list_useless") == 1
    instance.api.patch(f"/api/v1/lists/{number}", json={"entries": ["curl", "192.0.2.0/24"]})
    assert "mark_list_useless" not in codes(instance)
