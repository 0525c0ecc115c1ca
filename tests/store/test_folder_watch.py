"""Files deleted or replaced under a running core: it rewrites and reports those it knows, and raises an alarm about the rest."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clickloop.click_id import KEY_FILE as KEY
from clickloop.config import Settings
from clickloop.diagnosis.doctor import examine
from clickloop.diagnosis.doctor_finding import DoctorVerdict
from clickloop.running.core import Core, open_core
from clickloop.setup.catalog import COPY_NAME, read_catalog_file
from clickloop.setup.catalog import FILE_NAME as CATALOG
from clickloop.setup.routing_state import FILE_NAME as ROUTING
from clickloop.setup.routing_state import CappedOffer, read_routing_state
from clickloop.store.damage_log import confirm_damages, damage_alarms, unconfirmed_damages
from clickloop.store.identity import FACTS_FILE as FACTS
from clickloop.store.identity import FILE_NAME as INSTALLATION
from clickloop.store.identity import LEDGER_FILE as LEDGER
from clickloop.store.identity import prepare_folder, read_installation
from tests.store.used_folder import NOW


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    folder = tmp_path / "data"
    folder.mkdir()
    prepare_folder(folder)
    with open_core(Settings(data=str(folder), facts_memory_mb=64)) as opened:
        opened.publish_catalog()
        opened.routing_states.write_again()
        yield opened


def alarms(core: Core) -> tuple[str, ...]:
    core.watch_files()
    return core.watch.look().alarms


def test_nothing_is_told_of_a_folder_that_is_as_it_was(core: Core) -> None:
    assert alarms(core) == ()
    core.publish_catalog()
    core.record_marks()
    assert alarms(core) == ()
    assert unconfirmed_damages(core.folder) == ()


DELETED: dict[str, Callable[[Path], object]] = {
    LEDGER: Path.unlink,
    f"{LEDGER}-wal": Path.unlink,
    f"{LEDGER}-shm": Path.unlink,
    FACTS: Path.unlink,
}


@pytest.mark.parametrize("name", DELETED)
def test_a_store_that_is_deleted_while_it_is_open_is_an_alarm_that_says_not_to_stop(core: Core, name: str) -> None:
    (core.folder / name).unlink()
    (told,) = alarms(core)
    assert told.startswith(f"{name} was deleted while Clickloop has it open")
    assert "Do not stop or restart" in told


@pytest.mark.parametrize("name", [LEDGER, FACTS])
def test_a_store_that_is_replaced_while_it_is_open_is_an_alarm(core: Core, name: str) -> None:
    path = core.folder / name
    shutil.copy(path, core.folder / "copy")
    (core.folder / "copy").replace(path)
    assert any(told.startswith(f"{name} was replaced by another file") for told in alarms(core))


def test_a_ledger_that_is_a_link_is_watched_where_it_is(tmp_path: Path) -> None:
    folder, disk = tmp_path / "data", tmp_path / "disk"
    folder.mkdir()
    disk.mkdir()
    (folder / LEDGER).symlink_to(disk / LEDGER)
    prepare_folder(folder)
    with open_core(Settings(data=str(folder), facts_memory_mb=64)) as core:
        core.publish_catalog()
        core.routing_states.write_again()
        assert alarms(core) == ()
        (disk / f"{LEDGER}-wal").unlink()
        assert [told.partition(" ")[0] for told in alarms(core)] == [f"{LEDGER}-wal"]


def test_a_deleted_key_is_written_back_and_told_until_somebody_confirms_it(core: Core) -> None:
    key = (core.folder / KEY).read_bytes()
    (core.folder / KEY).unlink()
    assert alarms(core) == ()
    assert (core.folder / KEY).read_bytes() == key
    assert (core.folder / KEY).stat().st_mode & 0o777 == 0o600
    assert "click_id.key was missing and was rewritten" in unconfirmed_damages(core.folder)[0]
    (told,) = damage_alarms(core.folder)
    assert told.startswith("files of the data folder were lost or damaged and have been rewritten, unconfirmed: 1;")
    assert any(
        finding.place == "stores" and finding.verdict is DoctorVerdict.WARNING and "click_id.key" in finding.sentence
        for finding in examine(core.folder, NOW)
    )
    confirm_damages(core.folder, NOW)
    assert damage_alarms(core.folder) == ()


def test_an_altered_key_is_an_alarm_and_left_as_it_is(core: Core) -> None:
    (core.folder / KEY).write_bytes(b"x" * 32)
    (told,) = alarms(core)
    assert "holds another key" in told
    assert (core.folder / KEY).read_bytes() == b"x" * 32


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"{}")], ids=["deleted", "damaged"])
def test_a_lost_routing_state_is_written_anew_so_that_caps_hold_at_edges_that_start_later(
    core: Core, harm: Callable[[Path], object]
) -> None:
    core.routing_states.set_capped((CappedOffer(7, 8),))
    harm(core.folder / ROUTING)
    assert alarms(core) == ()
    assert read_routing_state(core.folder / ROUTING).capped == (CappedOffer(7, 8),)
    (told,) = unconfirmed_damages(core.folder)
    assert told.startswith(f"{core.folder / ROUTING} was ")


@pytest.mark.parametrize("name", [INSTALLATION, CATALOG, COPY_NAME])
@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"{}")], ids=["deleted", "damaged"])
def test_what_the_core_knows_is_written_anew_and_told(core: Core, name: str, harm: Callable[[Path], object]) -> None:
    known = core.installation
    harm(core.folder / name)
    assert alarms(core) == ()
    found = read_installation(core.folder)
    assert found is not None
    assert (found.id, found.key) == (known.id, known.key)
    assert {read_catalog_file(core.folder / one).installation for one in (CATALOG, COPY_NAME)} == {known.id}
    (told,) = unconfirmed_damages(core.folder)
    assert told.startswith(f"{core.folder / name} was ")


def test_a_file_that_is_lost_twice_is_told_twice(core: Core) -> None:
    for _ in range(2):
        (core.folder / CATALOG).unlink()
        (core.folder / COPY_NAME).unlink()
        core.watch_files()
        assert len(unconfirmed_damages(core.folder)) == 1
        confirm_damages(core.folder, NOW)
