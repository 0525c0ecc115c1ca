"""The rows of entered cost in DuckDB: for each click, what an entry adds and what it takes back of what counted before.

Both are in one row if they are in one currency, since writing rows is what takes time. ``cost_micros`` is what reports add up;
``entry_micros`` is the part of ``cost_entry_id``, ``beneath_micros`` that of ``beneath_entry_id`` (0: the link or the campaign's cost
model). The dimensions are copied from the click's own row, with its marks of today.
"""

from collections.abc import Sequence

import duckdb

from clickloop.report.cost.segment import Spread
from clickloop.store.facts.duckdb.columns import ALL_COLUMNS, quoted
from clickloop.store.facts.duckdb.marks.corrected import CORRECTED_MARKS
from clickloop.store.facts.duckdb.marks.correcting import ADDED_UP, LEFT_OUT

_AMOUNTS = ("cost_micros", "cost_entry_id", "entry_micros", "beneath_entry_id", "beneath_micros")
_NEVER_COPIED = LEFT_OUT | ADDED_UP | {"correction", "button", "event_number", "currency", *_AMOUNTS}
_COPIED = [column.name for column in ALL_COLUMNS if column.name not in _NEVER_COPIED]
_OWN = {"kind": "'cost'", "marks": CORRECTED_MARKS, "of_click_id": "shown_id"}
_NAMES = ", ".join([*map(quoted, _COPIED), "currency", *_AMOUNTS])
_COPIES = ", ".join(_OWN.get(name, f"facts.{quoted(name)}") for name in _COPIED)
_CORRECTED = (
    "LEFT JOIN (SELECT click_id AS corrected_id, marks AS corrected_marks FROM corrected_clicks "
    "WHERE click_id BETWEEN $first AND $last) AS corrected ON shown_id = corrected_id"
)

# The clicks of a batch for which no spread of a higher rank is in effect, with the spread that counts beneath. Of several spreads in
# the batch that cover a click, the highest counts.
_SHOW = """
CREATE OR REPLACE TEMP TABLE cost_shown AS
WITH batch AS (
    SELECT click_id, max(share.rank) AS rank, arg_max(share.micros, share.rank) AS micros
    FROM cost_shares AS share WHERE share.rank = ANY($ranks::BIGINT[]) AND place > $above AND place <= $up_to GROUP BY click_id
), beneath AS (
    SELECT share.click_id, max(share.rank) AS beneath_rank, arg_max(share.micros, share.rank) AS beneath_share
    FROM cost_shares AS share JOIN cost_spreads AS spread USING (rank) SEMI JOIN batch ON share.click_id = batch.click_id
    WHERE NOT share.rank = ANY($ranks::BIGINT[]) AND share.place <= spread.active AND share.click_id BETWEEN $first AND $last
    GROUP BY share.click_id
)
SELECT batch.click_id AS shown_id, batch.micros AS share, own.entry_id AS shown_entry_id, own.currency AS shown_currency,
       beneath_rank, beneath_share, spread.entry_id AS beneath_id, spread.currency AS beneath_currency
FROM batch JOIN cost_spreads AS own ON own.rank = batch.rank
LEFT JOIN beneath ON batch.click_id = beneath.click_id
LEFT JOIN cost_spreads AS spread ON spread.rank = beneath_rank
WHERE beneath_rank IS NULL OR beneath_rank < batch.rank
"""
_BENEATH = (
    "CASE WHEN beneath_rank IS NULL "
    "THEN CASE WHEN facts.currency = shown_currency THEN coalesce(facts.cost_micros, 0) ELSE 0 END "
    "WHEN beneath_currency = shown_currency THEN beneath_share ELSE 0 END"
)
# The range in addition to the join: the engine skips row groups by ranges.
_OF_CLICKS = "facts.click_id BETWEEN $first AND $last AND kind = 'click'"
_ADD = f"""
INSERT INTO facts ({_NAMES})
SELECT {_COPIES}, shown_currency, $sign * (share - {_BENEATH}), shown_entry_id, $sign * share, coalesce(beneath_id, 0),
       -$sign * ({_BENEATH})
FROM facts JOIN cost_shown ON click_id = shown_id {_CORRECTED}
WHERE {_OF_CLICKS} AND (share <> 0 OR {_BENEATH} <> 0)
"""  # noqa: S608 – names are ours, values are bound
_TAKE_BACK_ENTRY = f"""
INSERT INTO facts ({_NAMES})
SELECT {_COPIES}, beneath_currency, -$sign * beneath_share, shown_entry_id, 0, beneath_id, -$sign * beneath_share
FROM facts JOIN cost_shown ON click_id = shown_id {_CORRECTED}
WHERE {_OF_CLICKS} AND beneath_currency <> shown_currency AND beneath_share <> 0
"""  # noqa: S608 – names are ours, values are bound
_TAKE_BACK_OWN = f"""
INSERT INTO facts ({_NAMES})
SELECT {_COPIES}, facts.currency, -$sign * facts.cost_micros, shown_entry_id, 0, 0, -$sign * facts.cost_micros
FROM facts JOIN cost_shown ON click_id = shown_id {_CORRECTED}
WHERE {_OF_CLICKS} AND beneath_rank IS NULL AND facts.cost_micros <> 0 AND facts.currency <> shown_currency
"""  # noqa: S608 – names are ours, values are bound
OF_CONVERSION = "cost_entry_id = 0 AND beneath_entry_id IS NULL"
"""The condition of rows with the cost of a conversion by the campaign's model."""
_TAKE_BACK_OF_CONVERSIONS = f"""
INSERT INTO facts ({_NAMES}, conversion_id)
SELECT {_COPIES}, facts.currency, -$sign * facts.cost_micros, shown_entry_id, 0, 0, -$sign * facts.cost_micros, conversion_id
FROM facts JOIN cost_shown ON of_click_id = shown_id {_CORRECTED}
WHERE of_click_id BETWEEN $first AND $last AND kind = 'cost' AND {OF_CONVERSION} AND beneath_rank IS NULL
"""  # noqa: S608 – names are ours, values are bound
_EVERY_PLACE = 1 << 62


