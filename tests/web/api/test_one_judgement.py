"""A warning on saving a record has the same code and sentence in the check of the whole set-up."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.conftest import Instance

BROKEN_URL = "https://r.example/?c={clickid}&z={zone}&y={token9}&p={payuot}&s={zoneid}&v={city}&a={alarm}"


@pytest.fixture
def broken(instance: "Instance") -> "Instance":
    """A set-up in which much is wrong."""
    rows = [
        {"parameter": "external_id", "placeholder": "subid"},
        {"parameter": "zone", "placeholder": "{zoneid}", "tracked": False},
        {"parameter": "site", "placeholder": "main"},
    ]
    instance.made("traffic-sources", {"name": "Broken", "parameters": rows, "postback_url": BROKEN_URL})
    instance.made("traffic-sources", {"name": "Silent"})
    instance.made(
        "traffic-sources", {"name": "Preset", "preset": "clickadu", "postback_url": "https://s.example/REPLACE/"}
    )
    instance.made("networks", {"name": "No cid", "test_only": True, "click_id_parameter": "sub1"})
    instance.made("networks", {"name": "Ours", "token": "t", "postback_parameters": {"cid": "{externalid}"}})
    instance.made("networks", {"name": "Text", "token": "t", "postback_parameters": {"cid": "sub1"}})
    for network_id, url in [
        (1, "https://n.example/?z={zone}&x={payout}"),
        (1, "https://n.example/?aff={clickid}"),
        (2, "https://n.example/?s={externalid}"),
        (None, "https://go.example.com/c/aB3xY9?s={clickid}"),
        (None, "https://n.example/?s={clickid}&zone={zone}"),
    ]:
        instance.made("offers", {"name": "O", "network_id": network_id, "url": url})
    instance.made("campaigns", {"name": "No offers", "source_id": 1})
    instance.made("campaigns", {"name": "Loop", "source_id": 1, "offers": [{"offer_id": 4}]})
    instance.made("campaigns", {"name": "Mixed", "source_id": 1, "offers": [{"offer_id": n} for n in (1, 2, 3, 4)]})
    instance.made("postback-rules", {"name": "Of all", "request": {"url": BROKEN_URL}})
    instance.made("postback-rules", {"name": "Of a source", "source_id": 1, "request": {"url": BROKEN_URL}})
    instance.made("postback-rules", {"name": "Of a campaign", "campaign_id": 3, "request": {"url": BROKEN_URL}})
    return instance


KINDS = {
    "traffic-sources": "traffic_source",
    "networks": "network",
    "offers": "offer",
    "campaigns": "campaign",
    "postback-rules": "postback_rule",
}


def warned(instance: "Instance", noun: str) -> set[tuple[Any, ...]]:
    items = instance.got(noun)["items"]
    return {
        (item["id"], one["field"], one["code"], one["message"], one["remedy"])
        for item in items
        for one in item["warnings"]
    }


def checked(instance: "Instance", noun: str) -> set[tuple[Any, ...]]:
    found: Iterable[dict[str, Any]] = instance.got("check")["findings"]
    return {
        (one["place"]["id"], one["place"]["field"], one["code"], one["sentence"], one["remedy"])
        for one in found
        if one["place"]["kind"] == KINDS[noun] and one["severity"] != "note"
    }


@pytest.mark.parametrize("noun", ["networks", "offers", "campaigns", "postback-rules"])
def test_the_warnings_of_a_record_are_the_findings_of_the_check(broken: "Instance", noun: str) -> None:
    assert warned(broken, noun) == checked(broken, noun) != set()


def test_a_source_is_warned_of_what_the_check_finds_in_it_and_in_its_postback_url(broken: "Instance") -> None:
    of_urls = {
        (rule["source_id"], "postback_url", *one[2:])
        for rule in broken.got("postback-rules")["items"]
        if rule["is_source_postback"]
        for one in checked(broken, "postback-rules")
        if one[0] == rule["id"] and one[1] == "request.url"
    }
    assert warned(broken, "traffic-sources") == checked(broken, "traffic-sources") | of_urls != set()


@pytest.mark.parametrize("noun", KINDS)
def test_one_record_is_judged_as_it_is_among_all(broken: "Instance", noun: str) -> None:
    for item in broken.got(noun)["items"]:
        assert broken.got(f"{noun}/{item['id']}")["warnings"] == item["warnings"]
