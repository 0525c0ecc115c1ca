"""The whole product for benches: ``clickloop serve`` in its own folder, with a campaign whose source has a postback URL."""

import asyncio
import http.client
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bench.machine import free_port, wait_until
from clickloop.machine.core_client import NotRunningError, call_core, read_core_address

START_SECONDS = 30.0
_PARAMETERS = ("external_id", "cost", "zone", "campaign", "creative", "country")


class ServeProcess:
    """A running ``clickloop serve``. ``pids`` has the supervisor first, then its children."""

    def __init__(self, folder: Path, edges: int = 0, prefix: tuple[str, ...] = ()) -> None:
        """``edges``: number of edge processes; 0 for the default. ``prefix``: a command that executes ours."""
        self.folder = folder
        self.port = free_port()
        command = [*prefix, sys.executable, "-m", "clickloop", "serve", "--data", str(folder)]
        command += ["--listen", f"127.0.0.1:{self.port}", "--panel-listen", f"127.0.0.1:{free_port()}"]
        environment = os.environ | {
            "CLICKLOOP_ALLOWED_ADDRESSES": "127.0.0.0/8"
        }  # the simulated sources are on loopback
        environment["CLICKLOOP_EDGES"] = str(edges)
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        self.pids = [self._process.pid]
        try:
            wait_until(self._answers, START_SECONDS, f"the tracker in {folder} does not answer")
        except TimeoutError:
            self.stop()
            raise
        children = Path(f"/proc/{self.pids[0]}/task/{self.pids[0]}/children").read_text().split()
        self.pids += [int(pid) for pid in children]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(40)

    def create(self, noun: str, body: dict[str, object]) -> int:
        """Create a record through the API and return its id."""
        answer = call_core(self.folder, "POST", f"/api/v1/{noun}", msgspec.json.encode(body))
        if answer.status != 201:
            raise RuntimeError(f"POST {noun} was answered {answer.status}: {answer.body.decode()}")
        return int(msgspec.json.decode(answer.body)["id"])

    def create_campaign(self, postback_url: str) -> str:
        """Create a source with this postback URL, an offer and a campaign. Return the path of the campaign link, once it works."""
        parameters = [{"parameter": name, "placeholder": f"{{{name}}}"} for name in _PARAMETERS]
        source = self.create(
            "traffic-sources", {"name": "Source", "parameters": parameters, "postback_url": postback_url}
        )
        network = self.create("networks", {"name": "Network"})
        offer = self.create(
            "offers", {"name": "Offer", "network_id": network, "url": "https://offers.example.net/?sub={clickid}"}
        )
        shares = [{"offer_id": offer, "weight": 100}]
        body: dict[str, object] = {"key": "Ab12Cd", "name": "Bench", "source_id": source, "offers": shares}
        self.create("campaigns", body)
        wait_until(lambda: self.status("/c/Ab12Cd") == 302, 5, "the campaign link is not answered with 302")
        return "/c/Ab12Cd"

    def clicks_settled(self) -> bool:
        """Return whether no journal segment of clicks is waiting."""
        return not any(path.suffix for path in (self.folder / "journal" / "clicks").glob("*/*"))

    def _answers(self) -> bool:
        try:
            core = read_core_address(self.folder)
            answer = call_core(self.folder, "GET", "/api/v1/campaigns?limit=1")
        except NotRunningError:
            return False
        return answer.status == 200 and bool(urlsplit(core.url).port) and self.status("/health") == 200

    def status(self, path: str) -> int:
        """Return the status of a response to a GET; 0 if there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()


class Browser:
    """A keep-alive connection. Parses only what a bench needs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> "Browser":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, target: str) -> tuple[int, bytes]:
        """Send a GET. Return the response's status and head once all of it has arrived."""
        self._writer.write(
            f"GET {target} HTTP/1.1\r\nHost: track.example.com\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n\r\n".encode()
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        await self._reader.readexactly(length)
        return int(head[9:12]), head

    def close(self) -> None:
        self._writer.close()
