"""The pixel on a page of another site than the tracker's, in a real browser: which cookie reaches us, and what the code does without.

A small server stands in front of an edge as a proxy that ends TLS; beside the tracker's host it serves the shop's pages.
"""

import http.client
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Page, sync_playwright

from clickloop.conversion.notice import Notice, read_notice
from clickloop.setup.network import Network, pixel_code
from tests.edge.edge_running import EdgeProcess, started
from tests.journey.running import eventually

pytestmark = pytest.mark.journey

TRACKER, SHOP = "go.example", "network.example"
"""Two sites; the shop is where the offers of the edge's campaign lead."""
NETWORK = Network(name="N", postback_parameters={"cid": "{sub1}", "payout": "{payout}"})
ALLOWED, BLOCKED = True, False


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProcess]:
    """An edge behind a proxy that says whether the visitor came over https."""
    yield from started(EdgeProcess(tmp_path_factory.mktemp("edge") / "data", trusted_proxies="127.0.0.0/8"))


class Front:
    """One listening port of the proxy. ``page`` is what the shop's thank-you page holds."""

    def __init__(self, edge: EdgeProcess, certificate: Path | None) -> None:
        self.page = ""
        front, scheme = self, "https" if certificate else "http"

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.headers["Host"].startswith(TRACKER):
                    self.pass_on()
                else:
                    self.show_shop()

            def pass_on(self) -> None:
                upstream = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
                upstream.request("GET", self.path, headers={**self.headers, "X-Forwarded-Proto": scheme})
                answer = upstream.getresponse()
                body = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                upstream.close()

            def show_shop(self) -> None:
                body = f"<!doctype html><title>Thanks</title>{front.page if self.path == '/thanks' else ''}".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Is silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-made certificate with its key, as one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={TRACKER}"]
    subprocess.run([*command, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture(scope="module")
def fronts(edge: EdgeProcess, certificate: Path) -> Iterator[dict[str, Front]]:
    """The proxy's ports by scheme."""
    made = {"https": Front(edge, certificate), "http": Front(edge, None)}
    yield made
    for front in made.values():
        front.close()


@contextmanager
def visiting(profile: Path, fronts: dict[str, Front], third_party_cookies: bool) -> Iterator[Page]:
    """A browser with a fresh profile, for which every host is the proxy."""
    (profile / "Default").mkdir(parents=True)
    cookies = {
        "cookie_controls_mode": 0 if third_party_cookies else 1,
        "block_third_party_cookies": not third_party_cookies,
    }
    (profile / "Default" / "Preferences").write_text(json.dumps({"profile": cookies}))
    rules = f"MAP *:443 127.0.0.1:{fronts['https'].port}, MAP *:80 127.0.0.1:{fronts['http'].port}"
    arguments = [f"--host-resolver-rules={rules}", "--ignore-certificate-errors"]
    path = shutil.which("chromium")
    assert path is not None, "chromium is missing: tools/system_packages chromium installs it"
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=path,
            args=arguments + (["--no-sandbox"] if os.geteuid() == 0 else []),
            ignore_https_errors=True,
        )
        try:
            yield context.new_page()
        finally:
            context.close()


def convert(page: Page, edge: EdgeProcess, front: Front, scheme: str, cid: str) -> tuple[str, Notice]:
    """A visitor follows the campaign link and reaches the thank-you page; returns the click id and what the pixel brought.

    ``cid`` is what the page puts in place of the network's macro.
    """
    page.goto(f"{scheme}://{TRACKER}/c/aB3xY9?external_id=x")
    click_id = page.evaluate("new URL(location).searchParams.get('sub1')")
    code = pixel_code(f"{scheme}://{TRACKER}", NETWORK).replace("{payout}", "4")
    front.page = code.replace("{sub1}", click_id if cid == "known" else cid)
    known = {raw.notice_id for raw in edge.notices()}
    page.goto(f"{scheme}://{SHOP}/thanks")
    eventually(lambda: len(edge.notices()) > len(known))
    (arrived,) = (raw for raw in edge.notices() if raw.notice_id not in known)
    return click_id, read_notice(arrived)


@pytest.mark.parametrize("cid", ["", "{sub1}"])
def test_over_https_the_cookie_reaches_us_from_another_sites_page_where_the_browser_allows_it(
    edge: EdgeProcess, fronts: dict[str, Front], tmp_path: Path, cid: str
) -> None:
    with visiting(tmp_path / "profile", fronts, ALLOWED) as page:
        click_id, notice = convert(page, edge, fronts["https"], "https", cid)
    assert (notice.click_id_text, notice.payout_text) == (click_id, "4")


def test_where_the_browser_blocks_the_cookie_the_codes_click_id_does_it(
    edge: EdgeProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    with visiting(tmp_path / "profile", fronts, BLOCKED) as page:
        _, without = convert(page, edge, fronts["https"], "https", "")
        click_id, notice = convert(page, edge, fronts["https"], "https", "known")
    assert (without.click_id_text, notice.click_id_text) == ("", click_id)


def test_over_plain_http_no_cookie_comes_from_another_sites_page(
    edge: EdgeProcess, fronts: dict[str, Front], tmp_path: Path
) -> None:
    with visiting(tmp_path / "profile", fronts, ALLOWED) as page:
        _, without = convert(page, edge, fronts["http"], "http", "")
        click_id, notice = convert(page, edge, fronts["http"], "http", "known")
    assert (without.click_id_text, notice.click_id_text) == ("", click_id)
