"""The rows of entered cost in DuckDB: for each click, one that takes back what counted before and one that adds what counts now.

The dimensions are copied from the click's own row, with its marks of today.
"""

import duckdb

from clickloop.report.cost.segment import Spread
from clickloop.store.facts.duckdb.columns import ALL_COLUMNS, quoted
from clickloop.store.facts.duckdb.corrected import CORRECTED_MARKS
from clickloop.store.facts.duckdb.correcting import ADDED_UP, LEFT_OUT

_NEVER_COPIED = LEFT_OUT | ADDED_UP | {"cost_entry_id", "correction", "button", "event_number"}
_COPIED = [column.name for column in ALL_COLUMNS if column.name not in _NEVER_COPIED]
_OWN = {"kind": "'cost'", "marks": CORRECTED_MARKS, "of_click_id": "part_id"}
_NAMES = ", ".join([*map(quoted, _COPIED), "cost_micros", "cost_entry_id"])
_CORRECTED = (
    "(SELECT click_id AS corrected_id, marks AS corrected_marks FROM corrected_clicks "
    "WHERE click_id BETWEEN $first AND $last) AS corrected ON part_id = corrected_id"
)

# The clicks of a batch for which no spread of a higher rank is in effect, with the one that counts beneath.
_SHOWN = """
batch AS (
    SELECT click_id, micros FROM cost_shares WHERE rank = $rank AND place > $above AND place <= $up_to
), beneath AS (
    SELECT share.click_id, max(share.rank) AS beneath_rank, arg_max(share.micros, share.rank) AS beneath_micros
    FROM cost_shares AS share JOIN cost_spreads AS spread USING (rank) SEMI JOIN batch ON share.click_id = batch.click_id
    WHERE share.rank <> $rank AND share.place <= spread.active AND share.click_id BETWEEN $first AND $last
    GROUP BY share.click_id
), shown AS (
    SELECT click_id, micros, beneath_rank, beneath_micros FROM batch LEFT JOIN beneath USING (click_id)
    WHERE beneath_rank IS NULL OR beneath_rank < $rank
)
"""
_PARTS = """
parts AS (
    SELECT click_id AS part_id, $entry_id::BIGINT AS entry_id, $sign * micros AS part_micros, $currency AS part_currency
    FROM shown WHERE micros <> 0
    UNION ALL
    SELECT click_id, spread.entry_id, -$sign * beneath_micros, spread.currency
    FROM shown JOIN cost_spreads AS spread ON spread.rank = beneath_rank WHERE beneath_micros <> 0
    -- Beneath all is the cost of the link or of the campaign's model.
    UNION ALL SELECT click_id, 0, NULL, NULL FROM shown WHERE beneath_rank IS NULL
)
"""


def _values(own: dict[str, str]) -> str:
    return ", ".join(own.get(name, f"facts.{quoted(name)}") for name in _COPIED)


_ADD = f"""
INSERT INTO facts ({_NAMES})
WITH {_SHOWN}, {_PARTS}
SELECT {_values(_OWN | {"currency": "coalesce(part_currency, facts.currency)"})},
       coalesce(part_micros, -$sign * facts.cost_micros), entry_id
FROM facts JOIN parts ON click_id = part_id LEFT JOIN {_CORRECTED}
WHERE click_id BETWEEN $first AND $last AND kind = 'click' AND (part_micros IS NOT NULL OR facts.cost_micros <> 0)
"""  # noqa: S608 – names are ours, values are bound
_ADD_OF_CONVERSIONS = f"""
INSERT INTO facts ({_NAMES}, conversion_id)
WITH {_SHOWN}, parts AS (SELECT click_id AS part_id FROM shown WHERE beneath_rank IS NULL)
SELECT {_values(_OWN)}, -$sign * facts.cost_micros, 0, conversion_id
FROM facts JOIN parts ON of_click_id = part_id LEFT JOIN {_CORRECTED}
WHERE of_click_id BETWEEN $first AND $last AND kind = 'cost' AND status_key IS NOT NULL AND cost_entry_id IS NULL
"""  # noqa: S608 – names are ours, values are bound


def add(writer: duckdb.DuckDBPyConnection, spread: Spread, above: int, up_to: int, sign: int) -> int:
    """Put a spread into effect (``sign`` 1) or take it back (−1) for clicks of a range of places. Return the number of rows added."""
    bounds = writer.execute(
        "SELECT min(click_id), max(click_id) FROM cost_shares WHERE rank = $rank AND place > $above AND place <= $up_to",
        {"rank": spread.rank, "above": above, "up_to": up_to},
    ).fetchone()
    if bounds is None or bounds[0] is None:
        return 0
    common: dict[str, object] = {
        "rank": spread.rank,
        "above": above,
        "up_to": up_to,
        "sign": sign,
        "first": bounds[0],
        "last": bounds[1],
    }
    of_entry = {"entry_id": spread.entry_id, "currency": spread.currency}
    # Both read what counted before: the spread's own progress is stored afterwards.
    added = [writer.execute(_ADD, common | of_entry).fetchone(), writer.execute(_ADD_OF_CONVERSIONS, common).fetchone()]
    return sum(int(row[0]) for row in added if row)


def forget_deleted(writer: duckdb.DuckDBPyConnection, before_click_id: str) -> None:
    """Forget the shares of clicks before an id, which retention has deleted."""
    oldest = writer.execute("SELECT min(click_id) FROM cost_shares").fetchone()
    if oldest is None or oldest[0] is None or oldest[0] >= before_click_id:
        return
    writer.execute("DELETE FROM cost_shares WHERE click_id < $before", {"before": before_click_id})
