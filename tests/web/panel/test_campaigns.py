"""Campaigns in the panel: offers and weights, codes to copy, today's figures, cloning and pausing."""

from typing import TYPE_CHECKING

import pytest

from clickloop.people.user import Role

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
    assert "/panel/traffic-sources/presets" in panel.page("/panel/campaigns").addresses
    instance.made("traffic-sources", {"name": "Source"})
    assert "/panel/campaigns/new" in panel.page("/panel/campaigns").addresses


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
    assert panel.page("/panel/campaigns/1").fields["cost_model"] == "per_thousand"
    panel.done("/panel/campaigns/1", form(cost_model="link", **{"cost.amount": "1.5"}))
    assert instance.got("campaigns/1")["cost"] is None


def test_a_fixed_cost_without_an_amount_is_told_of(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    (errors,) = panel.sent("/panel/campaigns/1", form(cost_model="per_click"), 422).errors.values()
    assert "A fixed cost needs an amount" in errors[0]
    assert panel.post("/panel/campaigns/1", form(cost_model="nonsense")).status_code == 422


def test_what_a_visitor_gets_who_cannot_be_sent_on_is_said_the_same_everywhere(
    panel: "Panel", instance: "Instance"
) -> None:
    instance.set_up()
    assert ["a plain 404 page" in panel.page(path).text for path in ("/panel/campaigns/1", "/panel/settings")] == [
        True,
        True,
    ]


def test_each_offer_shows_its_share(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    second_offer(instance)
    shares = [{"offer_id": 1, "weight": 3}, {"offer_id": 2, "weight": 1}]
    instance.api.patch("/api/v1/campaigns/1", json={"offers": shares})
    (offers,) = panel.page("/panel/campaigns/1").tables
    assert offers.column("Share")[:2] == ["75.0%", "25.0%"]


def test_offers_whose_weights_are_learned_are_shown_as_a_flow(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    second_offer(instance)
    path = {"learning": {"goal": "revenue_per_visit"}, "offers": [{"offer_id": 1}, {"offer_id": 2}]}
    assert instance.api.patch("/api/v1/campaigns/1", json={"flow": {"default_paths": [path]}}).status_code == 200
    page = panel.page("/panel/campaigns/1")
    assert "offers[0].weight" not in page.fields
    assert "(learning: revenue per visit)" in page.text
    panel.done("/panel/campaigns/1", page.form("/panel/campaigns/1").fields)
    assert instance.got("campaigns/1")["flow"]["default_paths"][0]["learning"]["goal"] == "revenue_per_visit"


def test_all_offers_can_be_taken_out(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    fields = [(name, value) for name, value in form() if not name.startswith("offers")]
    panel.done("/panel/campaigns/1", [*fields, ("offers_shown", "1")])
    assert instance.got("campaigns/1")["offers"] == []
    assert "The campaign cannot send visitors to any offer" in panel.page("/panel/campaigns/1").text


def test_adding_a_row_keeps_what_is_written_and_saves_nothing(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    fields = panel.sent("/panel/campaigns/1", [*form(name="Renamed"), ("add_row", "1")]).fields
    assert fields["name"] == "Renamed"
    assert "offers[1].offer_id" in fields
    assert instance.got("campaigns/1")["name"] == "Campaign"


def test_all_that_is_to_be_copied_stands_there(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/campaigns/1", json={"domain": "go2.example"})
    key = instance.got("campaigns/1")["key"]
    link, postback, pixel = panel.page("/panel/campaigns/1").to_copy.values()
    assert link == f"https://go2.example/c/{key}?external_id=${{SUBID}}&zone={{zone}}"
    assert postback == "https://go.example.com/postback?cid={sub1}&payout={payout}"
    assert pixel.startswith('<img src="https://go2.example/pixel.gif?cid={sub1}&amp;payout={payout}"')


def test_the_token_in_what_is_copied_is_masked_for_who_sees_no_secrets(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/networks/1", json={"token": "t0ken-of-theirs"})
    assert all("token=t0ken-of-theirs" in text for text in list(panel.page("/panel/campaigns/1").to_copy.values())[1:])
    panel.become(Role.WORKER)
    assert "t0ken-of-theirs" not in panel.get("/panel/campaigns/1")


def test_faults_stand_beside_their_fields(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    bad = form(name="", source_id="", domain="https://x/", **{"cost.amount": "much", "offers[0].weight": "heavy"})
    assert {"offers[0].weight", "source_id"} <= panel.sent(NEW, bad, 422).errors.keys()
    assert panel.sent(NEW, form(name="", domain="https://x/"), 422).errors.keys() == {"name", "domain"}


def test_todays_figures_stand_in_the_list(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.visit(cost_micros=250_000, cost_currency="USD")
    instance.visit(cost_micros=250_000, cost_currency="USD")
    page = panel.page("/panel/campaigns")
    assert page.link("2") == "/panel/clicks?campaign_id=1"
    assert page.table.column("Profit") == ["−0.50"]


def test_the_list_is_filtered(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.made("traffic-sources", {"name": "Other"})
    second_offer(instance)
    instance.made(
        "campaigns",
        {"name": "Beta", "source_id": 2, "active": False, "tags": ["Test"], "offers": [{"offer_id": 2, "weight": 1}]},
    )
    for query in ("q=bet", "source_id=2&q=&active=&tag=", "active=false", "tag=test", "offer_id=2"):
        assert panel.page(f"/panel/campaigns?{query}").table.column("ID") == ["2"], query


def test_a_campaign_is_paused_and_resumed(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    assert panel.done("/panel/campaigns/1/pause") == "/panel/campaigns/1?said=paused"
    assert instance.got("campaigns/1")["active"] is False
    assert panel.done("/panel/campaigns/1/resume") == "/panel/campaigns/1?said=resumed"
    assert instance.got("campaigns/1")["active"] is True


def test_a_clone_is_shown_at_once(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    assert panel.done("/panel/campaigns/1/clone") == "/panel/campaigns/2?said=copied"
    assert panel.page("/panel/campaigns/2").heading == "Campaign (copy)"


def test_a_campaign_is_archived_and_restored(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    panel.done("/panel/campaigns/1/archive")
    assert any("Its link returns a 404 page" in notice for notice in panel.page("/panel/campaigns/1").notices)
    assert panel.done("/panel/campaigns/1/restore") == "/panel/campaigns/1?said=restored"


def test_its_own_postbacks_are_listed(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.made(
        "postback-rules", {"name": "Own one", "campaign_id": 1, "request": {"url": "https://own.example/?p={payout}"}}
    )
    page = panel.page("/panel/campaigns/1")
    assert page.link("Own one") == "/panel/postback-rules/2"
    assert "/panel/postback-rules/presets?campaign_id=1" in page.addresses


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}"])
def test_what_anybody_writes_is_shown_as_text(panel: "Panel", instance: "Instance", text: str) -> None:
    instance.set_up()
    instance.api.patch("/api/v1/campaigns/1", json={"name": text, "notes": text, "tags": [text[:50].replace(",", "")]})
    for path in ("/panel/campaigns", "/panel/campaigns/1", "/panel/postback-rules", "/panel/postback-rules/new"):
        page = panel.page(path)
        assert page.main.all("script") == []
        assert [image for image in page.main.all("img") if image.get("src") == "x"] == []
        assert text in page.text or "49" not in page.text


def test_a_viewer_changes_nothing(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    panel.become(Role.VIEWER)
    assert {"Clone", "Save", "Archive"}.isdisjoint(panel.page("/panel/campaigns/1").buttons)
    assert panel.post("/panel/campaigns/1/pause").status_code == 403


def test_a_campaigns_page_says_what_is_wrong_with_its_chain_and_where(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/traffic-sources/1", json={"parameters": [{"parameter": "external_id"}]})
    place = panel.done(NEW, form())
    page = panel.page(place)
    assert any("The parameter external_id has no placeholder" in notice for notice in page.notices)
    assert {"/panel/traffic-sources/1#parameters[0].placeholder", "/panel/check?campaign_id=2"} <= {*page.addresses}


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
    text = panel.page("/panel/campaigns/1").text
    by_what_came = {"no_clicks"}
    found = [one for one in instance.got("check?campaign_id=1")["findings"] if one["code"] not in by_what_came]
    told = [one for one in found if one["severity"] != "note"]
    assert len(told) > 5
    assert [one["sentence"] in text for one in told[:5]] == [True] * 5
    assert f"{len(told) - 5} more in Check" in text


def test_a_campaign_that_works_has_nothing_told_at_its_top(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    instance.api.patch("/api/v1/networks/1", json={"token": "s3cret-token"})
    assert "Check also looks at recent clicks" not in panel.page("/panel/campaigns/1").text


def test_uniqueness_is_set_and_reset_on_the_campaigns_page(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    assert panel.done("/panel/campaigns/1/reset-uniqueness") == "/panel/campaigns/1?said=uniqueness_reset"
    instance.api.patch("/api/v1/campaigns/1", json={"unique_within_seconds": 5_000, "unique_by": "instance"})
    fields = panel.page("/panel/campaigns/1").fields
    assert (fields["unique_within_seconds"], fields["unique_by"]) == ("5000", "instance")
    assert instance.api.post("/api/v1/campaigns/1/reset-uniqueness").json()["unique_epoch"] == 2
    too_long = instance.api.patch("/api/v1/campaigns/1", json={"unique_within_seconds": 400 * 86_400})
    assert too_long.json()["errors"][0]["field"] == "unique_within_seconds"


def test_bind_and_rotation_are_chosen_and_shown(panel: "Panel", instance: "Instance") -> None:
    instance.set_up()
    fields = form(bind="landing", rotation="unseen")
    panel.done(NEW, fields)
    assert (instance.got("campaigns/2")["bind"], instance.got("campaigns/2")["rotation"]) == ("landing", "unseen")
    shown = panel.page("/panel/campaigns/2").fields
    assert (shown["bind"], shown["rotation"]) == ("landing", "unseen")
