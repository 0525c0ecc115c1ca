"""Verdicts on the rows of a report over the API."""

import csv
from typing import TYPE_CHECKING

import pytest

from clickloop.clock import DAY_MS, HOUR_MS
from clickloop.tracking.settle import settle_facts

if TYPE_CHECKING:
    from tests.web.conftest import Instance

MONTH = "reports?period=30d&group_by=v1&target=roi:0"


def fill(instance: "Instance") -> None:
    """Make zone a lose money for certain, b earn it, and c have only clicks of today. Conversions come within an hour."""
    instance.set_up()
    today = instance.now
    instance.now -= 2 * DAY_MS
    for zone, conversions in (("a", 0), ("b", 25)):
        ids = [instance.visit(v1=zone, cost_micros=1_000_000, cost_currency="USD") for _ in range(30)]
        for click_id in ids[:conversions]:
            instance.made("conversions", {"click_id": click_id, "payout": "10"})
    instance.now = today
    instance.visit(v1="c", cost_micros=1_000_000, cost_currency="USD")
    settle_facts(instance.ledger, instance.facts)


def test_each_row_is_judged_by_its_matured_clicks(instance: "Instance") -> None:
    fill(instance)
    told = instance.got(MONTH)
    rows = {row["keys"][0]["name"]: row["verdict"] for row in told["rows"]}
    assert float(rows["a"]["misses"]) > 95
    assert (rows["a"]["clicks_needed"], rows["a"]["at_stake"]) == (0, {"amount": "30", "currency": "USD"})
    assert float(rows["b"]["misses"]) < 5
    assert (rows["b"]["clicks_needed"], rows["b"]["at_stake"]["amount"]) == (0, "0")
    assert rows["c"] is None
    assert float(told["totals_verdict"]["misses"]) < 5


def test_the_file_has_the_verdicts_too(instance: "Instance") -> None:
    fill(instance)
    lines = list(csv.reader(instance.api.get(f"/api/v1/{MONTH}&format=csv").text.splitlines()))
    assert lines[0][-4:-1] == ["Misses the target, %", "Clicks needed to know", "At stake, USD"]
    assert {line[0]: line[-2] for line in lines[1:]} == {"a": "30", "b": "0", "c": "", "Total": "0"}


def test_a_report_without_a_target_has_no_verdicts(instance: "Instance") -> None:
    fill(instance)
    told = instance.got("reports?period=30d&group_by=v1")
    assert "judged_until" not in told
    assert "verdict" not in told["rows"][0]


@pytest.mark.parametrize("target", ["roi", "roi:many", "cpa:-3", "cpa:3 EUR", "x" * 40])
def test_what_is_no_target_is_refused(instance: "Instance", target: str) -> None:
    instance.set_up()
    assert instance.faults(instance.api.get("/api/v1/reports", params={"target": target})) == {"target": "not_allowed"}


@pytest.mark.parametrize("asked", ["group_by=status", "group_by=delay", "filter=status:sale"])
def test_rows_without_clicks_are_not_judged(instance: "Instance", asked: str) -> None:
    instance.set_up()
    assert instance.faults(instance.api.get(f"/api/v1/reports?target=roi:0&{asked}")) == {"target": "not_allowed"}


def test_before_any_click_has_matured_there_is_no_verdict(instance: "Instance") -> None:
    instance.set_up()
    instance.now += HOUR_MS
    instance.visit(cost_micros=1, cost_currency="USD")
    told = instance.got("reports?period=today&group_by=campaign&target=cpa:3.50")
    assert (told["rows"][0]["verdict"], told["totals_verdict"]) == (None, None)
