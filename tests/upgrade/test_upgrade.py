"""Data folders as earlier versions left them are opened by this one: nothing is lost, and all that waited is settled.

A folder is kept of every schema that was released, made by running that version and killing it: with clicks, notices, conversions
and postbacks in every state, settled segments and some that are not. Every new schema adds its folder here; existing ones never change.
"""

import hashlib
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from clickloop.click.click_log import ClickFilter
from clickloop.click_id import KEY_FILE, ClickId, ClickIds
from clickloop.clock import wall_clock
from clickloop.config import Settings
from clickloop.diagnosis.self_audit import audit_everything
from clickloop.diagnosis.trace.trace import EventKind, trace_click
from clickloop.running.core import Core, open_core
from clickloop.store.identity import FACTS_FILE, LEDGER_FILE, installation_id, read_installation
from clickloop.store.journal.listing import journal_lag
from clickloop.store.journal.reader import JournalReader
from clickloop.store.ledger.audit.rows import checksum_mismatches, count_faulty_rows
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.conversions import changes_of_conversions, conversions_of_click
from clickloop.store.ledger.logs.notices import notices_of_click
from clickloop.store.ledger.logs.postbacks import attempts_of, postbacks_of_click
from clickloop.store.ledger.migrations import HEAD
from clickloop.store.ledger.schema.tables import campaigns, metadata
from clickloop.store.ledger.setup.settings import instance_version
from clickloop.tracking.notices import recheck_due
from clickloop.tracking.settle import settle_clicks, settle_facts, settle_notices
from tests.store.counting import conversions_counted

HERE = Path(__file__).parent
MIGRATIONS = Path(sys.modules["clickloop.store.ledger.migrations"].__file__ or "").parent / "versions"
UNCHANGED = {"r0001_everything.py": "778f56af823969bf22d84ff5ec2bbfffded31fe9c4e11b250945acc99488ec2f"}
"""Released migrations and their SHA-256. Never correct a line here: a change of the schema is a new file."""

FORMER_NAMES = {"receivers": "lanes"}
"""Tables that a migration renamed."""


FILLED = {"flows", "flow_parts", "flow_references", "flow_versions"}
"""Tables that a migration fills from others."""


class KeptFolder(msgspec.Struct, frozen=True):
    """The contents of an archived folder once everything is settled. ``late``: a click that was not settled yet."""

    clicks: int
    notices: int
    conversions: int
    waiting_segments: int
    early: str
    late: str


KEPT = {
    "0001": KeptFolder(17, 16, 14, 2, "01m8n31faxd5e7e1t3pwa74a3n", "01m8n31fse08shfpyemtsbkrhj"),
}


def unpacked(revision: str, target: Path) -> Path:
    with tarfile.open(HERE / f"folder_of_{revision}.tar.xz") as archive:
        archive.extractall(target, filter="data")
    return target


