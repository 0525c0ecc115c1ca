"""Stores put back together from one older copy: the witnesses tell, and later records of the journal are processed again."""

import shutil
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert, text

from clickloop.running.fresh_start import start_anew
from clickloop.setup.catalog import COPY_NAME
from clickloop.setup.catalog import FILE_NAME as CATALOG_FILE
from clickloop.store.delivery_hold import read_hold
from clickloop.store.facts.facts import FactsError
from clickloop.store.identity import FACTS_FILE, FILE_NAME, LEDGER_FILE, prepare_folder, write_installation
from clickloop.store.ledger.installation import read_stamp, write_stamp
from clickloop.store.ledger.schema.tables import changes_log
from clickloop.store.witnesses import FOLDERS
from clickloop.stores import StoresProblem, StoresRefusedError, record_marks
from tests.store.counting import conversions_counted
from tests.store.used_folder import NOW, ended, go_on, started, used

STORES = (LEDGER_FILE, FACTS_FILE, FILE_NAME, CATALOG_FILE, COPY_NAME)
SETS: dict[str, tuple[str, ...]] = {
    "ledger, facts, identity and catalogs": STORES,
    "all but the journal": (*STORES, "marks", "settled", "place.json"),
    "all but the marks": (*STORES, "journal", "settled"),
    "all but what was settled": (*STORES, "journal", "marks"),
    "all but the second catalog": (LEDGER_FILE, FACTS_FILE, FILE_NAME, CATALOG_FILE, *FOLDERS),
}


def with_journal(folder: Path) -> Path:
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    return used(folder)


