"""Routes and backtests in the panel: of a click, of a described visitor, and of a flow that is being edited."""

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from clickloop.diagnosis.backtest.working import BacktestWorker
from clickloop.store.ledger.schema.tables import flow_versions
from clickloop.web.api.diagnosis.check import route_settings

if TYPE_CHECKING:
    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

FLOW: dict[str, Any] = {
    "rules": [
        {
            "name": "US Android",
            "conditions": [{"field": "country", "values": ["US"]}, {"field": "v1", "op": "not_in", "values": ["66"]}],
            "paths": [{"name": "A", "offers": [{"offer_id": 1}]}, {"name": "B", "weight": 300, "target": "nothing"}],
        },
        {"name": "Off", "active": False, "paths": [{"offers": [{"offer_id": 1}]}]},
    ],
    "default_paths": [{"name": "Rest", "offers": [{"offer_id": 1}]}],
}
# What the editor of flows sends: its fields, and that they are shown.
EDITED = {
    "flow_shown": "1",
    "flow.rules[0].name": "Germany",
    "flow.rules[0].active": "on",
    "flow.rules[0].conditions[0].field": "country",
    "flow.rules[0].conditions[0].op": "in",
    "flow.rules[0].conditions[0].values": "DE",
    "flow.rules[0].paths[0].name": "Away",
    "flow.rules[0].paths[0].target": "nothing",
    "flow.default_paths[0].offers[0].number": "1",
    "flow.default_paths[0].target": "offer",
}


@pytest.fixture
def routed(instance: "Instance") -> "Instance":
    """A tracker whose campaign has rules."""
    instance.set_up()
    answer = instance.api.patch("/api/v1/campaigns/1", json={"flow": FLOW})
    assert answer.status_code == 200, answer.text
    return instance


def worked_off(instance: "Instance") -> None:
    context = instance.context
    work = BacktestWorker(context.ledger, context.facts, lambda: route_settings(context), lambda: instance.now)
    while work.step():
        pass


def test_a_described_visitor_is_explained_and_the_form_keeps_what_was_typed(panel: "Panel", routed: "Instance") -> None:
    page = panel.page("/panel/campaigns/1/route")
    assert "The route appears here" in page.text
    fields = {"values.country": "US", "parameters[0].name": "zone", "parameters[0].value": "77", "zone": "UTC"}
    page = panel.sent("/panel/campaigns/1/route", fields)
    assert page.fields["values.country"] == "US"
    assert "took the visitor" in page.text
    assert "from the United States" in page.text
    assert "A 404 page" in page.text
    assert "75%" in page.text


def test_a_faulty_value_is_named_beside_its_field(panel: "Panel", routed: "Instance") -> None:
    page = panel.sent("/panel/campaigns/1/route", {"values.country": "usa", "zone": "UTC"}, 422)
    assert "values.country" in page.errors


def test_the_edited_flow_is_tried_on_visitors_without_being_saved(panel: "Panel", routed: "Instance") -> None:
    page = panel.sent("/panel/campaigns/1/route", EDITED)
    assert "not saved yet" in page.text
    carried = page.fields["flow_json"]
    page = panel.sent("/panel/campaigns/1/route", {"flow_json": carried, "values.country": "DE", "zone": "UTC"})
    assert "Germany" in page.text
    assert page.fields["flow_json"] == carried
    assert routed.got("campaigns/1")["flow"]["rules"][0]["name"] == "US Android"


def test_a_carried_flow_that_was_tampered_with_is_left_out(panel: "Panel", routed: "Instance") -> None:
    page = panel.sent("/panel/campaigns/1/route", {"flow_json": '{"rules": 7', "values.country": "US", "zone": "UTC"})
    assert "US Android" in page.text


def test_the_trace_shows_the_route_folded(panel: "Panel", routed: "Instance") -> None:
    flow = routed.got("campaigns/1")["flow"]
    path_id = flow["default_paths"][0]["id"]
    with routed.ledger.read() as tx:
        row = tx.execute(
            select(flow_versions.c.flow_id, flow_versions.c.version).order_by(flow_versions.c.version.desc())
        ).first()
    assert row is not None
    click_id = routed.visit(
        country="DE", flow_id=row.flow_id, flow_version=row.version, path_id=path_id, failed_conditions="a", draw=5
    )
    page = panel.page(f"/panel/clicks/{click_id}")
    assert "Route: default paths, Rest" in page.text
    assert "did not hold" in page.text
    assert "another way" not in page.text
    assert "before flows existed" in panel.page(f"/panel/clicks/{routed.visit()}").text


