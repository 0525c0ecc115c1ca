"""Simulation over the API: it matches production, and leaves nothing behind."""

import dataclasses
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import select

from clickloop.postback.due import SkipReason
from clickloop.store.ledger.schema.tables import metadata
from clickloop.web.api.application import create_api
from tests.web.conftest import application

if TYPE_CHECKING:
    from tests.web.conftest import Instance

PHONE = "Mozilla/5.0 (Linux; Android 14; SM-A546B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Mobile Safari/537.36"
TELEGRAM = {
    "preset": "telegram",
    "fill": {"bot_token": "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", "chat_id": "7"},
}


def simulated(instance: "Instance", **body: Any) -> Any:
    answer = instance.api.post("/api/v1/simulate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def macros(told: Any) -> dict[str, tuple[str, str]]:
    return {macro["macro"]: (macro["value"], macro["origin"]) for macro in told["macros"]}


def everything(instance: "Instance") -> dict[str, Any]:
    """Return all rows of all tables, and a digest of every file except the ledger's, whose pages may be checkpointed at any time."""
    instance.facts.last_outbox_id()
    with instance.ledger.read() as tx:
        found: dict[str, Any] = {
            table.name: sorted(repr(tuple(row)) for row in tx.execute(select(table)))
            for table in metadata.sorted_tables
        }
        found["counters"] = [tuple(row) for row in tx.exec_driver_sql("SELECT * FROM sqlite_sequence ORDER BY name")]
    for path in sorted(instance.folder.rglob("*")):
        if path.is_file() and not path.name.startswith("ledger.sqlite"):
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


class Receiver:
    """A server on loopback that counts its requests."""

    def __init__(self) -> None:
        self.asked = 0
        receiver = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                receiver.asked += 1
                self.send_response(204)
                self.end_headers()

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_arguments: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def point_rules_at(instance: "Instance", url: str) -> None:
    """Point the source's rule to loopback, which saving would reject."""
    with instance.ledger.write() as tx:
        table = metadata.tables["postback_rules"]
        tx.execute(table.update().values(request={"url": f"{url}/pb?id={{externalid}}"}))


@pytest.mark.parametrize("told_as", ["json", "text"])
def test_a_simulation_stores_nothing_and_sends_nothing(instance: "Instance", receiver: Receiver, told_as: str) -> None:
    instance.set_up()
    point_rules_at(instance, receiver.url)
    click_id = instance.visit()
    conversion = instance.made("conversions", {"click_id": click_id, "payout": "12.5"})["conversion"]
    with instance.ledger.read() as tx:
        tables = {row[0] for row in tx.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"notices", "conversions", "postbacks", "attempts", "fact_outbox"} <= tables
    (instance.folder / "journal" / "clicks").mkdir(parents=True)
    owed, before = instance.owed, everything(instance)
    bodies: list[dict[str, Any]] = [
        {"campaign_id": 1},
        {"campaign_id": 1, "parameters": {}, "conversion": {"payout": "5", "status": "rejected", "txid": "T-9"}},
        {"click_id": click_id, "conversion": {"payout": "7", "txid": "T-2"}},
        {"conversion_id": conversion["conversion_id"]},
        {"conversion_id": conversion["conversion_id"], "conversion": {"status": "hold"}},
    ]
    for body in bodies:
        answer = instance.api.post(f"/api/v1/simulate?format={told_as}", json=body)
        assert answer.status_code == 200, answer.text
    assert everything(instance) == before
    assert list((instance.folder / "journal").rglob("*.ndjson*")) == []
    assert (instance.owed, receiver.asked) == (owed, 0)


def test_a_simulation_matches_what_happens(instance: "Instance") -> None:
    instance.set_up()
    instance.made("postback-rules", TELEGRAM | {"conditions": {"minimum_payout": "20"}})
    click_id = instance.visit(external_id="abc")
    told = simulated(instance, click_id=click_id, conversion={"payout": "12.5"})
    instance.made("conversions", {"click_id": click_id, "payout": "12.5"})
    stored = sorted(instance.got("postbacks")["items"], key=lambda postback: postback["rule_id"])
    findings = [instance.got(f"postbacks/{postback['postback_id']}")["findings"] for postback in stored]
    assert [rule["findings"] for rule in told["rules"]] == findings
    assert (
        [rule["reason"] for rule in told["rules"]]
        == [postback["reason"] for postback in stored]
        == [None, "below_minimum"]
    )
    assert told["rules"][0]["request"] == stored[0]["request"]
    assert told["rules"][0]["request"]["url"] == "https://source.example/postback?id=abc&payout=12.5"
    again = simulated(instance, click_id=click_id, conversion={"payout": "12.5"})
    assert (again["outcome"], again["change"], again["rules"]) == ("repeated", "", [])


def test_a_simulated_visitor_goes_where_a_real_one_would(instance: "Instance") -> None:
    instance.set_up()
    offer = {
        "name": "Second",
        "url": "https://second.example/{zone}/?c={country}&d={device}&n={campaign.name}&p={payout}&q={nope}",
    }
    instance.made("offers", offer)
    instance.api.patch(
        "/api/v1/campaigns/1", json={"offers": [{"offer_id": 1, "weight": 30}, {"offer_id": 2, "weight": 10}]}
    )
    likeliest = simulated(instance, campaign_id=1)
    assert (likeliest["redirect"]["offer_id"], likeliest["invented"]) == (1, True)
    assert likeliest["redirect"]["chances"] == [
        {"offer_id": 1, "offer_name": "Offer", "percent": 75.0},
        {"offer_id": 2, "offer_name": "Second", "percent": 25.0},
    ]
    assert likeliest["redirect"]["url"] == f"https://network.example/?sub1={likeliest['click']['click_id']}"
    chosen = simulated(
        instance,
        campaign_id=1,
        offer_id=2,
        parameters={"zone": "a b"},
        visitor={"country": "BR", "useragent": PHONE, "language": "pt-BR,pt;q=0.9"},
    )
    assert chosen["redirect"]["url"] == "https://second.example/a%20b/?c=BR&d=mobile&n=Campaign&p=&q={nope}"
    assert chosen["redirect"]["left_untouched"] == ["nope"]
    assert chosen["click"]["language"] == "pt-br"
    assert macros(chosen["redirect"]) == {
        "token1": ("a b", "link"),
        "country": ("BR", "visitor"),
        "device": ("mobile", "visitor"),
        "campaign.name": ("Campaign", "setup"),
        "payout": ("", "conversion"),
    }


def test_a_simulated_click_id_is_valid_nowhere(instance: "Instance") -> None:
    instance.set_up()
    click_id = simulated(instance, campaign_id=1)["click"]["click_id"]
    assert instance.faults(instance.api.post("/api/v1/conversions", json={"click_id": click_id})) == {
        "click_id": "forged_click_id"
    }


def test_each_macro_has_the_origin_of_its_value(instance: "Instance") -> None:
    instance.set_up()
    names = "externalid zone cost payout currency conversion conversion.group txid param3 os rule.name postback_id clickid now"
    url = "https://own.example/?" + "&".join(f"{name}={{{name}}}" for name in names.split())
    instance.made("postback-rules", {"name": "Own", "request": {"url": url}, "conditions": {"payout_percent": 50}})
    told = simulated(
        instance,
        campaign_id=1,
        parameters={"external_id": "x1", "zone": "z9", "cost": "0.02"},
        conversion={"payout": "10", "status": "approved", "params": {"param3": "blue"}},
    )
    rule = told["rules"][1]
    values = macros(rule)
    assert values["externalid"] == ("x1", "link")
    assert values["token1"] == ("z9", "link")
    assert values["cost"] == ("0.02", "link")
    assert values["payout"] == ("5", "notice")
    assert values["conversion"] == ("approved", "notice")
    assert values["conversion.group"] == ("Sale", "setup")
    assert values["txid"] == ("", "notice")
    assert values["param3"] == ("blue", "notice")
    assert values["rule.name"] == ("Own", "setup")
    assert values["now"] == (str(instance.now // 1000), "time")
    sources = {macro["macro"]: macro["source"] for macro in rule["macros"]}
    assert "V1" in sources["token1"]
    assert "50%" in sources["payout"]
    assert "had no txid" in sources["txid"]


def currency_of_a_try(instance: "Instance", **body: Any) -> tuple[str, str, str]:
    """Return the value of {currency} in the rule that sends it, and its origin."""
    rule = simulated(instance, **body)["rules"][-1]
    (macro,) = [macro for macro in rule["macros"] if macro["macro"] == "currency"]
    return macro["value"], macro["origin"], macro["source"]


def test_a_currency_has_its_origin(instance: "Instance") -> None:
    instance.set_up()
    instance.made("postback-rules", {"name": "Own", "request": {"url": "https://own.example/?c={currency}"}})
    named = {"payout": "5", "currency": "EUR"}
    assert currency_of_a_try(instance, campaign_id=1, conversion=named)[1:] == (
        "notice",
        "The currency of the incoming postback, 'EUR'.",
    )
    value, origin, source = currency_of_a_try(instance, campaign_id=1, conversion={"payout": "5 GBP"})
    assert (value, origin, source) == ("GBP", "notice", "The currency in the payout of the incoming postback, '5 GBP'.")
    own = "The currency of the {}, because the incoming postback had none."
    wish: dict[str, Any] = {"campaign_id": 1, "conversion": {"payout": "5"}}
    assert currency_of_a_try(instance, **wish) == ("USD", "setup", own.format("instance"))
    instance.api.patch("/api/v1/networks/1", json={"currency": "CHF"})
    assert currency_of_a_try(instance, **wish) == ("CHF", "setup", own.format("network"))
    instance.api.patch("/api/v1/offers/1", json={"currency": "PLN"})
    assert currency_of_a_try(instance, **wish) == ("PLN", "setup", own.format("offer"))
    assert "no incoming postback had a payout" in currency_of_a_try(instance, campaign_id=1)[2]


def test_a_stored_currency_is_shown_even_if_the_offer_has_another_one_today(instance: "Instance") -> None:
    instance.set_up()
    instance.made("postback-rules", {"name": "Own", "request": {"url": "https://own.example/?c={currency}"}})
    named = instance.made("conversions", {"click_id": instance.visit(), "payout": "1", "currency": "EUR"})
    unnamed = instance.made("conversions", {"click_id": instance.visit(), "payout": "1"})
    instance.api.patch("/api/v1/offers/1", json={"currency": "PLN"})
    first = currency_of_a_try(instance, conversion_id=named["conversion"]["conversion_id"])
    assert first == ("EUR", "notice", "The currency of the incoming postback, 'EUR'.")
    second = currency_of_a_try(instance, conversion_id=unnamed["conversion"]["conversion_id"])
    assert (second[0], "when it arrived" in second[2]) == ("USD", True)


def test_a_parameter_that_is_not_stored_is_reported(instance: "Instance") -> None:
    instance.set_up()
    rows = [{"parameter": "external_id", "placeholder": "${SUBID}"}, {"parameter": "zone", "tracked": False}]
    instance.api.patch("/api/v1/traffic-sources/1", json={"parameters": rows})
    link = {"external_id": "x", "zone": "1", "nope": "2"}
    told = simulated(instance, campaign_id=1, parameters=link)["not_taken"]
    assert [one["name"] for one in told] == ["zone", "nope"]
    assert "not tracked" in told[0]["reason_text"]
    assert "no row with this name" in told[1]["reason_text"]
    text = instance.api.post("/api/v1/simulate?format=text", json={"campaign_id": 1, "parameters": link}).text
    assert "nope: Not stored: the traffic source has no row with this name" in text


def test_the_visitor_of_a_recorded_click_went_to_an_offer_with_a_name(instance: "Instance") -> None:
    instance.set_up()
    assert simulated(instance, click_id=instance.visit())["redirect"]["offer_name"] == "Offer"


def test_plain_text_has_flags_as_sentences_and_every_condition(instance: "Instance") -> None:
    instance.set_up()
    body = {"campaign_id": 1, "conversion": {"payout": "NaN", "status": "wurst"}}
    text = instance.api.post("/api/v1/simulate?format=text", json=body).text
    assert "The status word is not mapped" in text
    assert "(payout_not_a_number)" in text
    of_conversions = set(SkipReason) - {SkipReason.VIEW_FAULT}
    assert all(f"met      {reason.met_sentence}" in text for reason in of_conversions)
    text = instance.api.post("/api/v1/simulate?format=text", json={"campaign_id": 1, "parameters": {}}).text
    assert f"not met  {SkipReason.NO_EXTERNAL_ID.sentence} (no_external_id)" in text


def test_a_skipped_rule_shows_what_it_would_have_sent(instance: "Instance") -> None:
    instance.set_up()
    (rule,) = simulated(instance, campaign_id=1, parameters={})["rules"]
    assert (rule["sent"], rule["reason"]) == (False, "no_external_id")
    assert [found["condition"] for found in rule["findings"] if not found["met"]] == ["no_external_id"]
    assert len(rule["findings"]) == len(SkipReason) - 1  # all but that of views
    assert rule["request"]["url"] == "https://source.example/postback?id=&payout=0"


def test_a_row_that_is_off_says_so(instance: "Instance") -> None:
    instance.set_up()
    rows = [{"parameter": "external_id", "placeholder": "${SUBID}"}, {"parameter": "zone", "tracked": False}]
    url = "https://source.example/postback?id={externalid}&z={zone}"
    instance.api.patch("/api/v1/traffic-sources/1", json={"parameters": rows, "postback_url": url})
    (rule,) = simulated(instance, campaign_id=1, parameters={"external_id": "x", "zone": "5"})["rules"]
    assert rule["macros"][1]["value"] == ""
    assert "not tracked" in rule["macros"][1]["source"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"active": False}, "campaign_paused"),
        ({"offers": [{"offer_id": 1, "weight": 0}]}, "no_weight"),
    ],
)
def test_an_offer_without_visitors_has_a_reason(instance: "Instance", change: Any, reason: str) -> None:
    instance.set_up()
    assert instance.api.patch("/api/v1/campaigns/1", json=change).status_code == 200
    redirect = simulated(instance, campaign_id=1)["redirect"]
    assert (redirect["to"], [left["reason"] for left in redirect["left_out"]]) == ("nowhere", [reason])
    instance.api.patch("/api/v1/campaigns/1", json={"fallback_url": "https://fallback.example/?c={campaign.key}"})
    redirect = simulated(instance, campaign_id=1)["redirect"]
    assert (redirect["to"], redirect["url"][:28]) == ("fallback", "https://fallback.example/?c=")


