"""Damage to the files of a data folder, case by case: it is noticed, visitors are redirected, and acknowledged records are kept.

*Noticed*: refused at start, an alarm, a finding of the doctor, or an error where it is read. *Handled*: an edge still has its catalog
and makes click ids; what is not named as lost is settled, once, at once or when the right file is back.
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from sqlalchemy import insert

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.click_id import KEY_FILE as KEY
from clickloop.click_id import ClickIds
from clickloop.clock import wall_clock
from clickloop.config import Settings
from clickloop.conversion.notice import Channel, RawNotice
from clickloop.diagnosis.doctor import examine
from clickloop.diagnosis.doctor_finding import DoctorVerdict
from clickloop.diagnosis.self_audit import audit_rows_step, rows_alarms
from clickloop.machine.sealed_file import SealedFileError
from clickloop.running.core import open_core
from clickloop.running.fresh_start import start_anew
from clickloop.setup.catalog import FILE_NAME as CATALOG
from clickloop.setup.catalog import Catalog, CatalogFile
from clickloop.store.damage_log import record_damages, unconfirmed_damages
from clickloop.store.facts.facts import FactsError
from clickloop.store.identity import FACTS_FILE as FACTS
from clickloop.store.identity import FILE_NAME as INSTALLATION
from clickloop.store.identity import LEDGER_FILE as LEDGER
from clickloop.store.identity import confirmed_id, edge_click_ids
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.writer import JournalWriter
from clickloop.store.ledger.ledger import LedgerError
from clickloop.store.ledger.logs.outbox import insert_facts
from clickloop.store.ledger.schema.tables import changes_log
from clickloop.stores import StoresProblem, StoresRefusedError
from clickloop.tracking.settle import settle_clicks, settle_facts, settle_notices
from tests.store.counting import sums_of
from tests.store.used_folder import a_fact_line
from tests.upgrade.test_upgrade import unpacked

MIN_KINDS = 47
SEGMENTS = 4
CLICKS_BEFORE, NOTICES_BEFORE = 17, 16
PAGE = 4096
NOBODY = 65534


class Folders(NamedTuple):
    """The folder to damage, in three states, and one of another installation."""

    whole: Path
    older: Path
    killed: Path
    """After a kill: with logs beside the stores."""
    foreign: Path


class Case(NamedTuple):
    """A kind of damage. ``lost``: click segments and notice segments whose records are gone with it."""

    name: str
    harm: Callable[[Path, Folders], object]
    killed: bool = False
    lost: tuple[int, int] = (0, 0)
    as_user: bool = False
    """Whether the case needs enforced permissions, which root bypasses."""
    silent: bool = False
    """Repaired, with only a line in the log: a kill or power cut may leave the same, an older catalog or half a block."""


class Outcome(NamedTuple):
    """The way the damage was noticed, and the records that are left."""

    noticed: str
    clicks: int
    notices: int
    redirected: bool


def add_segments(folder: Path) -> None:
    """Write unsettled segments with a click and a notice each."""
    ids = ClickIds((folder / KEY).read_bytes())
    clicks = JournalWriter.open(folder / "journal", "clicks", "edge1")
    notices = JournalWriter.open(folder / "journal", "notices", "edge1")
    for number in range(SEGMENTS):
        click = Click(click_id=ids.new(wall_clock()), at=wall_clock(), campaign_id=1, source_id=1, offer_id=1)
        clicks.append(msgspec.json.encode(click))
        raw = RawNotice(notice_id=f"{number:026d}", at=wall_clock(), channel=Channel.S2S, query=f"cid={click.click_id}")
        notices.append(msgspec.json.encode(raw))
        for writer in (clicks, notices):
            writer.close_segment()
            writer.sync()
    clicks.close()
    notices.close()


def settle(folder: Path) -> Outcome:
    """Return the outcome of a start and one round of work. Raise the errors of a start."""
    with open_core(Settings(data=str(folder), facts_memory_mb=64)) as core:
        core.publish_catalog()
        journal, settled = folder / "journal", folder / "settled"
        clicks, notices = JournalReader(journal, settled), JournalReader(journal, settled)
        segments = 1
        while segments:
            batch = settle_clicks(clicks, core.facts)
            record_damages(folder, batch.damages, wall_clock())
            segments = batch.segments
        record_damages(folder, settle_notices(notices, core.intake, wall_clock()).damages, wall_clock())
        settle_facts(core.ledger, core.facts)
        alarms = [*unconfirmed_damages(folder), *rows_alarms(audit_rows_step(core.ledger))]
        found = core.facts.clicks_page(ClickFilter(), 10_000)
        assert len({click.click_id for click in found}) == len(found), "a click is there twice"
        sums_of(core.facts)
        with core.ledger.read() as tx:
            (stored,) = tx.exec_driver_sql("SELECT count(*) FROM notices").one()
        return Outcome(f"alarm: {alarms[0]}" if alarms else "", len(found), stored, redirected=True)


@pytest.fixture(scope="module")
def folders() -> Iterator[Folders]:
    root = Path(tempfile.mkdtemp(prefix="clickloop-damage-"))
    root.chmod(0o755)
    made = Folders(root / "whole", root / "older", root / "killed", root / "foreign")
    unpacked("0001", made.whole)
    settle(made.whole)
    shutil.copytree(made.whole, made.older)
    with open_core(Settings(data=str(made.whole), facts_memory_mb=64)) as core:
        with core.ledger.write() as tx:  # so that the older copy is older
            entry = {"actor": "a", "user_id": 0, "via": "api", "action": "created", "noun": "offers", "record_id": "1"}
            tx.execute(insert(changes_log).values(at=1, **entry))
            insert_facts(tx, [a_fact_line()])
        settle_facts(core.ledger, core.facts)
        core.publish_catalog()
        core.record_marks()
        shutil.copytree(made.whole, made.killed)
    unpacked("0001", made.foreign)
    (made.foreign / KEY).write_bytes(b"f" * 32)
    settle(made.foreign)
    add_segments(made.foreign)
    for folder in (made.whole, made.killed):
        add_segments(folder)
    yield made
    shutil.rmtree(root)


# --- what is done to a file ---


def deleted(name: str) -> Callable[[Path, Folders], object]:
    return lambda folder, _: (folder / name).unlink()


def written(name: str, data: bytes) -> Callable[[Path, Folders], object]:
    return lambda folder, _: (folder / name).write_bytes(data)


def cut(name: str, part: Callable[[int], int]) -> Callable[[Path, Folders], object]:
    return lambda folder, _: os.truncate(folder / name, part((folder / name).stat().st_size))


def flipped(name: str, at: Callable[[bytes], int]) -> Callable[[Path, Folders], object]:
    def harm(folder: Path, _: Folders) -> None:
        data = bytearray((folder / name).read_bytes())
        data[at(bytes(data))] ^= 1
        (folder / name).write_bytes(data)

    return harm


def zeroed(name: str, at: Callable[[bytes], int], length: int = PAGE) -> Callable[[Path, Folders], object]:
    def harm(folder: Path, _: Folders) -> None:
        data = bytearray((folder / name).read_bytes())
        start = at(bytes(data))
        data[start : start + length] = bytes(min(length, len(data) - start))
        (folder / name).write_bytes(data)

    return harm


def appended(name: str) -> Callable[[Path, Folders], object]:
    return lambda folder, _: (folder / name).write_bytes((folder / name).read_bytes() + os.urandom(5_000))


def as_directory(name: str) -> Callable[[Path, Folders], object]:
    def harm(folder: Path, _: Folders) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return harm


def swapped(name: str, which: str) -> Callable[[Path, Folders], object]:
    def harm(folder: Path, folders: Folders) -> None:
        for path in folder.glob(name + "*"):
            path.unlink()
        for path in getattr(folders, which).glob(name + "*"):
            shutil.copy2(path, folder / path.name)

    return harm


def mode(name: str, bits: int) -> Callable[[Path, Folders], object]:
    return lambda folder, _: (folder / name).chmod(bits)


def other_program(folder: Path, _: Folders) -> None:
    (folder / LEDGER).unlink()
    with contextlib.closing(sqlite3.connect(folder / LEDGER)) as database:
        database.execute("CREATE TABLE notes (text)")


def without_rows(folder: Path, _: Folders) -> None:
    with contextlib.closing(sqlite3.connect(folder / LEDGER)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if name not in {"alembic_version", "sqlite_sequence"}:
                database.execute(f"DELETE FROM {name}")
        database.commit()


def root_page(name: str) -> Callable[[bytes], int]:
    """Return the offset of the first page of a table or index, according to the ledger."""

    def at(data: bytes) -> int:
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_bytes(data)
            with contextlib.closing(sqlite3.connect(file.name)) as database:
                (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        return (int(page) - 1) * PAGE

    return at


def in_page(name: str, text: bytes) -> Callable[[bytes], int]:
    """Return the offset of a text in or behind a table's first page."""
    return lambda data: data.index(text, root_page(name)(data))


