"""Today's figures of campaigns or sources, for lists."""

import msgspec

from clickloop.report.measure import Measure, Sums
from clickloop.report.period import Preset, days_of
from clickloop.report.query import Dimension, DimensionFilter, ReportQuery
from clickloop.tracking.reports.reporting import run_report
from clickloop.web.api.context import ApiContext
from clickloop.web.panel.frame.viewer import Viewer
from clickloop.web.panel.reports.figures import figure_text, tone_of

COLUMNS = (Measure.CLICKS, Measure.CONVERSIONS, Measure.REVENUE, Measure.COST, Measure.PROFIT)


class TodayFigures(msgspec.Struct, frozen=True):
    """Today's figures of a record, formatted."""

    clicks: str
    conversions: str
    revenue: str
    cost: str
    profit: str
    tone: str
    """Tone of the profit: ``up``, ``down`` or empty."""
    unconverted: str
    """Currencies without an exchange rate, whose amounts are left out."""


def figures_today(
    context: ApiContext, viewer: Viewer, dimension: Dimension, numbers: list[int]
) -> dict[int, TodayFigures]:
    """Return today's figures by record, in the viewer's time zone, without records that have none."""
    if not numbers:
        return {}
    today = days_of(Preset.TODAY, context.clock(), viewer.zone)
    query = ReportQuery(
        from_at=today.from_at(viewer.zone),
        until_at=today.until_at(viewer.zone),
        zone=viewer.zone.key,
        currency=context.currency,
        group_by=(dimension,),
        filters=(DimensionFilter(dimension, tuple(str(number) for number in numbers)),),
        columns=COLUMNS,
        sort=None,
        descending=False,
        limit=len(numbers),
    )
    made = run_report(context.ledger, context.facts, query, each_status=False)
    return {int(row.headings[0].key): _figures_of(row.sums) for row in made.rows}


def _figures_of(sums: Sums) -> TodayFigures:
    return TodayFigures(
        clicks=figure_text(Measure.CLICKS, sums.clicks),
        conversions=figure_text(Measure.CONVERSIONS, Measure.CONVERSIONS.of(sums)),
        revenue=figure_text(Measure.REVENUE, sums.revenue_micros),
        cost=figure_text(Measure.COST, sums.cost_micros),
        profit=figure_text(Measure.PROFIT, Measure.PROFIT.of(sums)),
        tone=tone_of(Measure.PROFIT, Measure.PROFIT.of(sums)),
        unconverted=", ".join(other.currency or "?" for other in sums.not_converted),
    )


NO_FIGURES = _figures_of(Sums())
"""Figures of a record without any."""
