"""The set-up over the API: creating, reading, changing, listing and archiving all kinds of records."""

from typing import TYPE_CHECKING, Any

import pytest

from clickloop.setup.preset.preset import network_presets, source_presets

if TYPE_CHECKING:
    from tests.web.conftest import Instance

NOUNS: dict[str, dict[str, Any]] = {
    "traffic-sources": {"name": "Another"},
    "networks": {"name": "Another"},
    "offers": {"name": "Another", "url": "https://network.example/?s={clickid}"},
    "landings": {"name": "Another", "url": "https://pages.example/quiz?zone={v1}"},
    "lists": {"name": "Another", "entries": ["1001", "1002"]},
    "campaigns": {"name": "Another", "source_id": 1},
    "postback-rules": {"name": "Another", "request": {"url": "https://receiver.example/?p={payout}"}},
}


@pytest.mark.parametrize("noun", NOUNS)
def test_a_new_record_reads_back_the_same(instance: "Instance", noun: str) -> None:
    instance.set_up()
    made = instance.made(noun, NOUNS[noun])
    assert instance.got(f"{noun}/{made['id']}") == made


@pytest.mark.parametrize("noun", NOUNS)
def test_a_change_leaves_omitted_fields_alone(instance: "Instance", noun: str) -> None:
    instance.set_up()
    before = instance.made(noun, NOUNS[noun])
    instance.now += 5000
    changed = instance.api.patch(f"/api/v1/{noun}/{before['id']}", json={"name": "Renamed"}).json()
    after = {"name": "Renamed", "updated_at": "2026-03-01T12:00:05.000Z", "version": instance.now}
    assert changed == before | after


@pytest.mark.parametrize("noun", NOUNS)
def test_an_archived_record_leaves_the_list_and_can_still_be_read(instance: "Instance", noun: str) -> None:
    instance.set_up()
    number = instance.made(noun, NOUNS[noun])["id"]
    answer = instance.api.delete(f"/api/v1/{noun}/{number}")
    assert answer.json()["archived_at"] == "2026-03-01T12:00:00.000Z"
    assert number not in [item["id"] for item in instance.got(noun)["items"]]
    assert number in [item["id"] for item in instance.got(f"{noun}?archived=true")["items"]]
    assert instance.got(f"{noun}/{number}") == answer.json()


@pytest.mark.parametrize("noun", NOUNS)
def test_archiving_twice_changes_nothing_more(instance: "Instance", noun: str) -> None:
    instance.set_up()
    number = instance.made(noun, NOUNS[noun])["id"]
    first = instance.api.delete(f"/api/v1/{noun}/{number}").json()
    instance.now += 1000
    assert instance.api.delete(f"/api/v1/{noun}/{number}").json() == first


@pytest.mark.parametrize("noun", NOUNS)
def test_pages_contain_every_record_once(instance: "Instance", noun: str) -> None:
    instance.set_up()
    for number in range(5):
        instance.made(noun, NOUNS[noun] | {"name": f"Number {number}"})
    everything = instance.got(noun)["items"]
    seen: list[Any] = []
    cursor = ""
    while True:
        page = instance.got(f"{noun}?limit=2&cursor={cursor}")
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == everything


@pytest.mark.parametrize("noun", NOUNS)
def test_an_unknown_record_is_a_404_with_its_name(instance: "Instance", noun: str) -> None:
    for method in ("GET", "DELETE"):
        answer = instance.api.request(method, f"/api/v1/{noun}/77")
        assert answer.status_code == 404
        assert "77" in answer.json()["detail"]
    assert instance.api.patch(f"/api/v1/{noun}/77", json={}).status_code == 404


@pytest.mark.parametrize("noun", NOUNS)
def test_every_change_of_the_set_up_is_published(instance: "Instance", noun: str) -> None:
    instance.set_up()
    before = instance.setup_changes
    number = instance.made(noun, NOUNS[noun])["id"]
    instance.api.patch(f"/api/v1/{noun}/{number}", json={"name": "Renamed"})
    instance.api.delete(f"/api/v1/{noun}/{number}")
    assert instance.setup_changes == before + 3


