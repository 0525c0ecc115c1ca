"""Geo bases in the API, and what they have of clicks."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clickloop.click.geo.check import GeoCheck
from clickloop.web.api.diagnosis.health import read_health
from clickloop.web.api.setup.macros import list_macros
from tests.click.geo.mmdb import GEOLITE_CITY, base_of

if TYPE_CHECKING:
    from tests.web.conftest import Instance

BUILT_AT_SECONDS = 1_772_193_600
PLACE = {
    "country": "US",
    "region": "US-CA",
    "city": "Los Angeles",
    "isp": "T-Mobile USA",
    "asn": "21928",
    "connection": "mobile",
}


def _with_city_base(instance: "Instance", folder: Path) -> Path:
    path = folder / "city.mmdb"
    path.write_bytes(base_of(GEOLITE_CITY, "GeoLite2-City", built_at=BUILT_AT_SECONDS))
    instance.context = replace(instance.context, geo_bases=GeoCheck(str(path), folder).reports)
    return path


def test_health_tells_kind_age_and_coverage_of_each_base(instance: "Instance", tmp_path: Path) -> None:
    path = _with_city_base(instance, tmp_path)
    geo = read_health(instance.context).geo
    (base,) = geo.bases
    assert (base.path, base.kind, base.built_at) == (str(path), "GeoLite2-City", "2026-02-27T12:00:00.000Z")
    assert (base.age_days, base.is_old, base.fault) == (2, False, "")
    assert [field.value for field in base.provides] == ["country", "region", "city"]
    assert [field.value for field in geo.unknown] == ["isp", "asn", "connection"]


def test_a_macro_without_a_base_is_not_available(instance: "Instance", tmp_path: Path) -> None:
    _with_city_base(instance, tmp_path)
    available = {macro.name: macro.available for macro in list_macros(instance.context).macros}
    assert {name: available[name] for name in ("country", "region", "city", "isp", "connection")} == {
        "country": True,
        "region": True,
        "city": True,
        "isp": False,
        "connection": False,
    }


def test_clicks_are_filtered_by_place(instance: "Instance") -> None:
    here, elsewhere = instance.visit(**PLACE), instance.visit()
    for name in ("country", "region", "isp", "connection"):
        assert [click["click_id"] for click in instance.got(f"clicks?{name}={PLACE[name]}")["items"]] == [here]
        assert [click["click_id"] for click in instance.got(f"clicks?{name}=")["items"]] == [elsewhere]


def test_a_click_has_its_place_in_log_export_and_trace(instance: "Instance") -> None:
    click_id = instance.visit(**PLACE)
    (click,) = instance.got("clicks")["items"]
    assert {name: click[name] for name in PLACE} == PLACE
    (row,) = csv.DictReader(instance.api.get("/api/v1/clicks/export").text.splitlines())
    assert {name: row[name] for name in PLACE} == PLACE
    event = instance.got(f"clicks/{click_id}/trace")["events"][0]
    details = {detail["name"]: detail["value"] for detail in event["details"]}
    assert (details["place"], details["provider"]) == ("Los Angeles, US-CA", "T-Mobile USA (AS21928), mobile")
