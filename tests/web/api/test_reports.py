"""Reports and rates over the API."""

import csv
import io
from typing import TYPE_CHECKING

import pytest

from clickloop.report.measure import USUAL
from clickloop.tracking.settle import settle_facts

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def fill(instance: "Instance") -> None:
    """Create two campaigns, five clicks and two conversions."""
    instance.set_up()
    instance.made("campaigns", {"name": "=Second", "source_id": 1, "offers": [{"offer_id": 1}]})
    for _ in range(3):
        instance.visit(campaign_id=2, cost_micros=500_000, cost_currency="USD", country="DE")
    click_id = instance.visit(cost_micros=1_000_000, cost_currency="USD", country="FR")
    instance.made("conversions", {"click_id": click_id, "payout": "10"})
    instance.made("conversions", {"click_id": click_id, "txid": "2", "payout": "4", "status": "hold"})
    settle_facts(instance.ledger, instance.facts)


def test_a_report_has_the_figures_of_each_row_and_the_ratios_of_the_totals(instance: "Instance") -> None:
    fill(instance)
    told = instance.got("reports?period=today&group_by=campaign&sort=key")
    assert [row["keys"] for row in told["rows"]] == [
        [{"value": "1", "name": "Campaign"}],
        [{"value": "2", "name": "=Second"}],
    ]
    first, second = (row["figures"] for row in told["rows"])
    assert (first["clicks"], first["conversions"], first["confirmed"], first["pending"]) == (1, 2, 1, 1)
    assert (first["revenue"], first["profit"]["amount"]) == ({"amount": "10", "currency": "USD"}, "9")
    assert (first["roi"], first["epc"]["amount"], first["cr"], first["by_status"]["hold"]) == ("900", "10", "200", 1)
    assert (second["cr"], second["roi"], second["average_payout"]) == ("0", "-100", None)
    totals = told["totals"]
    assert (totals["cr"], totals["roi"], totals["epc"]["amount"], totals["cpc"]["amount"]) == (
        "50",
        "300",
        "2.5",
        "0.625",
    )
    assert (told["row_count"], told["zone"], told["since"]) == (2, "UTC", "2026-03-01T00:00:00.000Z")


def test_a_ratio_with_a_zero_divisor_is_null(instance: "Instance") -> None:
    totals = instance.got("reports")["totals"]
    assert (totals["cr"], totals["roi"], totals["epc"], totals["approval_rate"]) == (None, None, None, None)
    assert totals["profit"]["amount"] == "0"


def test_rows_are_filtered_ordered_and_paged(instance: "Instance") -> None:
    fill(instance)
    told = instance.got("reports?group_by=country&filter=country:DE&filter=country:FR&sort=-revenue&limit=1")
    assert ([row["keys"][0]["name"] for row in told["rows"]], told["row_count"]) == (["France"], 2)
    told = instance.got("reports?group_by=country&sort=-revenue&limit=1&offset=1")
    assert [row["keys"][0]["name"] for row in told["rows"]] == ["Germany"]


def test_days_make_a_series_in_the_requested_time_zone(instance: "Instance") -> None:
    fill(instance)
    told = instance.got("reports?period=7d&group_by=day&group_by=hour&zone=Asia/Tokyo")
    values = [[key["value"] for key in row["keys"]] for row in told["rows"]]
    assert values == [["2026-03-01", f"2026-03-01T{hour}:00+09:00"] for hour in (20, 21)]
    assert told["since"] == "2026-02-22T15:00:00.000Z"


def test_custom_first_and_last_days_are_included(instance: "Instance") -> None:
    fill(instance)
    assert instance.got("reports?from=2026-03-01&to=2026-03-01")["totals"]["clicks"] == 4
    assert instance.got("reports?from=2026-02-01&to=2026-02-28")["totals"]["clicks"] == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("zone=Mars", "zone"),
        ("zone=../etc/passwd", "zone"),
        ("from=2026-03-02&to=2026-03-01", "to"),
        ("from=yesterday", "from"),
        ("from=1900-01-01", "from"),
        ("group_by=nothing", "group_by"),
        ("group_by=country&group_by=country", "group_by"),
        ("group_by=country&group_by=os&group_by=v1&group_by=v2&group_by=v3&group_by=v4", "group_by"),
        ("group_by=country&within=DE", "within"),
        ("having=cost", "having"),
        ("having=nothing > 1", "having"),
        ("column=nothing", "column"),
        ("formula=profit / clicks", "formula"),
        ("formula=A = profit / nothing", "formula"),
        ("formula=A = 1&formula=a = 2", "formula"),
        ("compare=yesterday", "compare"),
        ("compare=2026-02-30..2026-03-01", "compare"),
        ("by=moon", "by"),
        ("filter=v1>x", "filter"),
        ("sort=clicks;drop", "sort"),
        ("filter=country", "filter"),
        ("filter=campaign:x", "filter"),
        ("filter=campaign:1e3", "filter"),
        ("filter=day:yesterday", "filter"),
        ("limit=0", "limit"),
        ("limit=1000000000", "limit"),
        ("format=xls", "format"),
        ("grup_by=country", "grup_by"),
    ],
)
def test_an_invalid_parameter_is_named(instance: "Instance", query: str, field: str) -> None:
    assert field in instance.faults(instance.api.get(f"/api/v1/reports?{query}"))