# --- what is done to the journal ---


def segments_of(folder: Path, stream: str) -> list[Path]:
    return sorted((folder / "journal" / stream).glob("*/*.ndjson"))


def segment(stream: str, number: int, what: Callable[[Path], object]) -> Callable[[Path, Folders], object]:
    return lambda folder, _: what(segments_of(folder, stream)[number])


def writer_gone(stream: str) -> Callable[[Path, Folders], object]:
    return lambda folder, _: shutil.rmtree(segments_of(folder, stream)[0].parent)


def names_swapped(stream: str) -> Callable[[Path, Folders], object]:
    def harm(folder: Path, _: Folders) -> None:
        one, two, *_rest = segments_of(folder, stream)
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)

    return harm


def copied(stream: str) -> Callable[[Path, Folders], object]:
    def harm(folder: Path, _: Folders) -> None:
        path = segments_of(folder, stream)[1]
        shutil.copy(path, path.with_name("00000005.ndjson"))

    return harm


def renamed(path: Path) -> None:
    path.rename(path.with_name("00000009.ndjson"))


def foreign_segment(stream: str) -> Callable[[Path, Folders], object]:
    def harm(folder: Path, folders: Folders) -> None:
        target = segments_of(folder, stream)[0].with_name("00000005.ndjson")
        shutil.copy(segments_of(folders.foreign, stream)[0], target)

    return harm


