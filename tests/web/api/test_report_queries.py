"""What reports can be asked for over the API: trees, names, conditions, formulas, comparisons, and conversions by click time."""

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest

from clickloop.report.query import Dimension, ReportQuery
from clickloop.tracking.reports.reporting import all_pages
from clickloop.tracking.settle import settle_facts

if TYPE_CHECKING:
    from tests.web.conftest import Instance

DAY_MS = 86_400_000


@pytest.fixture
def filled(instance: "Instance") -> "Instance":
    """Two sources whose parameter Zone is another row, clicks with cost of today and of last week, and two conversions."""
    instance.set_up()
    rows = [{"parameter": "external_id", "placeholder": "{id}"}, {"parameter": "bid", "placeholder": "{b}"}]
    instance.made("traffic-sources", {"name": "Other", "parameters": [*rows, {"parameter": "z", "name": "ZONE"}]})
    instance.made("campaigns", {"name": "Second", "source_id": 2, "offers": [{"offer_id": 1}]})
    cost = {"cost_micros": 1_000_000, "cost_currency": "USD"}
    for _ in range(3):
        instance.visit(v1="a", country="DE", **cost)
    instance.visit(campaign_id=2, source_id=2, v1="0.5", v2="a", country="FR", **cost)
    good = instance.visit(v1="b", country="DE", **cost)
    earlier = instance.visit(v1="a", country="DE", at=instance.now - 7 * DAY_MS, **cost)
    instance.made("conversions", {"click_id": good, "payout": "10"})
    instance.made("conversions", {"click_id": earlier, "txid": "2", "payout": "4", "status": "hold"})
    settle_facts(instance.ledger, instance.facts)
    return instance


def rows_of(told: Any, name: str) -> dict[tuple[str, ...], Any]:
    return {tuple(key["name"] for key in row["keys"]): row["figures"].get(name) for row in told["rows"]}


def test_a_parameter_goes_by_its_name_whatever_row_of_its_source_it_is(filled: "Instance") -> None:
    for name in ("zone", "Zone", "ZONE"):
        told = filled.got(f"reports?period=today&group_by={name}&column=clicks")
        assert rows_of(told, "clicks") == {("a",): 4, ("b",): 1}
        assert told["group_by"] == ["ZONE"]
    assert filled.got("reports?period=today&filter=zone:b&column=clicks")["totals"]["clicks"] == 1


def test_a_parameter_also_goes_by_its_name_in_the_link(filled: "Instance") -> None:
    by_name, by_link = (filled.got(f"reports?period=today&group_by={word}") for word in ("zone", "z"))
    assert {keys for keys in rows_of(by_link, "clicks") if keys[0] == "a"} == {("a",)}
    assert rows_of(by_link, "clicks")["a",] == 1
    assert rows_of(by_name, "clicks")["a",] == 4


def test_zones_that_lose_money_are_one_question(filled: "Instance") -> None:
    told = filled.got("reports?period=today&group_by=zone&having=profit < 0&sort=profit&column=profit&column=cost")
    assert [(row["keys"][0]["name"], row["figures"]["profit"]["amount"]) for row in told["rows"]] == [("a", "-4")]
    assert (told["row_count"], told["totals"]["cost"]["amount"]) == (1, "4")


def test_records_countries_and_statuses_go_by_their_names_in_any_case(filled: "Instance") -> None:
    for text, clicks in (
        ("campaign:SECOND", 1),
        ("campaign!:second", 4),
        ("campaign~:camp", 4),
        ("campaign~:nothing", 0),
        ("country:germany", 4),
        ("country:de", 4),
        ("source:other", 1),
        ("source:2", 1),
    ):
        found = filled.api.get("/api/v1/reports", params={"period": "today", "filter": text, "column": "clicks"}).json()
        assert found["totals"]["clicks"] == clicks, text
    totals = filled.got("reports?period=today&filter=status:Hold")["totals"]
    assert (totals["pending"], totals["confirmed"]) == (1, 0)
    fault = filled.api.get("/api/v1/reports", params={"filter": "campaign:nobody"}).json()["errors"][0]
    assert "none is called “nobody”" in fault["message"]


