"""Correcting the marks of clicks in DuckDB: further rows, and what is loaded later. Call the functions in a transaction."""

from collections.abc import Sequence
from typing import NamedTuple

import duckdb

from clickloop.click.marks.mark_correction import MarkChange
from clickloop.setup.mark import marks_of, marks_text
from clickloop.store.facts.duckdb.columns import ALL_COLUMNS, quoted
from clickloop.store.facts.duckdb.marks.corrected import CORRECTED, CORRECTED_MARKS

ADDED_UP = frozenset(
    {
        *("clicks", "cost_micros", "conversions", "revenue_micros", "pending_micros", "rejected_micros"),
        *(
            "landing_views",
            "landing_clicks",
            "offer_visits",
            "events",
            "event_micros",
            "entry_micros",
            "beneath_micros",
        ),
    }
)
LEFT_OUT = frozenset(
    {
        # Long or found by, and nothing that reports group by.
        *("click_id", "external_id", "target", "ip", "useragent", "draw", "failed_conditions", "hops"),
        *("query", "seen", "routing_state", "flags", "conversion_id", "txid", "event_id", "found_by", "recorded_at"),
        "loaded_ms",
    }
)
_OWN = {
    "kind": "'mark'",
    "of_click_id": "changed_id",
    "marks": "nullif(CASE WHEN sign < 0 THEN marks_before ELSE marks_after END, '')",
    "correction": "sign",
}
_COPIED = [column.name for column in ALL_COLUMNS if column.name not in LEFT_OUT]
_CHANGED = (
    "(SELECT unnest($ids::VARCHAR[]) AS changed_id, unnest($before::VARCHAR[]) AS marks_before, "
    "unnest($after::VARCHAR[]) AS marks_after)"
)


def _insert(key: str) -> str:
    """Return the INSERT of two rows for each row that belongs to a changed click by a column."""
    values = [
        _OWN.get(name) or (f"sign * {quoted(name)}" if name in ADDED_UP else f"facts.{quoted(name)}")
        for name in _COPIED
    ]
    return (
        f"INSERT INTO facts ({', '.join(map(quoted, _COPIED))}) SELECT {', '.join(values)} FROM facts "  # noqa: S608 – names are ours
        f"JOIN {_CHANGED} AS changed ON facts.{key} = changed_id CROSS JOIN (SELECT unnest([-1, 1]) AS sign) AS signs "
        f"WHERE facts.correction IS NULL AND facts.{key} BETWEEN $first AND $last"
    )


_CORRECT_CLICKS = _insert("click_id")
_CORRECT_THE_REST = _insert("of_click_id")
_MARKS = (
    f"SELECT click_id, coalesce({CORRECTED_MARKS}, '') FROM facts LEFT JOIN {CORRECTED} AS corrected ON click_id = corrected_id "  # noqa: S608
    "WHERE click_id = ANY($ids) AND click_id BETWEEN $first AND $last"
)
# Also those of clicks that retention has deleted, whose conversions stay.
_CORRECTED_MARKS = (
    "SELECT click_id, marks FROM corrected_clicks WHERE click_id = ANY($ids) AND click_id BETWEEN $first AND $last"
)
_FORGET_CORRECTED = "DELETE FROM corrected_clicks WHERE click_id = ANY($ids) AND click_id BETWEEN $first AND $last"
_REMEMBER_CORRECTED = "INSERT INTO corrected_clicks SELECT unnest($ids::VARCHAR[]), unnest($after::VARCHAR[])"
_REMEMBER_CHANGES = (
    "INSERT INTO mark_changes SELECT $job_id, $number, unnest($ids::VARCHAR[]), unnest($before::VARCHAR[]), "
    "unnest($after::VARCHAR[]), $now"
)
_CHANGES = "SELECT click_id, marks_before, marks_after FROM mark_changes WHERE job_id = $job_id AND batch = $number"


class Correction(NamedTuple):
    """The marks of a click before and after."""

    click_id: str
    before: str
    after: str


