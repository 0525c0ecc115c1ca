"""Drafts on disk: conversions that a preview would have registered, so that a preview of any length needs little memory."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from clickloop.conversion.conversion import Conversion

_CHUNK = 200
"""Identities in one statement."""
_encode = msgspec.json.Encoder().encode
_conversion = msgspec.json.Decoder(Conversion)


class DiskDrafts:
    """Conversions by click id and txid in a file of their own, empty at first, removed at the end. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        # Of a process that was killed: without a journal the file may be half written.
        path.unlink(missing_ok=True)
        self._path = path
        self._kept = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # Drafts are thrown away at the end and after a crash: they need no safety, and it would cost most of the time.
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -4096"):
            self._kept.execute(statement)
        self._kept.execute(
            "CREATE TABLE drafts (click_id TEXT, txid TEXT, conversion BLOB, PRIMARY KEY (click_id, txid)) WITHOUT ROWID"
        )

    def conversions_of(self, identities: Sequence[tuple[str, str]]) -> list[Conversion]:
        """Those of these pairs of click id and txid."""
        found: list[Conversion] = []
        for start in range(0, len(identities), _CHUNK):
            chunk = identities[start : start + _CHUNK]
            pairs = ",".join(["(?, ?)"] * len(chunk))
            query = f"SELECT conversion FROM drafts WHERE (click_id, txid) IN (VALUES {pairs})"  # noqa: S608 – names are ours
            rows = self._kept.execute(query, [text for pair in chunk for text in pair])
            found += [_conversion.decode(octets) for (octets,) in rows]
        return found

    def clicks_among(self, click_ids: Sequence[str]) -> set[str]:
        """Those of the click ids that have a conversion here."""
        found: set[str] = set()
        for start in range(0, len(click_ids), _CHUNK):
            chunk = click_ids[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT DISTINCT click_id FROM drafts WHERE click_id IN ({marks})"  # noqa: S608 – names are ours, values are bound
            found.update(click_id for (click_id,) in self._kept.execute(query, list(chunk)))
        return found

    def keep(self, conversions: Iterable[Conversion]) -> None:
        """Takes conversions over, in the place of those of the same click id and txid."""
        rows = [(conversion.click.click_id, conversion.txid, _encode(conversion)) for conversion in conversions]
        self._kept.execute("BEGIN")
        self._kept.executemany("INSERT OR REPLACE INTO drafts VALUES (?, ?, ?)", rows)
        self._kept.execute("COMMIT")

    def close(self) -> None:
        """Ends it and removes the file."""
        self._kept.close()
        self._path.unlink(missing_ok=True)