def add(writer: duckdb.DuckDBPyConnection, spread: Spread, above: int, up_to: int, sign: int) -> int:
    """Put a spread into effect (``sign`` 1) or take it back (−1) for clicks of a range of places. Return the number of rows added."""
    return _add(writer, [spread.rank], above, up_to, sign)


def add_whole(writer: duckdb.DuckDBPyConnection, ranks: Sequence[int], sign: int) -> int:
    """Put whole spreads into effect, or take them back, as many as there are at once. Return the number of rows added.

    None of them is in effect in part.
    """
    return _add(writer, ranks, 0, _EVERY_PLACE, sign)


def _add(writer: duckdb.DuckDBPyConnection, ranks: Sequence[int], above: int, up_to: int, sign: int) -> int:
    batch: dict[str, object] = {"ranks": list(ranks), "above": above, "up_to": up_to}
    bounds = writer.execute(
        "SELECT min(click_id), max(click_id) FROM cost_shares WHERE rank = ANY($ranks::BIGINT[]) AND place > $above AND place <= $up_to",
        batch,
    ).fetchone()
    if bounds is None or bounds[0] is None:
        return 0
    ends: dict[str, object] = {"first": bounds[0], "last": bounds[1]}
    # What counted before: the spread's own progress is stored afterwards. Once for all statements: shares are many.
    writer.execute(_SHOW, ends | batch)
    values = ends | {"sign": sign}
    added = [
        writer.execute(one, values).fetchone()
        for one in (_ADD, _TAKE_BACK_ENTRY, _TAKE_BACK_OWN, _TAKE_BACK_OF_CONVERSIONS)
    ]
    return sum(int(row[0]) for row in added if row)


def forget_deleted(writer: duckdb.DuckDBPyConnection, before_click_id: str) -> None:
    """Forget the shares of clicks before an id, which retention has deleted."""
    oldest = writer.execute("SELECT min(click_id) FROM cost_shares").fetchone()
    if oldest is None or oldest[0] is None or oldest[0] >= before_click_id:
        return
    writer.execute("DELETE FROM cost_shares WHERE click_id < $before", {"before": before_click_id})
