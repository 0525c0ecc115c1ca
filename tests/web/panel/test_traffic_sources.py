"""Traffic sources in the panel: presets, parameters, the postback URL and remarks on it."""

import re
from typing import TYPE_CHECKING

import pytest

from clickloop.people.user import Role
from tests.web.panel.page import Page

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

NEW = "/panel/traffic-sources/new"
FIXED = [
    ("parameters[0].number", "-1"),
    ("parameters[0].parameter", "external_id"),
    ("parameters[0].placeholder", "${SUBID}"),
    ("parameters[0].tracked", "on"),
    ("parameters[1].number", "0"),
    ("parameters[1].parameter", "cost"),
    ("parameters[1].placeholder", "{bid}"),
    ("parameters[1].tracked", ""),
    ("parameters[1].tracked", "on"),
]
FORM = [("name", "Pops"), ("preset", ""), ("cost_model", "cpc"), ("cost_currency", "EUR"), *FIXED]
URL = "https://source.example/postback?id={externalid}&pay={payout}"


def row(at: int, parameter: str, *, tracked: bool = True, number: str = "") -> list[tuple[str, str]]:
    """The fields of a further row."""
    path = f"parameters[{at}]"
    placeholder = f"{{{parameter}}}" if parameter else ""
    fields = [(f"{path}.number", number), (f"{path}.parameter", parameter), (f"{path}.placeholder", placeholder)]
    return [*fields, (f"{path}.tracked", ""), *([(f"{path}.tracked", "on")] if tracked else [])]


def marks(page: Page) -> dict[str, str]:
    """Return the kind of each macro in a preview."""
    return {mark.text: mark.get("class") for mark in page.main.all("mark")}


def test_an_empty_list_leads_to_the_presets(panel: "Panel") -> None:
    assert "/panel/traffic-sources/presets" in panel.page("/panel/traffic-sources").addresses


def test_the_list_is_searched_by_name_and_leads_to_each_sources_campaigns(panel: "Panel", instance: "Instance") -> None:
    for name in ("Clickadu", "PropellerAds"):
        instance.made("traffic-sources", {"name": name})
    page = panel.page("/panel/traffic-sources?q=PROPELLER")
    assert page.table.column("Name") == ["PropellerAds"]
    assert "/panel/campaigns?source_id=2" in page.addresses
    assert "matches “nobody”" in panel.page("/panel/traffic-sources?q=nobody").text
    assert [one["name"] for one in instance.got("traffic-sources?q=click")["items"]] == ["Clickadu"]


