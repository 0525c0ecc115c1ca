"""/reports: clicks, conversions and money, grouped by up to five dimensions."""

from itertools import chain
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation
from litestar.response import Stream
from msgspec import UNSET, Meta, UnsetType

from clickloop.clock import Moment, iso_text
from clickloop.report.column import Column, column_label, kinds_of
from clickloop.report.export import csv_lines, percent_text
from clickloop.report.formula.parsing import FormulaError, parse_formula
from clickloop.report.measure import USUAL
from clickloop.report.query import ReportQuery, TimeBasis
from clickloop.report.query_input import ReportPeriod, ReportRequest, report_period
from clickloop.report.verdict import read_target
from clickloop.setup.fault import FaultCode, invalid
from clickloop.store.ledger.setup.report_names import status_names
from clickloop.text import readable
from clickloop.tracking.costs.mix import read_cost_mixes
from clickloop.tracking.reports.exporting import ReportExtras, csv_rows, csv_shape
from clickloop.tracking.reports.reporting import (
    NamedReport,
    NamedReportRow,
    all_pages,
    read_query,
    run_report,
)
from clickloop.tracking.reports.verdicts import read_verdicts
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.query import from_query
from clickloop.web.api.reports.cost_part_views import CostPartsView, UnattributedView, parts_view, unattributed_view
from clickloop.web.api.reports.figure_views import (
    ColumnView,
    FigureChangeView,
    FiguresView,
    changes_view,
    column_view,
    figures_view,
)
from clickloop.web.api.reports.verdict_views import VerdictView, verdict_view
from clickloop.web.long_work import in_long_work

CSV_TYPE = "text/csv"


class KeyView(msgspec.Struct, kw_only=True):
    """The value of a dimension that a row's clicks and conversions share."""

    value: Annotated[str, Meta(description="Value for programs. Empty or 0 if there is none.", examples=["7"])]
    name: Annotated[str, Meta(description="Display name.", examples=["My campaign"])]


class ReportRowView(msgspec.Struct, kw_only=True):
    """A row of a report."""

    keys: Annotated[list[KeyView], Meta(description="Dimension values, in the order of group_by.")]
    figures: FiguresView
    before: Annotated[FiguresView, Meta(description="In the period that is compared with.")] | UnsetType = UNSET
    changes: (
        Annotated[dict[str, FigureChangeView], Meta(description="By name of the figure or column.")] | UnsetType
    ) = UNSET
    cost_parts: Annotated[CostPartsView, Meta(description="With origins=1.")] | UnsetType = UNSET
    verdict: (
        Annotated[VerdictView, Meta(description="With a target. Null: no matured clicks, no cost, or no payout known.")]
        | UnsetType
        | None
    ) = UNSET


class ApprovalView(msgspec.Struct, kw_only=True):
    """The decided conversions of an offer in the 90 days up to the end of the period."""

    offer_id: Annotated[int, Meta(description="0: conversions without an offer.")]
    confirmed: int
    rejected: int
    rate: Annotated[str | None, Meta(description="Confirmed ÷ (confirmed + rejected) in percent; null without either.")]


class ReportView(msgspec.Struct, kw_only=True):
    """A report."""

    since: Annotated[Moment, Meta(description="Start of the period, inclusive.")]
    until: Annotated[Moment, Meta(description="End of the period, exclusive.")]
    zone: Annotated[str, Meta(description="Time zone of days and hours.", examples=["Europe/Berlin"])]
    currency: Annotated[str, Meta(examples=["USD"])]
    by: Annotated[TimeBasis, Meta(description="When conversions and page events count.")]
    group_by: Annotated[
        list[str], Meta(description="Dimensions, or names of parameters.", examples=[["campaign", "Zone"]])
    ]
    columns: list[ColumnView]
    rows: list[ReportRowView]
    row_count: Annotated[int, Meta(description="Total number of rows.")]
    totals: Annotated[FiguresView, Meta(description="Totals of all rows, including those not in this response.")]
    compared_since: Annotated[Moment, Meta(description="Start of the period compared with.")] | UnsetType = UNSET
    compared_until: Annotated[Moment, Meta(description="Its end, exclusive.")] | UnsetType = UNSET
    totals_before: FiguresView | UnsetType = UNSET
    totals_changes: dict[str, FigureChangeView] | UnsetType = UNSET
    unattributed: (
        Annotated[UnattributedView, Meta(description="Cost that no click bears. It is in no other figure.")] | UnsetType
    ) = UNSET
    totals_verdict: VerdictView | UnsetType | None = UNSET
    judged_until: (
        Annotated[Moment, Meta(description="With a target: verdicts are on clicks before this moment, by click time.")]
        | UnsetType
    ) = UNSET
    totals_cost_parts: Annotated[CostPartsView, Meta(description="With origins=1.")] | UnsetType = UNSET
    approvals: (
        Annotated[list[ApprovalView], Meta(description="The approval rates that expected figures are based on.")]
        | UnsetType
    ) = UNSET


