"""The recent clicks of campaigns, as the check looks at them."""

import duckdb

from clickloop.clock import DAY_MS
from clickloop.report.evidence import Clicks

_BACK_MS = 30 * DAY_MS  # looking further back reads the whole file for campaigns without traffic
_NEAR_MS = DAY_MS // 4
"""Looked at first: for a campaign with many clicks that is enough."""
_LAST = """
SELECT campaign_id, max(fact_at) FROM facts
WHERE clicks = 1 AND ($campaign_id IS NULL OR campaign_id = $campaign_id) GROUP BY campaign_id
"""
_RECENT = """
SELECT
    count(*),
    count(*) FILTER (external_id IS NULL),
    count(*) FILTER (contains(coalesce(flags, ''), 'unreplaced_external_id')),
    count(*) FILTER (contains(coalesce(flags, ''), 'cost_unreadable'))
FROM (
    SELECT external_id, flags FROM facts
    WHERE clicks = 1 AND campaign_id = $campaign_id AND fact_at >= $from_at
    ORDER BY click_id DESC LIMIT $most
)
"""


def recent_clicks(reader: duckdb.DuckDBPyConnection, most: int, campaign_id: int | None = None) -> dict[int, Clicks]:
    """By campaign (all, or one), its last clicks that count: at most ``most``, of the 30 days before the last of them.

    Reads two columns of all clicks, and few row groups for each campaign that has any.
    """
    found = {}
    for number, last_at in reader.execute(_LAST, {"campaign_id": campaign_id}).fetchall():
        recent = without = unreplaced = no_cost = 0
        # First a short stretch: LIMIT alone would make the engine read and sort all of the month.
        for back_ms in (_NEAR_MS, _BACK_MS):
            wanted = {"campaign_id": number, "from_at": last_at - back_ms, "most": most}
            recent, without, unreplaced, no_cost = reader.execute(_RECENT, wanted).fetchone() or (0, 0, 0, 0)
            if recent >= most:
                break
        found[int(number)] = Clicks(
            recent=int(recent),
            without_external_id=int(without),
            unreplaced=int(unreplaced),
            cost_unreadable=int(no_cost),
            last_at=int(last_at),
        )
    return found