@pytest.mark.parametrize("key", source_presets())
def test_every_source_preset_makes_a_source(instance: "Instance", key: str) -> None:
    source = instance.made("traffic-sources", {"name": "From preset", "preset": key})
    preset = source_presets()[key]
    assert source["parameters"][0]["placeholder"] == preset.external_id
    assert [row["parameter"] for row in source["parameters"][2:]] == [row.parameter for row in preset.rows]
    assert source["postback_url"] == preset.postback_url


@pytest.mark.parametrize("key", network_presets())
def test_every_network_preset_makes_a_network(instance: "Instance", key: str) -> None:
    network = instance.made("networks", {"name": "From preset", "preset": key})
    assert network["postback_parameters"] == network_presets()[key].postback


def test_fields_given_with_a_preset_override_it(instance: "Instance") -> None:
    url = "https://mine.example/?id={externalid}"
    source = instance.made("traffic-sources", {"name": "Mine", "preset": "clickadu", "postback_url": url})
    assert (source["postback_url"], source["preset"]) == (url, "clickadu")


def test_an_unknown_preset_is_a_fault_of_its_field(instance: "Instance") -> None:
    for noun in ("traffic-sources", "networks"):
        answer = instance.api.post(f"/api/v1/{noun}", json={"name": "x", "preset": "no such"})
        assert instance.faults(answer) == {"preset": "not_found"}


def test_the_campaign_link_contains_the_tracked_parameters_with_their_placeholders(instance: "Instance") -> None:
    instance.set_up()
    campaign = instance.got("campaigns/1")
    assert campaign["link"] == f"https://go.example.com/c/{campaign['key']}?external_id=${{SUBID}}&zone={{zone}}"


def test_external_id_is_always_the_first_parameter_and_tracked(instance: "Instance") -> None:
    answer = instance.api.post(
        "/api/v1/traffic-sources", json={"name": "S", "parameters": [{"parameter": "external_id", "tracked": False}]}
    )
    assert instance.faults(answer) == {"parameters[0].tracked": "always_tracked"}


def test_a_parameter_keeps_its_number_when_others_are_removed(instance: "Instance") -> None:
    rows = [{"parameter": name} for name in ("a", "b", "c")]
    source = instance.made("traffic-sources", {"name": "S", "parameters": rows})
    body = {"parameters": [{"parameter": "c"}, {"parameter": "d"}]}
    changed = instance.api.patch(f"/api/v1/traffic-sources/{source['id']}", json=body).json()
    assert {row["parameter"]: row["number"] for row in changed["parameters"]} == {
        "external_id": -1,
        "cost": 0,
        "c": 3,
        "d": 4,
    }


def test_a_removed_parameters_number_is_reused_only_on_request(instance: "Instance") -> None:
    source = instance.made("traffic-sources", {"name": "S", "parameters": [{"parameter": "a"}, {"parameter": "b"}]})
    path = f"/api/v1/traffic-sources/{source['id']}"
    numbers = []
    for rows in ([{"parameter": "a"}], [{"parameter": "a"}, {"parameter": "c"}], [{"parameter": "b", "number": 2}]):
        changed = instance.api.patch(path, json={"parameters": rows}).json()
        numbers.append([row["number"] for row in changed["parameters"][2:]])
    assert numbers == [[1], [1, 3], [2]]