def test_the_list_shows_what_came_of_each_source_today(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.visit(cost_micros=250_000, cost_currency="USD")
    instance.visit(cost_micros=500_000, cost_currency="USD")
    (row,) = panel.page("/panel/traffic-sources").table.rows
    assert row[row.index("campaigns") - 3 : row.index("campaigns")] == ["2", "0", "0.75"]


def test_presets_are_found_by_name_and_say_where_they_are_from(panel: "Panel") -> None:
    page = panel.page("/panel/traffic-sources/presets?q=clickadu")
    assert "/panel/traffic-sources/new?preset=clickadu" in page.addresses
    assert "Taboola" not in page.text
    foreign = [link for link in page.main.all("a") if link.get("href").startswith("http")]
    assert {link.get("rel") for link in foreign} == {"noreferrer noopener"}


def test_a_preset_fills_the_form_and_nothing_is_saved_yet(panel: "Panel", instance: "Instance") -> None:
    assert panel.page(f"{NEW}?preset=clickadu").fields["parameters[0].placeholder"] == "${SUBID}"
    assert instance.got("traffic-sources")["items"] == []


def test_a_preset_without_a_postback_url_says_where_it_is_found(panel: "Panel") -> None:
    told = panel.page("/panel/traffic-sources/presets?q=propellerads").text
    assert "in your account at the source" in told
    assert "third-party documentation" in told
    text = panel.page(f"{NEW}?preset=propellerads").text
    assert text.count("Copy the postback URL from the advertiser panel") == 1
    assert "Copy the postback URL from your account at the source" in text
    assert "by API only, no postback" in panel.page("/panel/traffic-sources/presets?q=tiktok").text


def test_a_source_is_made_as_the_form_says(panel: "Panel", instance: "Instance") -> None:
    fields = [*FORM, *row(2, "zone"), *row(3, "site", tracked=False), *row(4, ""), ("postback_url", URL)]
    assert panel.done(NEW, fields) == "/panel/traffic-sources/1?said=created"
    made = instance.got("traffic-sources/1")
    rows = [(one["number"], one["parameter"], one["placeholder"], one["tracked"]) for one in made["parameters"]]
    assert rows == [
        (-1, "external_id", "${SUBID}", True),
        (0, "cost", "{bid}", True),
        (1, "zone", "{zone}", True),
        (2, "site", "{site}", False),
    ]
    assert (made["name"], made["cost_currency"], made["postback_url"]) == ("Pops", "EUR", URL)


def test_a_removed_row_leaves_the_numbers_of_the_others(panel: "Panel", instance: "Instance") -> None:
    panel.done(NEW, [*FORM, *row(2, "zone"), *row(3, "site")])
    panel.done("/panel/traffic-sources/1", [*FORM, *row(3, "site", number="2"), *row(7, "ad")])
    rows = instance.got("traffic-sources/1")["parameters"]
    assert [(one["number"], one["parameter"]) for one in rows[2:]] == [(2, "site"), (3, "ad")]


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(panel: "Panel", instance: "Instance") -> None:
    fields = [*FORM, *row(2, "zone"), *row(3, "ZONE"), ("postback_url", "ftp://source.example/{payout}")]
    page = panel.sent(NEW, fields, 422)
    assert any("Two rows have the parameter" in sentence for sentence in page.errors[""])
    assert page.errors["postback_url"]
    assert (page.fields["postback_url"], page.fields["name"]) == ("ftp://source.example/{payout}", "Pops")
    assert instance.got("traffic-sources")["items"] == []


def test_a_row_is_added_without_a_script(panel: "Panel") -> None:
    page = panel.sent(NEW, [*FORM, *row(2, "zone"), ("add_row", "1")])
    assert "parameters[3].parameter" in page.fields


def test_loading_a_preset_over_changes_shows_the_difference_first(panel: "Panel") -> None:
    fields = [*FORM, ("postback_url", URL), ("load", "clickadu")]
    asked = panel.sent(NEW, [*fields, ("load_preset", "1")])
    assert "Keep mine" in asked.buttons
    assert any(URL in row for row in asked.table.rows)
    assert panel.sent(NEW, [*fields, ("back_to_form", "1")]).fields["postback_url"] == URL
    taken = panel.sent(NEW, [*fields, ("take_preset", "1")]).fields
    assert "sconvtrk.com" in taken["postback_url"]
    assert taken["name"] == "Pops"


def test_archiving_is_undone_by_restoring(panel: "Panel", instance: "Instance") -> None:
    panel.done(NEW, FORM)
    assert panel.done("/panel/traffic-sources/1/archive").startswith("/panel/traffic-sources?said=archived")
    assert panel.page("/panel/traffic-sources?archived=true").table.column("Name") == ["Pops"]
    panel.done("/panel/traffic-sources/1/restore")
    assert instance.got("traffic-sources/1")["archived_at"] is None


def test_a_source_that_a_campaign_needs_is_not_archived_and_says_so(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    assert "Campaign" in panel.sent("/panel/traffic-sources/1/archive", status=422).text


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://source.example/?id={externlid}", "{externalid}"),
        ("https://source.example/?pay={payout}", "does not send {externalid}"),
        ("https://source.example/?id={externalid}&s=${SUBID}", "the traffic source's own macro"),
        ("https://source.example/?id={externalid}&z={zone}", "&z="),
    ],
)
def test_the_url_is_told_as_one_types(panel: "Panel", url: str, told: str) -> None:
    fields = [*FORM, *row(2, "zone"), *row(3, "site", tracked=False), ("postback_url", url), ("field", "postback_url")]
    assert told in panel.sent("/panel/macro-preview/source", fields).text


