"""The pages of reports, rates and the dashboard."""

from typing import TYPE_CHECKING

import pytest

from clickloop.people.user import Role
from clickloop.report.query import Dimension
from clickloop.tracking.settle import settle_facts
from clickloop.web.panel.reports.reports import GROUPS
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel


def fill(instance: "Instance") -> None:
    """A set-up, clicks of two hours and days, conversions."""
    instance.set_up()
    for hours in (0, 1, 1, 30):
        instance.visit(at=instance.now - hours * 3_600_000, cost_micros=250_000, cost_currency="USD", country="DE")
    click_id = instance.visit(country="FR", v1="<script>alert(1)</script>")
    instance.made("conversions", {"click_id": click_id, "payout": "1234.5"})
    settle_facts(instance.ledger, instance.facts)


def main_buttons(page: Page) -> list[str]:
    """Return the targets of the highlighted buttons."""
    return [link.get("href") for link in page.main.all("a", class_="main")]


def test_every_dimension_is_offered() -> None:
    assert {one for _, members in GROUPS for one in members} == set(Dimension)


def test_a_newcomer_is_led_step_by_step(instance: "Instance", panel: "Panel") -> None:
    first = panel.page("/panel")
    assert "Welcome to Clickloop" in first.text
    assert main_buttons(first) == ["/panel/traffic-sources/presets"]
    instance.made("traffic-sources", {"name": "Source"})
    second = panel.page("/panel")
    assert main_buttons(second) == ["/panel/networks/presets"]
    assert second.text.count("(done)") == 1


def test_after_the_set_up_the_last_step_is_a_test_until_a_click_came(instance: "Instance", panel: "Panel") -> None:
    instance.set_up()
    assert "Test the loop" in panel.page("/panel").text
    instance.visit()
    assert "Test the loop" not in panel.page("/panel").text


def test_the_dashboard_tells_figures_against_the_period_before(instance: "Instance", panel: "Panel") -> None:
    fill(instance)
    words = panel.words(panel.get("/panel"))
    assert "Clicks 4 +300% was 1" in words
    assert "Revenue, USD 1,234.50 was 0.00" in words
    assert "Campaign 4 1 1,234.50 1,233.75" in words
    assert "12:00" in words


def test_the_chart_is_of_the_measure_and_period_asked_for(instance: "Instance", panel: "Panel") -> None:
    fill(instance)
    html = panel.get("/panel?period=7d&measure=revenue")
    assert 'aria-label="Revenue by day"' in html
    assert "2026-03-01 Sun\nRevenue: 1,234.50\nPrevious period: 0.00</title>" in html
    answer = panel.client.get("/panel?period=century&measure=cost")
    assert (answer.status_code, answer.headers["location"]) == (303, "/panel?measure=cost&said=ignored-period")
    assert "Ignored because it could not be read: Period." in panel.words(panel.get(answer.headers["location"]))


def test_the_dashboard_tells_what_is_wrong_with_its_remedy_and_place(instance: "Instance", panel: "Panel") -> None:
    fill(instance)
    instance.api.patch("/api/v1/traffic-sources/1", json={"postback_url": ""})
    instance.made("conversions", {"click_id": instance.visit(), "txid": "2", "status": "zzz"})
    assert instance.api.post("/api/v1/conversions", json={"click_id": "x"}).status_code == 422
    html = panel.get("/panel")
    words = panel.words(html)
    assert "no postback" in words.lower()
    assert "Unmapped status words: zzz." in words
    assert "1 incoming postback was refused in the last 24 hours: malformed click ID." in words
    assert 'href="/panel/notices?reason=malformed_click_id&amp;since=2026-02-28T12%3A00%3A00' in html


def test_a_report_shows_rows_and_totals(instance: "Instance", panel: "Panel") -> None:
    fill(instance)
    words = Page(
        panel.get("/panel/reports?group_by=country&sort=-clicks&column=clicks&column=cost&column=revenue")
    ).text
    assert "Germany 4 0.00 1.00" in words
    assert "France 1 1,234.50 0.00" in words
    assert "Total (2 rows) 5 1,234.50 1.00" in words


def test_heads_sort_both_ways_and_say_how_it_is_sorted(instance: "Instance", panel: "Panel") -> None:
    fill(instance)
    page = panel.page("/panel/reports?group_by=country&sort=-cost")
    (sorted_by,) = [head for head in page.main.all("th") if head.get("aria-sort")]
    assert (sorted_by.get("aria-sort"), sorted_by.all("a")[0].get("href")) == (
        "descending",
        "?group_by=country&sort=cost",
    )
    assert {"?group_by=country&sort=-clicks", "?group_by=country&sort=key"} <= {*page.addresses}


