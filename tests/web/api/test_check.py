"""The check over the API: the saved set-up and recent traffic."""

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from clickloop.diagnosis.self_audit import paused_alarms
from clickloop.postback.delivery.breaker import Pause
from clickloop.postback.delivery.receiver_queue import ReceiverCondition
from clickloop.store.ledger.queue.holding import pause_rule
from clickloop.store.ledger.queue.receivers import save_condition
from clickloop.store.ledger.queue.resends import cancel_waiting
from clickloop.store.ledger.schema.tables import postback_rules, postbacks

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def codes(told: Any) -> set[str]:
    return {finding["code"] for finding in told["findings"]}


def set_up_well(instance: "Instance") -> None:
    """Create the usual set-up, with what the check requires in addition."""
    instance.set_up()
    instance.api.patch("/api/v1/networks/1", json={"token": "s3cret-token", "click_id_parameter": "sub1"})
    instance.api.patch("/api/v1/campaigns/1", json={"fallback_url": "https://fallback.example/"})


def test_a_working_set_up_has_no_errors(instance: "Instance") -> None:
    set_up_well(instance)
    click_id = instance.visit()
    instance.made("conversions", {"click_id": click_id, "payout": "5"})
    told = instance.got("check")
    assert (told["findings"], told["fine"], told["errors"]) == ([], True, 0)
    assert told["campaigns"] == [
        {
            "campaign_id": 1,
            "name": "Campaign",
            "recent_clicks": 1,
            "without_external_id": 0,
            "unreplaced_external_id": 0,
            "unreadable_cost": 0,
            "last_click_at": "2026-03-01T11:59:00.000Z",
            "last_conversion_at": "2026-03-01T12:00:00.000Z",
            "last_delivered_at": None,
        }
    ]


def test_an_empty_set_up_has_no_findings(instance: "Instance") -> None:
    told = instance.got("check")
    assert (told["findings"], told["campaigns"]) == ([], [])


def test_a_mistake_in_the_set_up_is_reported_with_its_location(instance: "Instance") -> None:
    set_up_well(instance)
    instance.api.patch("/api/v1/traffic-sources/1", json={"postback_url": "https://source.example/pb?id=${SUBID}"})
    instance.api.patch("/api/v1/offers/1", json={"url": "https://network.example/?sub1={sub1}"})
    told = instance.got("check")
    assert codes(told) >= {
        "source_macro_in_ours",
        "external_id_not_sent",
        "click_id_not_in_offer",
        "network_macro_in_ours",
    }
    assert not told["fine"]
    place = next(found["place"] for found in told["findings"] if found["code"] == "click_id_not_in_offer")
    assert place == {"kind": "offer", "id": 1, "name": "Offer", "field": "url"}


def test_an_offer_that_links_to_the_tracker_itself_is_found(instance: "Instance") -> None:
    set_up_well(instance)
    key = instance.got("campaigns/1")["key"]
    instance.api.patch("/api/v1/offers/1", json={"url": f"https://go.example.com/c/{key}?sub1={{clickid}}"})
    assert {"offer_loops", "no_live_offers"} <= codes(instance.got("check"))


def test_a_paused_rule_is_found(instance: "Instance") -> None:
    set_up_well(instance)
    with instance.ledger.write() as tx:
        tx.execute(update(postback_rules).values(paused_at=instance.now))
    assert "rule_paused" in codes(instance.got("check"))


def test_clicks_without_an_external_id_are_counted_without_screened_ones(instance: "Instance") -> None:
    set_up_well(instance)
    instance.visit()
    instance.visit(external_id="")
    instance.visit(external_id="{clickid}", flags="cost_unreadable,unreplaced_external_id")
    instance.visit(external_id="", screening="prefetch")
    instance.visit(external_id="", campaign_id=2)
    told = instance.got("check")
    (campaign,) = told["campaigns"]
    assert (campaign["recent_clicks"], campaign["without_external_id"], campaign["unreplaced_external_id"]) == (3, 1, 1)
    assert campaign["unreadable_cost"] == 1
    assert {"cost_unreadable", "external_id_empty", "external_id_unreplaced", "no_conversions"} <= codes(told)


def test_refused_notices_are_reported_by_reason_and_network(instance: "Instance") -> None:
    set_up_well(instance)
    assert instance.api.post("/api/v1/conversions", json={"click_id": "x"}).status_code == 422
    click_id = instance.visit(at=instance.now - 200 * 86_400_000)
    assert instance.api.post("/api/v1/conversions", json={"click_id": click_id}).status_code == 422
    refused = [found for found in instance.got("check")["findings"] if found["code"] == "notices_refused"]
    assert {found["place"]["kind"] for found in refused} == {"instance", "network"}
    assert any("(expired_click)" in found["sentence"] for found in refused)
    instance.now += 8 * 86_400_000
    assert "notices_refused" not in codes(instance.got("check"))