@pytest.mark.parametrize(("macro", "kind"), [("zone", "known"), ("site", "off"), ("nosuch", "unknown")])
def test_a_macro_of_the_url_is_marked_by_what_it_is(panel: "Panel", macro: str, kind: str) -> None:
    url = f"https://source.example/?z={{{macro}}}"
    fields = [*FORM, *row(2, "zone"), *row(3, "site", tracked=False), ("postback_url", url), ("field", "postback_url")]
    assert marks(panel.sent("/panel/macro-preview/source", fields)) == {f"{{{macro}}}": kind}


def test_a_row_that_is_not_there_is_warned_of_as_one_types_and_has_no_example(panel: "Panel") -> None:
    url = "https://source.example/?id={externalid}&a={token1}&b={token2}"
    page = panel.sent(
        "/panel/macro-preview/source", [*FORM, *row(2, "zone"), ("postback_url", url), ("field", "postback_url")]
    )
    assert marks(page) == {"{externalid}": "known", "{token1}": "known", "{token2}": "off"}
    hints = {mark.text: mark.get("title") for mark in page.main.all("mark")}
    assert hints["{token1}"] == "Parameter V1 of the traffic source."
    assert hints["{token2}"] == "The source has no such parameter, so the macro is empty."
    assert "{token2} is parameter V2, which 'Pops' does not have" in page.text
    assert "&a=4711&b= " in page.text


def test_a_new_row_gets_the_number_in_the_preview_that_saving_gives_it(panel: "Panel") -> None:
    url = "https://source.example/?id={externalid}&a={token3}"
    fields = [*FORM, *row(2, "site", number="2"), *row(3, "ad"), ("postback_url", url), ("field", "postback_url")]
    page = panel.sent("/panel/macro-preview/source", fields)
    assert marks(page)["{token3}"] == "known"
    assert any(hint.startswith("Parameter V3") for hint in page.hints)


def test_a_row_that_the_url_uses_still_is_told_of_when_it_is_removed(panel: "Panel", instance: "Instance") -> None:
    url = "https://source.example/?id={externalid}&a={token1}&b={zone}"
    panel.done(NEW, [*FORM, *row(2, "zone"), ("postback_url", url)])
    assert instance.got("traffic-sources/1")["warnings"] == []
    panel.done("/panel/traffic-sources/1", [*FORM, ("postback_url", url)])
    found = {one["code"] for one in instance.got("traffic-sources/1")["warnings"]}
    assert found == {"row_missing", "unknown_macro"}
    told = "{token1} is parameter V1, which"
    assert any(told in notice for notice in panel.page("/panel/traffic-sources/1").notices)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://source.example/?id={externalid}", "The URL must start with"),
        ("http://127.0.0.1/?id={externalid}", "that the operator has not allowed"),
        ("http://192.168.1.5/?id={externalid}", "that the operator has not allowed"),
        ("https://go.example.com/postback?id={externalid}", "The URL leads to this tracker itself."),
    ],
)
def test_a_url_that_saving_would_refuse_is_told_as_one_types(panel: "Panel", url: str, told: str) -> None:
    for of, field in (("source", "postback_url"), ("rule", "request.url")):
        (sentence,) = panel.sent(f"/panel/macro-preview/{of}", [*FORM, (field, url), ("field", field)]).errors[""]
        assert told in sentence


def test_a_masked_url_is_not_refused_as_one_types(panel: "Panel") -> None:
    url = "https://source.example/?id={externalid}&key=•••"
    page = panel.sent("/panel/macro-preview/source", [*FORM, ("postback_url", url), ("field", "postback_url")])
    assert page.errors == {}


def test_a_url_that_was_pasted_with_a_line_end_is_saved(panel: "Panel", instance: "Instance") -> None:
    panel.done(NEW, [*FORM, ("postback_url", f" {URL}\r\n")])
    assert instance.got("traffic-sources/1")["postback_url"] == URL


