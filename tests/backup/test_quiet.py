"""Pausing a running tracker: a small server plays a core that is busy, killed, or too old."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clickloop.backup.manifest import BackupError
from clickloop.backup.quiet import DisturbedError, quiet
from clickloop.backup.taking import take_backup, verify_backup
from clickloop.machine.core_client import CoreAddress, write_core_address
from tests.backup.folders import SILENT, Folder

GRANTED = (201, b'{"pause_id":"p","lease_seconds":0.2}')
BUSY = (409, b'{"detail":"Another backup has paused settling."}')
ENDED = (204, b"")
GONE = (404, b'{"detail":"It has ended."}')
Answers = dict[str, list[tuple[int, bytes]]]
"""Responses in order, by method; the last one is repeated."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path / "data")
    yield made
    made.close()


@contextmanager
def core_of(folder: Path, answers: Answers, on_post: Callable[[], None] = lambda: None) -> Iterator[list[str]]:
    """Run a core that locks the folder and sends these responses; yield its requests by method."""
    asked: list[str] = []

    class Core(BaseHTTPRequestHandler):
        def do(self) -> None:
            asked.append(self.command)
            if self.command == "POST":
                on_post()
            waiting = answers[self.command]
            status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_DELETE = do  # noqa: N815 – the names that the library calls

        def log_message(self, *_args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Core)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    write_core_address(folder, CoreAddress(f"http://127.0.0.1:{server.server_address[1]}", "secret"))
    try:
        yield asked
    finally:
        os.close(lock)
        server.shutdown()
        server.server_close()


def test_the_core_is_asked_to_pause_and_to_go_on(folder: Folder) -> None:
    with core_of(folder.path, {"POST": [GRANTED], "PUT": [GRANTED], "DELETE": [ENDED]}) as asked:
        with quiet(folder.path, folder.path / "facts.duckdb"):
            assert asked == ["POST"]
        assert asked[-1] == "DELETE"


def test_a_pause_is_renewed_for_as_long_as_it_is_needed(folder: Folder) -> None:
    renewed = threading.Event()
    answers: Answers = {"POST": [GRANTED], "PUT": [GRANTED], "DELETE": [ENDED]}
    with core_of(folder.path, answers) as asked, quiet(folder.path, folder.path / "facts.duckdb"):
        while asked.count("PUT") < 2:
            renewed.wait(0.01)


def test_a_pause_of_somebody_else_is_waited_for(folder: Folder) -> None:
    answers: Answers = {"POST": [BUSY, BUSY, GRANTED], "PUT": [GRANTED], "DELETE": [ENDED]}
    with core_of(folder.path, answers) as asked:
        with quiet(folder.path, folder.path / "facts.duckdb"):
            pass
        assert asked.count("POST") == 3


def test_a_pause_that_had_ended_before_is_no_quiet(folder: Folder) -> None:
    answers: Answers = {"POST": [GRANTED], "PUT": [GONE], "DELETE": [GONE]}
    with (
        core_of(folder.path, answers),
        pytest.raises(DisturbedError),
        quiet(folder.path, folder.path / "facts.duckdb"),
    ):
        pass


def test_a_pause_that_lasted_too_long_is_not_tried_again(folder: Folder) -> None:
    answers: Answers = {"POST": [GRANTED], "PUT": [GONE], "DELETE": [GONE]}
    with (
        core_of(folder.path, answers),
        pytest.raises(BackupError, match="could not be copied within 0 minutes"),
        quiet(folder.path, folder.path / "facts.duckdb", max_seconds=0),
    ):
        pass


def test_a_fault_within_is_told_and_the_core_goes_on(folder: Folder) -> None:
    with core_of(folder.path, {"POST": [GRANTED], "PUT": [GRANTED], "DELETE": [ENDED]}) as asked:
        with pytest.raises(ZeroDivisionError), quiet(folder.path, folder.path / "facts.duckdb"):
            raise ZeroDivisionError
        assert asked[-1] == "DELETE"


def test_a_core_that_was_killed_meanwhile_makes_the_backup_begin_anew(folder: Folder, tmp_path: Path) -> None:
    """The backup has the second snapshot, not the first one."""
    answers: Answers = {"POST": [GRANTED], "PUT": [GRANTED], "DELETE": [GONE, ENDED]}
    with core_of(folder.path, answers, on_post=folder.visit) as asked:
        manifest = take_backup(folder.path, tmp_path / "b.tar", SILENT)
    assert asked.count("POST") == 2
    assert manifest.counts.clicks_in_journal == 2
    assert verify_backup(tmp_path / "b.tar", SILENT) == manifest


def test_a_core_that_is_killed_again_and_again_ends_the_backup_in_words(folder: Folder, tmp_path: Path) -> None:
    answers: Answers = {"POST": [GRANTED], "PUT": [GRANTED], "DELETE": [GONE]}
    with core_of(folder.path, answers), pytest.raises(BackupError, match="was restarted 20 times"):
        take_backup(folder.path, tmp_path / "b.tar", SILENT)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_server_of_an_older_version_is_said_to_be_one(folder: Folder, tmp_path: Path) -> None:
    with core_of(folder.path, {"POST": [GONE]}), pytest.raises(BackupError, match="older version"):
        take_backup(folder.path, tmp_path / "b.tar", SILENT)
