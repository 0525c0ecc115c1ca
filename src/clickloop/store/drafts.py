"""Drafts on disk: conversions that a preview would have registered. On disk, a preview of any length needs little memory."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from clickloop.conversion.conversion import Conversion

_CHUNK = 200
"""Identities per statement."""
_encode = msgspec.json.Encoder().encode
_conversion = msgspec.json.Decoder(Conversion)


class DiskDrafts:
    """Conversions by click id and txid in a temporary database. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        # A killed process may have left a half-written file.
        path.unlink(missing_ok=True)
        self._path = path
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # Drafts are thrown away at the end and after a crash: durability would take most of the time for nothing.
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -4096"):
            self._database.execute(statement)
        self._database.execute(
            "CREATE TABLE drafts (click_id TEXT, txid TEXT, conversion BLOB, PRIMARY KEY (click_id, txid)) WITHOUT ROWID"
        )

    def conversions_of(self, identities: Sequence[tuple[str, str]]) -> list[Conversion]:
        """Return the conversions with these pairs of click id and txid."""
        found: list[Conversion] = []
        for start in range(0, len(identities), _CHUNK):
            chunk = identities[start : start + _CHUNK]
            pairs = ",".join(["(?, ?)"] * len(chunk))
            query = f"SELECT conversion FROM drafts WHERE (click_id, txid) IN (VALUES {pairs})"  # noqa: S608 – names are ours
            rows = self._database.execute(query, [text for pair in chunk for text in pair])
            found += [_conversion.decode(data) for (data,) in rows]
        return found

    def clicks_among(self, click_ids: Sequence[str]) -> set[str]:
        """Return the click ids that have a conversion."""
        found: set[str] = set()
        for start in range(0, len(click_ids), _CHUNK):
            chunk = click_ids[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT DISTINCT click_id FROM drafts WHERE click_id IN ({marks})"  # noqa: S608 – names are ours, values are bound
            found.update(click_id for (click_id,) in self._database.execute(query, list(chunk)))
        return found

    def keep(self, conversions: Iterable[Conversion]) -> None:
        """Store conversions, replacing those with the same click id and txid."""
        rows = [(conversion.click.click_id, conversion.txid, _encode(conversion)) for conversion in conversions]
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR REPLACE INTO drafts VALUES (?, ?, ?)", rows)
        self._database.execute("COMMIT")

    def close(self) -> None:
        """Close the database and delete the file."""
        self._database.close()
        self._path.unlink(missing_ok=True)
