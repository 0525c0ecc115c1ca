"""The corpus of hosts that the address guard is tested with: ``addresses.txt``."""

from pathlib import Path
from typing import NamedTuple

from clickloop.postback.sending.address_ranges import packed_address
from clickloop.postback.sending.target import Target, target_of

PATH = Path(__file__).parent / "addresses.txt"
ALLOWED = "allowed"
UNREADABLE = "unreadable"
SERVICE_PORT = "service_port"


class Row(NamedTuple):
    """A host with an optional port as in a URL, and what the guard has to say of it."""

    authority: str
    verdict: str

    @property
    def url(self) -> str:
        """A URL that leads there."""
        return f"http://{self.authority}/pb"

    @property
    def address(self) -> str | None:
        """The address in usual notation that the host is; None where it is a name, or nothing."""
        target = target_of(self.url)
        return target.host if isinstance(target, Target) and packed_address(target.host) else None


def read_corpus() -> list[Row]:
    """All rows, in their order."""
    lines = [line for line in PATH.read_text("ascii").splitlines() if line and not line.startswith("#")]
    pairs = [line.split() for line in lines]
    return [Row(text.encode().decode("unicode_escape"), verdict) for text, verdict in pairs]
