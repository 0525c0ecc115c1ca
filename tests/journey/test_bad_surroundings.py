"""The product started amid what is wrong: a geo base that is none, a data folder that everybody may read."""

import stat
from pathlib import Path

import pytest

from clickloop.setup.catalog import FILE_NAME as CATALOG
from tests.click.geo.mmdb import FLAT_CITY, GEOIP_ISP, GEOLITE_CITY, base_of, country_base
from tests.journey.running import eventually, running

pytestmark = pytest.mark.journey


def test_with_a_bad_geo_base_visitors_are_redirected_an_alarm_says_so_and_a_good_one_is_taken(tmp_path: Path) -> None:
    base = tmp_path / "country.mmdb"
    base.write_bytes(b"<html>404</html>")
    with running(tmp_path / "data", geo_base=str(base)) as tracker:
        campaign = tracker.set_up("")
        clicked = [tracker.click(campaign.key)]
        eventually(
            lambda: any(str(base) in alarm["sentence"] for alarm in tracker.got("health")["alarms"]),
            told=tracker.log_text,
        )
        fresh = tmp_path / "fresh.mmdb"
        fresh.write_bytes(country_base("DE"))
        fresh.replace(base)
        eventually(lambda: "geo base taken" in tracker.log_text(), told=tracker.log_text)
        clicked.append(tracker.click(campaign.key))
        eventually(lambda: len(tracker.all_of("clicks")) == 2, told=tracker.log_text)
        countries = {click["click_id"]: click["country"] for click in tracker.all_of("clicks")}
        assert [countries[click_id] for click_id in clicked] == ["", "DE"]
        eventually(lambda: tracker.got("health")["alarms"] == [], told=tracker.log_text)


def test_bases_in_the_data_folder_fill_macros_and_clicks_and_are_swapped_while_visitors_arrive(tmp_path: Path) -> None:
    geo = tmp_path / "data" / "geo"
    geo.mkdir(parents=True)
    (geo / "city.mmdb").write_bytes(base_of(GEOLITE_CITY, "GeoLite2-City"))
    (geo / "isp.mmdb").write_bytes(base_of(GEOIP_ISP, "GeoIP2-ISP"))
    with running(tmp_path / "data", geo_base="") as tracker:
        assert [
            macro["available"] for macro in tracker.got("macros")["macros"] if macro["name"] in ("city", "connection")
        ] == [
            *(True, False),
        ]
        campaign = tracker.set_up("")
        clicked = [tracker.click(campaign.key)]
        (geo / "city.mmdb").write_bytes(base_of(FLAT_CITY, "city")[:-9])  # half a download, in place
        eventually(lambda: len(tracker.got("health")["alarms"]) == 1, told=tracker.log_text)
        clicked.append(tracker.click(campaign.key))
        fresh = tmp_path / "fresh.mmdb"
        fresh.write_bytes(base_of(FLAT_CITY, "city"))
        fresh.replace(geo / "city.mmdb")
        eventually(lambda: "geo base taken" in tracker.log_text(), told=tracker.log_text)
        clicked.append(tracker.click(campaign.key))
        eventually(lambda: len(tracker.all_of("clicks")) == 3, told=tracker.log_text)
        places = {
            click["click_id"]: (click["region"], click["city"], click["isp"]) for click in tracker.all_of("clicks")
        }
        here = ("US-CA", "Los Angeles", "T-Mobile USA")
        assert [places[click_id] for click_id in clicked] == [here, here, ("DE-BY", "Munich", "T-Mobile USA")]
        assert [base["kind"] for base in tracker.got("health")["geo"]["bases"]] == [
            "city",
            "GeoIP2-ISP",
            "GeoLite2-Country",
        ]


def test_in_a_folder_that_everybody_may_read_every_file_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "click_id.key").write_bytes(bytes(range(32)))
    (folder / "click_id.key").chmod(0o644)
    with running(folder, geo_base="") as tracker:
        told = [line for line in tracker.log_lines() if "were open to other users" in line["event"]]
        assert [line["files"] for line in told] == [["click_id.key"]]
        campaign = tracker.set_up("")
        tracker.notify(f"cid={tracker.click(campaign.key)}&payout=5")
        eventually(lambda: len(tracker.all_of("notices", outcome="new")) == 1, told=tracker.log_text)
        created = tracker.command_line("token", "create", "laptop")
        assert created.returncode == 0, created.stderr
        tracker.stop()
    found = [path for path in folder.rglob("*") if stat.S_IMODE(path.lstat().st_mode) & 0o077]
    assert found == []
    assert {"ledger.sqlite", "facts.duckdb", "click_id.key"} <= {path.name for path in folder.iterdir()}


def test_a_change_that_cannot_be_published_is_saved_told_and_in_force_as_soon_as_it_can_be(tmp_path: Path) -> None:
    with running(tmp_path / "data") as tracker:
        campaign = tracker.set_up("")
        tracker.click(campaign.key)
        fresh = tracker.folder / f"{CATALOG}.{tracker.pids()['core']}"
        fresh.mkdir()  # where the core writes the next catalog: it fails as on a full disk

        assert tracker.api("PATCH", f"campaigns/{campaign.campaign_id}", {"active": False}).status == 200

        eventually(
            lambda: "catalog" in {alarm["code"] for alarm in tracker.got("health")["alarms"]}, told=tracker.log_text
        )
        fresh.rmdir()
        eventually(lambda: tracker.ask("GET", f"/c/{campaign.key}").status == 404, told=tracker.log_text)
        eventually(lambda: tracker.got("health")["alarms"] == [], told=tracker.log_text)
