"""Flows in the panel: a campaign's own on its page, and shared ones."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.people.user import Role
from clickloop.store.ledger.setup.flows import part_names
from clickloop.web.panel.frame.edit_conflict import SEEN_FIELD

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel
    from tests.web.panel.page import Page

FLOW = "/panel/campaigns/1/flow"
Pairs = list[tuple[str, str]]


@pytest.fixture
def campaign(instance: "Instance") -> "Instance":
    """A campaign with one offer, a second offer, a landing and a list, each with number 1."""
    instance.set_up()
    instance.made("offers", {"name": "Second offer", "url": "https://network.example/?sub1={clickid}"})
    instance.made("landings", {"name": "Quiz", "url": "https://pages.example/"})
    instance.made("lists", {"name": "Bad zones", "entries": ["1", "2"]})
    return instance


def over(fields: Pairs, **typed: str) -> Pairs:
    """Return fields with others typed over; a name here is that of a field, or the end of exactly one field's."""
    for end, value in typed.items():
        names = {name for name, _ in fields if name == end} or {name for name, _ in fields if name.endswith(end)}
        assert len(names) == 1, (end, names)
        fields = [(name, value if name in names else old) for name, old in fields]
    return fields


def pressed(panel: "Panel", page: "Page", step: str, path: str = FLOW, **typed: str) -> "Page":
    """Return the page after a button."""
    return panel.sent(path, [*over(page.form(path).fields, **typed), ("do", step)])


def with_country_rule(panel: "Panel", countries: str = "Germany, AT") -> "Page":
    """Return a campaign's page after the two clicks that add a rule by country."""
    return pressed(panel, panel.page(FLOW), "add_country_rule", new_countries=countries)


def own_flow(instance: "Instance") -> Any:
    """Return the campaign's own flow."""
    return instance.got("campaigns/1")["flow"]


def test_a_campaign_without_rules_shows_its_offers_and_how_to_add_a_rule(panel: "Panel", campaign: "Instance") -> None:
    page = panel.page(FLOW)
    assert "All visitors To “Offer”." in page.text
    assert page.fields["flow.default_paths[0].offers[0].number"] == "1"
    assert {"Add rule by country", "Add another rule"} <= {*page.buttons}
    assert page.text.index("All visitors") < page.text.index("Add rule by country")
    assert panel.page("/panel/campaigns/1").link("Add rules, landings or paths →") == FLOW


def test_a_rule_by_country_is_added_and_saved(panel: "Panel", campaign: "Instance") -> None:
    page = with_country_rule(panel)
    assert "Visitors from Germany or Austria: to the fallback URL, because no offer is chosen." in page.text
    assert own_flow(campaign)["rules"] == []
    fields = over(page.form(FLOW).fields, **{"rules[0].paths[0].offers[0].number": "2"})
    assert panel.done(FLOW, fields) == f"{FLOW}?said=saved"
    flow = own_flow(campaign)
    (rule,) = flow["rules"]
    assert rule["conditions"][0]["values"] == ["DE", "AT"]
    assert rule["paths"][0]["offers"] == [{"offer_id": 2, "weight": 100}]
    assert flow["default_paths"][0]["offers"] == [{"offer_id": 1, "weight": 100}]


def test_ids_stay_through_opening_and_saving(panel: "Panel", campaign: "Instance") -> None:
    fields = over(with_country_rule(panel).form(FLOW).fields, **{"rules[0].paths[0].offers[0].number": "2"})
    panel.done(FLOW, fields)
    before = own_flow(campaign)
    page = pressed(panel, panel.page(FLOW), "open:rules[0]")
    page = pressed(panel, page, "open:default_paths")
    panel.done(FLOW, page.form(FLOW).fields)
    assert own_flow(campaign) == before


def test_a_closed_rule_reads_as_a_sentence_with_its_weights_beside(panel: "Panel", campaign: "Instance") -> None:
    change(campaign, rules=[{"name": "DACH", "conditions": [{"field": "country", "values": ["DE"]}], "paths": [SPLIT]}])
    page = panel.page(FLOW)
    assert "Visitors from Germany: 60% to “Offer”, 40% to “Second offer”." in page.text
    assert "Visitors whose country is unknown take the default paths." in page.text
    weight = "flow.rules[0].paths[0].offers[1].weight"
    assert page.fields[weight] == "40"
    panel.done(FLOW, over(page.form(FLOW).fields, **{weight: "140"}))
    assert own_flow(campaign)["rules"][0]["paths"][0]["offers"][1] == {"offer_id": 2, "weight": 140}
    assert own_flow(campaign)["rules"][0]["name"] == "DACH"


