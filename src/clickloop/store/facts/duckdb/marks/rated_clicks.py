"""Read the latest clicks with the few columns that the tally of rates needs."""

from collections.abc import Iterator

import duckdb

from clickloop.click.marks.rate_tally import RatedClick
from clickloop.clock import HOUR_MS

_BATCH_ROWS = 10_000
_OF_PERIOD = "clicks = 1 AND correction IS NULL AND fact_at >= $since AND fact_at < $until"
_BY_HOUR = f"""
SELECT ($until - 1 - fact_at) // {HOUR_MS} AS hours_before, count(*) FROM facts WHERE {_OF_PERIOD}
GROUP BY hours_before ORDER BY hours_before
"""  # noqa: S608 – constants
_CLICKS = f"""
SELECT fact_at, campaign_id, source_id, coalesce(external_id, ''), coalesce(ip, ''), coalesce(useragent, '')
FROM facts WHERE {_OF_PERIOD} ORDER BY fact_at
"""  # noqa: S608 – constants


def rated_clicks(reader: duckdb.DuckDBPyConnection, since: int, until: int, most: int) -> Iterator[RatedClick]:
    """Yield the latest counted clicks of a period in the order of their times, about ``most``: whole hours before its end.

    Sorting all of a period before taking some of it would need its size in memory.
    """
    found, hours = 0, 0
    for hours_before, clicks in reader.execute(_BY_HOUR, {"since": since, "until": until}).fetchall():
        if hours and found + clicks > most:
            break
        found, hours = found + clicks, hours_before + 1
    rows = reader.execute(_CLICKS, {"since": max(since, until - hours * HOUR_MS), "until": until})
    while batch := rows.fetchmany(_BATCH_ROWS):
        for at, campaign_id, source_id, external_id, ip, useragent in batch:
            yield RatedClick(at, campaign_id, source_id, external_id, ip, f"{ip} {useragent}" if ip else "")