def test_unmapped_words_are_reported(instance: "Instance") -> None:
    set_up_well(instance)
    instance.made("conversions", {"click_id": instance.visit(), "status": "zzz"})
    (found,) = [found for found in instance.got("check")["findings"] if found["code"] == "words_not_mapped"]
    assert "'zzz' (1)" in found["sentence"]


def test_failed_postbacks_are_reported_and_the_last_delivery_is_dated(instance: "Instance") -> None:
    set_up_well(instance)
    instance.made("conversions", {"click_id": instance.visit()})
    instance.made("conversions", {"click_id": instance.visit()})
    ended = {"next_attempt_at": None, "finished_at": instance.now}
    with instance.ledger.write() as tx:
        tx.execute(update(postbacks).values(state="failed", **ended))
    assert "not_delivered" in codes(instance.got("check"))
    with instance.ledger.write() as tx:
        tx.execute(update(postbacks).values(state="delivered", **ended))
    told = instance.got("check")
    assert "not_delivered" not in codes(told)
    assert told["campaigns"][0]["last_delivered_at"] == "2026-03-01T12:00:00.000Z"


def test_checking_a_campaign_covers_only_what_it_needs(instance: "Instance") -> None:
    set_up_well(instance)
    instance.made("traffic-sources", {"name": "Broken"})
    instance.made("offers", {"name": "Other", "url": "https://other.example/"})
    instance.made("campaigns", {"name": "Second", "source_id": 2, "offers": [{"offer_id": 2}]})
    instance.made("conversions", {"click_id": instance.visit(campaign_id=2, source_id=2), "status": "zzz"})
    instance.made("conversions", {"click_id": instance.visit()})
    assert instance.got("check?campaign_id=1")["findings"] == []
    second = instance.got("check?campaign_id=2")
    assert codes(second) >= {
        "no_external_id_placeholder",
        "no_postback_url",
        "click_id_not_in_offer",
        "words_not_mapped",
    }
    assert [campaign["campaign_id"] for campaign in second["campaigns"]] == [2]
    assert codes(instance.got("check")) >= codes(second)


@pytest.mark.parametrize("path", ["check?campaign_id=9", "check?campaign_id=9&format=text"])
def test_an_unknown_campaign_is_a_404(instance: "Instance", path: str) -> None:
    assert instance.api.get(f"/api/v1/{path}").status_code == 404


def test_plain_text_is_available_by_parameter_and_by_header(instance: "Instance") -> None:
    instance.set_up()
    by_query = instance.api.get("/api/v1/check?format=text")
    by_header = instance.api.get("/api/v1/check", headers={"accept": "text/plain"})
    assert by_query.text == by_header.text
    assert by_query.headers["content-type"] == "text/plain; charset=utf-8"
    assert "[network_open]" in by_query.text


def test_a_check_changes_nothing(instance: "Instance") -> None:
    set_up_well(instance)
    before = (instance.setup_changes, instance.owed)
    instance.got("check")
    assert (instance.setup_changes, instance.owed) == before


def test_whatever_delays_postbacks_is_reported(instance: "Instance") -> None:
    set_up_well(instance)
    instance.made("conversions", {"click_id": instance.visit(), "payout": "5"})
    instance.now += 16 * 60_000
    assert codes(instance.got("check")) == {"backlog"}
    with instance.ledger.write() as tx:
        save_condition(
            tx, "source.example:443", ReceiverCondition(pause=Pause(opened_at=1, probe_at=2, why="9 of 10 failed."))
        )
    assert codes(instance.got("check")) == {"receiver_paused"}
    assert codes(instance.got("check?campaign_id=1")) == {"receiver_paused"}
    with instance.ledger.write() as tx:
        save_condition(tx, "source.example:443", ReceiverCondition())
        tx.execute(
            update(postbacks).values(state="skipped", reason="address_refused", next_attempt_at=None, finished_at=1)
        )
    told = instance.got("check")
    assert codes(told) == {"address_refused"}
    assert "--rule 1 --reason address_refused --anew" in told["findings"][0]["remedy"]


def test_an_archived_rule_is_reported_while_postbacks_wait_for_it(instance: "Instance") -> None:
    set_up_well(instance)
    instance.made("conversions", {"click_id": instance.visit(), "payout": "5"})
    with instance.ledger.write() as tx:
        pause_rule(tx, 1, instance.now)
    instance.api.delete("/api/v1/postback-rules/1")
    assert "archived_rule_holds" in codes(instance.got("check"))
    (alarm,) = paused_alarms(instance.ledger)
    assert alarm.startswith("postback rule 1 ")
    assert alarm.endswith("is paused and archived: its receiver answered 410 Gone; postbacks waiting: 1")
    with instance.ledger.write() as tx:
        cancel_waiting(tx, instance.got("postbacks")["items"][0]["postback_id"], instance.now)
    assert "archived_rule_holds" not in codes(instance.got("check"))
    assert paused_alarms(instance.ledger) == ()
