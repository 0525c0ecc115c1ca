"""Several sites in front of one real browser: the tracker, behind a proxy that ends TLS, and pages of other sites."""

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

from playwright.sync_api import Page, sync_playwright

from tests.edge.edge_running import EdgeProcess

TRACKER = "go.example"
THIRD_PARTY, ALL, NONE = "third party", "all", "none"
"""Cookies that a browser blocks."""


class Front:
    """One listening port of the proxy. ``pages``: contents of other sites' pages, by host and path."""

    def __init__(self, edge: EdgeProcess, certificate: Path | None) -> None:
        self.pages: dict[str, str] = {}
        self.blocked: set[str] = set()
        """Paths of the tracker that something between it and the browser blocks."""
        front, scheme = self, "https" if certificate else "http"

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if not self.headers["Host"].startswith(TRACKER):
                    self.show_page()
                elif self.path.partition("?")[0] in front.blocked:
                    self.send_error(403)
                else:
                    self.pass_on()

            def do_POST(self) -> None:
                self.do_GET()

            def do_OPTIONS(self) -> None:
                self.do_GET()

            def pass_on(self) -> None:
                upstream = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {**self.headers, "X-Forwarded-Proto": scheme, "Connection": "close"}
                upstream.request(self.command, self.path, body, headers)
                answer = upstream.getresponse()
                body = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() != "connection":
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                upstream.close()

            def show_page(self) -> None:
                page = front.pages.get(f"{self.headers['Host']}{self.path.partition('?')[0]}", "<title>A page</title>")
                body = f"<!doctype html><meta charset=utf-8><link rel=icon href='data:,'>{page}".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Is silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
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


def self_made_certificate(folder: Path) -> Path:
    """Return a certificate with its key, as one file."""
    path = folder / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={TRACKER}"]
    subprocess.run([*command, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@contextmanager
def both_fronts(edge: EdgeProcess, certificate: Path) -> Iterator[dict[str, Front]]:
    """The proxy's ports by scheme."""
    made = {"https": Front(edge, certificate), "http": Front(edge, None)}
    try:
        yield made
    finally:
        for front in made.values():
            front.close()


@contextmanager
def visiting(profile: Path, fronts: dict[str, Front], blocks: str, *, javascript: bool = True) -> Iterator[Page]:
    """A browser with a fresh profile, for which every host is the proxy."""
    (profile / "Default").mkdir(parents=True)
    preferences: dict[str, object] = {
        "cookie_controls_mode": 0 if blocks == NONE else 1,
        "block_third_party_cookies": blocks != NONE,
    }
    if blocks == ALL:
        preferences["default_content_setting_values"] = {"cookies": 2}
    (profile / "Default" / "Preferences").write_text(json.dumps({"profile": preferences}))
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
            java_script_enabled=javascript,
        )
        try:
            yield context.new_page()
        finally:
            context.close()