def correct(writer: duckdb.DuckDBPyConnection, changes: Sequence[MarkChange]) -> tuple[list[Correction], int]:
    """Change marks, starting from those that the clicks have now. Return the corrections and the number of rows added.

    Clicks that are unknown, or have the wanted marks already, are left alone.
    """
    current = _current(writer, [change.click_id for change in changes])
    corrections = [
        Correction(change.click_id, before, after)
        for change in changes
        if (before := current.get(change.click_id)) is not None
        and (after := marks_text(marks_of(before) - marks_of(change.lost) | marks_of(change.gained))) != before
    ]
    return corrections, _write(writer, corrections)


def remember(
    writer: duckdb.DuckDBPyConnection, corrections: Sequence[Correction], job_id: str, number: int, now_ms: int
) -> None:
    """Remember corrections, so that they can be shown and undone."""
    if corrections:
        writer.execute(
            _REMEMBER_CHANGES,
            {
                "job_id": job_id,
                "number": number,
                "ids": [correction.click_id for correction in corrections],
                "before": [correction.before for correction in corrections],
                "after": [correction.after for correction in corrections],
                "now": now_ms,
            },
        )


def undo(writer: duckdb.DuckDBPyConnection, job_id: str, number: int) -> int:
    """Take back a batch of corrections and forget it. Return the number of rows added."""
    which = {"job_id": job_id, "number": number}
    changes = [
        MarkChange(
            click_id,
            gained=marks_text(marks_of(before) - marks_of(after)),
            lost=marks_text(marks_of(after) - marks_of(before)),
        )
        for click_id, before, after in writer.execute(_CHANGES, which).fetchall()
    ]
    _, rows = correct(writer, changes)
    writer.execute("DELETE FROM mark_changes WHERE job_id = $job_id AND batch = $number", which)
    writer.execute("DELETE FROM mark_batches WHERE job_id = $job_id AND batch = $number", which)
    return rows


def _current(writer: duckdb.DuckDBPyConnection, click_ids: Sequence[str]) -> dict[str, str]:
    if not click_ids:
        return {}
    ids = {"ids": list(click_ids), "first": min(click_ids), "last": max(click_ids)}
    corrected: dict[str, str] = dict(writer.execute(_CORRECTED_MARKS, ids).fetchall())
    found: dict[str, str] = dict(writer.execute(_MARKS, ids).fetchall())
    return corrected | found


def _write(writer: duckdb.DuckDBPyConnection, corrections: Sequence[Correction]) -> int:
    """Add the rows of corrections, and remember the clicks' new marks for what is loaded later."""
    if not corrections:
        return 0
    click_ids = [correction.click_id for correction in corrections]
    ids: dict[str, object] = {"ids": click_ids, "first": min(click_ids), "last": max(click_ids)}
    before = {"before": [correction.before for correction in corrections]}
    after = {"after": [correction.after for correction in corrections]}
    rows = 0
    for statement in (_CORRECT_CLICKS, _CORRECT_THE_REST):
        added = writer.execute(statement, ids | before | after).fetchone()
        rows += int(added[0]) if added else 0
    writer.execute(_FORGET_CORRECTED, ids)
    # Also of a click that is back at the marks it was counted with: its conversions in the ledger may have others.
    writer.execute(_REMEMBER_CORRECTED, {"ids": click_ids} | after)
    return rows


def forget_deleted(writer: duckdb.DuckDBPyConnection, before_click_id: str) -> None:
    """Forget the corrections of clicks before an id that have no rows any more."""
    oldest = writer.execute("SELECT min(click_id) FROM corrected_clicks").fetchone()
    if oldest is None or oldest[0] is None or oldest[0] >= before_click_id:
        return
    for table in ("mark_changes", "corrected_clicks"):
        writer.execute(
            f"DELETE FROM {table} WHERE click_id < $before AND click_id NOT IN ("  # noqa: S608 – two names of ours
            "SELECT click_id FROM facts WHERE click_id < $before "
            "UNION SELECT of_click_id FROM facts WHERE correction IS NULL AND of_click_id < $before)",
            {"before": before_click_id},
        )
