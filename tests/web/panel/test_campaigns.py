"""Campaigns in the panel: offers and weights, what is to be copied, today's figures, cloning and pausing."""

from typing import TYPE_CHECKING

import pytest

from clickloop.campaign.user import Role

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

NEW = "/panel/campaigns/new"


def form(**fields: str) -> list[tuple[str, str]]:
    """The fields of a campaign's form, with the first offer."""
    usual = {
        "name": "Sweepstakes",
        "source_id": "1",
        "domain": "",
        "fallback_url": "",
        "cost.amount": "",
        "source_rules_off": "",
        "tags": "",
        "notes": "",
        "offers[0].offer_id": "1",
        "offers[0].weight": "100",
    }
    return list((usual | fields).items())


def offer(at: int, number: str, weight: str) -> list[tuple[str, str]]:
    """A row of an offer."""
    return [(f"offers[{at}].offer_id", number), (f"offers[{at}].weight", weight)]


def second_offer(instance: "Instance") -> None:
    """An offer with number 2, of no network."""
    instance.made("offers", {"name": "Second", "url": "https://other.example/?s={clickid}"})


def test_an_empty_list_leads_to_what_is_needed_first(panel: "Panel", instance: "Instance") -> None:
    assert 'href="/panel/traffic-sources/presets"' in panel.get("/panel/campaigns")
    instance.made("traffic-sources", {"name": "Source"})
    assert 'href="/panel/campaigns/new"' in panel.get("/panel/campaigns")


