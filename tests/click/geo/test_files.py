"""Geo bases that are missing, half downloaded, of the wrong kind or replaced. Visitors are redirected all the same."""

import os
import threading
from pathlib import Path

import pytest

from clickloop.click.geo.files import GeoFiles, geo_paths
from clickloop.click.place import NOWHERE, Place
from clickloop.click.visitor import Visitors
from tests.click.geo.mmdb import (
    FLAT_CITY,
    GEOIP_ANONYMOUS,
    GEOIP_CONNECTION,
    GEOIP_ISP,
    GEOLITE_ASN,
    GEOLITE_CITY,
    base,
    base_of,
    country_base,
)

IP = "203.0.113.1"
GOOD = country_base("DE")
BAD = {
    "text": b"<html>404 not found</html>" * 100,
    "empty": b"",
    "half downloaded": GOOD[: len(GOOD) // 2],
    "without its last byte": GOOD[:-1],
    "metadata alone": GOOD[GOOD.index(b"\xab\xcd\xefMaxMind.com") :],
    "of the wrong kind": base_of(GEOIP_ANONYMOUS, "GeoIP2-Anonymous-IP"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "geo").mkdir()
    return tmp_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "country.mmdb"


def _geo(path: Path) -> GeoFiles:
    return GeoFiles(str(path), path.parent)


def _write(path: Path, data: bytes, at: int) -> None:
    path.write_bytes(data)
    os.utime(path, (at, at))


def test_a_valid_base_is_used_at_once(path: Path) -> None:
    path.write_bytes(GOOD)
    geo = _geo(path)
    assert (geo.faults, geo.base.place(IP)) == ((), Place("DE", "EU"))


def test_without_a_base_countries_come_from_the_included_one(tmp_path: Path) -> None:
    geo = GeoFiles("", tmp_path)
    assert (geo.faults, geo.base.place("8.8.8.8"), geo.look()) == ((), Place("US", "NA"), False)


def test_several_bases_in_the_folder_give_one_place(folder: Path) -> None:
    for name, record in (("city", GEOLITE_CITY), ("isp", GEOIP_ISP), ("connection", GEOIP_CONNECTION)):
        (folder / "geo" / f"{name}.mmdb").write_bytes(base_of(record, name))
    geo = GeoFiles("", folder)
    assert geo.base.place(IP) == Place("US", "NA", "US-CA", "Los Angeles", "T-Mobile USA", "21928", "mobile")


def test_bases_for_ipv4_and_ipv6_are_used_side_by_side(folder: Path) -> None:
    (folder / "geo" / "city-ipv4.mmdb").write_bytes(base_of(FLAT_CITY, "city ipv4", ip_version=4))
    (folder / "geo" / "city-ipv6.mmdb").write_bytes(base({"2000::/3": GEOLITE_CITY}, "city ipv6"))
    geo = GeoFiles("", folder)
    assert [geo.base.place(ip).region for ip in (IP, "2001:db8::1", "no address")] == ["DE-BY", "US-CA", ""]


def test_where_the_users_bases_know_no_country_the_included_one_is_asked(folder: Path) -> None:
    (folder / "geo" / "asn.mmdb").write_bytes(base_of(GEOLITE_ASN, "GeoLite2-ASN"))
    place = GeoFiles("", folder).base.place("8.8.8.8")
    assert (place.country, place.continent, place.asn) == ("US", "NA", "21928")
    assert GeoFiles(str(folder / "geo" / "asn.mmdb"), folder).base.place("8.8.8.8").country == "US"


def test_the_setting_takes_files_and_folders_and_the_data_folders_own_come_last(folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    for path in (folder / "geo" / "b.mmdb", folder / "geo" / "readme.txt", other / "d.mmdb", other / "c.mmdb"):
        path.touch()
    setting = f"{folder / 'missing.mmdb'}:{other}, {folder / 'geo' / 'b.mmdb'}"
    names = [path.name for path in geo_paths(setting, folder)]
    assert names == ["missing.mmdb", "c.mmdb", "d.mmdb", "b.mmdb"]


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_an_invalid_file_leaves_the_country_unknown_until_it_is_valid(path: Path, data: bytes) -> None:
    _write(path, data, 1_000)
    geo = _geo(path)
    visitors = Visitors(geo.base)
    assert visitors.place_of(IP).place == NOWHERE
    (fault,) = geo.faults
    assert str(path) in fault
    _write(path, GOOD, 2_000)
    assert [geo.look(), geo.look(), geo.look()] == [False, True, False]
    visitors.use_geo_base(geo.base)
    assert b'"country":"DE"' in visitors.place_of(IP).json
    assert geo.faults == ()


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_an_invalid_file_leaves_the_last_good_one_in_force_and_says_so(folder: Path, data: bytes) -> None:
    path = folder / "geo" / "city.mmdb"
    _write(path, base_of(GEOLITE_CITY), 1_000)
    geo = GeoFiles("", folder)
    _write(path, data, 2_000)
    assert [geo.look(), geo.look(), geo.look()] == [False, False, False]
    assert geo.base.place(IP).city == "Los Angeles"
    (fault,) = geo.faults
    assert str(path) in fault


@pytest.mark.parametrize("kind", ["missing", "folder without bases"])
def test_a_missing_file_leaves_the_city_unknown(path: Path, kind: str) -> None:
    if kind != "missing":
        path.mkdir()
    geo = _geo(path)
    assert (geo.base.place(IP).city, geo.look()) == ("", False)
    assert len(geo.faults) == (kind == "missing")


def test_a_base_overwritten_in_place_by_half_a_download_stays_in_use(path: Path) -> None:
    _write(path, GOOD, 1_000)
    geo = _geo(path)
    with path.open("r+b") as file:  # the same file, as wget -O writes it
        file.truncate(0)
    assert [geo.look(), geo.look()] == [False, False]
    assert geo.base.place(IP).country == "DE"
    _write(path, country_base("FR"), 3_000)
    assert [geo.look(), geo.look()] == [False, True]
    assert geo.base.place(IP).country == "FR"


def test_a_base_that_is_put_into_the_folder_is_taken_and_one_that_is_gone_is_dropped(folder: Path) -> None:
    geo = GeoFiles("", folder)
    path = folder / "geo" / "asn.mmdb"
    _write(path, base_of(GEOLITE_ASN), 1_000)
    assert [geo.look(), geo.look()] == [False, True]
    assert geo.base.place("8.8.8.8").asn == "21928"
    path.unlink()
    assert [geo.look(), geo.look()] == [False, True]
    assert geo.base.place("8.8.8.8") == Place("US", "NA")
    assert [*folder.glob("run/geo-*")] == []


def test_a_base_that_is_gone_for_a_moment_while_it_is_replaced_stays_in_use(folder: Path) -> None:
    path = folder / "geo" / "asn.mmdb"
    _write(path, base_of(GEOLITE_ASN), 1_000)
    geo = GeoFiles("", folder)
    path.unlink()
    assert not geo.look()
    _write(path, base_of(GEOIP_ISP), 2_000)
    assert (geo.look(), geo.base.place(IP).isp) == (False, "T-MOBILE-AS21928")
    assert (geo.look(), geo.base.place(IP).isp) == (True, "T-Mobile USA")


def test_look_ups_go_on_without_a_gap_while_bases_are_swapped(folder: Path) -> None:
    path = folder / "geo" / "city.mmdb"
    bases = [base_of(GEOLITE_CITY), base_of(FLAT_CITY)]
    _write(path, bases[0], 1_000)
    geo = GeoFiles("", folder)
    visitors = Visitors(geo.base)
    ended = threading.Event()
    seen: set[str] = set()

    def look_up() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            visitors.use_geo_base(geo.base)
            seen.add(visitors.place_of(f"203.0.{number // 256 % 256}.{number % 256}").place.city)

    looking = threading.Thread(target=look_up)
    looking.start()
    try:
        for at in range(2, 12):
            _write(path, bases[at % 2], at * 1_000)
            geo.look()
            assert geo.look()
    finally:
        ended.set()
        looking.join()
    assert seen == {"Los Angeles", "Munich"}


def test_two_processes_share_one_private_copy_and_older_ones_are_deleted(path: Path) -> None:
    _write(path, GOOD, 1_000)
    first, second = _geo(path), _geo(path)
    assert len([*path.parent.glob("run/geo-*")]) == 1
    _write(path, country_base("FR"), 2_000)
    for geo in (first, second):
        geo.look()
        geo.look()
    assert [geo.base.place(IP).country for geo in (first, second)] == ["FR", "FR"]
    assert len([*path.parent.glob("run/geo-*")]) == 1


def test_without_room_for_a_copy_the_file_itself_is_used(path: Path) -> None:
    _write(path, GOOD, 1_000)
    (path.parent / "run").touch()
    assert _geo(path).base.place(IP).country == "DE"
