"""The command line: its output, its requests to the running server, and its exit status."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from clickloop.cli import app
from clickloop.machine.core_client import FILE_NAME, CoreAddress, write_core_address
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.people.tokens import find_valid_token
from tests.empty_stores import open_ledger

CLICK_ID = "01kaqj6z8m4x2c9v7b5n3t1w0y"


class Core:
    """A small server that returns a given response and records requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str, Any]] = []
        self.headers: dict[str, str] = {}
        self.status = 200
        self.answer: Any = {}
        self.answers: dict[str, Any] = {}
        """Responses by path, without the query; others have ``answer``."""
        core = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                core.headers = {name.lower(): value for name, value in self.headers.items()}
                length = int(self.headers.get("content-length", 0))
                octets = self.rfile.read(length)
                is_json = core.headers.get("content-type") == "application/json"
                body = (json.loads(octets) if is_json else octets.decode()) if length else None
                core.requests.append((self.command, self.path, self.headers["authorization"], body))
                answer = core.answers.get(self.path.partition("?")[0], core.answer)
                data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(core.status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_arguments: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    made = Core()
    write_core_address(tmp_path, CoreAddress(made.url, "clk_local"))
    yield made
    made.server.shutdown()
    made.server.server_close()


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Return exit status, standard output and standard error."""
    result = CliRunner().invoke(app, [*arguments, "--data", str(folder)])
    return result.exit_code, result.stdout, result.stderr


def used(folder: Path) -> Path:
    """Return a data folder with a ledger, as a tracker leaves it."""
    Ledger.open(folder / "ledger.sqlite").close()
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ("token", "create", "x"),
        ("token", "list"),
        ("user", "add", "x"),
        ("user", "link"),
        ("user", "list"),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_an_unused_folder_is_refused_and_not_created(tmp_path: Path, command: tuple[str, ...]) -> None:
    status, out, err = run(tmp_path / "mistyped", *command)
    assert (status, out) == (2, "")
    assert f"No tracker has used the data folder {tmp_path}/mistyped" in err
    assert list(tmp_path.iterdir()) == []


def test_a_token_is_printed_alone_and_works(tmp_path: Path) -> None:
    used(tmp_path)
    status, out, err = run(tmp_path, "token", "create", "my script")
    secret = out.strip()
    assert (status, secret.startswith("clk_"), secret in err) == (0, True, False)
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    with ledger.read() as tx:
        token = find_valid_token(tx, secret)
    ledger.close()
    assert token is not None
    assert token.token.name == "my script"


def test_a_token_without_a_name_is_refused(tmp_path: Path) -> None:
    assert run(used(tmp_path), "token", "create", " ")[0] == 1


def test_a_revoked_token_is_listed_as_such(tmp_path: Path) -> None:
    run(used(tmp_path), "token", "create", "[bold]script")
    assert run(tmp_path, "token", "revoke", "1")[0] == 0
    status, out, _ = run(tmp_path, "token", "list")
    assert status == 0
    assert "[bold]" in out
    assert run(tmp_path, "token", "revoke", "1")[0] == 1


def test_a_folder_without_a_ledger_is_reported(tmp_path: Path) -> None:
    status, _, err = run(tmp_path, "token", "list")
    assert status == 2
    assert str(tmp_path) in err
    assert list(tmp_path.iterdir()) == []


def test_the_data_folder_can_be_set_in_the_environment(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["token", "create", "x"], env={"CLICKLOOP_DATA": str(used(tmp_path))})
    assert result.exit_code == 0
    assert "x" in run(tmp_path, "token", "list")[1]


def test_a_conversion_by_hand_goes_through_the_running_server(tmp_path: Path, core: Core) -> None:
    core.answer = {
        "outcome": "new",
        "conversion": {
            "conversion_id": "01m",
            "status": {"name": "Sale"},
            "payout": {"amount": "12.5", "currency": "USD"},
        },
    }
    status, out, _ = run(tmp_path, "convert", CLICK_ID, "--payout", "12.5", "--txid", "T-1", "--no-postback")
    assert (status, out) == (0, "new: conversion 01m, Sale, 12.5 USD\n")
    method, path, authorization, body = core.requests[0]
    assert (method, path, authorization) == ("POST", "/api/v1/conversions", "Bearer clk_local")
    assert (body["click_id"], body["payout"], body["txid"]) == (CLICK_ID, "12.5", "T-1")
    assert body["disable_postback"]
    assert body["by_hand"]


def test_an_unmapped_status_word_is_reported_with_the_way_to_map_it(tmp_path: Path, core: Core) -> None:
    core.answer = {
        "outcome": "new",
        "conversion": {
            "conversion_id": "01m",
            "status": {"name": "Other"},
            "payout": {"amount": "0", "currency": "USD"},
            "flags": ["unknown_status"],
        },
    }
    status, out, err = run(tmp_path, "convert", CLICK_ID, "--status", "blah blah")
    assert (status, out) == (0, "new: conversion 01m, Other, 0 USD\n")
    assert "'blah blah'" in err
    assert "registered under Other" in err
    assert err.endswith("clickloop rerun --status-word 'blah blah'\n")


def test_a_waiting_conversion_is_reported(tmp_path: Path, core: Core) -> None:
    core.answer = {"outcome": "waiting", "conversion": None}
    status, out, _ = run(tmp_path, "convert", CLICK_ID)
    assert status == 0
    assert "waiting" in out


def test_a_refusal_is_printed_and_exits_with_1(tmp_path: Path, core: Core) -> None:
    core.status = 422
    core.answer = {"detail": "x", "errors": [{"field": "click_id", "code": "forged", "message": "It is forged."}]}
    assert run(tmp_path, "convert", CLICK_ID) == (1, "", "click_id: It is forged.\n")


def test_a_refusal_of_the_whole_request_prints_only_its_sentence(tmp_path: Path, core: Core) -> None:
    core.status = 422
    core.answer = {"detail": "x", "errors": [{"field": "", "code": "too_wide", "message": "Nothing narrows it down."}]}
    assert run(tmp_path, "convert", CLICK_ID) == (1, "", "Nothing narrows it down.\n")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("restore", "missing.tar"), "There is no file missing.tar."),
        (("import", "rates", "missing.csv"), "missing.csv cannot be read: No such file or directory."),
    ],
)
def test_a_missing_file_is_reported(tmp_path: Path, command: tuple[str, ...], sentence: str) -> None:
    assert run(tmp_path, *command) == (2, "", sentence + "\n")


def test_a_trace_prints_the_servers_text(tmp_path: Path, core: Core) -> None:
    core.answer = f"Click {CLICK_ID}\n"
    assert run(tmp_path, "trace", CLICK_ID) == (0, f"Click {CLICK_ID}\n", "")
    assert core.requests[0][1] == f"/api/v1/clicks/{CLICK_ID}/trace?format=text"


def test_a_trace_as_json_prints_the_apis_response(tmp_path: Path, core: Core) -> None:
    core.answer = {"click_id": CLICK_ID, "click": None, "events": []}
    assert json.loads(run(tmp_path, "trace", CLICK_ID, "--json")[1]) == core.answer


def test_an_unknown_click_exits_with_1(tmp_path: Path, core: Core) -> None:
    core.status = 404
    core.answer = {"title": "Not Found", "status": 404, "detail": "There is no click with that ID."}
    assert run(tmp_path, "trace", "../../x") == (1, "", "There is no click with that ID.\n")
    assert core.requests[0][1] == "/api/v1/clicks/..%2F..%2Fx/trace?format=text"


@pytest.mark.parametrize("command", ["trace", "convert"])
def test_without_a_server_the_message_says_what_to_do(tmp_path: Path, command: str) -> None:
    status, _, err = run(tmp_path, command, CLICK_ID)
    assert status == 2
    assert f"clickloop serve --data {tmp_path}" in err


def test_a_server_that_has_gone_is_reported(tmp_path: Path) -> None:
    write_core_address(tmp_path, CoreAddress("http://127.0.0.1:9", "clk_local"))
    status, _, err = run(tmp_path, "trace", CLICK_ID)
    assert status == 2
    assert "does not answer" in err
    assert "(connection refused)" in err


def test_a_command_for_a_copied_folder_does_not_reach_the_server_of_its_original(tmp_path: Path, core: Core) -> None:
    copy = tmp_path.with_name(tmp_path.name + "-copy")
    shutil.copytree(tmp_path, copy)
    status, _, err = run(copy, "trace", CLICK_ID)
    assert status == 2
    assert "It is a copy" in err
    assert core.requests == []


def test_the_address_of_the_server_is_readable_by_its_user_only(tmp_path: Path) -> None:
    os.umask(0o022)
    write_core_address(tmp_path, CoreAddress("http://127.0.0.1:1", "clk_local"))
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / FILE_NAME).parent.stat().st_mode & 0o777 == 0o700


FOUND = {
    "fine": False,
    "errors": 1,
    "warnings": 1,
    "notes": 0,
    "findings": [
        {
            "severity": "error",
            "code": "no_postback_url",
            "place": {"kind": "traffic_source", "id": 3, "name": "Clickadu", "field": "postback_url"},
            "sentence": "The source has no postback URL.",
            "remedy": "Paste it.",
        }
    ],
    "campaigns": [],
}


@pytest.mark.parametrize(
    ("errors", "warnings", "arguments", "status"),
    [
        (0, 0, [], 0),
        (0, 2, [], 0),
        (0, 2, ["--strict"], 1),
        (1, 0, [], 1),
        (1, 0, ["--json"], 1),
        (0, 0, ["--strict"], 0),
    ],
)
def test_a_check_exits_with_1_for_errors_and_with_strict_for_warnings(
    tmp_path: Path, core: Core, errors: int, warnings: int, arguments: list[str], status: int
) -> None:
    core.answer = FOUND | {"errors": errors, "warnings": warnings}
    assert run(tmp_path, "check", *arguments)[0] == status


def test_a_check_prints_place_sentence_remedy_and_counts(tmp_path: Path, core: Core) -> None:
    core.answer = FOUND
    _, out, _ = run(tmp_path, "check", "--campaign", "7")
    assert out == (
        "error    traffic source 3 'Clickadu', postback_url: The source has no postback URL. [no_postback_url]\n"
        "         → Paste it.\n"
        "1 error, 1 warning, 0 notes.\n"
    )
    assert core.requests[0][1] == "/api/v1/check?campaign_id=7"


def test_simulate_sends_the_options_and_prints_the_page(tmp_path: Path, core: Core) -> None:
    core.answer = "An invented click: a dry run.\n"
    arguments = ("--param", "external_id=a=b", "--payout", "12,5", "--country", "US", "--offer", "2")
    assert run(tmp_path, "simulate", "7", *arguments) == (0, core.answer, "")
    method, path, _, body = core.requests[0]
    assert (method, path) == ("POST", "/api/v1/simulate?format=text")
    assert (body["campaign_id"], body["offer_id"], body["parameters"]) == (7, 2, {"external_id": "a=b"})
    assert (body["conversion"]["payout"], body["visitor"]["country"]) == ("12,5", "US")


def test_simulate_sends_only_the_id_of_a_conversion(tmp_path: Path, core: Core) -> None:
    core.answer = {}
    assert run(tmp_path, "simulate", "--conversion", CLICK_ID, "--json")[:2] == (0, "{}\n")
    assert core.requests[0][1] == "/api/v1/simulate?format=json"
    assert core.requests[0][3] == {"campaign_id": None, "click_id": "", "conversion_id": CLICK_ID}


def test_a_parameter_without_a_value_is_refused(tmp_path: Path, core: Core) -> None:
    assert run(tmp_path, "simulate", "7", "--param", "zone")[0] == 1
    assert core.requests == []