AsCsv = Annotated[
    str, QueryParameter(name="format", pattern="^(json|csv)$", description="Response format: json or csv.")
]


WithOrigins = Annotated[
    bool,
    QueryParameter(
        name="origins",
        description="1 to tell of each row's cost how much is measured, estimated and spread. Takes as long again.",
    ),
]
TargetText = Annotated[
    str,
    QueryParameter(
        name="target",
        max_length=40,
        description="Judges each row by a target: roi:20 for a return on investment of at least 20 %, or cpa:3.50 for a cost of at most "
        "3.50 per conversion, in the instance's currency. Takes as long again.",
    ),
]
Requested = NamedDependency[SkipValidation[ReportRequest]]


def read_report(
    context: Context,
    requested: Requested,
    output: AsCsv = "json",
    origins: WithOrigins = False,
    target: TargetText = "",
) -> Response[ReportView]:
    """Report on a period, grouped by up to five dimensions, as one flat table or level by level (``within``).

    A conversion counts at its own time, or with ``by=click`` at that of its click, always with the dimensions of its click; so do
    landing views, landing clicks and events. After a landing click, offer and network are those that its button led to, while the
    click itself has none. Test clicks and test conversions are left out. Money is converted at the rate of its day (see /rates);
    amounts without a rate are listed separately. Group by day or hour for a time series.
    """
    bounds, query = requested_query(context, requested)
    extras = requested_extras(context, query, origins=origins, target=target)
    if output == "csv":
        return csv_response(context, query, bounds, is_whole=requested.limit is None, extras=extras)
    return Response(_view(run_report(context.ledger, context.facts, query), extras))


def requested_extras(context: ApiContext, query: ReportQuery, *, origins: bool, target: str = "") -> ReportExtras:
    """Return what was asked for besides figures. Raise InvalidInputError."""
    wanted = read_target(target) if target else None
    if target and wanted is None:
        sentence = f"“{readable(target)}” is no target. Enter roi:20 for at least 20 %, or cpa:3.50 for at most 3.50 per conversion."
        raise invalid("target", FaultCode.NOT_ALLOWED, sentence)
    return ReportExtras(
        read_cost_mixes(context.ledger, context.facts.costs, query) if origins else None,
        read_verdicts(context.ledger, context.facts, query, wanted, context.clock()) if wanted else None,
    )


def requested_query(context: ApiContext, requested: ReportRequest) -> tuple[ReportPeriod, ReportQuery]:
    """Return the period and the query of a request. Raise InvalidInputError."""
    bounds = report_period(requested, context.clock(), context.instance.time_zone)
    return bounds, read_query(context.ledger, requested, bounds, context.currency)


def requested_report(context: ApiContext, requested: ReportRequest) -> tuple[NamedReport, ReportPeriod]:
    """Return the requested report and its period. Raise InvalidInputError."""
    bounds, query = requested_query(context, requested)
    return run_report(context.ledger, context.facts, query), bounds


def csv_response(
    context: ApiContext, query: ReportQuery, bounds: ReportPeriod, *, is_whole: bool, extras: ReportExtras
) -> Response[Any]:
    """Return a report as a CSV download, totals last. ``is_whole``: all rows, however many there are."""
    pages = (
        all_pages(context.ledger, context.facts, query)
        if is_whole
        else iter([run_report(context.ledger, context.facts, query)])
    )
    first = next(pages)
    name = f"report-{bounds.days.first.isoformat()}-{bounds.days.last.isoformat()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    lines = csv_lines(csv_shape(first, extras), csv_rows(chain([first], pages), extras))
    if first.group_count > len(first.rows) and is_whole:
        # A million rows do not fit into memory.
        return Stream(lines, media_type=CSV_TYPE, headers=headers)
    return Response(b"".join(lines), media_type=CSV_TYPE, headers=headers)


