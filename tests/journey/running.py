"""The whole product as it runs: a real ``clickloop serve`` on free loopback ports, a raw client, a stand-in receiver."""

import http.client
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, unquote_to_bytes, urlencode

from clickloop.machine.core_client import NotRunningError, call_core
from tests.click.geo.mmdb import country_base

COMMAND = [sys.executable, "-m", "clickloop"]
PATIENCE_SECONDS = 60.0
"""Timeout for other processes. Long, because a busy machine is slow; only a failing test waits that long."""
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.02, 0.1
"""Pauses of ``eventually`` between two polls. They grow, since polling takes time from the process that is polled."""


class Answer(NamedTuple):
    """A server's response. Header names are in lower case, repeated ones are joined by line feeds."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Reader(io.BufferedReader):
    """Stays open after an answer."""

    def close(self) -> None:
        """The connection closes the socket."""


class Connection:
    """One keep-alive connection to a port on loopback, for requests with any bytes in them."""

    def __init__(self, port: int, seconds: float = 20.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = _Reader(socket.SocketIO(self._socket, "r"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, octets: bytes) -> None:
        """Sends bytes as they are."""
        self._socket.sendall(octets)

    def answer(self, method: str = "GET") -> Answer:
        """Reads one answer. Raises http.client.RemoteDisconnected when none came, other errors when half of one did."""
        response = http.client.HTTPResponse(self, method=method)  # type: ignore[arg-type]  # asks only for makefile
        try:
            response.begin()
            body = response.read()
            headers: dict[str, str] = {}
            for name, value in response.getheaders():
                headers[name.lower()] = f"{headers[name.lower()]}\n{value}" if name.lower() in headers else value
            return Answer(response.status, headers, body)
        finally:
            response.close()

    def makefile(self, _mode: str) -> "_Reader":
        """Return the file from which http.client reads responses: one for all, so that buffered bytes are not lost in between."""
        return self._reader

    def ask(self, method: str, target: str | bytes, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """Sends one request and reads its answer."""
        self.send(request_of(method, target, headers, body))
        return self.answer(method)


def request_of(method: str, target: str | bytes, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """The bytes of a request; Host and, with a body, Content-Length are added where they are not given."""
    given = {"Host": "tracker.example"} | (headers or {})
    if body:
        given.setdefault("Content-Length", str(len(body)))
    path = target.encode() if isinstance(target, str) else target
    lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in given.items())
    return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method.encode(), path, lines, body)


class Received(NamedTuple):
    """A request as the receiver saw it, undecoded."""

    path: str
    query: bytes

    def values(self, name: str) -> list[bytes]:
        """All values of a parameter, percent-decoded and nothing else."""
        pairs = [pair.partition(b"=") for pair in self.query.split(b"&")]
        return [unquote_to_bytes(value) for key, _, value in pairs if key == name.encode()]

    def value(self, name: str) -> bytes:
        """The one value of a parameter that must be there once."""
        (only,) = self.values(name)
        return only


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of the receiver."""


class Receiver:
    """A stand-in traffic source: a real HTTP server on loopback that writes down what it gets. ``status`` is its answer."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                receiver.requests.append(Received(path, query.encode("latin-1")))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"OK")

            def log_message(self, *args: object) -> None:
                """Is silent."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()

    def those(self, name: str, value: bytes) -> list[Received]:
        """The requests in which a parameter has a value."""
        return [request for request in tuple(self.requests) if value in request.values(name)]


class Campaign(NamedTuple):
    """A set-up chain from source to offer."""

    key: str
    source_id: int
    network_id: int
    offer_id: int
    campaign_id: int


