"""Look-ups of countries by IP address."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.country import country_name
from clickloop.click.geo import GeoBase, MmdbGeoBase, ShippedGeoBase

SHIPPED = ShippedGeoBase()


@pytest.fixture(scope="module")
def shipped() -> GeoBase:
    return SHIPPED


@pytest.mark.parametrize(
    ("ip", "country"),
    [("8.8.8.8", "US"), ("81.2.69.142", "GB"), ("200.160.2.3", "BR"), ("2001:4860:4860::8888", "US")],
)
def test_an_address_has_its_country(shipped: GeoBase, ip: str, country: str) -> None:
    assert shipped.country(ip) == country


@pytest.mark.parametrize("ip", ["127.0.0.1", "10.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1", "fe80::1%eth0"])
def test_an_address_outside_of_all_countries_has_none(shipped: GeoBase, ip: str) -> None:
    assert shipped.country(ip) == ""


@pytest.mark.parametrize("text", ["", "nonsense", "1.2.3", "1.2.3.4.5", "1.2.3.4:80", "[::1]", "\0"])
def test_an_invalid_address_has_no_country(shipped: GeoBase, text: str) -> None:
    assert shipped.country(text) == ""


@given(st.one_of(st.ip_addresses().map(str), st.text()))
def test_a_look_up_never_raises_and_returns_a_known_country_or_none(ip: str) -> None:
    code = SHIPPED.country(ip)
    assert code == "" or country_name(code) != code


def test_the_error_for_a_missing_base_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"missing\.mmdb cannot be opened: .* Expected a country or city base as \.mmdb"
    ):
        MmdbGeoBase(tmp_path / "missing.mmdb")


def test_a_file_in_another_format_raises_an_error(tmp_path: Path) -> None:
    path = tmp_path / "garbage.mmdb"
    path.write_bytes(b"garbage" * 1_000)
    with pytest.raises(ValueError, match="cannot be opened"):
        MmdbGeoBase(path)
