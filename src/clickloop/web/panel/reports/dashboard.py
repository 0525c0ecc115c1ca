"""The dashboard: a period compared with the one before, top campaigns, health; a walkthrough on a new instance."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

import msgspec
from litestar import get
from litestar.params import QueryParameter
from markupsafe import Markup

from clickloop.clock import DAY_MS, iso_text
from clickloop.conversion.notice import RefusalReason
from clickloop.diagnosis.check.views import CheckPlaceView
from clickloop.macro import Severity
from clickloop.plural import pluralize
from clickloop.report.evidence import RefusedNotices
from clickloop.report.measure import Measure, quotient, relative_change
from clickloop.report.period import Preset
from clickloop.report.query import Dimension, ReportQuery
from clickloop.report.query_input import ReportPeriod, ReportRequest, report_period
from clickloop.report.series import filled, moments_of, unit_of
from clickloop.store.ledger.logs.evidence import failed_since, refused_since
from clickloop.store.ledger.setup.statuses import unmapped_words
from clickloop.text import readable
from clickloop.tracking.reports.reporting import NamedReport, run_report
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis.check import setup_findings
from clickloop.web.panel.diagnosis.check import editor_of
from clickloop.web.panel.frame.chart import Chart, Series, draw
from clickloop.web.panel.frame.field_names import in_words
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.reports.figures import change_text, figure_text, short_text, tone_of
from clickloop.web.panel.reports.reports import PERIODS
from clickloop.web.panel.reports.walkthrough import (
    NEEDED,
    existing_kinds,
    has_counted_clicks,
    loop_has_closed,
    next_tasks,
    steps_of,
)

TILES = (Measure.CLICKS, Measure.CONVERSIONS, Measure.REVENUE, Measure.COST, Measure.PROFIT, Measure.ROI)
# The dashboard is an overview, and links to the pages with the complete lists.
MAX_TOP = 6
TOP_MEASURES = (Measure.CLICKS, Measure.CONVERSIONS, Measure.REVENUE, Measure.PROFIT, Measure.ROI)
MAX_FINDINGS = 5
MAX_WORDS = 5
_MAX_POINTS = 5_000  # more would not be visible in a chart

PeriodParameter = Annotated[Preset, QueryParameter()]
MeasureParameter = Annotated[Measure, QueryParameter()]


class Tile(msgspec.Struct, frozen=True):
    """A figure of the period, compared with the period before."""

    measure: Measure
    title: str
    text: str
    before: str
    change: str
    tone: str


class HealthItem(msgspec.Struct, frozen=True):
    """A problem on the dashboard, with its remedy and page."""

    tone: str
    sentence: str
    remedy: str
    address: str


class TopRow(msgspec.Struct, frozen=True):
    """A row of the top campaigns."""

    number: int
    name: str
    cells: tuple[str, ...]
    tones: tuple[str, ...]


def show(
    viewer: CurrentViewer,
    context: Context,
    period: PeriodParameter = Preset.TODAY,
    measure: MeasureParameter = Measure.CLICKS,
) -> PageResponse:
    """Return the dashboard, or the walkthrough on a new instance."""
    existing = existing_kinds(context)
    if not existing >= NEEDED:
        return page(viewer, "dashboard.html", steps=steps_of(existing), started=False)
    now_ms = context.clock()
    bounds = report_period(ReportRequest(period=period, zone=viewer.zone.key), now_ms, viewer.zone.key)
    columns = tuple(dict.fromkeys((*TILES, measure)))
    now = _report(context, bounds, bounds.from_at, bounds.until_at, unit_of(bounds), columns)
    earlier = ReportPeriod(bounds.days.before, bounds.zone, None)
    until_at = min(earlier.until_at, earlier.from_at + max(0, now_ms - bounds.from_at))
    before = _report(context, bounds, earlier.from_at, until_at, unit_of(bounds), columns)
    has_visitors = bool(now.totals.sums.clicks or before.totals.sums.clicks) or has_counted_clicks(context)
    works = not has_visitors and loop_has_closed(context)
    top = _report(context, bounds, bounds.from_at, bounds.until_at, Dimension.CAMPAIGN, TOP_MEASURES, limit=MAX_TOP)
    return page(
        viewer,
        "dashboard.html",
        started=True,
        steps=[] if has_visitors or works else steps_of(existing),
        tasks=next_tasks(context, viewer) if works else [],
        periods=PERIODS,
        period=period,
        measure=measure,
        measures=[(one, one.label) for one in Measure],
        tiles=[_tile(one, now, before) for one in TILES],
        chart=_chart(measure, now, before, bounds, earlier, now_ms),
        top_titles=[one.label for one in TOP_MEASURES],
        top=_top_rows(top),
        campaigns=top.group_count,
        health=_health(context, viewer, now_ms),
        currency=context.currency,
        not_converted=now.totals.sums.not_converted,
    )


def _report(
    context: ApiContext,
    bounds: ReportPeriod,
    from_at: int,
    until_at: int,
    group_by: Dimension,
    columns: tuple[Measure, ...],
    limit: int = _MAX_POINTS,
) -> NamedReport:
    """Return a report in the order of clicks, or of time."""
    sort = Measure.CLICKS if group_by is Dimension.CAMPAIGN else None
    query = ReportQuery(
        from_at=from_at,
        until_at=until_at,
        zone=bounds.zone.key,
        currency=context.currency,
        group_by=(group_by,),
        columns=columns,
        sort=sort,
        descending=sort is not None,
        limit=limit,
    )
    return run_report(context.ledger, context.facts, query, each_status=False)


def _tile(measure: Measure, now: NamedReport, before: NamedReport) -> Tile:
    value = measure.of(now.totals.sums)
    earlier = measure.of(before.totals.sums)
    growth = None if measure.is_share else relative_change(value or 0, earlier or 0)
    percent = quotient(growth or 0, 10_000)
    return Tile(
        measure=measure,
        title=f"{measure.label}, {now.query.currency}" if measure.is_money else measure.label,
        text=figure_text(measure, value),
        before=figure_text(measure, earlier),
        change=change_text(growth),
        tone="" if not percent or measure is Measure.COST else "up" if percent > 0 else "down",
    )


def _chart(
    measure: Measure, now: NamedReport, before: NamedReport, bounds: ReportPeriod, earlier: ReportPeriod, now_ms: int
) -> Markup:
    moments, old_moments = moments_of(bounds), moments_of(earlier)
    values = filled(moments, _values(measure, now), now_ms)
    old = filled(old_moments, _values(measure, before), now_ms)[: len(moments)]
    old += (None,) * (len(moments) - len(old))
    by_hour = unit_of(bounds) is Dimension.HOUR
    local = [datetime.fromtimestamp(moment / 1000, bounds.zone) for moment in moments]
    title = measure.label
    return draw(
        Chart(
            title=f"{title} by {'hour' if by_hour else 'day'}",
            points=tuple(f"{at:%H:%M}" if by_hour else f"{at:%b} {at.day}" for at in local),
            point_names=tuple(f"{at:%Y-%m-%d %H:%M}" if by_hour else f"{at:%Y-%m-%d %a}" for at in local),
            series=(Series(title, values), Series("Previous period", old, faint=True)),
            shown=lambda value: figure_text(measure, value),
            tick=lambda value: short_text(measure, value),
            unit=10_000 if measure.is_share else 1_000_000 if measure.is_money else 1,
            whole=not measure.is_money and not measure.is_share,
        )
    )


def _values(measure: Measure, made: NamedReport) -> dict[int, int | None]:
    return {int(row.headings[0].key): measure.of(row.sums) for row in made.rows}


def _top_rows(made: NamedReport) -> list[TopRow]:
    rows = []
    for row in made.rows:
        figures = [(one, one.of(row.sums)) for one in TOP_MEASURES]
        heading = row.headings[0]
        cells = tuple(figure_text(one, value) for one, value in figures)
        tones = tuple(tone_of(one, value) for one, value in figures)
        rows.append(TopRow(int(heading.key), heading.name, cells, tones))
    return rows


def _capitalize(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _health(context: ApiContext, viewer: Viewer, now_ms: int) -> list[HealthItem]:
    """Return the problems that need attention, worst first."""
    items = [
        HealthItem("bad", _capitalize(readable(alarm.sentence)), "See Health for all alarms.", "/panel/health")
        for alarm in context.core_health().alarms
    ]
    findings = [one for one in setup_findings(context) if one.severity is not Severity.NOTE]
    items += [
        HealthItem(
            "bad" if one.severity is Severity.ERROR else "warn",
            f"{readable(one.place.name)}: {readable(one.sentence)}" if one.place.name else readable(one.sentence),
            readable(one.remedy),
            editor_of(CheckPlaceView(kind=one.place.kind, id=one.place.id, name=one.place.name, field=one.place.field)),
        )
        for one in findings[:MAX_FINDINGS]
    ]
    if len(findings) > MAX_FINDINGS:
        items.append(
            HealthItem(
                "",
                f"{pluralize(len(findings) - MAX_FINDINGS, 'more finding')}.",
                "Check lists them all.",
                "/panel/check",
            )
        )
    since = now_ms - DAY_MS
    with context.ledger.read() as tx:
        given_up = failed_since(tx, since)
        refused = refused_since(tx, since, None)
        words = unmapped_words(tx, MAX_WORDS)
    items += _from_logs(given_up, _count_by_reason(refused), [word.word for word in words], since)
    return sorted(items, key=lambda item: _TONES.index(item.tone))


_TONES = ("bad", "warn", "")


def _count_by_reason(refused: Sequence[RefusedNotices]) -> dict[RefusalReason, int]:
    counts: dict[RefusalReason, int] = {}
    for one in refused:
        counts[one.reason] = counts.get(one.reason, 0) + one.count
    return counts


def _from_logs(given_up: int, refused: dict[RefusalReason, int], words: Sequence[str], since: int) -> list[HealthItem]:
    """Return the problems found in the logs. ``since``: start of the counts, which the links repeat as a filter."""
    items = []
    span = urlencode({"since": iso_text(since)})
    if given_up:
        sentence = f"{pluralize(given_up, 'postback')} failed in the last 24 hours."
        items.append(HealthItem("bad", sentence, "Review and resend.", f"/panel/postbacks?state=failed&{span}"))
    for reason, count in sorted(refused.items(), key=lambda item: -item[1]):
        was = "was" if count == 1 else "were"
        sentence = (
            f"{pluralize(count, 'incoming postback')} {was} refused in the last 24 hours: {in_words(reason.value)}."
        )
        items.append(HealthItem("warn", sentence, reason.sentence, f"/panel/notices?reason={reason.value}&{span}"))
    if words:
        listed = ", ".join(readable(word) for word in words)
        remedy = (
            "Map each word to a status, then reprocess. Until then, these conversions count as Other, not as revenue."
        )
        items.append(HealthItem("warn", f"Unmapped status words: {listed}.", remedy, "/panel/statuses"))
    return items


routes = [get("/", sync_to_thread=True)(show)]