@pytest.mark.parametrize(
    ("text", "clicks"),
    [("v1>=0.5", 1), ("v1>0.5", 0), ("v1<0.6", 1), ("v1~:A", 3), ("v1!~:A", 2), ("v1:", 0), ("hour_of_day>=11", 5)],
)
def test_filters_compare_numbers_and_parts(filled: "Instance", text: str, clicks: int) -> None:
    told = filled.api.get("/api/v1/reports", params={"period": "today", "filter": text, "column": "clicks"}).json()
    assert told["totals"]["clicks"] == clicks


def test_a_tree_opens_level_by_level_and_each_level_adds_up(filled: "Instance") -> None:
    tree = "reports?period=7d&group_by=day&group_by=country&group_by=zone&column=clicks&sort=key"
    first = filled.got("reports?from=2026-02-20&to=2026-03-01&group_by=day&column=clicks")
    assert rows_of(first, "clicks") == {("2026-02-22 Sun",): 1, ("2026-03-01 Sun",): 5}
    assert rows_of(filled.got(f"{tree}&within=2026-03-01"), "clicks") == {("Germany",): 4, ("France",): 1}
    third = filled.got(f"{tree}&within=2026-03-01&within=DE")
    assert rows_of(third, "clicks") == {("a",): 3, ("b",): 1}
    assert (third["group_by"], third["totals"]["clicks"]) == (["ZONE"], 4)
    flat = filled.got(f"{tree}&group_by=campaign&group_by=hour")
    assert (flat["row_count"], flat["totals"]["clicks"]) == (5, 5)  # conversions are of another hour


def test_columns_of_ones_own_are_calculated_sorted_by_and_totalled_by_their_formula(filled: "Instance") -> None:
    asked = {
        "period": "today",
        "group_by": "zone",
        "column": ["clicks", "conversions.hold", "revenue.hold", "event3"],
        "formula": ["Margin = profit / revenue", "Cost of two = 2 * cost"],
        "sort": "-cost of two",
    }
    told = filled.api.get("/api/v1/reports", params=asked).json()
    first, second = (row["figures"]["columns"] for row in told["rows"])
    assert (first["Margin"], first["Cost of two"], second["Margin"], second["Cost of two"]) == (None, "8", "0.9", "2")
    assert told["totals"]["columns"]["Margin"] == "0.5"
    assert (first["conversions.hold"], first["revenue.hold"], first["event3"]) == ("1", "4", "0")
    units = {column["name"]: column["unit"] for column in told["columns"]}
    assert (units["Margin"], units["Cost of two"], units["clicks"]) == ("number", "money", "count")
    assert set(first | told["totals"]["columns"]) == {
        *("Margin", "Cost of two", "conversions.hold", "revenue.hold", "event3")
    }
    assert "revenue" not in told["totals"]


def test_a_formula_is_checked_while_it_is_typed(filled: "Instance") -> None:
    valid = filled.api.get("/api/v1/reports/formula", params={"text": "revenue.hold / clicks"}).json()
    assert valid == {"kind": "money", "figures": ["clicks", "revenue.hold"], "at": None, "fault": ""}
    typed = filled.api.get("/api/v1/reports/formula", params={"text": "profit / "}).json()
    assert (typed["kind"], typed["at"], typed["fault"]) == (
        "",
        9,
        "The formula ends where a figure or number is missing.",
    )


def test_a_period_is_compared_with_another(filled: "Instance") -> None:
    told = filled.got("reports?period=today&compare=week&group_by=zone&column=clicks&column=cr&sort=-clicks.change")
    first, second = told["rows"]
    assert (first["keys"][0]["name"], first["before"]["clicks"]) == ("a", 1)
    assert first["changes"]["clicks"] == {"change": "3", "percent": "300"}
    assert second["changes"]["clicks"] == {"change": "1", "percent": None}
    assert (told["totals_before"]["clicks"], told["totals_changes"]["clicks"]["change"]) == (1, "4")
    assert told["compared_since"] == "2026-02-22T00:00:00.000Z"
    custom = filled.got("reports?period=today&compare=2026-02-22..2026-02-22&column=clicks")
    assert custom["totals_before"]["clicks"] == 1


def test_conversions_count_at_their_own_time_or_at_that_of_their_click(filled: "Instance") -> None:
    for by, pending in (("conversion", 1), ("click", 0)):
        told = filled.got(f"reports?period=today&by={by}")
        assert (told["totals"]["pending"], told["by"]) == (pending, by)
    earlier = filled.got("reports?from=2026-02-22&to=2026-02-22&by=click")["totals"]
    assert (earlier["clicks"], earlier["pending"]) == (1, 1)