def foreign_writer(stream: str) -> Callable[[Path, Folders], object]:
    def harm(folder: Path, folders: Folders) -> None:
        source = segments_of(folders.foreign, stream)[0].parent
        shutil.copytree(source, folder / "journal" / stream / source.name)

    return harm


def put_back(stream: str) -> Callable[[Path, Folders], object]:
    """Put settled segments of a stream back into the journal."""

    def harm(folder: Path, _: Folders) -> None:
        for path in sorted((folder / "settled" / stream).glob("*/*.ndjson")):
            target = folder / "journal" / stream / path.parent.name
            target.mkdir(exist_ok=True)
            shutil.copy(path, target / path.name)

    return harm


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)


def into_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


HALF = 2
CASES = [
    Case("ledger: deleted", deleted(LEDGER)),
    Case("ledger: emptied", written(LEDGER, b"")),
    Case("ledger: random bytes", written(LEDGER, bytes(range(256)) * 400)),
    Case("ledger: another program's", other_program),
    Case("ledger: all rows deleted", without_rows),
    Case("ledger: truncated within a page", cut(LEDGER, lambda size: size // HALF + 100)),
    Case("ledger: truncated at a page border", cut(LEDGER, lambda size: size // HALF // PAGE * PAGE)),
    Case("ledger: last page cut off", cut(LEDGER, lambda size: size - PAGE)),
    Case("ledger: first page zeroed", zeroed(LEDGER, lambda _: 0)),
    Case("ledger: a page of conversions zeroed", zeroed(LEDGER, root_page("conversions"))),
    Case("ledger: a page of an index zeroed", zeroed(LEDGER, root_page("ix_notices_click_id"))),
    Case("ledger: bit in the magic", flipped(LEDGER, lambda _: 3)),
    Case("ledger: bit in the page size", flipped(LEDGER, lambda _: 16)),
    Case(
        "ledger: bit in a conversion",
        flipped(LEDGER, in_page("conversions", b"T3")),
    ),
    Case("ledger: bit in the head of a table", flipped(LEDGER, root_page("conversions"))),
    Case("ledger: bit in an index", flipped(LEDGER, root_page("ix_postbacks_click_id"))),
    Case("ledger: garbage appended", appended(LEDGER), silent=True),
    Case("ledger: older copy", swapped(LEDGER, "older")),
    Case("ledger: foreign", swapped(LEDGER, "foreign")),
    Case("ledger: directory", as_directory(LEDGER)),
    Case("ledger: no rights", mode(LEDGER, 0), as_user=True),
    Case("ledger: read-only", mode(LEDGER, 0o444), as_user=True),
    Case("ledger: log deleted", deleted(LEDGER + "-wal"), killed=True),
    Case("ledger: log truncated", cut(LEDGER + "-wal", lambda size: size // HALF), killed=True),
    Case("ledger: bit in its log", flipped(LEDGER + "-wal", lambda data: len(data) // HALF), killed=True),
    Case("ledger: log zeroed", zeroed(LEDGER + "-wal", lambda _: 0, 10**9), killed=True),
    Case("facts: deleted", deleted(FACTS)),
    Case("facts: emptied", written(FACTS, b"")),
    Case("facts: random bytes", written(FACTS, bytes(range(256)) * 400)),
    Case("facts: truncated", cut(FACTS, lambda size: size // HALF + 100)),
    Case("facts: header cut", cut(FACTS, lambda _: 2_000)),
    Case("facts: header zeroed", zeroed(FACTS, lambda _: 0)),
    Case("facts: bit in the header", flipped(FACTS, lambda _: 9)),
    Case("facts: bit in a used block", flipped(FACTS, lambda data: data.index(b"kept-3"))),
    Case("facts: used block zeroed", zeroed(FACTS, lambda data: data.index(b"kept-3") // PAGE * PAGE)),
    Case("facts: garbage appended", appended(FACTS), silent=True),
    Case("facts: older copy", swapped(FACTS, "older")),
    Case("facts: foreign", swapped(FACTS, "foreign")),
    Case("facts: directory", as_directory(FACTS)),
    Case("facts: no rights", mode(FACTS, 0), as_user=True),
    Case("facts: read-only", mode(FACTS, 0o444), as_user=True),
    Case("facts: log deleted", deleted(FACTS + ".wal"), killed=True),
    Case("facts: log truncated", cut(FACTS + ".wal", lambda size: size // HALF), killed=True),
    Case("facts: bit in its log", flipped(FACTS + ".wal", lambda data: len(data) // HALF), killed=True),
    Case("key: deleted", deleted(KEY)),
    Case("key: emptied", written(KEY, b"")),
    Case("key: cut", cut(KEY, lambda _: 31)),
    Case("key: one bit", flipped(KEY, lambda _: 7)),
    Case("key: foreign", swapped(KEY, "foreign")),
    Case("key: garbage appended", appended(KEY)),
    Case("key: directory", as_directory(KEY)),
    Case("key: no rights", mode(KEY, 0), as_user=True),
    Case("catalog: deleted", deleted(CATALOG)),
    Case("catalog: emptied", written(CATALOG, b"")),
    Case("catalog: truncated", cut(CATALOG, lambda size: size // HALF)),
    Case("catalog: one bit", flipped(CATALOG, lambda data: data.index(b"network.example"))),
    Case("catalog: older copy", swapped(CATALOG, "older"), silent=True),
    Case("catalog: foreign", swapped(CATALOG, "foreign")),
    Case("catalog: garbage appended", appended(CATALOG)),
    Case("catalog: directory", as_directory(CATALOG)),
    Case("installation: deleted", deleted(INSTALLATION)),
    Case("installation: one bit", flipped(INSTALLATION, lambda data: len(data) // HALF)),
    Case("installation: foreign", swapped(INSTALLATION, "foreign")),
    Case("clicks: first segment deleted", segment("clicks", 0, Path.unlink), lost=(1, 0)),
    Case("clicks: middle segment deleted", segment("clicks", 2, Path.unlink), lost=(1, 0)),
    Case("clicks: last segment deleted", segment("clicks", -1, Path.unlink), lost=(1, 0)),
    Case("clicks: writer deleted", writer_gone("clicks"), lost=(SEGMENTS, 0)),
    Case("clicks: segment truncated", segment("clicks", 1, lambda path: os.truncate(path, 40)), lost=(1, 0)),
    Case("clicks: segment emptied", segment("clicks", 1, lambda path: os.truncate(path, 0)), lost=(1, 0)),
    Case("clicks: one bit", segment("clicks", 1, flip), lost=(1, 0)),
    Case("clicks: names swapped", names_swapped("clicks")),
    Case("clicks: segment copied", copied("clicks")),
    Case("clicks: segment renamed", segment("clicks", 1, renamed)),
    Case("clicks: foreign segment", foreign_segment("clicks")),
    Case("clicks: foreign writer", foreign_writer("clicks")),
    Case("clicks: settled ones put back", put_back("clicks")),
    Case("clicks: directory", segment("clicks", 1, into_directory), lost=(1, 0)),
    Case("notices: first segment deleted", segment("notices", 0, Path.unlink), lost=(0, 1)),
    Case("notices: last segment deleted", segment("notices", -1, Path.unlink), lost=(0, 1)),
    Case("notices: writer deleted", writer_gone("notices"), lost=(0, SEGMENTS)),
    Case("notices: segment zeroed", segment("notices", 1, lambda path: path.write_bytes(bytes(300))), lost=(0, 1)),
    Case("notices: one bit", segment("notices", 1, flip), lost=(0, 1)),
    Case("notices: names swapped", names_swapped("notices")),
    Case("notices: segment copied", copied("notices")),
    Case("notices: foreign writer", foreign_writer("notices")),
    Case("notices: settled ones put back", put_back("notices")),
]


def is_redirected(folder: Path) -> bool:
    """Return whether an edge that starts now has the campaign and makes click ids."""
    file = CatalogFile(folder, confirmed_id(folder))
    catalog: Catalog | None = file.fallback()
    with contextlib.suppress(OSError, SealedFileError):
        catalog = file.changed() or catalog
    ids, _ = edge_click_ids(folder, file.key())
    return catalog is not None and len(catalog.campaigns) == 1 and len(ids.new(wall_clock())) == 26


def outcome_of(folder: Path) -> Outcome:
    """Return how damage is noticed: by the start, at run time, or by the doctor."""
    redirected = is_redirected(folder)
    try:
        outcome = settle(folder)
    except (StoresRefusedError, LedgerError) as refused:
        return Outcome(f"refused: {refused}", -1, -1, redirected)
    except FactsError as error:
        return Outcome(f"refused: {error}", -1, -1, redirected)
    except Exception as error:
        return Outcome(f"fails: {type(error).__name__}: {error}", -1, -1, redirected)
    if not outcome.noticed:
        found = [found for found in examine(folder, wall_clock()) if found.verdict is not DoctorVerdict.WELL]
        faults = [
            one
            for one in found
            if one.place != "disk" and (one.verdict is DoctorVerdict.FAULT or one.place == "stores")
        ]
        if faults:
            outcome = outcome._replace(noticed=f"doctor: {faults[0].sentence}")
    return outcome._replace(redirected=redirected)


@contextlib.contextmanager
def acting_as(user: int, folder: Path) -> Iterator[None]:
    """Run as an unprivileged user who owns the folder."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)


def restored(case: Case, folder: Path, source: Path) -> None:
    """Put the right file back, with its log; later changes of the other stores and the journal stay."""
    name = FILES[case.name.partition(":")[0]]
    for path in folder.glob(name + "*"):
        if path.is_dir():
            path.rmdir()
        elif "standin" not in path.name:
            path.unlink()
    for path in source.glob(name + "*"):
        shutil.copy2(path, folder / path.name)


def again(folder: Path) -> Outcome:
    """Return what is there after a start with the right files. Facts from before the damage are older, and refilled."""
    try:
        return settle(folder)
    except StoresRefusedError as refused:
        if refused.problem is not StoresProblem.FACTS_OLDER:
            raise
    start_anew(folder, wall_clock())
    return settle(folder)


FILES = {"ledger": LEDGER, "facts": FACTS, "key": KEY, "catalog": CATALOG, "installation": INSTALLATION}


def test_every_kind_of_damage_is_noticed_and_handled(
    folders: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each kind in a folder of its own; the table is printed in any case."""
    table: list[tuple[str, str]] = []
    wrong: list[str] = []
    root = folders.whole.parent
    for case in CASES:
        source = folders.killed if case.killed else folders.whole
        folder = root / "case"
        shutil.copytree(source, folder)
        if case.as_user and os.geteuid() == 0:
            with acting_as(NOBODY, folder):
                case.harm(folder, folders)
                outcome = outcome_of(folder)
        else:
            case.harm(folder, folders)
            outcome = outcome_of(folder)
        table.append((case.name, outcome.noticed or "healed"))
        wrong += faults_of(case, outcome, folder, source)
        shutil.rmtree(folder)
    with capsys.disabled():
        kinds = Counter(noticed.partition(":")[0] for _, noticed in table)
        print(f"\n{len(table)} kinds of damage: {dict(kinds)}; {len(wrong)} unnoticed or mishandled")
        for fault in wrong:
            print(f"  WRONG {fault}")
        for name, noticed in table:
            print(f"  {name:<36} {noticed[:110]}")
    assert len(CASES) >= MIN_KINDS
    assert len({case.name for case in CASES}) == len(CASES)
    assert wrong == []


def faults_of(case: Case, outcome: Outcome, folder: Path, source: Path) -> list[str]:
    """Return what is wrong with an outcome."""
    faults = []
    if not outcome.noticed and not case.silent:
        faults.append(f"{case.name}: unnoticed")
    if not outcome.redirected:
        faults.append(f"{case.name}: visitors are not redirected")
    if outcome.clicks < 0:
        restored(case, folder, source)
        outcome = again(folder)
    expected = (CLICKS_BEFORE + SEGMENTS - case.lost[0], NOTICES_BEFORE + SEGMENTS - case.lost[1])
    if (outcome.clicks, outcome.notices) != expected:
        faults.append(f"{case.name}: {(outcome.clicks, outcome.notices)} clicks and notices, expected {expected}")
    return faults