SPLIT = {"offers": [{"offer_id": 1, "weight": 60}, {"offer_id": 2, "weight": 40}]}


def change(instance: "Instance", **flow: Any) -> None:
    """Save a campaign's own flow through the API."""
    body = {"flow": {"default_paths": [SPLIT]} | flow}
    answer = instance.api.patch("/api/v1/campaigns/1", json=body)
    assert answer.status_code == 200, answer.text


def test_a_whole_flow_is_built_with_buttons_alone(panel: "Panel", campaign: "Instance") -> None:
    page = pressed(panel, panel.page(FLOW), "add_rule")
    page = pressed(panel, page, "add_condition:rules[0]", **{"rules[0].new_field": "v1"})
    page = pressed(panel, page, "add_condition:rules[0]", **{"rules[0].new_field": "device"})
    assert "zone (V1)" in page.text.replace("Zone", "zone")
    page = pressed(panel, page, "add_path:rules[0]", **{"conditions[0].list_id": "1"})
    page = pressed(panel, page, "refresh", **{"rules[0].paths[0].target": "landing_and_offer"})
    page = pressed(panel, page, "add_landing:rules[0].paths[0]")
    fields = over(
        page.form(FLOW).fields,
        **{
            "rules[0].paths[0].landings[0].number": "1",
            "rules[0].paths[0].offers[0].number": "1",
            "rules[0].paths[1].offers[0].number": "2",
            "rules[0].paths[1].weight": "300",
        },
    )
    panel.done(
        FLOW, [*fields, ("flow.rules[0].conditions[1].values", "mobile"), ("flow.rules[0].conditions[1].values", "tv")]
    )
    (rule,) = own_flow(campaign)["rules"]
    assert [(one["field"], one["values"], one["list_id"]) for one in rule["conditions"]] == [
        ("v1", [], 1),
        ("device", ["mobile", "tv"], None),
    ]
    assert [(path["target"], path["weight"]) for path in rule["paths"]] == [("landing_and_offer", 100), ("offer", 300)]
    assert panel.page(FLOW).fields["flow.rules[0].paths[1].weight"] == "300"


def test_a_schedule_is_ticked_hour_by_hour_in_a_time_zone(panel: "Panel", campaign: "Instance") -> None:
    page = pressed(panel, panel.page(FLOW), "add_rule")
    page = pressed(panel, page, "add_condition:rules[0]", **{"rules[0].new_field": "schedule"})
    at = "flow.rules[0].conditions[0]"
    fields = over(page.form(FLOW).fields, **{f"{at}.zone": "Europe/Berlin"})
    panel.done(FLOW, [*fields, *((f"{at}.hours", f"mon {hour}") for hour in (9, 10, 11, 14))])
    assert own_flow(campaign)["rules"][0]["conditions"][0]["values"] == ["Europe/Berlin", "mon 9-12", "mon 14-15"]
    opened = pressed(panel, panel.page(FLOW), "open:rules[0]")
    assert opened.values(f"{at}.hours") == ["mon 9", "mon 10", "mon 11", "mon 14"]
    assert "during Mon 9:00–12:00, 14:00–15:00 (Europe/Berlin)" in opened.text


def test_a_fault_stands_in_the_part_that_it_is_about_which_is_opened(panel: "Panel", campaign: "Instance") -> None:
    change(campaign, rules=[{"conditions": [{"field": "country", "values": ["DE"]}], "paths": [SPLIT]}])
    page = pressed(panel, panel.page(FLOW), "open:rules[0]")
    typed = {"conditions[0].values": "DE, Atlantis", "rules[0].paths[0].offers[1].weight": "-1"}
    fields = over(page.form(FLOW).fields, **typed)
    page = panel.sent(FLOW, fields, 422)
    assert "'Atlantis' cannot be read" in page.errors["flow.rules[0].conditions[0].values"][0]
    assert "flow.rules[0].paths[0].offers[1].weight" in page.errors
    assert page.fields["flow.rules[0].conditions[0].values"] == "DE, Atlantis"
    assert page.link("Rule 1, condition 1, values") == "#flow.rules[0].conditions[0].values"


