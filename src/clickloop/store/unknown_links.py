"""Requests that lead nowhere: unknown links under ``/c/``, and landing clicks without a click id.

Each edge counts them and writes the counts to ``<data>/run``, where the core reads them.
"""

import re
from pathlib import Path

import msgspec

from clickloop.machine.replacing_file import replace_file

MAX_KEYS = 20
"""Number of distinct keys to remember, the latest ones."""
MAX_KEY = 32  # strangers choose it; ours have six characters
WRITE_EVERY_MS = 5_000  # a crash loses as much, which is fine for a hint

_KEY = re.compile(rb"[A-Za-z0-9_-]*")  # one run from the start: linear


class UnknownLink(msgspec.Struct, frozen=True):
    """A key that no campaign has, up to its first character other than letters, digits, ``_`` and ``-``."""

    key: str
    count: int
    last_at: int


class UnknownLinks(msgspec.Struct, frozen=True):
    """The number of requests for unknown links since ``since`` (Unix milliseconds), and the latest keys, newest first.

    ``lost_landing_clicks``: requests for ``/click`` without a click id.
    """

    total: int = 0
    since: int = 0
    latest: tuple[UnknownLink, ...] = ()
    lost_landing_clicks: int = 0


_decode = msgspec.json.Decoder(UnknownLinks).decode


class UnknownLinkCounter:
    """The counter of an edge process. Costs a dictionary lookup per unknown link, and at most one small write in five seconds."""

    def __init__(self, folder: Path, edge: str, now_ms: int) -> None:
        self._path = folder / "run" / f"unknown-links.{edge}.json"
        before = _read(self._path)
        self._since = before.since or now_ms
        self._total = before.total
        self._lost_landing_clicks = before.lost_landing_clicks
        self._latest = {link.key: link for link in reversed(before.latest)}
        self._changed = False
        self._written_at = 0

    def note(self, path: bytes, now_ms: int) -> None:
        """Count a request for ``path``, the part after ``/c/``."""
        match = _KEY.match(path.lstrip(b"/"), 0, MAX_KEY + 100)
        key = match[0][:MAX_KEY].decode("ascii") if match else ""
        known = self._latest.pop(key, None)  # popped, so that it moves to the end
        if known is None and len(self._latest) >= MAX_KEYS:
            del self._latest[next(iter(self._latest))]
        self._latest[key] = UnknownLink(key, known.count + 1 if known else 1, now_ms)
        self._total += 1
        self._changed = True

    def note_lost_landing_click(self) -> None:
        """Count a landing click without a click id."""
        self._lost_landing_clicks += 1
        self._changed = True

    def write(self, now_ms: int, *, at_once: bool = False) -> None:
        """Write the counts if they have changed and the last write is long enough ago. Raise OSError."""
        if not self._changed or not (at_once or abs(now_ms - self._written_at) >= WRITE_EVERY_MS):
            return
        self._written_at = now_ms  # before the write: a full disk should not be tried again every second
        links = UnknownLinks(
            self._total, self._since, tuple(reversed(self._latest.values())), self._lost_landing_clicks
        )
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        replace_file(self._path, msgspec.json.encode(links), durable=False)
        self._changed = False


def read_unknown_links(folder: Path) -> UnknownLinks:
    """Return the sum of all edges' counts, with the latest ``MAX_KEYS`` keys."""
    total, since, lost_landing_clicks = 0, 0, 0
    latest: dict[str, UnknownLink] = {}
    # Sorted for a stable order of keys with the same time.
    for path in sorted((folder / "run").glob("unknown-links.*.json")):
        links = _read(path)
        total += links.total
        lost_landing_clicks += links.lost_landing_clicks
        since = min(since or links.since, links.since) if links.total or links.lost_landing_clicks else since
        for link in links.latest:
            known = latest.get(link.key)
            latest[link.key] = (
                UnknownLink(link.key, known.count + link.count, max(known.last_at, link.last_at)) if known else link
            )
    newest = sorted(latest.values(), key=lambda link: link.last_at, reverse=True)
    return UnknownLinks(total, since, tuple(newest[:MAX_KEYS]), lost_landing_clicks)


def _read(path: Path) -> UnknownLinks:
    """Return the contents of a file; empty if it is missing or damaged, since counts are only hints for the user."""
    try:
        return _decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return UnknownLinks()