def test_a_postback_url_can_be_changed_and_removed(instance: "Instance") -> None:
    instance.set_up()
    rule = instance.got("traffic-sources/1")["postback_rule_id"]
    url = "https://other.example/?id={externalid}"
    assert instance.api.patch("/api/v1/traffic-sources/1", json={"postback_url": url}).json()["postback_url"] == url
    assert instance.got(f"postback-rules/{rule}")["request"]["url"] == url
    gone = instance.api.patch("/api/v1/traffic-sources/1", json={"postback_url": ""}).json()
    assert (gone["postback_url"], gone["postback_rule_id"]) == ("", rule)
    assert instance.got("postback-rules?source_id=1")["items"] == []
    back = instance.api.patch("/api/v1/traffic-sources/1", json={"postback_url": url}).json()
    assert (back["postback_url"], back["postback_rule_id"]) == (url, rule)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://source.example/?p={payout}", "external_id_not_sent"),
        ("https://source.example/?id={externalid}&x={payuot}", "unknown_macro"),
        ("https://source.example/?id={externalid}&x={zone}", "row_off"),
        ("https://source.example/?id=${externalid}", "other_style"),
    ],
)
def test_a_doubtful_postback_url_is_saved_with_a_warning(instance: "Instance", url: str, code: str) -> None:
    rows = [{"parameter": "external_id", "placeholder": "{id}"}, {"parameter": "zone", "tracked": False}]
    source = instance.made("traffic-sources", {"name": "S", "postback_url": url, "parameters": rows})
    assert code in [warning["code"] for warning in source["warnings"]]
    assert source["postback_url"] == url


@pytest.mark.parametrize(
    "url",
    [
        "ftp://source.example/",
        "https://{country}.example/",
        "https://user:pass@source.example/",
        "https://source.example/a b",
        "https://go.example.com/postback",
        "https://source.example:0/",
        "http://127.0.0.1:9000/postback",
        "http://2130706433/",
        "http://source.example:6379/",
        "javascript:alert(1)",
        "https://source.example\\@evil.example/",
    ],
)
def test_a_postback_url_with_a_forbidden_address_is_rejected(instance: "Instance", url: str) -> None:
    answer = instance.api.post("/api/v1/traffic-sources", json={"name": "S", "postback_url": url})
    assert list(instance.faults(answer)) == ["postback_url"]
    assert instance.got("traffic-sources")["items"] == []


def test_a_name_that_is_taken_is_rejected(instance: "Instance") -> None:
    instance.set_up()
    for noun, name in (("traffic-sources", "Source"), ("networks", "Network")):
        assert instance.faults(instance.api.post(f"/api/v1/{noun}", json={"name": name})) == {"name": "taken"}


def test_a_record_that_a_live_one_uses_is_not_archived(instance: "Instance") -> None:
    instance.set_up()
    for noun in ("traffic-sources", "networks", "offers"):
        assert instance.faults(instance.api.delete(f"/api/v1/{noun}/1")) == {"": "in_use"}


def test_every_invalid_reference_of_a_campaign_is_reported(instance: "Instance") -> None:
    body = {"name": "C", "source_id": 8, "key": "no", "offers": [{"offer_id": 9}, {"offer_id": 9, "weight": -1}]}
    found = instance.faults(instance.api.post("/api/v1/campaigns", json=body))
    assert set(found) == {"source_id", "key", "offers[0].offer_id", "offers[1].offer_id", "offers[1].weight"}


def test_a_key_that_is_taken_is_rejected(instance: "Instance") -> None:
    instance.set_up()
    instance.made("campaigns", {"name": "C", "source_id": 1, "key": "aB3xY9"})
    answer = instance.api.post("/api/v1/campaigns", json={"name": "D", "source_id": 1, "key": "aB3xY9"})
    assert instance.faults(answer) == {"key": "taken"}
    instance.made("campaigns", {"name": "D", "source_id": 1, "key": "AB3xY9"})


def test_a_fixed_payout_goes_in_and_out_as_text(instance: "Instance") -> None:
    body = {"name": "O", "url": "https://n.example/?s={clickid}", "payout": {"amount": "12.500001", "currency": "EUR"}}
    offer = instance.made("offers", body)
    assert (offer["payout"], offer["currency"]) == ({"amount": "12.500001", "currency": "EUR"}, "EUR")
    cleared = instance.api.patch(f"/api/v1/offers/{offer['id']}", json={"payout": None}).json()
    assert cleared["payout"] is None


