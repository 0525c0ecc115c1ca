"""The queries that quarter-hour roll-ups answer. Pure."""

from zoneinfo import ZoneInfo

from clickloop.clock import MINUTE_MS
from clickloop.report.period import offsets_of
from clickloop.report.query import Dimension, Grouping, MomentRange, ReportQuery

QUARTER_MS = 15 * MINUTE_MS
"""Length of a quarter-hour of UTC. Every offset in use today is a multiple of it."""
_SET_UP = (
    *(Dimension.CAMPAIGN, Dimension.SOURCE, Dimension.OFFER, Dimension.NETWORK, Dimension.LANDING),
    *(Dimension.FLOW, Dimension.RULE, Dimension.PATH),
)
ROLLED_UP = frozenset(
    {*_SET_UP, Dimension.STATUS, Dimension.COUNTS_AS}
    | {Dimension.DAY, Dimension.HOUR, Dimension.WEEKDAY, Dimension.HOUR_OF_DAY}
)
"""Dimensions that roll-ups have. With countries or parameters there would be about as many rows as clicks."""
SET_UP_COLUMNS = tuple(f"{dimension}_id" for dimension in _SET_UP)


def is_rolled_up(query: ReportQuery) -> bool:
    """Return whether roll-ups have a query's dimensions, and its periods and local days begin with a quarter-hour."""
    used: list[Grouping] = [*query.group_by, *(filter_.dimension for filter_ in query.filters)]
    # A value that counts from a moment of its own may begin within a quarter-hour.
    if not ROLLED_UP.issuperset(used) or any(filter_.since for filter_ in query.filters):
        return False
    periods = [MomentRange(query.from_at, query.until_at), *([query.compared] if query.compared else [])]
    return all(_is_of_quarters(period, ZoneInfo(query.zone)) for period in periods)


def _is_of_quarters(period: MomentRange, zone: ZoneInfo) -> bool:
    moments = [period.from_at, period.until_at]
    for offset in offsets_of(zone, period.from_at, period.until_at):
        moments += [offset.from_at, offset.ahead_ms]
    return all(moment % QUARTER_MS == 0 for moment in moments)