def test_the_editors_flow_is_tried_on_the_last_days_with_progress_and_result(
    panel: "Panel", routed: "Instance"
) -> None:
    routed.visit(country="DE", draw=5)
    routed.visit(country="US", draw=6)
    address = panel.done("/panel/campaigns/1/backtests", EDITED)
    page = panel.page(address)
    assert "waiting" in page.text
    assert page.link("Backtests") == "/panel/campaigns/1/backtests"
    worked_off(routed)
    page = panel.page(address)
    assert "Would go elsewhere" in page.text
    assert "Germany" in page.text
    assert panel.page("/panel/campaigns/1/backtests").table.column("Would move") == ["1"]


def test_a_backtest_of_the_saved_flow_is_started_from_its_list_and_stopped(panel: "Panel", routed: "Instance") -> None:
    assert "No backtests yet" in panel.page("/panel/campaigns/1/backtests").text
    address = panel.done("/panel/campaigns/1/backtests", {"days": "30"})
    assert panel.done(f"{address}/stop") == f"{address}?said=backtest-stopped"
    page = panel.sent("/panel/campaigns/1/backtests", {"days": "0"}, 409)
    assert "1 to 90" in page.text


def test_a_finding_of_a_flow_leads_to_the_editor(panel: "Panel", routed: "Instance") -> None:
    routed.api.patch(
        "/api/v1/campaigns/1", json={"flow": {"rules": [{"name": "All", "paths": [{}]}, FLOW["rules"][0]]}}
    )
    assert "/panel/campaigns/1/flow#flow.rules[0]" in panel.page("/panel/check?campaign_id=1").addresses


def test_from_a_page_that_tried_an_edited_flow_one_comes_back_to_it(panel: "Panel", routed: "Instance") -> None:
    flow = "/panel/campaigns/1/flow"
    for path in ("/panel/campaigns/1/route", panel.done("/panel/campaigns/1/backtests", EDITED)):
        page = panel.page(path) if "backtests" in path else panel.sent(path, EDITED)
        back = panel.sent(flow, {"flow_json": page.fields["flow_json"]})
        assert "Visitors from Germany: to a 404 page." in back.text
        assert "Germany" not in str(routed.got("campaigns/1")["flow"])
        panel.done(flow, back.form(flow).fields)
        (rule,) = routed.got("campaigns/1")["flow"]["rules"]
        assert rule["name"] == "Germany"
        routed.api.patch("/api/v1/campaigns/1", json={"flow": FLOW})


def test_a_backtest_of_the_saved_flow_offers_no_way_back(panel: "Panel", routed: "Instance") -> None:
    address = panel.done("/panel/campaigns/1/backtests", {"days": "30"})
    assert "Back to the flow" not in panel.page(address).text


def test_a_returning_visitor_is_described_where_the_campaign_treats_them_in_a_way_of_its_own(
    panel: "Panel", routed: "Instance"
) -> None:
    assert "previous.path_id" not in panel.page("/panel/campaigns/1/route").fields
    routed.api.patch("/api/v1/campaigns/1", json={"bind": "path", "rotation": "unseen"})
    flow = routed.api.get("/api/v1/campaigns/1").json()["flow"]
    path_id = flow["rules"][0]["paths"][1]["id"]
    assert panel.page("/panel/campaigns/1/route").fields["previous.path_id"] == "0"
    assert (
        panel.sent("/panel/campaigns/1/route", {"previous": "none", "zone": "UTC"}, 422).fields["previous.offer_id"]
        == "0"
    )
    fields = {"values.country": "US", "zone": "UTC", "previous.path_id": str(path_id), "previous.seen_offer_ids": "1"}
    page = panel.sent("/panel/campaigns/1/route", fields)
    assert page.fields["previous.path_id"] == str(path_id)
    assert "same path as on their previous visit" in page.text
    assert "The visitor gets the same as before." in page.text
