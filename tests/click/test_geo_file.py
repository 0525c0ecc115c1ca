"""A geo base that is missing, half downloaded or replaced. Visitors are redirected all the same."""

import os
from pathlib import Path

import pytest

from clickloop.click.geo_file import GeoCheck, GeoFile
from clickloop.click.visitor import Visitors
from tests.click.mmdb import country_base

GOOD = country_base("DE")
BAD = {
    "text": b"<html>404 not found</html>" * 100,
    "empty": b"",
    "half downloaded": GOOD[: len(GOOD) // 2],
    "without its last byte": GOOD[:-1],
    "metadata alone": GOOD[GOOD.index(b"\xab\xcd\xefMaxMind.com") :],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "country.mmdb"


def _geo(path: Path) -> GeoFile:
    return GeoFile(str(path), path.parent / "run")


def _write(path: Path, data: bytes, at: int) -> None:
    path.write_bytes(data)
    os.utime(path, (at, at))


def test_a_valid_base_is_used_at_once(path: Path) -> None:
    path.write_bytes(GOOD)
    geo = _geo(path)
    assert (geo.fault, geo.base.country("203.0.113.1")) == ("", "DE")
    assert GeoCheck(str(path)).alarms() == ()


def test_without_a_path_the_shipped_base_is_used(tmp_path: Path) -> None:
    geo = GeoFile("", tmp_path)
    assert (geo.fault, geo.base.country("8.8.8.8"), geo.look()) == ("", "US", False)
    assert GeoCheck("").alarms() == ()


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_an_invalid_file_leaves_the_country_unknown_and_raises_an_alarm_until_it_is_valid(
    path: Path, data: bytes
) -> None:
    _write(path, data, 1_000)
    geo, check = _geo(path), GeoCheck(str(path))
    visitors = Visitors(geo.base)
    assert b'"country"' not in visitors.place_of("203.0.113.1").json
    assert str(path) in geo.fault
    (alarm,) = check.alarms()
    assert alarm.startswith(f"geo_base {path} cannot be opened: ")
    assert "CLICKLOOP_GEO_BASE" in alarm
    _write(path, GOOD, 2_000)
    assert [geo.look(), geo.look(), geo.look()] == [False, True, False]
    visitors.use_geo_base(geo.base)
    assert b'"country":"DE"' in visitors.place_of("203.0.113.1").json
    assert (geo.fault, check.alarms()) == ("", ())


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_missing_file_leaves_the_country_unknown(path: Path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    geo = _geo(path)
    assert (geo.base.country("203.0.113.1"), geo.look()) == ("", False)
    assert len(GeoCheck(str(path)).alarms()) == 1


def test_a_base_overwritten_in_place_by_half_a_download_stays_in_use(path: Path) -> None:
    _write(path, GOOD, 1_000)
    geo = _geo(path)
    with path.open("r+b") as file:  # the same file, as wget -O writes it
        file.truncate(0)
    assert [geo.look(), geo.look()] == [False, False]
    assert geo.base.country("203.0.113.1") == "DE"
    _write(path, country_base("FR"), 3_000)
    assert [geo.look(), geo.look()] == [False, True]
    assert geo.base.country("203.0.113.1") == "FR"


def test_two_processes_share_one_private_copy_and_older_ones_are_deleted(path: Path) -> None:
    _write(path, GOOD, 1_000)
    first, second = _geo(path), _geo(path)
    assert len([*path.parent.glob("run/geo-*")]) == 1
    _write(path, country_base("FR"), 2_000)
    for geo in (first, second):
        geo.look()
        geo.look()
    assert [geo.base.country("203.0.113.1") for geo in (first, second)] == ["FR", "FR"]
    assert len([*path.parent.glob("run/geo-*")]) == 1


def test_without_room_for_a_copy_the_file_itself_is_used(path: Path) -> None:
    _write(path, GOOD, 1_000)
    (path.parent / "run").touch()
    assert _geo(path).base.country("203.0.113.1") == "DE"
