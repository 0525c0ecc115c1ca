"""The catalog file: watching it reports a changed set-up, and nothing else."""

from pathlib import Path

from clickloop.setup.catalog import Catalog, CatalogFile, write_catalog

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