class Tracker:
    """``clickloop serve`` on a data folder. It can be stopped, killed and started again on the same ports."""

    def __init__(self, folder: Path, edges: int = 1, **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.api_port = free_port()
        self.log_path = folder.parent / f"{folder.name}.log"
        # Where the stand-in receivers are; and a base of one country, since the included one is most of what an edge does at its start.
        given = {"allowed_addresses": "127.0.0.0/8", "geo_base": str(_country_base(folder))} | environment
        self.environment = {f"CLICKLOOP_{name.upper()}": value for name, value in given.items()}
        self.edges = edges
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """The command line that starts it."""
        addresses = ["--listen", f"127.0.0.1:{self.port}", "--panel-listen", f"127.0.0.1:{self.api_port}"]
        return [*COMMAND, "serve", "--data", str(self.folder), *addresses, "--edges", str(self.edges)]

    def start(self, wait: bool = True) -> None:
        """Starts the supervisor; by default waits until clicks are taken and the API answers."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stderr=log, stdout=log, env={**os.environ, **self.environment}, start_new_session=True
            )
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Waits until every process answers."""
        eventually(lambda: self.takes_clicks() and self.api_answers(), told=self.log_text)

    def takes_clicks(self) -> bool:
        """Return whether an edge answers, even if it reports failing, as on a full disk."""
        try:
            return self.ask("GET", "/health").status in {200, 503}
        except (OSError, http.client.HTTPException):
            return False

    def api_answers(self) -> bool:
        """Return whether the core accepts the token that it wrote into the data folder."""
        try:
            return call_core(self.folder, "GET", "/api/v1/campaigns").status == 200
        except NotRunningError:
            return False

    def stop(self, seconds: float = 40.0) -> int:
        """Sends SIGTERM and answers the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.process = None
        return code

    def close(self) -> None:
        """Ends every process of it, whatever state it is in."""
        if self.process is not None:
            kill(self.process.pid)
            self.process.wait(60)
            self.process = None
        while left := _processes_of(self.folder):
            for pid in left:
                kill(pid)
            time.sleep(0.02)

    def pids(self) -> dict[str, int]:
        """Running processes by name: ``supervisor``, ``core``, ``edge1`` …"""
        assert self.process is not None
        found = {"supervisor": self.process.pid}
        for child in _children(self.process.pid):
            command = _command_line(child)
            if "clickloop.app" in command:
                found["core"] = child
            elif "clickloop.edge.process" in command:
                found[f"edge{command[command.index('clickloop.edge.process') + 2]}"] = child
        return found

    def ask(self, method: str, target: str | bytes, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """One request at the public doors, on a connection of its own."""
        with Connection(self.port) as connection:
            return connection.ask(method, target, headers, body)

    def api(self, method: str, path: str, body: Any = None) -> Answer:
        """One request to the API, with the token in the data folder."""
        answer = call_core(self.folder, method, f"/api/v1/{path}", None if body is None else json.dumps(body).encode())
        return Answer(answer.status, {}, answer.body)

    def made(self, noun: str, body: dict[str, Any]) -> Any:
        """The record that a POST made."""
        answer = self.api("POST", noun, body)
        assert answer.status == 201, answer.body
        return json.loads(answer.body)

    def got(self, path: str) -> Any:
        """Return the response to a GET."""
        answer = self.api("GET", path)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def all_of(self, noun: str, **wanted: str) -> list[Any]:
        """Every record of a log that matches."""
        found: list[Any] = []
        cursor = ""
        while True:
            query = urlencode({"limit": "500", **wanted} | ({"cursor": cursor} if cursor else {}))
            page = self.got(f"{noun}?{query}")
            found += page["items"]
            cursor = page["next_cursor"]
            if not cursor:
                return found

    def set_up(self, postback_url: str, **campaign: Any) -> Campaign:
        """A source with external_id, cost and zone, a network, an offer and a campaign."""
        name = f"{random.getrandbits(40):x}"
        rows = [{"parameter": "external_id", "placeholder": "${SUBID}"}, {"parameter": "zone", "placeholder": "{zone}"}]
        source = self.made("traffic-sources", {"name": name, "postback_url": postback_url, "parameters": rows})
        network = self.made("networks", {"name": name, "postback_parameters": {"cid": "{sub1}", "payout": "{payout}"}})
        url = "https://network.example/click?offer=1&sub1={clickid}&zone={zone}"
        offer = self.made("offers", {"name": name, "network_id": network["id"], "url": url})
        shares = [{"offer_id": offer["id"]}]
        body = {"name": name, "source_id": source["id"], "offers": shares} | campaign
        made = self.made("campaigns", body)
        return Campaign(made["key"], source["id"], network["id"], offer["id"], made["id"])

    def click(self, key: str, query: str | bytes = b"", headers: dict[str, str] | None = None) -> str:
        """Follows a campaign link; answers the click id that the offer was given."""
        answer = self.ask("GET", link_of(key, query), headers)
        assert answer.status == 302, answer
        return click_id_of(answer)

    def notify(self, query: str | bytes) -> Answer:
        """A network's S2S postback."""
        octets = query.encode() if isinstance(query, str) else query
        return self.ask("GET", b"/postback?" + octets)

    def log_text(self) -> str:
        """The whole log so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_lines(self) -> list[dict[str, Any]]:
        """The log's lines of JSON."""
        return [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]

    def command_line(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command of the product on this data folder."""
        command = [*COMMAND, *arguments, "--data", str(self.folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@contextmanager
def running(folder: Path, edges: int = 1, **environment: str) -> Iterator[Tracker]:
    """A started tracker that is ended, by force if need be, on leaving."""
    tracker = Tracker(folder, edges, **environment)
    try:
        tracker.start()
        yield tracker
    finally:
        tracker.close()


def _country_base(folder: Path) -> Path:
    """The file of a smallest country base, beside a data folder."""
    path = folder.with_name(f"{folder.name}.mmdb")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(country_base("DE"))
    return path


def link_of(key: str, query: str | bytes = b"") -> bytes:
    """Path and query of a campaign link."""
    octets = query.encode() if isinstance(query, str) else query
    return f"/c/{key}".encode() + (b"?" + octets if octets else b"")


def click_id_of(answer: Answer) -> str:
    """The click id in the address of an offer that a visitor was sent to."""
    pairs = dict(parse_qsl(answer.headers["location"].partition("?")[2]))
    return pairs["sub1"]


def eventually(is_so: Callable[[], object], seconds: float = PATIENCE_SECONDS, told: Callable[[], str] = str) -> None:
    """Waits until something that other processes do has happened; fails with ``told()`` when it does not."""
    began = time.monotonic()
    pause = FIRST_PAUSE_SECONDS
    while True:
        asked_at = time.monotonic()
        if is_so():
            return
        now = time.monotonic()
        assert now < began + seconds, f"not within {seconds:g} s\n{told()}"
        time.sleep(min(max(pause, 2 * (now - asked_at)), MAX_PAUSE_SECONDS))
        pause *= 1.2


def free_port() -> int:
    """A port outside the range from which the system takes those of clients, so that a restart finds it free again."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def kill(pid: int) -> None:
    """SIGKILL to a process of ours, if it is still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _processes_of(folder: Path) -> list[int]:
    """Everything that runs on a data folder, also what a killed supervisor left."""
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in numbers if any(str(folder) in part for part in _command_line(pid)) and pid != os.getpid()]


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []
