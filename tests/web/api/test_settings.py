"""Settings of the instance: saved ones apply at once, the others are those the tracker was started with."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.conftest import Instance


def patched(instance: "Instance", **body: Any) -> Any:
    answer = instance.api.patch("/api/v1/settings", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_settings_that_were_not_saved_are_those_the_tracker_was_started_with(instance: "Instance") -> None:
    assert instance.got("settings") == {
        "version": 0,
        "public_url": "https://go.example.com",
        "domains": [],
        "currency": "USD",
        "fallback_url": "",
        "time_zone": "UTC",
        "click_keep_days": 0,
        "ip_storage": "full",
        "click_id_parameters": [],
        "marks": [],
        "ip_lists": [],
        "useragent_lists": [],
        "saved": [],
    }


def test_click_id_parameters_are_names_in_lower_case(instance: "Instance") -> None:
    saved = patched(instance, click_id_parameters=[" AdClid ", "adclid", "x.id"])
    assert saved["click_id_parameters"] == ["adclid", "x.id"]


def test_saved_settings_apply_to_the_next_request(instance: "Instance") -> None:
    instance.set_up()
    patched(instance, public_url="https://trk.example.net/", currency="EUR", domains=["A.example", "a.example"])
    assert instance.got("settings")["saved"] == ["public_url", "domains", "currency"]
    assert instance.got("settings")["domains"] == ["a.example"]
    assert instance.got("campaigns/1")["link"].startswith("https://trk.example.net/c/")
    assert instance.got("networks/1")["postback_url"].startswith("https://trk.example.net/postback")
    assert instance.setup_changes == 5


def test_a_conversion_without_a_currency_gets_the_saved_one(instance: "Instance") -> None:
    instance.set_up()
    patched(instance, currency="EUR")
    reported = instance.made("conversions", {"click_id": instance.visit(), "payout": "3"})
    assert reported["conversion"]["payout"] == {"amount": "3", "currency": "EUR"}


def test_null_restores_the_value_the_tracker_was_started_with(instance: "Instance") -> None:
    patched(instance, currency="EUR", time_zone="Europe/Berlin")
    view = patched(instance, currency=None)
    assert (view["currency"], view["time_zone"], view["saved"]) == ("USD", "Europe/Berlin", ["time_zone"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"public_url": "go.example"}, "public_url"),
        ({"public_url": "https://go.example/path"}, "public_url"),
        ({"public_url": "https://{ip}/"}, "public_url"),
        ({"public_url": ""}, "public_url"),
        ({"domains": ["https://x"]}, "domains[0]"),
        ({"click_id_parameters": ["ok", "a b"]}, "click_id_parameters[1]"),
        ({"click_id_parameters": [""]}, "click_id_parameters[0]"),
        ({"click_id_parameters": [f"p{number}" for number in range(101)]}, "click_id_parameters"),
        ({"domains": ["ok.example", "a b"]}, "domains[1]"),
        ({"domains": [f"d{number}.example" for number in range(101)]}, "domains"),
        ({"currency": "XXQ"}, "currency"),
        ({"currency": ""}, "currency"),
        ({"fallback_url": "javascript:alert(1)"}, "fallback_url"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"click_keep_days": -1}, "click_keep_days"),
        ({"click_keep_days": 10**9}, "click_keep_days"),
        ({"ip_storage": "most"}, "ip_storage"),
        ({"listen": "0.0.0.0:80"}, "listen"),
    ],
)
def test_an_invalid_setting_is_not_saved(instance: "Instance", body: dict[str, Any], field: str) -> None:
    assert list(instance.faults(instance.api.patch("/api/v1/settings", json=body))) == [field]
    assert instance.got("settings")["saved"] == []


def test_a_change_is_in_the_audit_log(instance: "Instance") -> None:
    patched(instance, click_keep_days=90)
    line = instance.got("changes?noun=settings")["items"][0]
    assert (line["before"]["click_keep_days"], line["after"]["click_keep_days"]) == (0, 90)
