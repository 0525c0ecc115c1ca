"""The whole product behind nginx, configured as the how-to says: whose address counts, and that no visitor can take it out of service."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journey.running import Answer, Campaign, Connection, Tracker, eventually, free_port, link_of, running

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "reverse-proxy.md"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
VISITOR = "127.0.0.77"
"""An address from which visitors come that is no proxy."""


class Nginx:
    """nginx before a tracker as documented, without certificates; and without the two lines that spare the tracker a bad request."""

    def __init__(self, folder: Path, tracker: Tracker) -> None:
        self.port, self.panel_port = free_port(), free_port()
        folder.mkdir()
        (found,) = re.findall(r"```nginx\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
        text = re.sub(r"\n *ssl_\w+ [^\n]+", "", found)
        for documented, here in (
            ("127.0.0.1:8080", f"127.0.0.1:{tracker.port}"),
            ("127.0.0.1:8081", f"127.0.0.1:{tracker.api_port}"),
        ):
            assert documented in text
            text = text.replace(f"server {documented} max_fails=0;", f"server {here};\n" * 2)
        text = text.replace("client_max_body_size 256k;", "client_max_body_size 2m;")
        for port in (self.port, self.panel_port):
            text = text.replace("listen 443 ssl http2;", f"listen 127.0.0.1:{port};", 1)
        paths = "".join(
            f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n"
        )
        command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        self.process = subprocess.Popen(command)

    def answers(self) -> bool:
        """Return whether it listens."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            return False
        return True

    def ask(self, method: str, target: str | bytes, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """Send one request to the public port."""
        with Connection(self.port) as connection:
            return connection.ask(method, target, headers, body)


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tracker, Nginx, Campaign]]:
    assert NGINX is not None, "nginx is missing: tools/system_packages nginx installs it"
    folder = tmp_path_factory.mktemp("behind")
    with running(folder / "data", trusted_proxies="127.0.0.1,::1") as tracker:
        nginx = Nginx(folder / "nginx", tracker)
        try:
            eventually(nginx.answers)
            yield tracker, nginx, tracker.set_up("http://127.0.0.1:9999/?e={externalid}")
        finally:
            nginx.process.terminate()
            nginx.process.wait(60)


def test_the_address_that_nginx_saw_counts_and_no_forged_header(behind: tuple[Tracker, Nginx, Campaign]) -> None:
    tracker, nginx, campaign = behind
    forged = (
        b"GET %b HTTP/1.1\r\nHost: go.example\r\nX-Forwarded-For: 192.0.2.1, 127.0.0.1\r\n"
        b"X-Forwarded-Host: evil.example\r\nForwarded: for=192.0.2.1\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", nginx.port), 20, (VISITOR, 0)) as visitor:
        visitor.sendall(forged % link_of(campaign.key, "external_id=forged"))
        assert visitor.recv(65_536).startswith(b"HTTP/1.1 302")
    eventually(lambda: tracker.all_of("clicks", external_id="forged"))
    (click,) = tracker.all_of("clicks", external_id="forged")
    assert (click["ip"], click["domain"]) == (VISITOR, "go.example")


@pytest.mark.parametrize(
    ("headers", "size", "status"),
    [({}, 900_000, 413), ({"Referer": "\x01"}, 200_000, 400), ({"Content-Encoding": "br"}, 200_000, 415)],
)
def test_no_refused_request_takes_the_tracker_out_of_service(
    behind: tuple[Tracker, Nginx, Campaign], headers: dict[str, str], size: int, status: int
) -> None:
    _, nginx, campaign = behind
    for _ in range(3):
        assert nginx.ask("POST", "/postback", {**headers, "Connection": "close"}, b"x" * size).status == status
    assert nginx.ask("GET", link_of(campaign.key)).status == 302


def test_a_long_address_of_an_offer_passes(behind: tuple[Tracker, Nginx, Campaign]) -> None:
    _, nginx, campaign = behind
    answer = nginx.ask("GET", link_of(campaign.key, "zone=" + "%C3%A9" * 1000))
    assert answer.status == 302
    assert "%C3%A9" * 1000 in answer.headers["location"]
