"""Summaries of the campaigns' recent clicks, for the check of the set-up."""

from collections.abc import Mapping

import duckdb

from clickloop.clock import DAY_MS
from clickloop.report.evidence import ClickEvidence, LandingEvidence

_LONG_MS = 30 * DAY_MS  # a longer period would read the whole file for campaigns with little traffic
_SHORT_MS = DAY_MS // 4
"""Tried first: enough for a campaign with many clicks."""
_LAST = """
SELECT campaign_id, max(fact_at) FROM facts
WHERE clicks = 1 AND correction IS NULL AND ($campaign_id IS NULL OR campaign_id = $campaign_id) GROUP BY campaign_id
"""
_RECENT = """
SELECT
    count(*),
    count(*) FILTER (external_id IS NULL),
    count(*) FILTER (contains(coalesce(flags, ''), 'unreplaced_external_id')),
    count(*) FILTER (contains(coalesce(flags, ''), 'cost_unreadable')),
    histogram(marks) FILTER (marks IS NOT NULL)
FROM (
    SELECT external_id, flags, marks FROM facts
    WHERE clicks = 1 AND correction IS NULL AND campaign_id = $campaign_id AND fact_at >= $from_at
    ORDER BY click_id DESC LIMIT $most
)
"""


def recent_clicks(
    reader: duckdb.DuckDBPyConnection, most: int, campaign_id: int | None = None
) -> dict[int, ClickEvidence]:
    """Return, by campaign (all, or one), a summary of its last ``most`` counted clicks in the 30 days before the last one.

    Reads the columns of campaign and time of all clicks, and few row groups per campaign with clicks.
    """
    summaries = {}
    for id_, last_at in reader.execute(_LAST, {"campaign_id": campaign_id}).fetchall():
        recent = without = unreplaced = no_cost = 0
        together: dict[str, int] = {}
        # The short period first: with LIMIT alone the engine would read and sort the whole month.
        for period_ms in (_SHORT_MS, _LONG_MS):
            parameters = {"campaign_id": id_, "from_at": last_at - period_ms, "most": most}
            row = reader.execute(_RECENT, parameters).fetchone() or (0, 0, 0, 0, None)
            recent, without, unreplaced, no_cost, together = *row[:4], row[4] or {}
            if recent >= most:
                break
        summaries[int(id_)] = ClickEvidence(
            recent=int(recent),
            without_external_id=int(without),
            unreplaced=int(unreplaced),
            cost_unreadable=int(no_cost),
            marks=_by_mark(together),
            last_at=int(last_at),
        )
    return summaries


def _by_mark(together: Mapping[str, int]) -> dict[str, int]:
    """Return the number of clicks with each mark. ``together``: by their marks, separated by commas."""
    found: dict[str, int] = {}
    for marks, clicks in together.items():
        for mark in marks.split(","):
            found[mark] = found.get(mark, 0) + int(clicks)
    return found


_LANDINGS = """
SELECT landing_id, count(*), count(*) FILTER (contains(coalesce(flags, ''), 'old_click_id')) FROM facts
WHERE kind = 'landing_click' AND fact_at >= $since AND landing_id > 0
    AND ($campaign_id IS NULL OR campaign_id = $campaign_id)
GROUP BY landing_id ORDER BY landing_id
"""


def recent_landing_clicks(
    reader: duckdb.DuckDBPyConnection, since: int, campaign_id: int | None = None
) -> list[LandingEvidence]:
    """Return a summary of each landing's landing clicks since a moment, of all campaigns or one."""
    rows = reader.execute(_LANDINGS, {"since": since, "campaign_id": campaign_id}).fetchall()
    return [
        LandingEvidence(landing_id=int(number), landing_clicks=int(clicks), with_old_click_id=int(old))
        for number, clicks, old in rows
    ]
