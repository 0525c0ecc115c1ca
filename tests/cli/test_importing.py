"""``clickloop import conversions``: its requests, output and exit status."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from clickloop.cli import app
from clickloop.machine.core_client import CoreAddress, write_core_address

CLICK_ID = "01kaqj6z8m4x2c9v7b5n3t1w0y"
COUNTS = {"new": 0, "changed": 0, "repeated": 0, "waiting": 0, "refused": 0, "unreadable": 0}


class Core:
    """A simulated server that accepts an upload and reports the given state."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.options: dict[str, list[str]] = {}
        self.headers: dict[str, str] = {}
        self.refusal: tuple[int, str] | None = None
        self.away = 0
        self.states = ["waiting", "running", "finished"]
        self.counts = COUNTS | {"new": 1}
        self.reasons: dict[str, int] = {}
        self.flags: dict[str, int] = {}
        self.unused: list[str] = []
        self.missing: list[str] = []
        self.encoding = "utf-8"
        core = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                if core.refusal:
                    self.close_connection = True
                    self.answer(core.refusal[0], {"detail": core.refusal[1]})
                    return
                core.options = parse_qs(urlsplit(self.path).query)
                core.headers = {name.lower(): value for name, value in self.headers.items()}
                core.bodies.append(self.body())
                self.answer(202, core.view())

            def do_GET(self) -> None:
                if core.away:
                    core.away -= 1
                    self.close_connection = True
                elif self.path.endswith("/result"):
                    self.answer(200, b"clickloop_line\r\n2\r\n")
                elif "/lines" in self.path:
                    line = {"line": 2, "verdict": "refused", "reason": "forged_click_id", "message": "It is forged."}
                    self.answer(200, {"items": [line | {"text": "x,[bold]5", "flags": []}]})
                else:
                    core.states = core.states[1:] or ["finished"]
                    self.answer(200, core.view())

            def body(self) -> bytes:
                if self.headers["transfer-encoding"] != "chunked":
                    return self.rfile.read(int(self.headers["content-length"]))
                data = b""
                while size := int(self.rfile.readline(), 16):
                    data += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return data

            def answer(self, status: int, body: Any) -> None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_arguments: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def view(self) -> dict[str, Any]:
        state = self.states[0]
        return {
            "upload_id": "01m",
            "state": state,
            "octets": 60,
            "octets_read": 60 if state == "finished" else 0,
            "lines": sum(self.counts.values()),
            "counts": self.counts,
            "reasons": self.reasons,
            "flagged": max(self.flags.values(), default=0),
            "flags": self.flags,
            "unused_columns": self.unused,
            "missing_values": self.missing,
            "incomplete": bool(self.unused and self.missing),
            "encoding": self.encoding,
            "error": "Its file is gone." if state == "failed" else None,
        }


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    made = Core()
    write_core_address(tmp_path, CoreAddress(f"http://127.0.0.1:{made.server.server_port}", "clk_local"))
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "june.csv"
    path.write_text(f"cid,payout\n{CLICK_ID},5\n")
    return path


def run(folder: Path, *arguments: str, stdin: bytes | None = None) -> tuple[int, str, str]:
    """Return exit status, standard output and standard error."""
    result = CliRunner().invoke(app, ["import", "conversions", *arguments, "--data", str(folder)], input=stdin)
    return result.exit_code, result.stdout, result.stderr


def test_a_file_is_sent_unchanged_and_awaited(tmp_path: Path, core: Core, file: Path) -> None:
    status, out, _ = run(tmp_path, str(file))
    assert status == 0
    assert core.bodies == [file.read_bytes()]
    assert core.headers["authorization"] == "Bearer clk_local"
    assert core.headers["content-length"] == str(file.stat().st_size)
    assert core.options == {"name": ["june.csv"], "preview": ["0"], "postbacks": ["1"], "incomplete": ["0"]}
    assert "separated by commas" in out
    assert "new" in out


def test_standard_input_is_sent_without_a_length(tmp_path: Path, core: Core) -> None:
    content = f"{CLICK_ID}:5\n".encode() * 20_000
    status, _, _ = run(tmp_path, "-", "--no-postbacks", stdin=content)
    assert status == 0
    assert core.bodies == [content]
    assert core.options["postbacks"] == ["0"]


def test_a_preview_shows_lines_and_exits_with_1_if_one_would_be_refused(tmp_path: Path, core: Core, file: Path) -> None:
    core.counts, core.reasons = COUNTS | {"new": 1, "refused": 1}, {"forged_click_id": 1}
    status, out, _ = run(tmp_path, str(file), "--preview")
    assert (status, core.options["preview"]) == (1, ["1"])
    assert "x,[bold]5" in out
    assert "forged_click_id" in out


def test_flagged_lines_are_reported_and_exit_with_1_if_strict(tmp_path: Path, core: Core, file: Path) -> None:
    core.flags = {"payout_unreadable": 1}
    status, out, _ = run(tmp_path, str(file))
    assert status == 0
    assert "flagged 1" in out
    assert "payout_unreadable" in out
    assert run(tmp_path, str(file), "--strict")[0] == 1


def test_unrecognised_columns_are_reported_and_exit_with_1_if_strict(tmp_path: Path, core: Core, file: Path) -> None:
    core.unused, core.missing, core.encoding = ["Geld"], ["payout", "txid"], "windows-1252"
    status, out, _ = run(tmp_path, str(file), "--incomplete")
    assert (status, core.options["incomplete"]) == (0, ["1"])
    assert "Unused columns: Geld" in out
    assert "No payout column found" in out
    assert "No transaction ID column found" in out
    assert "read as windows-1252" in out
    assert run(tmp_path, str(file), "--incomplete", "--strict")[0] == 1


def test_the_result_is_saved(tmp_path: Path, core: Core, file: Path) -> None:
    assert run(tmp_path, str(file), "--result", str(tmp_path / "out.csv"))[0] == 0
    assert (tmp_path / "out.csv").read_bytes() == b"clickloop_line\r\n2\r\n"


def test_a_restarting_server_is_awaited(tmp_path: Path, core: Core, file: Path) -> None:
    core.away = 2
    assert run(tmp_path, str(file))[0] == 0


def test_a_failed_upload_is_reported(tmp_path: Path, core: Core, file: Path) -> None:
    core.states = ["running", "failed"]
    status, _, err = run(tmp_path, str(file))
    assert status == 1
    assert "Its file is gone." in err


def test_a_refusal_in_the_middle_of_the_body_is_reported(tmp_path: Path, core: Core) -> None:
    core.refusal = (413, "The file is too large.")
    large = tmp_path / "large.csv"
    large.write_bytes(b"cid\n" + b"x\n" * 3_000_000)
    assert run(tmp_path, str(large)) == (1, "", "The file is too large.\n")


def test_a_file_in_an_unknown_format_is_not_sent(tmp_path: Path, core: Core, file: Path) -> None:
    file.write_text("name,payout\nx,5\n")
    status, _, err = run(tmp_path, str(file))
    assert status == 1
    assert "Line 1." in err
    assert core.bodies == []


def test_a_missing_file_and_a_missing_server_exit_with_2(tmp_path: Path, file: Path) -> None:
    status, _, err = run(tmp_path, str(tmp_path / "nothing.csv"))
    assert status == 2
    assert err == f"Cannot use {tmp_path / 'nothing.csv'}: No such file or directory.\n"
    assert run(tmp_path, str(tmp_path))[2] == f"Cannot use {tmp_path}: Is a directory.\n"
    status, _, err = run(tmp_path, str(file))
    assert status == 2
    assert "clickloop serve" in err