def test_a_stored_conversion_is_decided_by_todays_rules(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    conversion = instance.made("conversions", {"click_id": click_id, "payout": "12.5"})["conversion"]
    instance.made("postback-rules", TELEGRAM)
    told = simulated(instance, conversion_id=conversion["conversion_id"].upper())
    assert (told["stored"], told["change"], told["outcome"]) == (True, "new", "new")
    assert [rule["sent"] for rule in told["rules"]] == [True, True]
    assert told["redirect"]["recorded"]
    assert told["rules"][1]["request"]["url"] == "https://api.telegram.org/bot•••/sendMessage"


def test_another_notice_of_a_stored_conversion_takes_its_postbacks_into_account(instance: "Instance") -> None:
    instance.set_up()
    click_id = instance.visit()
    conversion = instance.made("conversions", {"click_id": click_id, "txid": "T-1", "status": "hold"})["conversion"]
    told = simulated(instance, conversion_id=conversion["conversion_id"], conversion={"status": "sale"})
    assert (told["outcome"], told["change"]) == ("changed", "status")
    assert told["rules"][0]["reason"] == "duplicate"


def test_disable_postback_and_an_unreadable_payout_are_simulated_as_sent(instance: "Instance") -> None:
    instance.set_up()
    told = simulated(instance, campaign_id=1, conversion={"payout": "{payout}", "disable_postback": True})
    assert told["rules"][0]["reason"] == "disabled_by_notice"
    assert told["flags"] == ["payout_unreplaced_macro"]


def test_a_request_that_cannot_be_sent_has_a_reason(instance: "Instance") -> None:
    instance.set_up()
    body = {"url": "https://own.example/", "method": "POST", "body_kind": "json", "body": '{"p": {param1|raw}}'}
    instance.made("postback-rules", {"name": "Own", "request": body})
    told = simulated(instance, campaign_id=1, conversion={"params": {"param1": "}"}})
    assert told["rules"][1]["unsendable"] == "The body is not valid JSON."


def test_plain_text_has_the_same_content(instance: "Instance") -> None:
    instance.set_up()
    answer = instance.api.post("/api/v1/simulate", json={"campaign_id": 1}, headers={"accept": "text/plain"})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    for text in (
        "Nothing is sent or stored",
        "goes to the offer Offer",
        "would be sent",
        "{externalid}",
        "EXAMPLE-EXTERNAL-ID",
    ):
        assert text in answer.text


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {"campaign_id": "required"}),
        ({"campaign_id": 1, "click_id": "x"}, {"click_id": "conflict"}),
        ({"click_id": "x"}, {"click_id": "not_found"}),
        ({"conversion_id": "x", "parameters": {}}, {"parameters": "not_allowed"}),
        ({"campaign_id": 1, "offer_id": 9}, {"offer_id": "not_found"}),
        ({"campaign_id": 1, "parameters": {"a": "x" * 5000}}, {"parameters.a": "too_long"}),
        ({"campaign_id": 1, "conversion": {"txid": "a\nb"}}, {"conversion.txid": "character"}),
        (
            {"campaign_id": 1, "conversion": {"params": {"param99": "x"}}},
            {"conversion.params.param99": "unknown_field"},
        ),
    ],
)
def test_an_invalid_request_is_reported_by_field(instance: "Instance", body: Any, faults: dict[str, str]) -> None:
    instance.set_up()
    assert instance.faults(instance.api.post("/api/v1/simulate", json=body)) == faults


@pytest.mark.parametrize("body", [{"campaign_id": 9}, {"conversion_id": "0" * 26}])
def test_an_unknown_record_is_a_404(instance: "Instance", body: Any) -> None:
    assert instance.api.post("/api/v1/simulate", json=body).status_code == 404
    click_id = instance.click_ids.new(instance.now)
    assert instance.api.post("/api/v1/simulate", json={"click_id": click_id}).status_code == 404


def test_the_comparison_covers_the_data_folder(instance: "Instance") -> None:
    instance.set_up()
    before = everything(instance)
    instance.made("conversions", {"click_id": instance.visit()})
    assert everything(instance) != before
    assert Path(instance.folder / "facts.duckdb").exists()


def test_a_receiver_that_resolves_to_a_refused_address_is_reported(instance: "Instance") -> None:
    instance.set_up()
    context = dataclasses.replace(instance.context, dns_refusal=lambda target: f"{target.host} is refused.")
    with TestClient(application(create_api, context)) as api:
        api.headers.update(instance.api.headers)
        answer = api.post("/api/v1/simulate?format=text", json={"campaign_id": 1})
    assert "This request cannot be sent: source.example is refused." in answer.text