@pytest.mark.parametrize("amount", ["NaN", "1e9", "", "12.1234567", "1234567890123", "-1", "{payout}"])
def test_an_invalid_payout_is_rejected(instance: "Instance", amount: str) -> None:
    body = {"name": "O", "url": "https://n.example/", "payout": {"amount": amount, "currency": "USD"}}
    assert next(iter(instance.faults(instance.api.post("/api/v1/offers", json=body)))).startswith("payout")


@pytest.mark.parametrize(
    ("placeholder", "code"),
    [
        ("", "no_external_id_placeholder"),
        ("hello", "placeholder_not_a_macro"),
        ("{externalid}", "our_macro_as_placeholder"),
        ("${SUBID}", ""),
    ],
)
def test_saving_an_external_id_that_no_source_fills_gives_a_warning(
    instance: "Instance", placeholder: str, code: str
) -> None:
    rows = [{"parameter": "external_id", "placeholder": placeholder}]
    url = "https://s.example/?id={externalid}"
    source = instance.made("traffic-sources", {"name": "S", "parameters": rows, "postback_url": url})
    assert [warning["code"] for warning in source["warnings"]] == ([code] if code else [])


def test_a_network_whose_cid_is_not_a_macro_gets_a_warning(instance: "Instance") -> None:
    network = instance.made("networks", {"name": "N", "token": "t", "postback_parameters": {"cid": "sub1"}})
    assert [warning["code"] for warning in network["warnings"]] == ["placeholder_not_a_macro"]


def test_an_offer_without_our_click_id_gets_a_warning(instance: "Instance") -> None:
    offer = instance.made("offers", {"name": "O", "url": "https://n.example/"})
    assert [warning["code"] for warning in offer["warnings"]] == ["click_id_not_in_offer"]


@pytest.mark.parametrize(
    "url",
    [
        "https://GO.example.com./c/aB3xY9?s={clickid}",
        "http://\uff47o.example.com/c/{clickid}",
        "https://go.example.com//c/x{clickid}",
    ],
)
def test_an_offer_that_links_back_to_us_gets_a_warning(instance: "Instance", url: str) -> None:
    offer = instance.made("offers", {"name": "O", "url": url})
    assert [warning["code"] for warning in offer["warnings"]] == ["offer_loops"]


def test_words_can_be_assigned_to_a_status_and_removed(instance: "Instance") -> None:
    instance.made(
        "statuses", {"key": "upsell", "name": "Upsell", "counts_as": "confirmed", "words": [" Extra ", "more"]}
    )
    assert instance.got("statuses/upsell")["words"] == ["extra", "more"]
    changed = instance.api.patch("/api/v1/statuses/upsell", json={"words": ["more"], "counts_as": "pending"}).json()
    assert (changed["words"], changed["counts_as"], changed["name"]) == (["more"], "pending", "Upsell")
    assert instance.api.delete("/api/v1/statuses/upsell").status_code == 200
    assert instance.api.get("/api/v1/statuses/upsell").status_code == 404


def test_adding_a_word_to_a_status_keeps_the_others(instance: "Instance") -> None:
    before = instance.got("statuses/sale")["words"]
    body = {"add_words": [" Wurst "], "remove_words": ["FTD", "never had"]}
    changed = instance.api.patch("/api/v1/statuses/sale", json=body).json()
    assert changed["words"] == sorted({*before, "wurst"} - {"ftd"})
    assert changed["dropped_words"] == ["ftd"]


def test_replacing_a_status_words_returns_the_dropped_ones(instance: "Instance") -> None:
    instance.made("statuses", {"key": "upsell", "name": "U", "counts_as": "confirmed", "words": ["extra", "more"]})
    changed = instance.api.patch("/api/v1/statuses/upsell", json={"words": ["More", "topup"]}).json()
    assert (changed["words"], changed["dropped_words"]) == (["more", "topup"], ["extra"])


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"add_words": ["approved"]}, {"add_words[0]": "taken"}),
        ({"add_words": [" "]}, {"add_words[0]": "required"}),
        ({"add_words": ["a"], "remove_words": ["A"]}, {"remove_words": "conflict"}),
        ({"add_words": [f"w{number}" for number in range(200)]}, {"add_words": "too_many"}),
        ({"remove_words": ["w"] * 201}, {"remove_words": "too_many"}),
    ],
)
def test_words_that_cannot_be_added_or_removed_are_reported(
    instance: "Instance", body: dict[str, Any], faults: dict[str, str]
) -> None:
    assert instance.faults(instance.api.patch("/api/v1/statuses/hold", json=body)) == faults


