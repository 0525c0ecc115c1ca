"""The log of clicks in the panel: filters, columns, export, and one click with its story."""

import re
from typing import TYPE_CHECKING

import pytest

from clickloop.click.click import Flag, Screening

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

COOKIE = "clickloop_columns_clicks"


def test_a_click_stands_in_the_log_under_the_names_of_its_set_up(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit(country="BR")
    page = panel.page("/panel/clicks")
    assert f"/panel/clicks/{click_id}" in page.addresses
    assert page.link("Campaign") == "/panel/campaigns/1"
    assert any("BR" in cell for (row,) in [page.table.rows] for cell in row)


def test_marks_are_chosen_by_their_names(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.visit(external_id="plain")
    instance.visit(external_id="suspicious", marks="listed_ip")
    page = panel.page("/panel/clicks?mark=listed_ip")
    assert '<option value="listed_ip" selected>listed IP</option>' in page.html
    assert "suspicious" in page.text
    assert "plain" not in page.text
    assert "plain" in panel.page("/panel/clicks").text


def test_an_empty_log_says_what_to_do_next(panel: "Panel") -> None:
    assert "Open a campaign's link" in panel.page("/panel/clicks").text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("campaign_id=2", [1]),
        ("source_id=2", [1]),
        ("screening=preview_bot", [2]),
        ("screening=counted", [0, 1]),
        ("external_id=only-one", [0]),
        ("since=2026-03-01T11:59&until=2026-03-01T12:00", [0, 1, 2]),
        ("period=yesterday", []),
    ],
)
def test_the_log_is_narrowed_by_its_address(panel: "Panel", instance: "Instance", query: str, found: list[int]) -> None:
    ids = [
        instance.visit(external_id="only-one"),
        instance.visit(campaign_id=2, source_id=2),
        instance.visit(screening="preview_bot"),
    ]
    addresses = panel.page(f"/panel/clicks?{query}").addresses
    assert [number for number, click_id in enumerate(ids) if f"/panel/clicks/{click_id}" in addresses] == found


def test_a_moment_is_read_by_the_clock_of_the_user(panel: "Panel", instance: "Instance") -> None:
    click_id = instance.visit()
    with instance.ledger.write() as tx:
        tx.exec_driver_sql("UPDATE users SET time_zone = 'America/New_York'")
    address = f"/panel/clicks/{click_id}"
    assert address in panel.page("/panel/clicks?since=2026-03-01T06:58&until=2026-03-01T07:00").addresses
    assert address not in panel.page("/panel/clicks?since=2026-03-01T07:01").addresses


def test_empty_parameters_leave_the_address(panel: "Panel") -> None:
    answer = panel.client.get("/panel/clicks?campaign_id=&source_id=3&external_id=")
    assert (answer.status_code, answer.headers["location"]) == (303, "/panel/clicks?source_id=3")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("campaign_id=x", "Campaign"),
        ("since=yesterday", "From"),
        ("screening=odd", "Counted"),
        ("period=ever", "Period"),
        ("cursor=abc", "page position"),
    ],
)
def test_a_filter_that_cannot_be_read_is_named_and_the_log_stays(
    panel: "Panel", instance: "Instance", query: str, name: str
) -> None:
    click_id = instance.visit()
    answer = panel.client.get(f"/panel/clicks?source_id=1&{query}")
    assert answer.status_code == 303
    html = panel.get(answer.headers["location"])
    assert f"Ignored because it could not be read: {name}." in panel.words(html)
    assert click_id in html
    assert "source_id=1" in answer.headers["location"]


def test_a_filter_that_was_ignored_is_marked_and_several_are_all_named(panel: "Panel") -> None:
    place = "/panel/clicks?since=x&until=y&screening=z"
    for _ in range(4):
        answer = panel.client.get(place)
        if answer.status_code != 303:
            break
        place = answer.headers["location"]
    assert answer.status_code == 200
    assert "Ignored because they could not be read: Counted, From, Before." in panel.words(answer.text)
    assert re.search(r'<input name="since"[^>]* aria-invalid="true"', answer.text)
    assert "aria-invalid" not in panel.get("/panel/clicks")


def test_chosen_columns_are_shown_and_remembered(panel: "Panel", instance: "Instance") -> None:
    instance.visit(useragent="Weird/9", country="BR")
    shown = panel.page("/panel/clicks?columns=at&columns=useragent&columns=nonsense").table
    assert (len(shown.columns), shown.rows[0][1]) == (2, "Weird/9")
    assert panel.client.cookies[COOKIE] == "at.useragent"
    assert panel.page("/panel/clicks").table == shown


def test_the_columns_stay_when_the_filter_changes(panel: "Panel", instance: "Instance") -> None:
    instance.visit()
    page = panel.page("/panel/clicks?columns=at&columns=v1&source_id=1")
    assert any(("columns", "v1") in form.fields and "since" in dict(form.fields) for form in page.forms)
    assert any(("source_id", "1") in form.fields and "since" not in dict(form.fields) for form in page.forms)


def test_older_clicks_are_reached_by_the_cursor(panel: "Panel", instance: "Instance") -> None:
    ids = [instance.visit(at=instance.now - number) for number in range(52)]
    page = panel.page("/panel/clicks")
    (path,) = {link.get("href") for link in page.main.all("a") if link.get("rel") == "next"}
    older = panel.page(path)
    assert sum(f"/panel/clicks/{click_id}" in page.addresses for click_id in ids) == 50
    assert sum(f"/panel/clicks/{click_id}" in older.addresses for click_id in ids) == 2


def test_a_clicks_page_tells_its_facts_and_what_was_odd(panel: "Panel", instance: "Instance") -> None:
    click_id = instance.visit(external_id="", flags="cost_unreadable", screening="prefetch", v3="zone")
    words = panel.page(f"/panel/clicks/{click_id.upper()}").text
    for told in (Flag.COST_UNREADABLE.sentence, Screening.PREFETCH.sentence, "sent no click ID", "V3 zone"):
        assert told in words


def test_texts_of_strangers_are_shown_as_text(panel: "Panel", instance: "Instance") -> None:
    attack = '"><script>alert(1)</script>'
    click_id = instance.visit(external_id=attack, useragent=attack, referrer=attack, v1=attack, target=attack)
    query = "&".join(f"columns={name}" for name in ("external_id", "useragent", "referrer", "v1", "target"))
    for path in (f"/panel/clicks?{query}", f"/panel/clicks/{click_id}", f"/panel/trace?q={attack}"):
        page = panel.page(path)
        assert page.main.all("script") == []
        assert attack in page.text


def test_a_click_that_is_not_there_is_a_404(panel: "Panel", instance: "Instance") -> None:
    panel.get(f"/panel/clicks/{'0' * 26}", 404)
    panel.get(f"/panel/clicks/{instance.click_ids.new(instance.now)}", 404)


@pytest.mark.parametrize("word", [*Flag, *Screening])
def test_every_flag_and_screening_has_a_sentence(word: Flag | Screening) -> None:
    assert word.sentence.endswith(".")