def put_back(folder: Path, older: Path, names: tuple[str, ...]) -> None:
    """Put files with their logs, and whole folders, back from an older copy."""
    for name in names:
        for path in folder.glob(name + "*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in older.glob(name + "*"):
            if path.is_dir():
                shutil.copytree(path, folder / path.name)
            else:
                shutil.copy2(path, folder / path.name)


def refused(folder: Path) -> StoresRefusedError:
    prepare_folder(folder)
    with pytest.raises(StoresRefusedError) as caught:
        ended(started(folder))
    return caught.value


@pytest.mark.parametrize("names", SETS.values(), ids=SETS)
def test_stores_put_back_together_from_an_older_copy_are_refused_with_a_way_on(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    folder = with_journal(tmp_path / "data")
    shutil.copytree(folder, tmp_path / "older")
    used(folder, times=2)
    put_back(folder, tmp_path / "older", names)
    found = refused(folder)
    # The second catalog tells of the ledger alone.
    assert found.problem is (
        StoresProblem.LEDGER_OLDER
        if "journal" in names and "marks" in names and "settled" in names
        else StoresProblem.STORES_OLDER
    )
    assert "clickloop serve --new" in str(found)
    assert refused(folder).problem is found.problem, "the second start takes it for the current one"

    (done,) = start_anew(folder, NOW)
    assert "older ledger" in done
    stores = started(folder)
    go_on(folder, stores)
    ended(stores)
    ended(started(folder))


def test_a_ledger_put_back_with_identity_and_catalogs_alone_is_refused(tmp_path: Path) -> None:
    folder = with_journal(tmp_path / "data")
    shutil.copytree(folder, tmp_path / "older")
    stores = started(folder)
    with stores.ledger.write() as tx:  # nothing that the facts are told
        entry = {"actor": "a", "user_id": 0, "via": "api", "action": "created", "noun": "offers", "record_id": "2"}
        tx.execute(insert(changes_log).values(at=NOW, **entry))
    record_marks(folder, stores.ledger, stores.facts, stores.installation)
    ended(stores)
    put_back(folder, tmp_path / "older", (LEDGER_FILE, FILE_NAME, CATALOG_FILE, COPY_NAME))
    assert refused(folder).problem is StoresProblem.LEDGER_OLDER


def test_a_ledger_from_before_a_refused_notice_is_refused(tmp_path: Path) -> None:
    folder = with_journal(tmp_path / "data")
    stores = started(folder)
    stores.ledger.close()
    shutil.copytree(folder, tmp_path / "older", ignore=shutil.ignore_patterns(FACTS_FILE + "*"))
    stores.facts.close()
    stores = started(folder)
    with stores.ledger.write() as tx:
        tx.execute(
            text(
                "INSERT INTO notices (notice_id, at, channel, raw, outcome, reason) "
                "VALUES ('n', 1, 's2s', x'7b7d', 'refused', 'no_click_id')"
            )
        )
    first = record_marks(folder, stores.ledger, stores.facts, stores.installation)
    assert first.marks.ledger_notes > stores.installation.marks.ledger_notes
    assert record_marks(folder, stores.ledger, stores.facts, first) == first, "an idle tracker writes nothing"
    ended(stores)
    put_back(folder, tmp_path / "older", (LEDGER_FILE, FILE_NAME))
    assert refused(folder).problem is StoresProblem.LEDGER_OLDER


def test_starts_alone_make_no_copy_older(tmp_path: Path) -> None:
    folder = with_journal(tmp_path / "data")
    shutil.copytree(folder, tmp_path / "older")
    ended(started(folder))
    ended(started(folder))
    put_back(folder, tmp_path / "older", (LEDGER_FILE,))
    ended(started(folder))


def test_a_witness_that_is_damaged_or_of_another_installation_says_nothing(tmp_path: Path) -> None:
    folder, other = with_journal(tmp_path / "data"), with_journal(tmp_path / "other")
    used(other, times=5)
    (folder / "journal/stores.json").write_bytes(b"")
    shutil.copy2(other / "journal/stores.json", folder / "settled/stores.json")
    (folder / "marks/stores.json").unlink()
    ended(started(folder))


def test_whoever_goes_on_with_an_older_ledger_has_all_postbacks_held(tmp_path: Path) -> None:
    folder = with_journal(tmp_path / "data")
    shutil.copytree(folder, tmp_path / "older")
    used(folder)
    put_back(folder, tmp_path / "older", STORES)
    start_anew(folder, NOW)
    hold = read_hold(folder)
    assert hold is not None
    assert "older copy" in hold.why


def test_older_facts_keep_their_clicks_and_take_all_conversions_from_the_ledger(tmp_path: Path) -> None:
    folder = with_journal(tmp_path / "data")
    shutil.copytree(folder, tmp_path / "older")
    used(folder)
    put_back(folder, tmp_path / "older", (FACTS_FILE,))
    assert refused(folder).problem is StoresProblem.FACTS_OLDER
    (done,) = start_anew(folder, NOW)
    assert "older facts" in done
    assert read_hold(folder) is None
    stores = started(folder)
    go_on(folder, stores)
    counted = conversions_counted(stores.facts)
    ended(stores)
    # The facts before were written without conversions behind them: only what is new counts.
    assert counted == 1


def test_a_folder_that_a_version_has_used_which_does_not_count_its_notes_starts(tmp_path: Path) -> None:
    folder = with_journal(tmp_path / "data")
    used(folder, times=3)
    stores = started(folder)
    noted = stores.installation.marks.ledger_notes
    with stores.ledger.write() as tx:
        stamp = read_stamp(tx)
        assert stamp is not None
        write_stamp(tx, msgspec.structs.replace(stamp, notes=0))
    write_installation(
        folder,
        msgspec.structs.replace(
            stores.installation, marks=msgspec.structs.replace(stores.installation.marks, ledger_notes=0)
        ),
    )
    ended(stores)
    stores = started(folder)
    ended(stores)
    assert stores.installation.marks.ledger_notes > noted
    ended(started(folder))


def test_without_room_for_a_copy_of_the_facts_nothing_is_changed(tmp_path: Path) -> None:
    folder = with_journal(tmp_path / "data")
    shutil.copytree(folder, tmp_path / "older")
    used(folder)
    put_back(folder, tmp_path / "older", STORES)
    (folder / "aside").write_bytes(b"")  # stands in the copy's way
    with pytest.raises(FactsError, match="nothing was changed"):
        start_anew(folder, NOW)
    assert read_hold(folder) is None
    assert refused(folder).problem is StoresProblem.STORES_OLDER
