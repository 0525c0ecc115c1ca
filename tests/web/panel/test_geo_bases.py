"""Geo bases in panel and API: their age and coverage, what they fill in, and what their licences want shown."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clickloop.click.geo.check import GeoCheck
from tests.click.geo.mmdb import GEOIP_ISP, GEOLITE_CITY, base_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.web.conftest import Instance
    from tests.web.panel.conftest import Panel

    PanelOf = Callable[[Instance], AbstractContextManager[Panel]]

OLD, NEW = "2025-11-30T12:00:00.000Z", "2026-02-27T12:00:00.000Z"
OLD_SECONDS, NEW_SECONDS = 1_764_504_000, 1_772_193_600


@pytest.fixture
def geo(instance: "Instance", tmp_path: Path) -> "Instance":
    """Return an instance with an old base of cities, a new one of providers, and a broken one."""
    folder = tmp_path / "geo"
    folder.mkdir()
    (folder / "city.mmdb").write_bytes(base_of(GEOLITE_CITY, "DBIP-City-Lite", built_at=OLD_SECONDS))
    (folder / "isp.mmdb").write_bytes(base_of(GEOIP_ISP, "GeoIP2-ISP", built_at=NEW_SECONDS))
    (folder / "torn.mmdb").write_bytes(base_of(GEOIP_ISP)[:-5])
    instance.context = replace(instance.context, geo_bases=GeoCheck("", tmp_path).reports)
    return instance


def test_the_api_tells_kind_age_and_coverage_of_each_base(geo: "Instance", panel_of: "PanelOf") -> None:
    with panel_of(geo) as panel:
        told = panel.client.get("/panel/health")
        assert told.status_code == 200
    view = geo.context.geo_bases()
    assert [Path(one.path).name for one in view] == ["city.mmdb", "isp.mmdb", "torn.mmdb", "included"]


def test_the_page_health_shows_kind_age_and_coverage_of_each_base(geo: "Instance", panel_of: "PanelOf") -> None:
    with panel_of(geo) as panel:
        words = panel.page("/panel/health").text
    assert "DBIP-City-Lite 2025-11-30 91 days old out of date Country, Region, City" in words
    assert "GeoIP2-ISP 2026-02-27 2 days old in use ISP, ASN" in words
    assert "torn.mmdb cannot be used as a geo base" in words
    assert "Unknown for new visitors, because no base has it: Connection." in words


def test_only_macros_that_a_base_fills_are_offered(geo: "Instance", panel_of: "PanelOf") -> None:
    with panel_of(geo) as panel:
        text = panel.get("/panel/offers/new")
    offered = [name for name in ("region", "city", "isp", "connection") if f'data-macro="{{{name}}}"' in text]
    assert offered == ["region", "city", "isp"]


def test_a_macro_that_no_base_fills_says_so_in_the_preview(geo: "Instance", panel_of: "PanelOf") -> None:
    with panel_of(geo) as panel:
        values = {"field": "url", "url": "https://x.example/?a={connection}&b={city}", "network_id": ""}
        text = panel.post("/panel/macro-preview/offer", values).text
    assert text.count("No geo base has it, so the macro is empty.") == 1
    assert "No geo base fills {connection}, so nothing is sent there." in text


def test_every_page_names_the_makers_whose_licences_want_it(geo: "Instance", panel_of: "PanelOf") -> None:
    with panel_of(geo) as panel:
        for path in ("/panel/clicks", "/panel/reports"):
            text = panel.get(path)
            assert '<a href="https://db-ip.com" rel="noreferrer">IP Geolocation by DB-IP</a>' in text
            assert "GeoLite2 data created by MaxMind" in text