def test_money_is_converted_on_the_day_of_its_conversion_whichever_period_it_is_counted_in(
    instance: "Instance",
) -> None:
    instance.set_up()
    click_id = instance.visit(at=instance.now - 20 * DAY_MS)
    instance.made("conversions", {"click_id": click_id, "payout": "1000", "currency": "GBP"})
    settle_facts(instance.ledger, instance.facts)
    revenue = instance.got("reports?period=today")["totals"]["revenue"]
    assert revenue["amount"].startswith("13")
    day = "reports?from=2026-02-09&to=2026-02-09"
    assert instance.got(f"{day}&by=click")["totals"]["revenue"] == revenue
    assert instance.got(f"{day}&compare=2026-03-01..2026-03-01")["totals_before"]["revenue"] == revenue


def test_expected_profit_shows_the_approval_rates_it_is_based_on(filled: "Instance") -> None:
    click_id = filled.visit()
    for txid in ("r1", "r2", "r3"):
        filled.made("conversions", {"click_id": click_id, "txid": txid, "payout": "1", "status": "rejected"})
    settle_facts(filled.ledger, filled.facts)
    told = filled.got("reports?period=today&column=expected_profit&column=expected_rate&column=delay_p50&column=epuc")
    assert told["approvals"] == [{"offer_id": 1, "confirmed": 1, "rejected": 3, "rate": "25"}]
    # 10 confirmed, a quarter of 4 pending, less 5 of cost
    assert (told["totals"]["expected_profit"]["amount"], told["totals"]["expected_rate"]) == ("6", "25")
    assert told["totals"]["epuc"] is None
    assert told["totals"]["delay_p50"] == 60


def test_the_payouts_of_each_status_are_told(filled: "Instance") -> None:
    totals = filled.got("reports?period=today")["totals"]
    assert totals["revenue_by_status"]["hold"] == {"amount": "4", "currency": "USD"}
    assert totals["by_status"]["hold"] == 1


def test_every_row_leaves_as_csv_page_by_page(instance: "Instance") -> None:
    instance.set_up()
    for number in range(7):
        instance.visit(v1=f"zone {number}")
    query = ReportQuery(from_at=0, until_at=instance.now, currency="USD", group_by=(Dimension.V1,))
    pages = list(all_pages(instance.ledger, instance.facts, query, rows_per_page=3))
    assert [[row.headings[0].name[-1] for row in page.rows] for page in pages] == [[*"012"], [*"345"], ["6"]]
    answer = instance.api.get(
        "/api/v1/reports?period=today&group_by=zone&column=clicks&format=csv&compare=week&sort=key"
    )
    head, *rows = csv.reader(io.StringIO(answer.text))
    assert head[:5] == ["zone", "Clicks", "Clicks, before", "Clicks, change", "Clicks, change in %"]
    assert [row[0] for row in rows] == [*(f"zone {number}" for number in range(7)), "Total"]
    assert rows[-1][1:5] == ["7", "0", "7", ""]
    limited = instance.api.get("/api/v1/reports?period=today&group_by=zone&column=clicks&format=csv&limit=2")
    assert len(limited.text.splitlines()) == 4


def test_a_hostile_query_is_refused_or_answered_without_harm(filled: "Instance") -> None:
    quote = "x' OR 1=1; DROP TABLE facts --"
    asked: list[dict[str, Any]] = [
        {"from": "0001-01-01", "to": "9999-12-31"},
        {"filter": "v1:" + "x" * 60_000},
        {"formula": "A = " + "(" * 1_000 + "1" + ")" * 1_000},
        {"having": "cost >= 1" + " and cost >= 1" * 60},
        {"group_by": quote},
        {"column": quote},
        {"formula": f"{quote} = 1"},
        {"sort": quote},
        {"within": [quote] * 3, "group_by": ["v1", "v2"]},
    ]
    for params in asked:
        assert filled.api.get("/api/v1/reports", params=params).status_code in (400, 422), params
    formula = {"formula": "A = cost / 0", "group_by": "zone", "sort": "A", "period": "today"}
    told = filled.api.get("/api/v1/reports", params=formula).json()
    assert [row["figures"]["columns"]["A"] for row in told["rows"]] == [None, None]
    assert filled.got("reports?period=today")["totals"]["clicks"] == 5
