"""Bad input of reports: each query ends in a sentence that names the field, or in the right figure; other pages are unaffected."""

import csv
import dataclasses
import io
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from clickloop.store.facts.duckdb.facts import DuckDbFacts
from clickloop.tracking.settle import settle_facts

if TYPE_CHECKING:
    from tests.web.conftest import Instance

REPORTS = "/api/v1/reports"


@pytest.fixture
def filled(instance: "Instance") -> "Instance":
    """A click that costs UAH, which have no rate, with a conversion in UAH; another click without either."""
    instance.set_up()
    click_id = instance.visit(v1="a", country="DE", cost_micros=2_000_000, cost_currency="UAH")
    instance.visit(v1="b", country="FR")
    instance.made("conversions", {"click_id": click_id, "payout": "10", "currency": "UAH"})
    settle_facts(instance.ledger, instance.facts)
    return instance


@pytest.mark.parametrize(
    ("asked", "field", "part"),
    [
        ({"from": "1026-01-01", "to": "2026-01-01"}, "from", "“1026-01-01” is not a day from 2000-01-01 to 2100-01-01"),
        ({"from": "2000-01-01", "to": "2100-01-01"}, "from", "at most 3,700 days. This one has 36,526"),
        ({"from": "0001-01-01", "to": "2026-01-01"}, "from", "“0001-01-01”"),
        ({"to": "9999-12-31"}, "to", "“9999-12-31”"),
        ({"from": "2026-02-30"}, "from", "“2026-02-30”"),
        ({"from": "2026-03-05", "to": "2026-03-01"}, "to", "before the first day"),
        ({"zone": "Mars/Olympus"}, "zone", "There is no time zone “Mars/Olympus”"),
        ({"zone": "../../etc/passwd"}, "zone", "There is no time zone"),
        ({"offset": 10**9}, "offset", "10000000"),
        ({"limit": 10**9}, "limit", "10000"),
        ({"group_by": ["country", "day", "Country"]}, "group_by", "“country” is there twice"),
        ({"group_by": "campagn"}, "group_by", "There is no dimension or parameter “campagn”. Did you mean campaign?"),
        ({"group_by": "zones"}, "group_by", "Did you mean zone?"),
        ({"filter": "contry:DE"}, "filter", "There is no dimension or parameter “contry”. Did you mean country?"),
        ({"column": "cpaa"}, "column", "There is no figure “cpaa”. Did you mean cpa"),
        ({"group_by": ["zone", "ZONE"]}, "group_by", "“zone” is there twice"),
        (
            {"group_by": ["country", "day", "offer", "mark", "v1", "v2"]},
            "group_by",
            "at most 5 dimensions. There are 6",
        ),
        ({"filter": "v1:" + "x" * 50_000}, "filter", "at most 1,300 characters. This one has 50,003"),
        ({"filter": [f"v1:{number}" for number in range(3_000)]}, "filter", "at most 50 filters. There are 3,000"),
        ({"formula": "A = " + "(" * 450 + "1" + ")" * 450}, "formula", "at most 40 parentheses"),
        ({"formula": "A = " + "(" * 1_000 + "1" + ")" * 1_000}, "formula", "at most 1,000 characters"),
        ({"having": "cost > 1 and nothing > 3"}, "having", "no figure “nothing”. (character 14)"),
        ({"having": "cost > 1 and "}, "having", "A condition is missing, such as cost >= 20. (character 14)"),
        ({"having": "cost > 1 and conversions.nothing > 3"}, "having", "no figure “conversions.nothing”"),
        ({"having": " and ".join(["cost > 1"] * 21)}, "having", "At most 20 conditions can be combined. There are 21"),
        ({"compare": "1999-01-01..1999-12-31"}, "compare", "“1999-01-01” is not a day"),
        ({"compare": "2000-01-01..2099-01-01"}, "compare", "at most 3,700 days"),
        ({"compare": "2026-02-10..2026-02-01"}, "compare", "before the first day"),
        ({"column": ["clicks"] * 61}, "column", "at most 60 figures and 20 formulas. There are 61 and 0"),
    ],
)
def test_a_bad_query_is_refused_with_its_field_and_what_was_found(
    instance: "Instance", asked: dict[str, Any], field: str, part: str
) -> None:
    instance.set_up()
    answer = instance.api.get(REPORTS, params=asked)
    assert list(instance.faults(answer)) == [field]
    (fault,) = answer.json()["errors"]
    assert part in fault["message"]


