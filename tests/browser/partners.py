"""The partners of the story as real servers on loopback: a network whose shop has a thank-you page with our pixel in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit


class Network:
    """An offer page that links to a shop's thank-you page; ``pixel_code`` is what the user has pasted into that."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pixel_code = ""
        self.click_ids: list[str] = []
        """Our click ids in the order in which visitors came."""


@contextmanager
def network() -> Iterator[Network]:
    """A network while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/click":
                made.click_ids.append(parse_qs(url.query)["sub1"][0])
                page = "<title>The offer</title><h1>The offer</h1><a href='/thanks'>Buy</a>"
            else:
                page = f"<title>Thanks</title><h1>Thanks</h1>{made.pixel_code}"
            octets = page.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

        def log_message(self, *args: object) -> None:
            """Is silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Network(f"http://127.0.0.1:{server.server_address[1]}")
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