def test_a_closed_rule_with_a_fault_opens(panel: "Panel", campaign: "Instance") -> None:
    change(campaign, rules=[{"conditions": [{"field": "country", "values": ["DE"]}], "paths": [SPLIT]}])
    campaign.api.delete("/api/v1/offers/2")
    page = panel.page(FLOW)
    page = panel.sent(FLOW, over(page.form(FLOW).fields, **{"rules[0].paths[0].offers[0].weight": "9999999"}), 422)
    assert "flow.rules[0].paths[0].offers[0].weight" in page.errors
    assert "Close rule 1" in [one.get("title") for one in page.main.all("button")]


def test_the_share_of_visitors_whose_value_was_unknown_is_shown(panel: "Panel", campaign: "Instance") -> None:
    for zone in ("", "7", "8", "9"):
        campaign.visit(v1=zone)
    page = pressed(panel, panel.page(FLOW), "add_rule")
    page = pressed(panel, page, "add_condition:rules[0]", **{"rules[0].new_field": "v1"})
    assert "25% of visitors in the last 7 days had no known value" in page.text


def test_what_another_saved_meanwhile_is_shown_and_replaced_knowingly(panel: "Panel", campaign: "Instance") -> None:
    page = panel.page(FLOW)
    change(campaign)
    conflict = panel.sent(FLOW, over(page.form(FLOW).fields, **{"default_paths[0].offers[0].number": "2"}), 409)
    assert "Not saved" in conflict.notices[0]
    panel.done(FLOW, conflict.form(FLOW).fields)
    assert own_flow(campaign)["default_paths"][0]["offers"] == [{"offer_id": 2, "weight": 100}]
    assert SEEN_FIELD in dict(page.form(FLOW).fields)


def test_the_set_up_page_and_the_flow_do_not_overwrite_each_other(panel: "Panel", campaign: "Instance") -> None:
    page = panel.page(FLOW)
    fields = panel.page("/panel/campaigns/1").form("/panel/campaigns/1").fields
    in_use = [(name, value) for name, value in fields if "__n__" not in name]  # a browser sends nothing of a <template>
    panel.done("/panel/campaigns/1", over(in_use, notes="x"))
    panel.done(FLOW, over(page.form(FLOW).fields, redirect_domain="go.example.net"))
    made = campaign.got("campaigns/1")
    assert (made["notes"], made["redirect_domain"]) == ("x", "go.example.net")


def test_the_set_up_page_of_a_campaign_with_rules_reads_them_and_leaves_the_flow_alone(
    panel: "Panel", campaign: "Instance"
) -> None:
    change(campaign, rules=[{"conditions": [{"field": "country", "values": ["DE"]}], "paths": [SPLIT]}])
    before = own_flow(campaign)
    path = "/panel/campaigns/1"
    page = panel.page(path)
    assert "Visitors from Germany: 60% to “Offer”" in page.text
    assert page.link("Edit the flow") == FLOW
    assert panel.page("/panel/campaigns").table.column("Offers") == ["1 rule"]
    panel.done(path, over(page.form(path).fields, name="Renamed"))
    assert own_flow(campaign) == before
    assert campaign.got("campaigns/1")["name"] == "Renamed"


def test_redirect_and_passing_are_set_for_the_campaign_and_for_a_path(panel: "Panel", campaign: "Instance") -> None:
    fields = list(panel.page(FLOW).form(FLOW).fields)
    typed = {"redirect": "307", "pass_query": "all", "flow.default_paths[0].redirect": "js"}
    panel.done(FLOW, [(name, typed.get(name, value)) for name, value in fields])
    made = campaign.got("campaigns/1")
    assert (made["redirect"], made["pass_query"]) == ("307", "all")
    assert made["flow"]["default_paths"][0]["redirect"] == "js"


def test_google_with_a_redirect_in_the_browser_is_warned_of(panel: "Panel", campaign: "Instance") -> None:
    campaign.api.patch("/api/v1/traffic-sources/1", json={"name": "Google Ads US"})
    campaign.api.patch("/api/v1/campaigns/1", json={"redirect": "js"})
    assert "Google Ads only allows redirects by the server" in panel.page(FLOW).text