def counted(path: Path) -> dict[str, int]:
    """Rows by table, as SQLite itself counts them; without tables that are empty, which a later version may have added."""
    with closing(sqlite3.connect(path)) as database:
        names = [
            table.name
            for table in metadata.sorted_tables
            if table.name not in {"settings", "settled_segments"} | FILLED
        ]
        known = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        stored = {name: name if name in known else FORMER_NAMES.get(name, "") for name in names}
        return {
            name: count
            for name, table in stored.items()
            if table in known and (count := database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        }


def settled(core: Core) -> None:
    """Does what the workers of the core do, once through."""
    clicks = JournalReader(core.folder / "journal", core.folder / "settled")
    while settle_clicks(clicks, core.facts).segments:
        pass
    notices = JournalReader(core.folder / "journal", core.folder / "settled")
    assert settle_notices(notices, core.intake, wall_clock()).damages == ()
    recheck_due(core.intake, wall_clock())
    while settle_facts(core.ledger, core.facts):
        pass


@pytest.mark.parametrize("revision", KEPT)
def test_a_folder_of_an_earlier_version_is_opened_and_all_that_waited_is_settled(tmp_path: Path, revision: str) -> None:
    folder, kept = unpacked(revision, tmp_path / "data"), KEPT[revision]
    before = counted(folder / LEDGER_FILE)
    lags = [journal_lag(folder / "journal", stream, wall_clock()).segments for stream in ("clicks", "notices")]
    assert sum(lags) == kept.waiting_segments
    with open_core(Settings(data=str(folder), facts_memory_mb=64)) as core:
        after = counted(folder / LEDGER_FILE)
        assert {name: after[name] for name in before} == before
        settled(core)
        assert len(core.facts.clicks_page(ClickFilter(), 1_000)) == kept.clicks
        assert conversions_counted(core.facts) == kept.conversions
        with core.ledger.read() as tx:
            assert not any(count_faulty_rows(tx).values())
            assert list(checksum_mismatches(tx)) == []
            assert {tx.scalar(select(campaigns.c.version)), instance_version(tx)} <= {0, 1}
        assert audit_everything(core.ledger).mismatches == ()
        whole = counted(folder / LEDGER_FILE)
        assert (whole["notices"], whole["conversions"]) == (kept.notices, kept.conversions)
        assert "fact_outbox" not in whole
        for click_id in (kept.early, kept.late):
            kinds = traced(core, click_id)
            assert {EventKind.CLICK, EventKind.NOTICE, EventKind.CONVERSION} <= kinds
        core.publish_catalog()
    for stream in ("clicks", "notices"):
        assert journal_lag(folder / "journal", stream, wall_clock()).segments == 0
    found = read_installation(folder)
    assert found is not None
    assert found.complete
    with open_core(Settings(data=str(folder), facts_memory_mb=64)) as core:
        assert core.installation.id == installation_id(folder) == found.id
    assert isinstance(ClickIds((folder / KEY_FILE).read_bytes()).read(kept.early), ClickId)


def traced(core: Core, click_id: str) -> set[EventKind]:
    """The kinds of events that the story of a click has."""
    click = core.facts.find_clicks([click_id])[click_id]
    with core.ledger.read() as tx:
        conversion_ids = [conversion.conversion_id for conversion in conversions_of_click(tx, click_id)]
        postbacks = postbacks_of_click(tx, click_id, 100)
        trace = trace_click(
            click_id,
            click,
            notices_of_click(tx, click_id, 100),
            changes_of_conversions(tx, conversion_ids),
            postbacks,
            attempts_of(tx, [postback.postback_id for postback in postbacks]),
        )
    return {event.kind for event in trace.events}


@pytest.mark.crash
@pytest.mark.parametrize("revision", KEPT)
@pytest.mark.parametrize("number", [1, 2, 3, 4, 6, 8])
def test_a_migration_killed_anywhere_leaves_the_old_schema_or_the_new_one(
    tmp_path: Path, revision: str, number: int
) -> None:
    folder = unpacked(revision, tmp_path / "data")
    before = counted(folder / LEDGER_FILE)
    program = (
        "import os, sys; from sqlalchemy import Engine, event; from clickloop.store.ledger.ledger import Ledger\n"
        "left = int(sys.argv[2])\n"
        "def kill(_connection, _cursor, text, *_):\n"
        "    global left\n"
        "    left -= text.lstrip().split()[0] in {'ALTER', 'UPDATE', 'CREATE', 'INSERT', 'DROP'}\n"
        "    if left == 0: os.kill(os.getpid(), 9)\n"
        "event.listen(Engine, 'before_cursor_execute', kill); Ledger.open(sys.argv[1])"
    )
    path = folder / LEDGER_FILE
    ended = subprocess.run([sys.executable, "-c", program, str(path), str(number)], check=False).returncode
    with closing(sqlite3.connect(path)) as database:
        (found,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
        columns = {row[1] for row in database.execute("PRAGMA table_info(conversions)")}
    assert (found, "row_check" in columns) in {(revision, False), (HEAD, True)}
    assert (found == HEAD) == (ended == 0)
    Ledger.open(path).close()
    assert counted(path) == before


@pytest.mark.parametrize("name", UNCHANGED)
def test_a_released_migration_is_as_it_was_released(name: str) -> None:
    found = hashlib.sha256((MIGRATIONS / name).read_bytes()).hexdigest()
    assert found == UNCHANGED[name], (
        f"{name} was edited: folders that it has migrated are lost. Add a new revision instead."
    )


def test_facts_of_an_earlier_version_get_what_they_lack(tmp_path: Path) -> None:
    folder = unpacked("0001", tmp_path / "data")
    assert (folder / FACTS_FILE).exists()
    with open_core(Settings(data=str(folder), facts_memory_mb=64)) as core:
        assert core.facts.installation() == core.installation.id
        assert core.facts.loads() == core.installation.marks.facts_loads