def test_division_by_zero_leaves_cells_empty_everywhere(filled: "Instance") -> None:
    asked = {"period": "today", "group_by": "country", "formula": ["A = cost / 0", "B = 1 / (clicks - clicks)"]}
    columns = ["lp_ctr", "cpa", "roi", "average_payout"]
    for sort in ("A", "-B", "-cpa", "roi"):
        told = filled.api.get(REPORTS, params=asked | {"column": columns, "sort": sort}).json()
        for figures in (told["totals"], *(row["figures"] for row in told["rows"])):
            assert figures["columns"] == {"A": None, "B": None}
            assert (figures["lp_ctr"], figures["roi"]) == (None, None)
    file = filled.api.get(REPORTS, params=asked | {"column": columns, "format": "csv"}).text
    assert [line["LP CTR, %"] + line["B"] for line in csv.DictReader(io.StringIO(file))] == ["", "", ""]
    for having in ("lp_ctr > 0", "lp_ctr <= 0", "clicks / landing_views = 0", "clicks / landing_views != 0"):
        told = filled.api.get(REPORTS, params={"period": "today", "group_by": "country", "having": having}).json()
        assert (told["row_count"], told["totals"]["clicks"]) == (0, 0)


def test_money_without_a_rate_is_told_apart_and_in_no_figure(filled: "Instance") -> None:
    told = filled.got("reports?period=today&group_by=country&sort=-revenue")
    assert (told["totals"]["cost"]["amount"], told["totals"]["revenue"]["amount"]) == ("0", "0")
    (other,) = told["totals"]["not_converted"]
    assert (other["currency"], other["cost"]["amount"], other["revenue"]["amount"]) == ("UAH", "2", "10")


def test_a_period_before_the_first_click_has_no_figures_to_compare_with(filled: "Instance") -> None:
    told = filled.got("reports?period=today&compare=2000-01-01..2000-01-31&group_by=day")
    (row,) = told["rows"]
    assert (row["before"]["clicks"], row["before"]["cr"]) == (0, None)
    assert row["changes"]["clicks"] == {"change": "2", "percent": None}
    assert told["totals_before"]["clicks"] == 0


def test_a_time_zone_goes_by_its_name_in_any_case(filled: "Instance") -> None:
    told = filled.got("reports?period=today&zone=asia/KATHMANDU")
    assert (told["zone"], told["since"]) == ("Asia/Kathmandu", "2026-02-28T18:15:00.000Z")


def test_a_report_with_more_groups_than_fit_into_memory_is_refused_and_others_are_answered(
    instance: "Instance",
) -> None:
    instance.set_up()
    path = instance.folder / "facts.duckdb"
    DuckDbFacts.open(path).close()
    with duckdb.connect(str(path)) as database:
        database.execute(_VISITS, {"count": 200_000, "at": instance.now})
    facts = DuckDbFacts.open(path, memory_limit_mb=40)
    instance.app.state.context = dataclasses.replace(instance.context, facts=facts)
    groups = {"period": "today", "group_by": ["v1", "v2", "v3", "v4", "v5"]}
    answer = instance.api.get(REPORTS, params=groups)
    assert instance.faults(answer) == {"group_by": "too_many"}
    assert "shorter period" in answer.json()["errors"][0]["message"]
    assert instance.got("reports?period=today")["totals"]["clicks"] == 200_000
    assert instance.got("reports?period=today&group_by=country")["row_count"] == 1


_VISITS = """
INSERT INTO facts (click_id, click_at, campaign_id, source_id, kind, fact_at, currency, cost_micros, clicks, v1, v2, v3, v4, v5)
SELECT printf('%026d', n), $at - n, 1, 1, 'click', $at - n, 'USD', 1, 1, 'zone of a source ' || hash(n) % 10000,
    'site of a source ' || hash(n + 1) % 10000, 'ad of a source ' || hash(n + 2) % 10000, 'key ' || hash(n + 3) % 10000,
    'exchange ' || hash(n + 4) % 10000
FROM range($count) numbers(n)
"""