def _view(made: NamedReport, extras: ReportExtras) -> ReportView:
    query, totals = made.query, made.totals
    columns: tuple[Column, ...] = query.columns or USUAL
    view = ReportView(
        since=iso_text(query.from_at),
        until=iso_text(query.until_at),
        zone=query.zone,
        currency=query.currency,
        by=query.basis,
        group_by=[grouping.key for grouping in query.group_by],
        columns=[column_view(column, column_label(column, made.statuses)) for column in columns],
        rows=[_row(row, made, columns, extras) for row in made.rows],
        row_count=made.group_count,
        totals=figures_view(columns, tuple(made.statuses), totals.sums, query.currency),
    )
    if query.compared is not None and totals.before is not None:
        view.compared_since, view.compared_until = iso_text(query.compared.from_at), iso_text(query.compared.until_at)
        view.totals_before = figures_view(columns, tuple(made.statuses), totals.before, query.currency)
        view.totals_changes = changes_view(columns, totals.sums, totals.before)
    if extras.mixes is not None:
        view.totals_cost_parts = parts_view(extras.mixes.total, query.currency)
    if extras.verdicts is not None:
        view.totals_verdict = verdict_view(extras.verdicts.total, query.currency)
        view.judged_until = iso_text(extras.verdicts.matured_until)
    if made.unattributed is not None:
        view.unattributed = unattributed_view(made.unattributed, query.currency)
    if made.approvals:
        view.approvals = [
            ApprovalView(
                offer_id=one.offer_id,
                confirmed=one.confirmed,
                rejected=one.rejected,
                rate=None if one.rate is None else percent_text(one.rate),
            )
            for one in made.approvals
        ]
    return view


def _row(row: NamedReportRow, made: NamedReport, columns: tuple[Column, ...], extras: ReportExtras) -> ReportRowView:
    currency, statuses = made.query.currency, tuple(made.statuses)
    view = ReportRowView(
        keys=[KeyView(value=readable(heading.value), name=readable(heading.name)) for heading in row.headings],
        figures=figures_view(columns, statuses, row.sums, currency),
    )
    if extras.mixes is not None:
        view.cost_parts = parts_view(extras.mixes.of(heading.key for heading in row.headings), currency)
    if extras.verdicts is not None:
        view.verdict = verdict_view(extras.verdicts.of(heading.key for heading in row.headings), currency)
    if row.before is not None:
        view.before = figures_view(columns, statuses, row.before, currency)
        view.changes = changes_view(columns, row.sums, row.before)
    return view


class FormulaCheckView(msgspec.Struct, kw_only=True):
    """The result of checking a formula."""

    kind: Annotated[str, Meta(description="count, money or number; empty if it is not valid.")] = ""
    figures: Annotated[list[str], Meta(description="The figures that it uses.")] = []
    at: Annotated[int | None, Meta(description="Position of the first character that is wrong, from 0.")] = None
    fault: Annotated[str, Meta(description="What is wrong with it; empty if it is valid.")] = ""


FormulaText = Annotated[
    str, QueryParameter(max_length=2_000, description="The formula, such as profit / clicks, without a title.")
]


def check_formula(context: Context, text: FormulaText) -> FormulaCheckView:
    """Check the formula of a column while it is being typed."""
    with context.ledger.read() as tx:
        statuses = status_names(tx)
    try:
        formula = parse_formula(text, kinds_of(statuses))
    except FormulaError as error:
        return FormulaCheckView(at=error.fault.at, fault=error.fault.sentence)
    return FormulaCheckView(kind=formula.kind.value, figures=sorted(formula.figures))


router = Router(
    "/reports",
    route_handlers=[
        get("/", summary="Get a report")(in_long_work(read_report)),
        get("/formula", sync_to_thread=True, summary="Check a formula")(check_formula),
    ],
    dependencies={"requested": from_query(ReportRequest)},
    tags=["Reports"],
)