def test_a_campaign_is_made_as_the_form_says(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    second_offer(instance)
    more = [*offer(1, "", "100"), *offer(2, "2", ""), ("cost.amount", "0.02"), ("source_rules_off", "on")]
    fields = form(tags="us, mobile", notes="First.\r\nSecond.", domain="go2.example", **{"offers[0].weight": "300"})
    assert panel.done(NEW, fields + more) == "/panel/campaigns/2?said=created"
    made = instance.got("campaigns/2")
    assert made["offers"] == [{"offer_id": 1, "weight": 300}, {"offer_id": 2, "weight": 100}]
    assert (made["tags"], made["notes"]) == (["us", "mobile"], "First.\nSecond.")
    assert (made["cost"], made["source_rules_off"], made["domain"]) == (
        {"amount": "0.02", "currency": "USD"},
        True,
        "go2.example",
    )


def test_a_cost_of_a_thousand_clicks_is_chosen(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    panel.done("/panel/campaigns/1", form(cost_model="per_thousand", **{"cost.amount": "1.5"}))
    made = instance.got("campaigns/1")
    assert (made["cost_model"], made["cost"]["amount"]) == ("per_thousand", "1.5")
    assert '<option value="per_thousand" selected>' in panel.get("/panel/campaigns/1")
    panel.done("/panel/campaigns/1", form(cost_model="link", **{"cost.amount": "1.5"}))
    assert instance.got("campaigns/1")["cost"] is None


def test_a_fixed_cost_without_an_amount_is_told_of(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    answer = panel.post("/panel/campaigns/1", form(cost_model="per_click"))
    assert answer.status_code == 422
    assert "A fixed cost needs an amount" in answer.text
    assert panel.post("/panel/campaigns/1", form(cost_model="nonsense")).status_code == 422


def test_what_a_visitor_gets_who_cannot_be_sent_on_is_said_the_same_everywhere(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    assert [
        "a plain 404 page" in panel.words(panel.get(path)) for path in ("/panel/campaigns/1", "/panel/settings")
    ] == [True, True]


def test_each_offer_shows_its_share(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    second_offer(instance)
    shares = [{"offer_id": 1, "weight": 3}, {"offer_id": 2, "weight": 1}]
    instance.api.patch("/api/v1/campaigns/1", json={"offers": shares})
    words = panel.words(panel.get("/panel/campaigns/1"))
    assert "75.0 %" in words
    assert "25.0 %" in words


def test_all_offers_can_be_taken_out(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    fields = [(name, value) for name, value in form() if not name.startswith("offers")]
    panel.done("/panel/campaigns/1", fields)
    assert instance.got("campaigns/1")["offers"] == []
    assert "No visitor of the campaign can be sent to an offer" in panel.get("/panel/campaigns/1")


def test_adding_a_row_keeps_what_is_written_and_saves_nothing(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    html = panel.post("/panel/campaigns/1", [*form(name="Renamed"), ("add_row", "1")]).text
    assert 'value="Renamed"' in html
    assert 'name="offers[1].offer_id"' in html
    assert instance.got("campaigns/1")["name"] == "Campaign"


def test_all_that_is_to_be_copied_stands_there(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/campaigns/1", json={"domain": "go2.example"})
    key = instance.got("campaigns/1")["key"]
    words = panel.words(panel.get("/panel/campaigns/1"))
    assert f"https://go2.example/c/{key}?external_id=${{SUBID}}&zone={{zone}}" in words
    assert "https://go.example.com/postback?cid={sub1}&payout={payout}" in words
    assert '<img src="https://go2.example/pixel.gif?cid={sub1}&amp;payout={payout}"' in words


def test_the_token_in_what_is_copied_is_masked_for_who_sees_no_secrets(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/networks/1", json={"token": "t0ken-of-theirs"})
    assert "token=t0ken-of-theirs" in panel.get("/panel/campaigns/1")
    panel.become(Role.WORKER)
    assert "t0ken-of-theirs" not in panel.get("/panel/campaigns/1")


def test_faults_stand_beside_their_fields(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    bad = form(name="", source_id="", domain="https://x/", **{"cost.amount": "much", "offers[0].weight": "heavy"})
    answer = panel.post(NEW, bad)
    assert answer.status_code == 422
    assert 'id="fault-offers[0].weight"' in answer.text
    assert 'id="fault-source_id"' in answer.text
    again = panel.post(NEW, form(name="", domain="https://x/"))
    for path in ("name", "domain"):
        assert f'id="fault-{path}"' in again.text


def test_todays_figures_stand_in_the_list(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.visit(cost_micros=250_000, cost_currency="USD")
    instance.visit(cost_micros=250_000, cost_currency="USD")
    html = panel.get("/panel/campaigns")
    assert '<a href="/panel/clicks?campaign_id=1">2</a>' in html
    assert "−0.50" in html


def test_the_list_is_filtered(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.made("traffic-sources", {"name": "Other"})
    second_offer(instance)
    instance.made(
        "campaigns",
        {"name": "Beta", "source_id": 2, "active": False, "tags": ["Test"], "offers": [{"offer_id": 2, "weight": 1}]},
    )
    for query in ("q=bet", "source_id=2&q=&active=&tag=", "active=false", "tag=test", "offer_id=2"):
        html = panel.get(f"/panel/campaigns?{query}")
        assert '"/panel/campaigns/2"' in html, query
        assert '"/panel/campaigns/1"' not in html, query


def test_a_campaign_is_paused_and_resumed(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    assert panel.done("/panel/campaigns/1/pause") == "/panel/campaigns/1?said=paused"
    assert instance.got("campaigns/1")["active"] is False
    assert panel.done("/panel/campaigns/1/resume") == "/panel/campaigns/1?said=resumed"
    assert instance.got("campaigns/1")["active"] is True


def test_a_clone_is_shown_at_once(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    assert panel.done("/panel/campaigns/1/clone") == "/panel/campaigns/2?said=copied"
    assert "Campaign (copy)" in panel.get("/panel/campaigns/2")


def test_a_campaign_is_archived_and_restored(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    panel.done("/panel/campaigns/1/archive")
    assert "Its link answers 404" in panel.get("/panel/campaigns/1")
    assert panel.done("/panel/campaigns/1/restore") == "/panel/campaigns/1?said=restored"


def test_its_own_postbacks_are_listed(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.made(
        "postback-rules", {"name": "Own one", "campaign_id": 1, "request": {"url": "https://own.example/?p={payout}"}}
    )
    html = panel.get("/panel/campaigns/1")
    assert '<a href="/panel/postback-rules/2">Own one</a>' in html
    assert "/panel/postback-rules/presets?campaign_id=1" in html


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}"])
def test_what_anybody_writes_is_shown_as_text(panel: "Panel", instance: "Instance", text: str) -> None:
    instance.set_up()
    instance.api.patch("/api/v1/campaigns/1", json={"name": text, "notes": text, "tags": [text[:50].replace(",", "")]})
    for path in ("/panel/campaigns", "/panel/campaigns/1", "/panel/postback-rules", "/panel/postback-rules/new"):
        html = panel.get(path)
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert text in panel.words(html) or "49" not in panel.words(html)


def test_a_viewer_changes_nothing(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    panel.become(Role.VIEWER)
    html = panel.get("/panel/campaigns/1")
    assert ">Clone<" not in html
    assert panel.post("/panel/campaigns/1/pause").status_code == 403


def test_a_campaigns_page_says_what_is_wrong_with_its_chain_and_where(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/traffic-sources/1", json={"parameters": [{"parameter": "external_id"}]})
    place = panel.done(NEW, form())
    html = panel.get(place)
    assert "The row external_id has no placeholder" in html
    assert 'href="/panel/traffic-sources/1#parameters[0].placeholder"' in html
    assert 'href="/panel/check?campaign_id=2"' in html


def test_a_campaigns_page_finds_what_check_finds_of_its_set_up(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    second_offer(instance)
    instance.made("networks", {"name": "Other"})
    instance.made("traffic-sources", {"name": "Other"})
    instance.made("campaigns", {"name": "Other", "source_id": 2, "offers": [{"offer_id": 2}]})
    broken = "https://receiver.example/?id={externalid}&z={token2}&x={unknwn}"
    for owner in ({}, {"source_id": 1}, {"campaign_id": 1}, {"campaign_id": 2}):
        instance.made("postback-rules", {"name": "Rule", "request": {"url": broken}, **owner})
    instance.api.patch("/api/v1/offers/1", json={"url": "https://network.example/?sub1={sub1}"})
    html = panel.get("/panel/campaigns/1")
    by_what_came = {"no_clicks"}
    found = [one for one in instance.got("check?campaign_id=1")["findings"] if one["code"] not in by_what_came]
    told = [one for one in found if one["severity"] != "note"]
    assert len(told) > 5
    assert [one["sentence"] in panel.words(html) for one in told[:5]] == [True] * 5
    assert f"{len(told) - 5} more in Check" in html


def test_a_campaign_that_works_has_nothing_told_at_its_top(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/networks/1", json={"token": "s3cret-token"})
    assert "Check</a> also looks at recent clicks" not in panel.get("/panel/campaigns/1")