def test_a_viewer_sees_every_rule_and_can_change_none(panel: "Panel", campaign: "Instance") -> None:
    change(campaign, rules=[{"conditions": [{"field": "country", "values": ["DE"]}], "paths": [SPLIT]}])
    panel.become(Role.VIEWER)
    page = panel.page(FLOW)
    assert "Visitors from Germany" in page.text
    assert "Save" not in page.buttons
    assert panel.post(FLOW, {"do": "add_rule"}).status_code == 403


def test_a_shared_flow_is_made_followed_and_archived_once_nobody_follows_it(
    panel: "Panel", campaign: "Instance"
) -> None:
    assert "several campaigns follow" in panel.page("/panel/flows").text
    new = "/panel/flows/new"
    page = pressed(panel, panel.page(new), "add_country_rule", new, new_countries="us")
    typed = {"name": "US flow", "rules[0].paths[0].offers[0].number": "2", "default_paths[0].offers[0].number": "1"}
    fields = [(name, typed.get(name, value)) for name, value in page.form(new).fields]
    assert panel.done(new, fields) == "/panel/flows/2?said=created"
    assert "Visitors from the United States: to “Second offer”." in panel.page("/panel/flows").text
    panel.done(FLOW, over(panel.page(FLOW).form(FLOW).fields, flow_id="2"))
    assert campaign.got("campaigns/1")["flow_id"] == 2
    page = panel.page(FLOW)
    assert "1 campaign follows this flow now" in page.text
    assert panel.page("/panel/campaigns").table.column("Offers") == ["shared flow"]
    assert page.link("Edit the shared flow") == "/panel/flows/2"
    assert panel.page("/panel/flows/2").link("Campaign") == FLOW
    assert "still uses it" in panel.sent("/panel/flows/2/archive", [], 422).text
    panel.done(FLOW, over(page.form(FLOW).fields, flow_id=""))
    assert own_flow(campaign)["default_paths"][0]["offers"] == [{"offer_id": 1, "weight": 100}]
    panel.done("/panel/flows/2/archive")
    assert panel.page("/panel/flows?archived=true").table.column("Name") == ["US flow"]


def test_a_shared_flow_is_changed_by_two_with_a_question(panel: "Panel", campaign: "Instance") -> None:
    path = f"/panel/flows/{campaign.made('flows', {'name': 'F', 'default_paths': [SPLIT]})['id']}"
    first = panel.page(path).form(path).fields
    panel.done(path, over(panel.page(path).form(path).fields, name="Other"))
    conflict = panel.sent(path, over(first, name="Mine"), 409)
    panel.done(path, conflict.form(path).fields)
    assert panel.page(path).heading == "Mine"


def test_a_flow_of_every_limit_is_shown_and_saved_unchanged(panel: "Panel", campaign: "Instance") -> None:
    values = [str(number) for number in range(900)]
    rules = [
        {"name": f"Rule {n}", "conditions": [{"field": "v1", "values": values}] * 3, "paths": [SPLIT]}
        for n in range(35)
    ]
    change(campaign, rules=rules)
    before = own_flow(campaign)
    page = panel.page(FLOW)
    assert page.text.count("or 894 others") == 35 * 3
    panel.done(FLOW, page.form(FLOW).fields)
    assert own_flow(campaign) == before


def test_texts_of_strangers_are_shown_as_text(panel: "Panel", campaign: "Instance") -> None:
    bad = '"><script>alert(1)</script>'
    condition = {"field": "v1", "op": "contains", "values": [bad]}
    parameter = {"field": "query.<b>x", "values": [bad]}
    path = {"name": bad, "target": "url", "url": "https://x.example/?%22%3E%3Cscript%3E"}
    change(campaign, rules=[{"name": bad, "conditions": [condition, parameter], "paths": [path, path]}])
    page = panel.page(FLOW)
    for html in (page.html, pressed(panel, page, "open:rules[0]").html):
        assert "<script>alert" not in html
        assert "<b>x" not in html


def test_a_flow_form_of_too_many_fields_is_refused_plainly(panel: "Panel", campaign: "Instance") -> None:
    pairs = [(f"flow.rules[{number}].id", "0") for number in range(5_001)]
    answer = panel.post(FLOW, pairs)
    assert answer.status_code == 400
    assert "more than 5000 fields" in answer.text