def test_the_preview_shows_what_it_is_given_as_text(panel: "Panel") -> None:
    url = "https://source.example/?id={externalid}&x=<script>alert(1)</script>"
    page = panel.sent("/panel/macro-preview/source", [*FORM, ("postback_url", url), ("field", "postback_url")])
    assert page.main.all("script") == []
    assert "<script>alert(1)</script>" in page.text


def test_macros_in_use_are_lit(panel: "Panel") -> None:
    page = panel.sent(NEW, [*FORM, *row(2, "zone"), ("postback_url", URL + "&z={zone}"), ("add_row", "1")])
    used = {chip.get("data-macro") for chip in page.main.all("button") if chip.get("aria-pressed") == "true"}
    assert used == {"{externalid}", "{payout}", "{zone}", "{token1}"}


def test_the_link_of_its_campaigns_is_shown(panel: "Panel") -> None:
    page = panel.sent(NEW, [*FORM, *row(2, "zone"), *row(3, "site", tracked=False), ("add_row", "1")])
    link = "https://go.example.com/c/KEY?external_id=${SUBID}&cost={bid}&zone={zone}"
    assert page.to_copy == {"link-form": link}


def test_a_viewer_looks_and_changes_nothing(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    panel.become(Role.VIEWER)
    assert {"Save", "Archive"}.isdisjoint(panel.page("/panel/traffic-sources/1").buttons)
    assert panel.post("/panel/traffic-sources/1", FORM).status_code == 403
    assert instance.got("traffic-sources/1")["name"] == "Source"


@pytest.mark.parametrize(
    "name", ["parameters", "parameters[0]", "parameters[0].x.y", "postback_url.x", "name.a", "load.x"]
)
def test_a_form_that_no_page_of_ours_sends_is_refused_without_breaking(panel: "Panel", name: str) -> None:
    assert panel.post(NEW, [("name", "Pops"), (name, "x"), ("add_row", "1")]).status_code < 500
    assert panel.post(NEW, [("name", "Pops"), (name, "x")]).status_code < 500


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("https://s.example/?a={externalid}{clickid&b=1", "{clickid"),
        ("https://s.example/?a={externalid}&b={payout", "{payout"),
        ("https://s.example/?a={externalid}}", "}"),
        ("https://s.example/?a={externalid}&b={", "{"),
        ("https://s.example/?{a={externalid}", "{a"),
    ],
)
def test_a_brace_that_is_never_closed_is_marked_where_it_stands(panel: "Panel", text: str, marked: str) -> None:
    html = panel.post("/panel/macro-preview/source", [("postback_url", text), ("field", "postback_url")]).text
    found = re.findall(r'<mark class="unknown" title="This brace [^"]+">([^<]+)</mark>', html)
    assert found == [marked]
    pieces = re.search(r"Macros found</span>(.*?)</p>", html)
    assert pieces is not None
    assert panel.words(pieces[1]).replace(" ", "") == text


def test_the_list_of_macros_says_how_far_the_numbered_ones_go(panel: "Panel") -> None:
    words = panel.words(panel.get("/panel/traffic-sources/new"))
    assert "{event3} … up to {token30}, {param20}, {event30}" in words
    assert "… up to {token30} Visitor" in panel.words(panel.get("/panel/offers/new"))


def test_the_link_preview_follows_what_is_typed(panel: "Panel") -> None:
    fields = {
        "parameters[0].parameter": "external_id",
        "parameters[0].placeholder": "${SUBID}",
        "parameters[0].tracked": "on",
        "parameters[2].parameter": "zone",
        "parameters[2].placeholder": "{zoneid}",
        "parameters[2].tracked": "on",
        "parameters[3].parameter": "off",
        "parameters[3].placeholder": "{off}",
    }
    html = panel.post("/panel/traffic-sources/link", fields).text
    assert "https://go.example.com/c/KEY?external_id=${SUBID}&amp;zone={zoneid}</textarea>" in html
    assert panel.post("/panel/traffic-sources/link", {"parameters": "nonsense"}).status_code == 200
