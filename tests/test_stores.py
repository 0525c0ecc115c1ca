"""Stores know each other: a lost, emptied, older or foreign one is refused; what a crash leaves is not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from clickloop.click.click import Click
from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.click_id import KEY_FILE, ClickId, ClickIdFault, ClickIds
from clickloop.machine.secret_box import secret_box_of
from clickloop.running.fresh_start import start_anew
from clickloop.setup.network import Network
from clickloop.store.facts.facts import FactsStore
from clickloop.store.identity import (
    FACTS_FILE,
    FILE_NAME,
    LEDGER_FILE,
    edge_click_ids,
    fingerprint_of,
    installation_id,
    prepare_folder,
    read_installation,
    write_installation,
)
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import CLICKS_STREAM, PAGE_EVENTS_STREAM
from clickloop.store.journal.writer import JournalWriter
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.outbox import insert_facts
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.stores import StoresProblem, StoresRefusedError, record_marks
from clickloop.tracking.pages.settling_page_events import settle_page_events
from clickloop.tracking.settle import settle_clicks
from tests.empty_stores import open_facts, open_ledger
from tests.store.counting import conversions_counted, sums_of
from tests.store.used_folder import NOW, a_fact_line, ended, go_on, started, used


def copied(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def swapped(folder: Path, other: Path, name: str) -> None:
    """Replace a file and its log with those of another folder."""
    for path in folder.glob(name + "*"):
        path.unlink()
    for path in other.glob(name + "*"):
        shutil.copy2(path, folder / path.name)


def refused(folder: Path) -> StoresRefusedError:
    prepare_folder(folder)
    with pytest.raises(StoresRefusedError) as caught:
        ended(started(folder))
    return caught.value


def emptied_ledger(folder: Path) -> None:
    (folder / LEDGER_FILE).unlink()
    open_ledger(folder / LEDGER_FILE).close()


def flipped_key(folder: Path) -> None:
    key = (folder / KEY_FILE).read_bytes()
    (folder / KEY_FILE).write_bytes(bytes([key[0] ^ 1]) + key[1:])


DAMAGES: dict[str, tuple[Callable[[Path], object], StoresProblem]] = {
    "ledger deleted": (lambda f: (f / LEDGER_FILE).unlink(), StoresProblem.LEDGER_LOST),
    "ledger of no bytes": (lambda f: (f / LEDGER_FILE).write_bytes(b""), StoresProblem.LEDGER_LOST),
    "ledger made anew": (emptied_ledger, StoresProblem.LEDGER_LOST),
    "facts deleted": (lambda f: (f / FACTS_FILE).unlink(), StoresProblem.FACTS_LOST),
    "facts of no bytes": (lambda f: (f / FACTS_FILE).write_bytes(b""), StoresProblem.FACTS_LOST),
    "key deleted": (lambda f: (f / KEY_FILE).unlink(), StoresProblem.KEY_LOST),
    "key cut": (lambda f: (f / KEY_FILE).write_bytes(b"short"), StoresProblem.KEY_LOST),
    "key with one bit flipped": (flipped_key, StoresProblem.KEY_LOST),
    "key emptied": (lambda f: (f / KEY_FILE).write_bytes(b""), StoresProblem.KEY_LOST),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_store_that_is_lost_or_altered_is_refused_and_nothing_is_made_in_its_place(tmp_path: Path, name: str) -> None:
    folder = used(tmp_path / "data")
    catalog = (folder / "catalog.json").read_bytes()
    damage, problem = DAMAGES[name]
    damage(folder)
    before = sorted(path.name for path in folder.iterdir())
    error = refused(folder)
    assert error.problem is problem
    assert "clickloop serve --new" in str(error)
    assert "backup" in str(error)
    assert (folder / "catalog.json").read_bytes() == catalog
    assert sorted(path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm"))) == before
    assert refused(folder).problem is problem, "the second start takes it for a new one"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (LEDGER_FILE, StoresProblem.LEDGER_FOREIGN),
        (FACTS_FILE, StoresProblem.FACTS_FOREIGN),
        (KEY_FILE, StoresProblem.KEY_LOST),
    ],
)
def test_a_store_of_another_installation_is_refused(tmp_path: Path, name: str, problem: StoresProblem) -> None:
    folder, other = used(tmp_path / "data"), used(tmp_path / "other")
    swapped(folder, other, name)
    assert refused(folder).problem is problem


@pytest.mark.parametrize(
    ("name", "problem"), [(LEDGER_FILE, StoresProblem.LEDGER_OLDER), (FACTS_FILE, StoresProblem.FACTS_OLDER)]
)
@pytest.mark.parametrize("in_order", [True, False])
def test_a_store_restored_alone_from_an_older_copy_is_refused(
    tmp_path: Path, name: str, problem: StoresProblem, in_order: bool
) -> None:
    folder = used(tmp_path / "data")
    older = copied(folder, tmp_path / "older")
    stores = started(folder)
    go_on(folder, stores)
    if in_order:
        record_marks(folder, stores.ledger, stores.facts, stores.installation)
    ended(stores)
    swapped(folder, older, name)
    assert refused(folder).problem is problem


def test_a_folder_copied_whole_starts_as_it_was(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    older = copied(folder, tmp_path / "older")
    used(folder)
    ended(started(older))


@pytest.mark.parametrize("name", ["catalog.json", "catalog.copy.json", FILE_NAME])
def test_what_the_other_stores_know_as_well_may_be_lost(tmp_path: Path, name: str) -> None:
    folder = used(tmp_path / "data")
    id_ = installation_id(folder)
    (folder / name).unlink()
    stores = started(folder)
    ended(stores)
    assert stores.installation.id == installation_id(folder) == id_


def test_a_damaged_installation_file_is_written_anew_from_the_ledger(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    id_ = installation_id(folder)
    (folder / FILE_NAME).write_bytes((folder / FILE_NAME).read_bytes().replace(b"complete", b"competle"))
    ended(started(folder))
    assert installation_id(folder) == id_


def test_a_lost_ledger_is_refused_without_the_installation_file_too(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    (folder / FILE_NAME).unlink()
    (folder / LEDGER_FILE).unlink()
    assert refused(folder).problem is StoresProblem.LEDGER_LOST


def test_a_first_start_that_was_killed_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    for step in range(5):
        folder = tmp_path / str(step)
        folder.mkdir()
        prepare_folder(folder)
        if step >= 1:
            (folder / LEDGER_FILE).touch()
        if step >= 2:
            open_ledger(folder / LEDGER_FILE).close()
        if step >= 3:
            open_facts(folder / FACTS_FILE).close()
        if step >= 4:
            ended(started(folder))
            whole = read_installation(folder)
            assert whole is not None
            write_installation(folder, msgspec.structs.replace(whole, complete=False))
        ended(started(folder))
        found = read_installation(folder)
        assert found is not None
        assert found.complete


def test_a_folder_from_before_installations_had_an_id_gets_one_and_keeps_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / KEY_FILE).write_bytes(b"k" * 32)
    ledger = Ledger.open(folder / LEDGER_FILE)
    with ledger.write() as tx:
        insert_facts(tx, [a_fact_line()])
    ledger.close()
    open_facts(folder / FACTS_FILE).close()
    (folder / "catalog.json").write_bytes(b'{"campaigns":[],"offers":[],"own_hosts":[]}')
    ended(started(folder))
    id_ = installation_id(folder)
    assert id_
    ended(started(folder))
    assert installation_id(folder) == id_
    (folder / LEDGER_FILE).unlink()
    assert refused(folder).problem is StoresProblem.LEDGER_LOST


def test_a_folder_from_before_ids_whose_facts_are_lost_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / KEY_FILE).write_bytes(b"k" * 32)
    open_ledger(folder / LEDGER_FILE).close()
    (folder / "catalog.json").write_bytes(b'{"campaigns":[],"offers":[],"own_hosts":[]}')
    assert refused(folder).problem is StoresProblem.FACTS_LOST


@pytest.mark.parametrize("name", DAMAGES)
def test_who_means_it_begins_anew_and_keeps_what_was_there(tmp_path: Path, name: str) -> None:
    folder = used(tmp_path / "data")
    DAMAGES[name][0](folder)
    done = start_anew(folder, NOW)
    assert len(done) == 1
    assert "The old files are in " in done[0]
    assert list((folder / "aside").iterdir())
    ended(started(folder))
    assert start_anew(folder, NOW) == ()


def test_facts_begun_anew_take_all_conversions_from_the_ledger_and_go_on(tmp_path: Path) -> None:
    folder = used(tmp_path / "data", times=3)
    (folder / FACTS_FILE).unlink()
    start_anew(folder, NOW)
    stores = started(folder)
    go_on(folder, stores)
    counted = conversions_counted(stores.facts)
    ended(stores)
    # the three facts before were written without conversions behind them: only what is new counts
    assert counted == 1


def test_facts_begun_anew_take_page_events_from_their_segments(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    stores = started(folder)
    click = Click(click_id=ClickIds(b"k" * 32).new(NOW), at=NOW, campaign_id=1, source_id=1)
    view = PageEvent(event_id="e", at=NOW, kind=PageEventKind.LANDING_VIEW, click_id=click.click_id)
    for stream, record in ((CLICKS_STREAM, click), (PAGE_EVENTS_STREAM, view)):
        writer = JournalWriter.open(folder / "journal", stream, "edge1")
        writer.append(msgspec.json.encode(record))
        writer.close()
    settled = settle_everything(folder, stores.facts)
    ended(stores)
    (folder / FACTS_FILE).unlink()
    start_anew(folder, NOW)
    stores = started(folder)
    assert settled == settle_everything(folder, stores.facts) == (1, 1)
    ended(stores)


def settle_everything(folder: Path, facts: FactsStore) -> tuple[int, int]:
    """Settle clicks and page events; return the numbers of clicks and landing views in the facts."""
    reader = JournalReader(folder / "journal", folder / "settled")
    settle_clicks(reader, facts)
    settle_page_events(reader, facts, NOW)
    sums = sums_of(facts)
    return sums.clicks, sums.landing_views


def test_after_the_key_was_lost_for_good_earlier_clicks_are_not_called_forged(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    earlier, _ = edge_click_ids(folder, "")
    click_id = earlier.new(NOW)
    (folder / KEY_FILE).unlink()
    start_anew(folder, NOW + 1)
    now, fault = edge_click_ids(folder, "")
    assert fault == ""
    assert now.read(click_id) == ClickId(click_id, NOW)
    assert now.read(earlier.new(NOW + 2)) is ClickIdFault.FORGED


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"{}")])
def test_earlier_clicks_are_still_not_called_forged_when_installation_json_is_lost_later(
    tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    folder = used(tmp_path / "data")
    earlier, _ = edge_click_ids(folder, "")
    click_id = earlier.new(NOW)
    (folder / KEY_FILE).unlink()
    start_anew(folder, NOW + 1)
    ended(started(folder))
    harm(folder / FILE_NAME)
    ended(started(folder))
    now, _ = edge_click_ids(folder, "")
    assert now.read(click_id) == ClickId(click_id, NOW)
    assert now.read(earlier.new(NOW + 2)) is ClickIdFault.FORGED


def test_an_edge_without_the_key_makes_ids_that_are_genuine_when_it_is_back(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    key = (folder / KEY_FILE).read_bytes()
    real, _ = edge_click_ids(folder, "")
    (folder / KEY_FILE).unlink()
    without, fault = edge_click_ids(folder, fingerprint_of(key))
    assert "is missing" in fault
    meanwhile = without.new(NOW)
    genuine = real.new(NOW)
    assert without.read(genuine) == ClickId(genuine, NOW), "it cannot tell, so it takes it"
    (folder / KEY_FILE).write_bytes(key)
    again, fault = edge_click_ids(folder, "")
    assert fault == ""
    assert again.read(meanwhile) == ClickId(meanwhile, NOW)
    assert again.read(genuine) == ClickId(genuine, NOW)


def test_marks_never_pass_what_the_stores_have_committed(tmp_path: Path) -> None:
    folder = used(tmp_path / "data", times=3)
    found = read_installation(folder)
    assert found is not None
    ledger = Ledger.open(folder / LEDGER_FILE)
    with ledger.read() as tx:
        assert found.marks.setup_change == tx.scalar(text("SELECT max(id) FROM changes_log")) == 3
    ledger.close()
    assert found.marks.outbox == 3
    assert found.marks.facts_loads == 3


def test_a_damaged_secret_of_the_set_up_is_refused_by_name_and_replaced_for_who_means_it(tmp_path: Path) -> None:
    folder = used(tmp_path / "data")
    ledger = Ledger.open(folder / LEDGER_FILE, secret_box_of(folder))
    with ledger.write() as tx:
        number = NETWORKS.write(tx, Network(name="Struck network", token="secret"), NOW).id
        tx.execute(text("UPDATE networks SET token = substr(token, 1, length(token) - 20)"))
    ledger.close()
    told = refused(folder)
    assert told.problem is StoresProblem.SECRETS_DAMAGED
    assert "Struck network" in str(told)
    (done,) = start_anew(folder, NOW)
    assert "Struck network" in done
    stores = started(folder)
    with stores.ledger.read() as tx:
        network = NETWORKS.find(tx, number)
    ended(stores)
    assert network is not None
    assert network.token not in ("", "secret")
