"""Pasted URLs and macros: extra characters at the ends are removed, invisible ones inside are rejected."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.web.conftest import Instance

AROUND = ["\u200b", "\u00a0", "\ufeff", "\u2060", "\u200d", "\u202e", " ", "\n"]


@pytest.mark.parametrize("around", AROUND)
def test_surrounding_characters_of_a_pasted_url_are_removed(instance: "Instance", around: str) -> None:
    instance.set_up()
    url = "https://network.example/?sub1={clickid}"
    offer = instance.api.patch("/api/v1/offers/1", json={"url": f"{around}{url}{around}"})
    assert offer.json()["url"] == url
    postback = "https://source.example/pb?cid={externalid}"
    source = instance.api.patch("/api/v1/traffic-sources/1", json={"postback_url": f"{postback}{around}"})
    assert source.json()["postback_url"] == postback
    rule = instance.made("postback-rules", {"name": "R", "request": {"url": f"{around}{postback}{around}"}})
    assert rule["request"]["url"] == postback
    campaign = instance.api.patch("/api/v1/campaigns/1", json={"fallback_url": f"https://f.example/{around}"})
    assert campaign.json()["fallback_url"] == "https://f.example/"
    network = instance.api.patch(
        "/api/v1/networks/1",
        json={
            "offer_url_template": f"{{url}}&sub1={{clickid}}{around}",
            "postback_parameters": {"cid": f"{{sub1}}{around}"},
        },
    )
    assert network.json()["offer_url_template"] == "{url}&sub1={clickid}"
    assert network.json()["postback_parameters"] == {"cid": "{sub1}"}


@pytest.mark.parametrize("within", ["\u200b", "\u00a0", "\u2060", "\u202e", "\u3000"])
def test_an_invisible_character_inside_a_url_is_rejected_with_its_position(instance: "Instance", within: str) -> None:
    instance.set_up()
    code = f"U+{ord(within):04X}"
    offer = instance.api.patch(
        "/api/v1/offers/1", json={"url": f"https://network.example/?sub1={{clickid}}{within}&b=1"}
    )
    assert offer.status_code == 422
    assert f"({code}) at character 40" in offer.json()["errors"][0]["message"]
    source = instance.api.patch(
        "/api/v1/traffic-sources/1", json={"postback_url": f"https://source.example/pb?cid={within}{{externalid}}"}
    )
    assert source.status_code == 422
    assert code in source.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://network.example/?a=1&amp;sub1={clickid}", "html_entity"),
        ("https://network.example/?sub1={clickid}}", "stray_brace"),
        ("https://network.example/?sub1={clickid", "unclosed_macro"),
        ("https://network.example/?sub1={clickid}b=1", "ampersand_missing"),
        ("https://network.example/?sub1=｛clickid｝", "full_width_braces"),
    ],
)
def test_a_url_that_would_be_sent_wrong_is_saved_with_a_warning_and_found_by_the_check(
    instance: "Instance", url: str, code: str
) -> None:
    instance.set_up()
    offer = instance.api.patch("/api/v1/offers/1", json={"url": url}).json()
    assert code in {warning["code"] for warning in offer["warnings"]}
    assert code in {finding["code"] for finding in instance.got("check")["findings"]}