def test_a_flow_of_more_paths_than_a_form_can_hold_is_shown_closed_and_saved_unchanged(
    panel: "Panel", campaign: "Instance"
) -> None:
    for _ in range(18):
        campaign.made("offers", {"name": "O", "url": "https://network.example/?sub1={clickid}"})
    path = {"offers": [{"offer_id": number} for number in range(1, 21)]}
    change(campaign, rules=[{"name": "Large", "paths": [path] * 50}] * 2 + [{"paths": [path] * 9}] * 40)
    before = own_flow(campaign)
    page = panel.page(FLOW)
    assert 1_000 < len(page.form(FLOW).fields) < 5_000
    panel.done(FLOW, page.form(FLOW).fields)
    assert own_flow(campaign) == before
    opened = page
    for number in range(3, 11):
        opened = pressed(panel, opened, f"open:rules[{number}]")
    assert len(opened.form(FLOW).fields) < 5_000
    panel.done(FLOW, opened.form(FLOW).fields)
    assert own_flow(campaign) == before


def test_a_path_that_is_to_show_a_landing_has_a_row_to_choose_it_in(panel: "Panel", campaign: "Instance") -> None:
    page = pressed(panel, panel.page(FLOW), "refresh", **{"flow.default_paths[0].target": "landing_and_offer"})
    assert page.fields["flow.default_paths[0].landings[0].number"] == ""
    fields = over(page.form(FLOW).fields, **{"landings[0].number": "1"})
    panel.done(FLOW, fields)
    assert own_flow(campaign)["default_paths"][0]["landings"] == [{"landing_id": 1, "weight": 100}]


def test_a_shared_flow_is_copied_with_parts_of_its_own(panel: "Panel", campaign: "Instance") -> None:
    rule = {"name": "DE", "conditions": [{"field": "country", "values": ["DE"]}], "paths": [{"target": "nothing"}]}
    shared = campaign.made("flows", {"name": "Shared", "rules": [rule]})
    path = f"/panel/flows/{shared['id']}"
    assert panel.done(f"{path}/clone").startswith(f"/panel/flows/{shared['id'] + 1}?")
    copy = campaign.got(f"flows/{shared['id'] + 1}")
    assert (copy["name"], copy["campaign_ids"]) == ("Shared (copy)", [])
    assert copy["rules"][0]["conditions"] == shared["rules"][0]["conditions"]
    assert copy["rules"][0]["id"] not in (0, shared["rules"][0]["id"])
    named = campaign.made(f"flows/{shared['id']}/clone", {"name": "Mine"})
    assert named["name"] == "Mine"


def test_a_landing_and_a_list_name_the_flows_that_use_them(panel: "Panel", campaign: "Instance") -> None:
    assert "No flow uses this landing yet." in panel.page("/panel/landings/1").text
    condition = {"field": "v1", "op": "in", "list_id": 1}
    path = {"target": "landing_and_offer", "landings": [{"landing_id": 1}], "offers": [{"offer_id": 1}]}
    change(campaign, rules=[{"conditions": [condition], "paths": [path]}])
    shared = campaign.made("flows", {"name": "Shared", "rules": [{"conditions": [condition]}]})
    assert panel.page("/panel/landings/1").link(campaign.got("campaigns/1")["name"]) == FLOW
    page = panel.page("/panel/lists/1")
    assert page.link(campaign.got("campaigns/1")["name"]) == FLOW
    assert page.link("Shared") == f"/panel/flows/{shared['id']}"


def test_reports_call_a_rule_what_its_editor_calls_it(panel: "Panel", campaign: "Instance") -> None:
    condition = {"field": "country", "values": ["DE"]}
    change(campaign, rules=[{"conditions": [condition]}, {"conditions": [condition], "paths": [{"target": "nothing"}]}])
    with campaign.context.ledger.read() as tx:
        second = own_flow(campaign)["rules"][1]
        names = part_names(tx, [second["id"], second["paths"][0]["id"]])
    assert {*names.values()} == {"Rule 2", "Rule 2, path 1"}
    change(campaign, rules=[second])
    with campaign.context.ledger.read() as tx:
        assert {*part_names(tx, names).values()} == {"Rule 1", "Rule 1, path 1"}