def test_a_filter_that_was_entered_gets_a_lasting_address_and_can_be_taken_away(
    instance: "Instance", panel: "Panel"
) -> None:
    fill(instance)
    answer = panel.client.get("/panel/reports?group_by=device&filter_by=country&filter_value=DE")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/panel/reports?group_by=device&filter=country%3ADE",
    )
    page = panel.page(answer.headers["location"])
    assert "Country: Germany" in page.text
    assert "/panel/reports?group_by=device" in page.addresses


def test_days_lead_to_their_hours_and_campaigns_to_their_days(instance: "Instance", panel: "Panel") -> None:
    fill(instance)
    days = panel.page("/panel/reports?group_by=day").addresses
    assert any("from=2026-03-01&to=2026-03-01&group_by=hour" in address for address in days)
    campaigns = panel.page("/panel/reports").addresses
    assert any("group_by=day&filter=campaign%3A1" in address for address in campaigns)


def test_what_a_visitor_wrote_is_text(instance: "Instance", panel: "Panel") -> None:
    fill(instance)
    page = panel.page("/panel/reports?group_by=v1&filter=v1:%3Cscript%3Ealert(1)%3C/script%3E")
    assert page.main.all("script") == []
    assert page.table.rows[0][0] == "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("group_by=nonsense", "no dimension or parameter “nonsense”"),
        ("period=century", "unknown period"),
        ("filter=nonsense", "such as country:DE"),
        ("filter=campaign:x", "none is called “x”"),
        ("from=x", "such as 2026-03-01"),
        ("from=2026-03-02&to=2026-03-01", "before the first"),
        ("sort=nonsense", "Prefix it with - for descending order"),
    ],
)
def test_what_cannot_be_asked_is_said_with_the_form_still_there(panel: "Panel", query: str, told: str) -> None:
    page = panel.page(f"/panel/reports?{query}", 422)
    assert told in page.text
    assert "group_by" in page.fields


def test_the_file_is_the_report(instance: "Instance", panel: "Panel") -> None:
    fill(instance)
    text = panel.get("/panel/reports" + panel.page("/panel/reports?group_by=country").link("CSV"))
    assert text.splitlines()[0].startswith("Country,Clicks,")
    assert text.splitlines()[-1].startswith("Total,5,")


def test_money_without_a_rate_is_told_and_rates_are_set_by_lines(instance: "Instance", panel: "Panel") -> None:
    instance.set_up()
    instance.made("conversions", {"click_id": instance.visit(), "payout": "10", "currency": "RUB"})
    settle_facts(instance.ledger, instance.facts)
    assert "Not included: amounts in RUB: revenue 10.00" in panel.words(panel.get("/panel/reports"))
    assert "RUB amounts are not included" in panel.words(panel.get("/panel"))
    assert panel.done("/panel/rates", {"lines": "rub 2026-02-01 1.1\n\nGBP;2026-02-01;1.3", "source": "ECB"}) == (
        "/panel/rates?said=saved"
    )
    assert "RUB 2026-02-01 1.1 ECB" in panel.page("/panel/rates").text
    words = panel.page("/panel/reports").text
    assert "Not included" not in words
    assert "11.00" in words
    panel.done("/panel/rates/RUB/2026-02-01/remove")
    assert "Not included" in panel.page("/panel/reports").text


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("EUR 1.1", "Line 1: enter a currency, a day and a rate"),
        ("EUR 2026-02-01 1\nUSD 2026-02-01 1", "Rate 2: USD is the"),
    ],
)
def test_a_line_that_is_no_rate_is_named_and_stays_in_the_form(panel: "Panel", lines: str, told: str) -> None:
    page = panel.sent("/panel/rates", {"lines": lines}, 422)
    assert told in page.text
    assert page.fields["lines"] == lines


def test_a_viewer_sees_reports_and_rates_and_changes_none(instance: "Instance", panel: "Panel") -> None:
    fill(instance)
    panel.become(Role.VIEWER)
    for path in ("/panel", "/panel/reports", "/panel/rates"):
        panel.get(path)
    assert panel.post("/panel/rates", {"lines": "EUR 2026-02-01 1.1"}).status_code == 403


def test_the_report_says_what_lp_ctr_counts(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.visit()
    told = "a page tracked directly is a landing visit only if its path has one landing"
    assert told in panel.page("/panel/reports?column=clicks&column=lp_ctr").text
    assert told not in panel.page("/panel/reports?column=clicks").text


def test_the_report_of_clean_and_of_marked_clicks_is_a_link_away(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.visit()
    page = panel.page("/panel/reports?group_by=mark&filter=campaign:1")
    assert page.link("Clean only") == "?group_by=mark&filter=campaign%3A1&filter=mark%3A"
    marked = page.link("Marked only")
    assert marked == "?group_by=mark&filter=campaign%3A1&filter=mark%3Aany"
    assert "Marks: (marked)" in panel.page(f"/panel/reports{marked}").text
