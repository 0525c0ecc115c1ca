"""The ledger: opening, migrating, transactions."""

import sqlite3
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from secrets import token_hex

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from msgspec.json import decode
from sqlalchemy import create_engine, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from clickloop.conversion.notice_log import NoticeFilter
from clickloop.postback.postback_log import PostbackFilter
from clickloop.postback.state import PostbackState
from clickloop.store.ledger import migrations
from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, JobKind
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.jobs.uploads import UPLOADS
from clickloop.store.ledger.ledger import Ledger, LedgerError
from clickloop.store.ledger.migrations import HEAD
from clickloop.store.ledger.schema.tables import metadata, notices, receivers, settings
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.store.ledger.setup.statuses import status_table
from clickloop.tracking.resending import ResendRequest


def _schema(path: Path) -> dict[str, object]:
    """Return tables with their columns, constraints and indexes, as SQLite reports them."""
    connection = sqlite3.connect(path)
    found: dict[str, object] = {}
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    for (table,) in names.fetchall():
        if table == "alembic_version":
            continue
        found[f"{table} columns"] = connection.execute(f"PRAGMA table_xinfo({table})").fetchall()
        found[f"{table} references"] = sorted(
            row[2:] for row in connection.execute(f"PRAGMA foreign_key_list({table})")
        )
        (created,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        found[f"{table} statement"] = sorted(_parts(created))
    indexes = connection.execute(
        "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    )
    found["indexes"] = sorted(indexes.fetchall())
    connection.close()
    return found


def _parts(created: str) -> list[str]:
    """Return the columns and constraints of a CREATE TABLE, split at commas outside of parentheses."""
    inner = created[created.index("(") + 1 : created.rindex(")")]
    parts, depth = [""], 0
    for character in inner:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [" ".join(part.split()) for part in parts]


def _add_setting(path: str, name: str) -> None:
    ledger = Ledger.open(path)
    with ledger.write() as tx:
        tx.execute(insert(settings).values(name=name, value=1))
    ledger.close()


def test_a_fresh_schema_equals_the_migrated_schema(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "migrated.sqlite").close()
    engine = create_engine(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    metadata.create_all(engine)
    engine.dispose()
    assert _schema(tmp_path / "migrated.sqlite") == _schema(tmp_path / "fresh.sqlite")


def test_head_is_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_new_ledger_syncs_every_commit_and_checks_foreign_keys(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    with ledger.read() as tx:
        pragmas = [tx.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert pragmas == ["wal", 2, 1]


def test_a_new_ledger_knows_the_words_that_networks_commonly_send(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.sqlite").read() as tx:
        table = status_table(tx)
    words = {"Lead ": "hold", "PENDING": "hold", "approved": "sale", "deposit": "sale", "trash": "rejected", "": "sale"}
    assert {word: status.key for word in words if (status := table.of_word(word))} == words


def test_opening_again_keeps_what_is_stored(tmp_path: Path) -> None:
    _add_setting(str(tmp_path / "ledger.sqlite"), "kept")
    with Ledger.open(tmp_path / "ledger.sqlite").read() as tx:
        assert tx.scalars(select(settings.c.name)).all() == ["kept"]


def test_a_failed_write_saves_nothing(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite")

    def write_half() -> None:
        with ledger.write() as tx:
            tx.execute(insert(settings).values(name="half", value=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    with ledger.read() as tx:
        assert tx.scalars(select(settings.c.name)).all() == []


def test_an_error_quotes_the_statement_without_its_values(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    secret = token_hex(8)  # tracebacks quote this file
    with ledger.write() as tx:
        tx.execute(insert(settings).values(name=secret, value=secret))
    with pytest.raises(IntegrityError) as caught, ledger.write() as tx:
        tx.execute(insert(settings).values(name=secret, value=secret))
    ledger.close()
    assert "INSERT INTO settings" in str(caught.value)
    assert secret not in "".join(traceback.format_exception(caught.value))


def test_a_read_sees_one_state_while_others_write(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    with ledger.read() as tx:
        before = tx.scalars(select(settings.c.name)).all()
        _add_setting(str(tmp_path / "ledger.sqlite"), "later")
        assert tx.scalars(select(settings.c.name)).all() == before


def test_a_write_within_a_write_is_refused_instead_of_waiting_for_itself(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    with ledger.write(), pytest.raises(LedgerError, match="inside another"), ledger.write():
        pass


def test_many_threads_lose_no_write(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite")

    def count_up() -> None:
        for _ in range(20):
            with ledger.write() as tx:
                value = tx.scalar(select(settings.c.value).where(settings.c.name == "count"))
                tx.execute(settings.update().values(value=int(value or 0) + 1))

    with ledger.write() as tx:
        tx.execute(insert(settings).values(name="count", value=0))
    threads = [threading.Thread(target=count_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ledger.read() as tx:
        assert tx.scalar(select(settings.c.value)) == 160


def test_processes_that_open_a_new_ledger_at_once_migrate_it_once(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.sqlite")
    program = "import sys; from clickloop.store.ledger.ledger import Ledger; Ledger.open(sys.argv[1]).close()"
    processes = [subprocess.Popen([sys.executable, "-c", program, path]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    with Ledger.open(path).read() as tx:
        assert tx.scalars(text("SELECT version_num FROM alembic_version")).all() == [HEAD]


@pytest.mark.crash
@pytest.mark.parametrize("statement", ["CREATE TABLE settings", "CREATE TABLE attempts", "INSERT INTO status_words"])
def test_a_process_killed_during_the_migration_leaves_the_ledger_unchanged(tmp_path: Path, statement: str) -> None:
    program = (
        "import os, sys; from sqlalchemy import Engine, event; from clickloop.store.ledger.ledger import Ledger\n"
        "def kill(_connection, _cursor, text, *_):\n"
        "    if sys.argv[2] in text: os.kill(os.getpid(), 9)\n"
        "event.listen(Engine, 'before_cursor_execute', kill); Ledger.open(sys.argv[1])"
    )
    path = tmp_path / "ledger.sqlite"
    assert subprocess.run([sys.executable, "-c", program, str(path), statement], check=False).returncode == -9
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    Ledger.open(path).close()


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    with ledger.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    ledger.close()
    with pytest.raises(LedgerError, match=r"9999.*newer Clickloop"):
        Ledger.open(tmp_path / "ledger.sqlite")


def test_a_file_that_is_not_a_ledger_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite is not a SQLite database"):
        Ledger.open(tmp_path / "ledger.sqlite")


def test_the_ledger_itself_refuses_a_state_without_its_time(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    statement = text(
        "INSERT INTO notices (notice_id, at, channel, raw, outcome) VALUES ('n', 1, 's2s', x'00', 'waiting')"
    )
    with pytest.raises(IntegrityError, match="waiting_has_moment"), ledger.write() as tx:
        tx.execute(statement)


def _ledger_at(path: Path, revision: str, *statements: str) -> None:
    """Make a ledger of an earlier schema revision, with rows."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    ledger = Ledger(create_engine(f"sqlite:///{path}"))
    with ledger.write() as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, revision)
        for statement in statements:
            tx.execute(text(statement.replace(":", "\\:")))
    ledger.close()


def test_a_network_from_before_status_words_has_none_after_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    _ledger_at(
        path,
        "0001",
        "INSERT INTO networks (name, preset, postback_parameters, addresses, refuse_duplicates, test_only, created_at, "
        "updated_at) VALUES ('Old', 'affise', '{\"cid\": \"{sub1}\"}', '[]', 0, 0, 1, 1)",
    )
    upgraded = Ledger.open(path)
    with upgraded.read() as tx:
        network = NETWORKS.find(tx, 1)
    upgraded.close()
    assert network is not None
    assert (network.preset, network.postback_parameters, network.status_words) == ("affise", {"cid": "{sub1}"}, {})


def test_the_upgrade_keeps_the_period_of_running_jobs_and_stops_cancelled_uploads(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    period = '"period": {"since": 1772366400500, "until": null}'
    asked = {
        "cancel": f'{{"rule_id": 4, "waiting": true, {period}}}',
        "rerun": f'{{"status_word": "lead", {period}}}',
        "resend": f'{{"wanted": {{"state": "failed", {period}}}, "mode": "anew", "resumes_rule": null}}',
    }
    _ledger_at(
        path,
        "0005",
        *(
            "INSERT INTO bulk_jobs (bulk_job_id, kind, asked, state, last_id, done_id, matched, done, made, left_out, created_at) "
            f"VALUES ('{kind}', '{kind}', CAST('{text}' AS BLOB), 'running', 'z', '', 1, 0, 0, x'7b7d', 1)"
            for kind, text in asked.items()
        ),
        "INSERT INTO uploads (upload_id, name, format, preview, postbacks, state, octets, octets_read, next_line, lines, counts, "
        "reasons, flagged, flags, created_at, finished_at) VALUES ('u', '', 'csv', 0, 1, 'cancelled', 9, 0, 1, 0, x'7b7d', x'7b7d', "
        "0, x'7b7d', 1, 2)",
    )
    upgraded = Ledger.open(path)
    with upgraded.read() as tx:
        jobs = {job.kind: job.asked for job in BULK_JOBS.unfinished(tx, 10)}
        upload = UPLOADS.find(tx, "u")
    upgraded.close()
    since = "2026-03-01T12:00:00.500Z"
    assert decode(jobs[JobKind.CANCEL], type=PostbackFilter) == PostbackFilter(rule_id=4, since=since)
    assert decode(jobs[JobKind.RERUN], type=NoticeFilter) == NoticeFilter(status_word="lead", since=since)
    wanted = decode(jobs[JobKind.RESEND], type=ResendRequest).wanted
    assert wanted == PostbackFilter(state=PostbackState.FAILED, since=since)
    assert upload is not None
    assert upload.state is JobState.STOPPED


def test_the_upgrade_keeps_receivers_and_channels(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    _ledger_at(
        path,
        "0007",
        "INSERT INTO lanes VALUES ('slow.example:443', 3, 60, 5, 9, 2, 'HTTP 503', 7, 'probe'), "
        "('calm.example:443', NULL, 30, NULL, NULL, 0, '', NULL, NULL)",
        "INSERT INTO notices (notice_id, at, door, raw, outcome, reason) "
        "VALUES ('n', 1, 'pixel', x'00', 'refused', 'no_click_id')",
    )
    upgraded = Ledger.open(path)
    with upgraded.read() as tx:
        kept = tx.execute(select(receivers).order_by(receivers.c.receiver)).all()
        channel = tx.scalar(select(notices.c.channel))
        tables = set(inspect(tx).get_table_names())
    upgraded.close()
    assert [tuple(row) for row in kept] == [
        ("calm.example:443", None, 30, None, None, 0, "", None, None),
        ("slow.example:443", 3, 60, 5, 9, 2, "HTTP 503", 7, "probe"),
    ]
    assert channel == "pixel"
    assert "lanes" not in tables