def test_a_visitors_value_is_not_run_as_sql(instance: "Instance") -> None:
    fill(instance)
    nasty = "x' OR 1=1 --"
    instance.visit(v1=nasty)
    told = instance.api.get("/api/v1/reports", params={"group_by": "v1", "filter": f"v1:{nasty}"}).json()
    assert [row["keys"][0]["name"] for row in told["rows"]] == [nasty]


def test_the_csv_has_plain_numbers_and_no_formulas(instance: "Instance") -> None:
    fill(instance)
    answer = instance.api.get("/api/v1/reports?period=today&group_by=campaign&sort=key&format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "report-2026-03-01-2026-03-01.csv" in answer.headers["content-disposition"]
    head, first, second, total = csv.reader(io.StringIO(answer.text))
    assert (head[0], first[0], second[0], total[0]) == ("Campaign", "Campaign", "'=Second", "Total")
    by_title = dict(zip(head, second, strict=True))
    assert (by_title["Profit, USD"], by_title["ROI, %"], by_title["Average payout, USD"]) == ("-1.5", "-100", "")
    assert len(head) == 1 + len(USUAL) + 2 * 4 + 1


def test_money_is_converted_by_rates_and_listed_separately_without_one(instance: "Instance") -> None:
    instance.set_up()
    instance.made("conversions", {"click_id": instance.visit(), "payout": "10", "currency": "UAH"})
    settle_facts(instance.ledger, instance.facts)
    totals = instance.got("reports?period=today")["totals"]
    assert (totals["revenue"]["amount"], totals["not_converted"][0]["revenue"]) == (
        "0",
        {"amount": "10", "currency": "UAH"},
    )
    rates = {"rates": [{"currency": "UAH", "day": "2026-02-20", "rate": "1.0823", "source": "ECB"}]}
    assert instance.api.post("/api/v1/rates", json=rates).json() == {"saved": 1}
    totals = instance.got("reports?period=today")["totals"]
    assert (totals["revenue"]["amount"], totals["not_converted"]) == ("10.823", [])
    assert instance.api.get("/api/v1/reports?period=today&format=csv").text.count("UAH") == 0


def test_rates_can_be_listed_replaced_and_deleted(instance: "Instance") -> None:
    days = [{"currency": "EUR", "day": f"2026-02-{day:02d}", "rate": f"1.{day:02d}"} for day in range(1, 6)]
    instance.api.post("/api/v1/rates", json={"rates": [*days, {"currency": "GBP", "day": "2026-02-01", "rate": "1.3"}]})
    instance.api.post("/api/v1/rates", json={"rates": [{"currency": "EUR", "day": "2026-02-02", "rate": "2"}]})
    first = instance.got("rates?limit=4")
    second = instance.got(f"rates?limit=4&cursor={first['next_cursor']}")
    told = [(rate["currency"], rate["day"], rate["rate"]) for rate in first["items"] + second["items"]]
    assert told[:3] == [("EUR", "2026-02-01", "1.01"), ("EUR", "2026-02-02", "2"), ("EUR", "2026-02-03", "1.03")]
    assert (len(told), told[-1], second["next_cursor"]) == (6, ("GBP", "2026-02-01", "1.3"), None)
    assert instance.api.delete("/api/v1/rates/eur/2026-02-02").json()["rate"] == "2"
    assert instance.api.delete("/api/v1/rates/EUR/2026-02-02").status_code == 404
    assert [rate["currency"] for rate in instance.got("rates?currency=gbp")["items"]] == ["GBP"]


@pytest.mark.parametrize(
    ("rate", "field"),
    [
        ({"currency": "EURO", "day": "2026-02-01", "rate": "1"}, "currency"),
        ({"currency": "", "day": "2026-02-01", "rate": "1"}, "currency"),
        ({"currency": "USD", "day": "2026-02-01", "rate": "1"}, "currency"),
        ({"currency": "EUR", "day": "2026-02-30", "rate": "1"}, "day"),
        ({"currency": "EUR", "day": "1.2.2026", "rate": "1"}, "day"),
        ({"currency": "EUR", "day": "2026-02-01", "rate": "0"}, "rate"),
        ({"currency": "EUR", "day": "2026-02-01", "rate": "-1"}, "rate"),
        ({"currency": "EUR", "day": "2026-02-01", "rate": "1e3"}, "rate"),
        ({"currency": "EUR", "day": "2026-02-01", "rate": "NaN"}, "rate"),
        ({"currency": "EUR", "day": "2026-02-01", "rate": "1234567"}, "rate"),
    ],
)
def test_an_invalid_rate_is_rejected_and_none_is_saved(instance: "Instance", rate: dict[str, str], field: str) -> None:
    good = {"currency": "GBP", "day": "2026-02-01", "rate": "1.3"}
    assert instance.faults(instance.api.post("/api/v1/rates", json={"rates": [good, rate]})).keys() == {
        f"rates[1].{field}"
    }
    assert instance.got("rates")["items"] == []
