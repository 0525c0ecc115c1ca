"""The verdicts on a report's rows: whether each misses its target, over clicks that are old enough to have converted. Read-only."""

from collections.abc import Iterable, Mapping

import msgspec

from clickloop.clock import DAY_MS, SECOND_MS
from clickloop.report.measure import Measure
from clickloop.report.query import DELAY_CLASSES, Dimension, GroupKey, ReportGroup, ReportQuery, TimeBasis
from clickloop.report.query_input import MAX_GROUPS
from clickloop.report.rolled_up import QUARTER_MS
from clickloop.report.verdict import MaturedRow, Target, Verdict, verdict
from clickloop.setup.fault import FaultCode, invalid
from clickloop.store.ledger.ledger import Ledger
from clickloop.tracking.reports.converting import rates_of_query
from clickloop.tracking.reports.reporting import ReportSource

MATURED_SHARE = 80
"""Percent of conversions that come within the delay after which a click counts as matured."""
DELAY_DAYS = 90
MIN_CONVERSIONS = 20
"""Conversions from which the delay is taken. With fewer it is ``USUAL_DELAY_SECONDS``."""
USUAL_DELAY_SECONDS = 86_400
_FIGURES = (Measure.CLICKS, Measure.CONVERSIONS, Measure.COST, Measure.REVENUE, Measure.PENDING_REVENUE)
_NO_CLICKS = "A verdict is on clicks: do not group by or filter on what only conversions have."


class RowVerdicts(msgspec.Struct, frozen=True):
    """The verdicts on rows by their keys, and on the total; absent where there is none to give."""

    rows: Mapping[tuple[GroupKey, ...], Verdict]
    total: Verdict | None
    matured_until: int
    """Only clicks before this moment are judged, Unix milliseconds."""

    def of(self, keys: Iterable[GroupKey]) -> Verdict | None:
        """Return the verdict on a row."""
        return self.rows.get(tuple(keys))


def read_verdicts(ledger: Ledger, facts: ReportSource, query: ReportQuery, target: Target, now: int) -> RowVerdicts:
    """Return the verdicts on the rows of a report, at most ``MAX_GROUPS`` of those with most clicks.

    By click time, so that a row has the conversions of the clicks it is judged by. A pending conversion counts as if it were confirmed.
    Raise InvalidInputError if rows have no clicks.
    """
    if any(one.is_of_conversions for one in (*query.group_by, *(filter_.dimension for filter_ in query.filters))):
        raise invalid("target", FaultCode.NOT_ALLOWED, _NO_CLICKS)
    until = now - _delay_seconds(ledger, facts, query, now) * SECOND_MS
    until = max(min(query.until_at, until - until % QUARTER_MS), query.from_at)
    matured = msgspec.structs.replace(
        query,
        until_at=until,
        compared=None,
        basis=TimeBasis.CLICK,
        conditions=(),
        columns=_FIGURES,
        sort=Measure.CLICKS,
        descending=True,
        limit=MAX_GROUPS,
        offset=0,
        statuses=(),
    )
    with ledger.read() as tx:
        rates = rates_of_query(tx, matured)
    report = facts.report(matured, rates)
    total = ReportGroup((), report.totals)
    typical = _payout(total)
    found = {group.keys: verdict(_matured(group, typical), target) for group in report.groups}
    rows = {keys: one for keys, one in found.items() if one is not None}
    return RowVerdicts(rows, verdict(_matured(total, typical), target), until)


def _delay_seconds(ledger: Ledger, facts: ReportSource, query: ReportQuery, now: int) -> int:
    """Return the seconds within which ``MATURED_SHARE`` percent of the latest conversions came, rounded up to a class of delays."""
    delays = msgspec.structs.replace(
        query,
        from_at=now - now % DAY_MS - DELAY_DAYS * DAY_MS,
        until_at=now - now % DAY_MS + DAY_MS,
        compared=None,
        basis=TimeBasis.CONVERSION,
        group_by=(Dimension.DELAY,),
        conditions=(),
        columns=(Measure.CONVERSIONS,),
        sort=None,
        descending=False,
        limit=len(DELAY_CLASSES),
        offset=0,
        statuses=(),
        zone="UTC",
    )
    report = facts.report(delays, ())
    total = report.totals.confirmed + report.totals.pending
    if total < MIN_CONVERSIONS:
        return USUAL_DELAY_SECONDS
    seen = 0
    for group in report.groups:
        seen += group.sums.confirmed + group.sums.pending
        if seen * 100 >= total * MATURED_SHARE:
            place = DELAY_CLASSES.index(int(group.keys[0]))
            return DELAY_CLASSES[min(place + 1, len(DELAY_CLASSES) - 1)]
    return USUAL_DELAY_SECONDS


def _matured(group: ReportGroup, typical_payout: int) -> MaturedRow:
    sums = group.sums
    return MaturedRow(
        clicks=sums.clicks,
        conversions=sums.confirmed + sums.pending,
        cost_micros=sums.cost_micros,
        revenue_micros=sums.revenue_micros + sums.pending_micros,
        typical_payout_micros=typical_payout,
    )


def _payout(total: ReportGroup) -> int:
    """Return the average payout of a conversion, for rows without any."""
    row = _matured(total, 0)
    return row.revenue_micros // row.conversions if row.conversions > 0 else 0
