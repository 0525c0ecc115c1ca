"""The instance's settings without a store: started and saved ones, and the stored part of addresses."""

import pytest

from clickloop.config import SettingError, Settings
from clickloop.setup.instance import IpStorage, SavedSettings, startup_settings, stored_address, time_zones


@pytest.mark.parametrize(
    ("address", "shortened"),
    [
        ("198.51.100.77", "198.51.100.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::ffff:198.51.100.77", "198.51.100.0"),
        ("fe80::1%eth0", "fe80::"),
        ("not an address", ""),
        ("", ""),
    ],
)
def test_an_address_is_stored_whole_shortened_or_not_at_all(address: str, shortened: str) -> None:
    assert stored_address(address, IpStorage.FULL) == address
    assert stored_address(address, IpStorage.SHORTENED) == shortened
    assert stored_address(address, IpStorage.NONE) == ""


def test_saved_settings_take_precedence_over_started_ones() -> None:
    started = startup_settings(
        Settings(public_url="https://go.example/", domains="A.example, b.example:8443", currency="EUR")
    )
    assert (started.public_url, started.domains) == ("https://go.example", ("a.example", "b.example:8443"))
    assert started.own_hosts() == {"go.example", "a.example", "b.example:8443"}
    holds = SavedSettings(currency="USD", click_keep_days=0).over(started)
    assert (holds.currency, holds.public_url) == ("USD", "https://go.example")
    assert SavedSettings(currency="USD", click_keep_days=0).names() == ("currency", "click_keep_days")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (Settings(currency="XXQ"), "currency"),
        (Settings(domains="https://x"), "domains"),
        (Settings(time_zone="Mars"), "time_zone"),
        (Settings(click_keep_days=-1), "click_keep_days"),
        (Settings(fallback_url="ftp://x"), "fallback_url"),
    ],
)
def test_an_invalid_setting_in_the_environment_is_named(settings: Settings, named: str) -> None:
    with pytest.raises(SettingError, match=named):
        startup_settings(settings)


def test_time_zones_have_the_usual_names() -> None:
    assert {"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"} <= set(time_zones())
