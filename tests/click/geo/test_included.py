"""Countries from the included base, and their continents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.continent import continent_of
from clickloop.click.country import _NAMES, country_name
from clickloop.click.geo.included import IncludedCountries, included_built_at

INCLUDED = IncludedCountries()


@pytest.mark.parametrize(
    ("ip", "country"),
    [("8.8.8.8", "US"), ("81.2.69.142", "GB"), ("200.160.2.3", "BR"), ("2001:4860:4860::8888", "US")],
)
def test_an_address_has_its_country(ip: str, country: str) -> None:
    assert INCLUDED.country(ip) == country


@pytest.mark.parametrize("ip", ["127.0.0.1", "10.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1", "fe80::1%eth0"])
def test_an_address_outside_of_all_countries_has_none(ip: str) -> None:
    assert INCLUDED.country(ip) == ""


@pytest.mark.parametrize("text", ["", "nonsense", "1.2.3", "1.2.3.4.5", "1.2.3.4:80", "[::1]", "\0"])
def test_an_invalid_address_has_no_country(text: str) -> None:
    assert INCLUDED.country(text) == ""


@given(st.one_of(st.ip_addresses().map(str), st.text()))
def test_a_look_up_never_raises_and_returns_a_known_country_or_none(ip: str) -> None:
    code = INCLUDED.country(ip)
    assert code == "" or country_name(code) != code


def test_the_included_base_says_when_it_was_built() -> None:
    assert included_built_at() == 1_718_668_800_000  # 18 June 2024, in geoip2fast 1.2.2


def test_every_country_has_a_continent_and_no_other_text_has() -> None:
    assert {code: continent_of(code) for code in _NAMES if not continent_of(code)} == {}
    assert [continent_of(code) for code in ("US", "BR", "DE", "JP", "KE", "AU", "AQ", "", "XX", "us")] == [
        *("NA", "SA", "EU", "AS", "AF", "OC", "AN"),
        *("", "", ""),
    ]
