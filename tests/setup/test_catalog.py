"""The catalog file: watching it reports a changed set-up, and nothing else."""

from pathlib import Path

import msgspec
import pytest

from clickloop.click.routing.routes import Routes
from clickloop.machine.sealed_file import seal
from clickloop.setup.catalog import FILE_NAME, Catalog, CatalogFile, write_catalog

ONE, OTHER = Catalog(own_hosts=("one.example",)), Catalog(own_hosts=("other.example",))


def test_a_changed_catalog_is_reported_once(tmp_path: Path) -> None:
    watched = CatalogFile(tmp_path)
    found = []
    for catalog in (ONE, OTHER):
        write_catalog(tmp_path, catalog)
        found += [watched.changed(), watched.changed()]
    assert found == [ONE, None, OTHER, None]


def test_the_same_catalog_written_again_is_no_change(tmp_path: Path) -> None:
    watched = CatalogFile(tmp_path)
    write_catalog(tmp_path, ONE)
    watched.changed()
    write_catalog(tmp_path, ONE)
    assert watched.changed() is None


def test_without_a_file_there_is_no_change(tmp_path: Path) -> None:
    assert CatalogFile(tmp_path).changed() is None


EARLIER = b"""{"campaigns":[{"id":1,"key":"UiDGuZ","name":"One","source_id":1,"source_name":"Source","active":true,"domain":"",
"fallback_url":"","cost_micros":null,"cost_currency":"","rows":[{"number":-1,"parameter":"external_id","tracked":true}],
"shares":[{"offer_id":1,"weight":100},{"offer_id":2,"weight":0}]},{"id":2,"key":"Empty1","name":"Two","source_id":1,
"source_name":"Source","active":true,"domain":"","fallback_url":"https://fallback.example/","cost_micros":null,"cost_currency":"",
"rows":[],"shares":[]}],"offers":[{"id":1,"name":"Offer","url":"https://offer.example/?sub1={clickid}","network_id":1,
"network_name":"Network"},{"id":2,"name":"Off","url":"https://off.example/","network_id":1,"network_name":"Network"}],
"own_hosts":["go.example"]}"""
"""As versions without flows wrote it."""


@pytest.mark.parametrize("data", [EARLIER, seal(msgspec.Raw(EARLIER))], ids=["bare", "sealed"])
def test_visitors_are_redirected_by_a_catalog_from_before_flows(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(data)
    catalog = CatalogFile(tmp_path).changed()
    assert catalog is not None
    routes = Routes(catalog, "")
    route, empty = routes.find(b"UiDGuZ"), routes.find(b"Empty1")
    assert route is not None
    assert route.only is not None
    assert empty is not None
    assert empty.fallback is not None
    assert (route.only.offer_id, route.only.place.flow_id) == (1, 0)
    assert not empty.serves
    assert b"flow_id" not in route.only.json
