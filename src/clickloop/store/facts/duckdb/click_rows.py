"""Read a campaign's clicks as rows of few columns, and their conversions."""

from collections.abc import Iterator, Sequence

import duckdb

from clickloop.click.click import Flag
from clickloop.report.click_rows import ClickRow, ConversionSum
from clickloop.store.facts.duckdb.columns import CLICK_FIELDS, quoted

BATCH_ROWS = 10_000
_NAMES = frozenset(field.name for field in CLICK_FIELDS)
_SQL = {
    "at": "click_at",
    # As conditions took it, see ``Click.was_routed_as_unique``.
    "unique": f"(\"unique\" OR contains(flags, '{Flag.RECOGNISED}'))",
}
_OF_CAMPAIGN = (
    "campaign_id = $campaign_id AND clicks = 1 AND correction IS NULL AND fact_at >= $since AND fact_at < $until"
)
_COUNT = f"SELECT count(*) FROM facts WHERE {_OF_CAMPAIGN}"  # noqa: S608 – a constant
_EARNED = """
SELECT of_click_id, coalesce(currency, ''), sum(conversions), sum(revenue_micros), sum(pending_micros) FROM facts
WHERE kind = 'conversion' AND campaign_id = $campaign_id AND click_at >= $since AND click_at < $until
GROUP BY of_click_id, currency
"""


def count_clicks(reader: duckdb.DuckDBPyConnection, campaign_id: int, since: int, until: int) -> int:
    """Return the number of a campaign's counted clicks in a period."""
    row = reader.execute(_COUNT, {"campaign_id": campaign_id, "since": since, "until": until}).fetchone()
    return int(row[0]) if row else 0


def click_rows(
    reader: duckdb.DuckDBPyConnection, campaign_id: int, since: int, until: int, columns: Sequence[str]
) -> Iterator[list[tuple[object, ...]]]:
    """Yield a campaign's counted clicks of a period in batches. The engine streams them, so memory is bounded."""
    if unknown := set(columns) - _NAMES:
        raise ValueError(f"a click has no fields {sorted(unknown)}")
    names = ", ".join(_SQL.get(name, quoted(name)) for name in (*ClickRow._fields, *columns))
    query = f"SELECT {names} FROM facts WHERE {_OF_CAMPAIGN}"  # noqa: S608 – the names are ours
    found = reader.execute(query, {"campaign_id": campaign_id, "since": since, "until": until})
    while batch := found.fetchmany(BATCH_ROWS):
        yield batch


def earned(
    reader: duckdb.DuckDBPyConnection, campaign_id: int, since: int, until: int
) -> dict[str, list[ConversionSum]]:
    """Return the conversions of a campaign's clicks of a period, by click id."""
    found: dict[str, list[ConversionSum]] = {}
    rows = reader.execute(_EARNED, {"campaign_id": campaign_id, "since": since, "until": until}).fetchall()
    for click_id, currency, *sums in rows:
        found.setdefault(click_id, []).append(ConversionSum(currency, *map(int, sums)))
    return found
