"""Adding clicks from journal files to the facts in DuckDB, with what settling judged about them."""

from collections.abc import Collection, Sequence
from pathlib import Path

import duckdb

from clickloop.store.facts.duckdb.columns import insert_of_clicks
from clickloop.store.facts.duckdb.loading.seen_visitors import insert_seen
from clickloop.store.facts.judgements import Judgements

MAX_CLICK_LINE_BYTES = 1024 * 1024  # limit of the engine's reader; our lines have a few hundred bytes
_ESCAPED = str.maketrans({letter: f"[{letter}]" for letter in "*?["})

_INSERT = insert_of_clicks(judged=False)
_INSERT_JUDGED = insert_of_clicks(judged=True)


def insert_clicks(
    writer: duckdb.DuckDBPyConnection, files: Sequence[Path], segments: Collection[str], judgements: Judgements
) -> int:
    """Add the clicks of files, and the visitors seen in these segments. Return the number of clicks. Call it in a transaction."""
    # The engine treats names as glob patterns: a folder with [ or * in its name would match other files or none.
    names = [str(path).translate(_ESCAPED) for path in files]
    parameters: dict[str, object] = {"files": names, "max_bytes": MAX_CLICK_LINE_BYTES}
    if judgements.clicks:
        parameters |= {
            "ids": [one.click_id for one in judgements.clicks],
            "uniques": [one.unique for one in judgements.clicks],
            "marks": [one.marks for one in judgements.clicks],
        }
    row = writer.execute(_INSERT_JUDGED if judgements.clicks else _INSERT, parameters).fetchone()
    # In the same transaction: after a kill before the commit, the same clicks are judged again, by the same visitors.
    insert_seen(writer, [one for segment, one in judgements.seen if segment in segments])
    return int(row[0]) if row else 0
