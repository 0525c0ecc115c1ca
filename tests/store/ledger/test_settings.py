"""Settings of the instance."""

from pathlib import Path

from clickloop.store.ledger.setup.settings import read_setting, write_setting
from tests.empty_stores import open_ledger


def test_a_setting_reads_as_it_was_last_written(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    with ledger.write() as tx:
        write_setting(tx, "zones", ("UTC",))
        write_setting(tx, "zones", ("UTC", "Europe/Berlin"))
    with ledger.read() as tx:
        assert read_setting(tx, "zones", tuple[str, ...]) == ("UTC", "Europe/Berlin")
        assert read_setting(tx, "none such", str) is None
    ledger.close()
