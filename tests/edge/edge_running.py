"""A real edge process on a data folder, without a core, and the contents of its journal."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from clickloop.click.click import Click
from clickloop.click_id import KEY_FILE
from clickloop.config import Settings
from clickloop.conversion.notice import RawNotice
from clickloop.setup.catalog import (
    Catalog,
    CatalogCampaign,
    CatalogOffer,
    CatalogRow,
    write_catalog,
)
from clickloop.setup.instance import InstanceSettings
from tests.flows import flow_in_catalog
from tests.journey.running import Answer, Connection, eventually

KEY = b"k" * 32
ROWS = (CatalogRow(-1, "external_id"), CatalogRow(0, "cost"), CatalogRow(1, "zone"))
OFFER = "https://network.example/o?sub1={clickid}&z={zone}&x={externalid}"
CAMPAIGN = CatalogCampaign(
    id=7,
    key="aB3xY9",
    name="Campaign",
    source_id=3,
    source_name="Source",
    active=True,
    domain="",
    fallback_url="",
    cost_micros=None,
    cost_currency="",
    rows=ROWS,
    flow_id=9,
)


class EdgeProcess:
    """An edge process with only a data folder: no core, no ledger, no facts."""

    def __init__(self, folder: Path, both_families: bool = False, **settings: Any) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / KEY_FILE).write_bytes(KEY)
        if both_families:
            listening = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        else:
            listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = listening.getsockname()[1]
        self.publish(own_hosts=("go.example",))
        encoded = msgspec.json.encode(Settings(data=str(folder), listen=f"127.0.0.1:{self.port}", **settings)).decode()
        command = [sys.executable, "-m", "clickloop.edge.process", encoded, "1", str(listening.fileno())]
        self.process = subprocess.Popen(command, pass_fds=[listening.fileno()], stderr=subprocess.DEVNULL)
        listening.close()

    def publish(
        self, own_hosts: tuple[str, ...] = (), instance: InstanceSettings | None = None, **changes: Any
    ) -> None:
        """Publish campaigns: active, paused, paused with a fallback, without offers, and one that leads to itself."""
        variants: dict[str, dict[str, Any]] = {
            "aB3xY9": {},
            "paused": {"active": False},
            "fallbk": {"active": False, "fallback_url": "https://fallback.example/?c={campaign.name}"},
            "nofers": {"flow_id": 0, "fallback_url": "https://fallback.example/"},
            "myself": {"flow_id": 10, "fallback_url": "https://fallback.example/"},
        }
        campaigns = tuple(
            msgspec.structs.replace(CAMPAIGN, key=key, **changes | variant) for key, variant in variants.items()
        )
        offers = (
            CatalogOffer(1, "Offer", OFFER, 5, "Network"),
            CatalogOffer(2, "Ourselves", "https://go.example/c/aB3xY9", 5, "Network"),
        )
        flows = (flow_in_catalog((1, 100)), flow_in_catalog((2, 1), flow_id=10))
        write_catalog(self.folder, Catalog(campaigns, offers, own_hosts, instance, flows=flows))

    def ask(self, method: str, target: str | bytes, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """Send a request on a new connection."""
        with Connection(self.port) as connection:
            return connection.ask(method, target, headers, body)

    def visit(self, query: str | bytes = b"", key: str = "aB3xY9", **more: Any) -> Click:
        """Follow a campaign link and return the recorded click."""
        raw_query = query.encode() if isinstance(query, str) else query
        answer = self.ask(more.pop("method", "GET"), f"/c/{key}?".encode() + raw_query, more.pop("headers", None))
        assert answer.status == 302, answer
        return self.click(cookie_of(answer))

    def click(self, click_id: str) -> Click:
        """Return the click in the journal, which must be there as soon as the visitor is redirected."""
        (line,) = [line for line in self._lines("clicks") if click_id.encode() in line]
        return msgspec.json.decode(line, type=Click)

    def clicks(self) -> int:
        """Return the number of clicks in the journal."""
        return len(self._lines("clicks"))

    def notices(self) -> list[RawNotice]:
        """Return all notices in the journal, from two writers' segments, in order of arrival."""
        notices = (msgspec.json.decode(line, type=RawNotice) for line in self._lines("notices"))
        return sorted(notices, key=lambda notice: notice.notice_id)

    def _lines(self, stream: str) -> list[bytes]:
        paths = sorted((self.folder / "journal" / stream).glob("*/0*"))
        lines = [line for path in paths for line in _contents(path).splitlines()]
        return [line for line in lines if not line.startswith(b'{"segment":')]

    def close(self) -> None:
        """Stop it."""
        self.process.kill()
        self.process.wait(60)


def _contents(path: Path) -> bytes:
    """Return what a segment contains. The edge may close it meanwhile, which changes its name."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return path.with_suffix(".ndjson").read_bytes()


def cookie_of(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0].removeprefix("clickloop=")


def started(edge: EdgeProcess) -> Iterator[EdgeProcess]:
    try:
        eventually(lambda: edge.ask("GET", "/health").status == 200)
        yield edge
    finally:
        edge.close()
