"""The corpus of hosts for tests of the address guard: ``addresses.txt``."""

from pathlib import Path
from typing import NamedTuple

from clickloop.postback.sending.address_ranges import packed_address
from clickloop.postback.sending.target import RequestTarget, target_of

PATH = Path(__file__).parent / "addresses.txt"
ALLOWED = "allowed"
UNREADABLE = "unreadable"
SERVICE_PORT = "service_port"


class Row(NamedTuple):
    """A host with an optional port as in a URL, and the guard's expected verdict."""

    authority: str
    verdict: str

    @property
    def url(self) -> str:
        """Return a URL of the host."""
        return f"http://{self.authority}/pb"

    @property
    def address(self) -> str | None:
        """Return the host as an address in the usual notation; None if it is a name or invalid."""
        target = target_of(self.url)
        return target.host if isinstance(target, RequestTarget) and packed_address(target.host) else None


def read_corpus() -> list[Row]:
    """Return all rows in order."""
    lines = [line for line in PATH.read_text("ascii").splitlines() if line and not line.startswith("#")]
    pairs = [line.split() for line in lines]
    return [Row(text.encode().decode("unicode_escape"), verdict) for text, verdict in pairs]