def test_a_status_that_a_rule_uses_is_not_removed(instance: "Instance") -> None:
    instance.made("statuses", {"key": "vip", "name": "VIP", "counts_as": "confirmed"})
    request = {"url": "https://r.example/"}
    rule = instance.made(
        "postback-rules", {"name": "Tell", "request": request, "conditions": {"statuses": ["sale", "vip"]}}
    )
    refused = instance.api.delete("/api/v1/statuses/vip")
    assert refused.status_code == 409
    assert f"{rule['id']} 'Tell'" in refused.json()["detail"]
    assert instance.api.delete(f"/api/v1/postback-rules/{rule['id']}").status_code == 200
    assert instance.api.delete("/api/v1/statuses/vip").status_code == 200


def test_a_word_belongs_to_one_status(instance: "Instance") -> None:
    body = {"key": "upsell", "name": "Upsell", "counts_as": "confirmed", "words": ["APPROVED"]}
    assert instance.faults(instance.api.post("/api/v1/statuses", json=body)) == {"words[0]": "taken"}


def test_the_statuses_for_no_word_and_an_unknown_word_are_not_removed(instance: "Instance") -> None:
    for key in ("sale", "other"):
        if instance.api.get(f"/api/v1/statuses/{key}").status_code == 200:
            assert instance.faults(instance.api.delete(f"/api/v1/statuses/{key}")) == {"key": "reserved"}


def test_a_rule_reads_back_every_part(instance: "Instance") -> None:
    body = {
        "name": "Everything",
        "active": False,
        "request": {
            "method": "POST",
            "url": "https://receiver.example/{clickid}",
            "headers": [{"name": "X-Kind", "value": "k"}],
            "body_kind": "json",
            "body": '{"payout": {payout}}',
            "secrets": [],
        },
        "conditions": {
            "statuses": ["sale"],
            "trigger": "status",
            "only_first": True,
            "minimum_payout": "5",
            "every_nth": 3,
            "delay_seconds": 60,
            "payout_percent": 80,
        },
        "success": {"must_contain": "OK", "must_not_contain": "ERROR", "must_match": "^O", "must_not_match": "^E"},
        "waits_seconds": [5, 60],
    }
    rule = instance.made("postback-rules", body)
    assert {name: rule[name] for name in body} == body


def test_every_fault_of_a_rule_is_reported(instance: "Instance") -> None:
    body = {
        "name": " ",
        "source_id": 4,
        "campaign_id": 5,
        "request": {"url": "https://{ip}/", "headers": [{"name": "Host", "value": "x"}], "body": "x"},
        "conditions": {"statuses": ["none such"], "every_nth": 0},
        "waits_seconds": [0],
    }
    found = instance.faults(instance.api.post("/api/v1/postback-rules", json=body))
    assert {"name", "source_id", "campaign_id", "request.url", "request.body", "waits_seconds"} <= set(found)
    assert "header_forbidden" in found.values()
    assert "status_unknown" in found.values()


def test_macros_that_no_geo_base_fills_in_are_not_available(instance: "Instance") -> None:
    unavailable = {one["name"] for one in instance.got("macros")["macros"] if not one["available"]}
    assert unavailable == {"region", "city", "isp", "connection"}


def test_an_offer_url_with_a_macro_of_the_conversion_gives_a_warning(instance: "Instance") -> None:
    offer = instance.made("offers", {"name": "O", "url": "https://o.example/?s={clickid}&c={payout}"})
    assert [(one["field"], one["code"]) for one in offer["warnings"]] == [("url", "no_value_yet")]
