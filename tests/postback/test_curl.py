"""The curl command of a request: a shell and curl read from it what would have been sent."""

import shlex
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from clickloop.octets import text_of
from clickloop.postback.curl import curl_command
from clickloop.postback.rule import BodyKind, Header, Method, Request

if TYPE_CHECKING:
    pass


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40), st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_a_shell_reads_back_exactly_the_bytes_of_a_copied_command(body: bytes, value: str) -> None:
    request = Request(
        method=Method.POST,
        url="https://s.example/?a=1&b=%20",
        headers=(Header("X-It's", value),),
        body_kind=BodyKind.TEXT,
        body=text_of(body.replace(b"\0", b"")),
    )
    command = curl_command(request).replace("\\\n", " ")
    if "$'" not in command:
        words = shlex.split(command)
        assert words[:4] == ["curl", "--globoff", "--request", "POST"]
        assert f"X-It's: {value}" in words


def test_a_mask_stays_readable() -> None:
    request = Request(method=Method.POST, url="https://s.example/bot•••/x", body_kind=BodyKind.TEXT, body="é•••\n")
    assert curl_command(request).splitlines() == [
        "curl --globoff \\",
        "  --request POST \\",
        "  --data-raw $'\\xc3\\xa9•••\\n' \\",
        "  'https://s.example/bot•••/x'",
    ]


def test_curl_sends_what_the_command_says() -> None:
    got: list[tuple[str, bytes, str | None]] = []

    class Door(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            length = int(self.headers["content-length"])
            got.append((self.path, self.rfile.read(length), self.headers["x-note"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Door)
    Thread(target=server.serve_forever, daemon=True).start()
    body = b'@it\'s \\ \x80\xff\r\n{"a": "[1]"}'
    request = Request(
        method=Method.PUT,
        url=f"http://127.0.0.1:{server.server_port}/p?x=[1]&y={{2}}",
        headers=(Header("X-Note", "it's 'quoted'"),),
        body_kind=BodyKind.TEXT,
        body=text_of(body),
    )
    subprocess.run(["bash", "-c", curl_command(request)], check=True, capture_output=True)
    server.shutdown()
    server.server_close()
    assert got == [("/p?x=[1]&y={2}", body, "it's 'quoted'")]
