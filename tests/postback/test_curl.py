"""The curl command of a request: with every shell, curl sends what would have been sent."""

import os
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clickloop.postback.curl import curl_command
from clickloop.postback.rule import BodyKind, Header, Method, PostbackRequest
from clickloop.text import escape_bytes, unescape_bytes

SHELLS = {"bash": ("bash",), "dash": ("dash",), "ash": ("busybox", "ash")}
STAND_IN = """#!/bin/sh
: > "$CURL_SAW"
for argument in "$@"; do printf '%s\\0' "$argument" >> "$CURL_SAW"; done
if [ "$CURL_READS" = 1 ]; then cat > "$CURL_SAW.body"; fi
"""
HOSTILE = [
    "é'; touch X; #",
    "'; touch X; '",
    "$(touch X)",
    "`touch X`",
    '"; touch X; "',
    "\\'; touch X; #",
    "\\",
    "a\\",
    "é\\'\\",
    "%s%n%%",
    "-n",
    "--",
    "-é",
    "!!",
    "$HOME ~ * ? [a-z] {a,b}",
    "a\nb",
    "ends\n\n",
    "\r\n",
    "\t",
    "\x1b[31m\x07",
    "it's",
    "“quoted” • ••• é",
    "\\047; touch X; #",
    "\\x27; touch X; #",
    "é\n'\n; touch X",
    "",
    " ",
    "@/etc/passwd",
]


class Shell:
    """A shell in its own folder, in which ``curl`` records its arguments."""

    def __init__(self, command: tuple[str, ...], folder: Path) -> None:
        self.command = command
        self.folder = folder
        stand_in = folder / "curl"
        stand_in.write_text(STAND_IN)
        stand_in.chmod(0o700)

    def run(self, command: str, *, reads: bool) -> tuple[list[bytes], bytes]:
        """Return the arguments and the standard input of the ``curl`` stand-in."""
        saw = self.folder / "saw"
        environment = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "CURL_SAW": str(saw),
            "CURL_READS": "1" if reads else "0",
            "HOME": "/home/nobody",
        }
        script = self.folder / "script"
        script.write_text(command, "utf-8")
        done = subprocess.run(
            [*self.command, str(script)], env=environment, cwd=self.folder, capture_output=True, check=True, timeout=20
        )
        assert done.stdout == b""
        assert sorted(path.name for path in self.folder.iterdir() if path.name == "X") == []
        body = (self.folder / "saw.body").read_bytes() if reads else b""
        return saw.read_bytes().split(b"\0")[:-1], body


@pytest.fixture(params=list(SHELLS.values()), ids=list(SHELLS))
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    return Shell(request.param, tmp_path)


def read_back(shell: Shell, request: PostbackRequest) -> None:
    """Assert that the shell reads back exactly the request in the command."""
    body = unescape_bytes(request.body)
    is_piped = "--data-binary @-" in curl_command(request)
    arguments, piped = shell.run(curl_command(request), reads=is_piped)
    expected = [b"--globoff", b"--request", b"POST"]
    for header in request.headers:
        is_empty = not header.value.strip(" \t\r\n\v\f")
        expected += [b"--header", (f"{header.name};" if is_empty else f"{header.name}: {header.value}").encode()]
    if body:
        expected += [b"--data-binary", b"@-"] if is_piped else [b"--data-raw", body]
    assert arguments == [*expected, unescape_bytes(request.url)]
    assert piped == (body if is_piped else b"")


def a_post(body: str = "", value: str = "", url: str = "https://s.example/?a=1&b=%20") -> PostbackRequest:
    headers = (Header("X-It's", value),)
    return PostbackRequest(method=Method.POST, url=url, headers=headers, body_kind=BodyKind.TEXT, body=body)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_visitors_value_escapes_its_word_in_any_shell(shell: Shell, text: str) -> None:
    read_back(shell, a_post(text, text, f"https://s.example/?x={text}"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=60) | st.text("'\\\"$`%!-\n\r\té•0123", max_size=30).map(str.encode),
    value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs", "Co"]), max_size=30)
    | st.text("'\\\"$`%!-\n\té•", max_size=20),
)
def test_every_shell_reads_back_exactly_the_bytes_of_a_copied_command(shell: Shell, body: bytes, value: str) -> None:
    read_back(shell, a_post(escape_bytes(body), value))


def test_a_nul_in_a_body_is_sent(shell: Shell) -> None:
    read_back(shell, a_post(escape_bytes(b"a\0b\0")))


def test_a_mask_stays_readable() -> None:
    request = PostbackRequest(
        method=Method.POST, url="https://s.example/bot•••/x", body_kind=BodyKind.TEXT, body="é•••\n"
    )
    assert curl_command(request).splitlines() == [
        "printf '\\303\\251•••\\n' | curl --globoff \\",
        "  --request POST \\",
        "  --data-binary @- \\",
        "  'https://s.example/bot•••/x'",
    ]


def test_a_plain_body_is_part_of_the_command() -> None:
    request = PostbackRequest(method=Method.POST, url="https://s.example/", body_kind=BodyKind.JSON, body='{"a": "b"}')
    assert '  --data-raw \'{"a": "b"}\' \\' in curl_command(request).splitlines()


def test_curl_sends_what_the_command_says() -> None:
    got: list[tuple[str, bytes, str | None, str | None]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            length = int(self.headers["content-length"])
            got.append((self.path, self.rfile.read(length), self.headers["x-note"], self.headers["x-empty"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    body = b'@it\'s \\ \x80\xff\0\r\n{"a": "[1]"}\n\n'
    request = PostbackRequest(
        method=Method.PUT,
        url=f"http://127.0.0.1:{server.server_port}/p?x=[1]&y={{2}}",
        headers=(Header("X-Note", "it's 'quoted'"), Header("X-Empty", "")),
        body_kind=BodyKind.TEXT,
        body=escape_bytes(body),
    )
    subprocess.run(["sh", "-c", curl_command(request)], check=True, capture_output=True)
    server.shutdown()
    server.server_close()
    assert got == [("/p?x=[1]&y={2}", body, "it's 'quoted'", "")]
