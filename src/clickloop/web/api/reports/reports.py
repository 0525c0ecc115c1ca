"""/reports: clicks, conversions and money, by whatever they have in common."""

from typing import Annotated, Any

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation
from msgspec import Meta

from clickloop.clock import Moment
from clickloop.report.export import CsvRow, csv_lines, plain_text
from clickloop.report.measure import Measure, Sums
from clickloop.report.query import Dimension
from clickloop.report.query_input import AskedReport, Bounds, bounds_of, query_of
from clickloop.setup.money_text import MoneyText, money_text
from clickloop.tracking.reporting import MadeReport, Row, make_report
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.query import from_query
from clickloop.web.api.wire import moment_text, shown
from clickloop.web.long_work import in_long_work

CSV_TYPE = "text/csv"


class OtherMoneyView(msgspec.Struct, kw_only=True):
    """Sums in a currency that no rate is known for; they are in no other figure. Set rates at /rates."""

    currency: Annotated[str, Meta(description="Empty: a currency that was not understood.")]
    cost: MoneyText
    revenue: MoneyText
    pending_revenue: MoneyText
    rejected_revenue: MoneyText


Percent = Annotated[
    str | None, Meta(description="Percent as a decimal; null: nothing to divide by.", examples=["1.25"])
]
Amount = Annotated[MoneyText | None, Meta(description="In the instance's currency; null: nothing to divide by.")]


class FiguresView(msgspec.Struct, kw_only=True):
    """What was counted. Money is in the instance's currency; every ratio is that of the sums beside it."""

    clicks: Annotated[int, Meta(description="Counted: without screened ones and tests.")]
    unique_clicks: Annotated[int, Meta(description="Of visitors who came without a cookie of ours.")]
    clicks_recorded: Annotated[int, Meta(description="Counted or screened out.")]
    conversions: Annotated[int, Meta(description="Confirmed and pending ones.")]
    confirmed: int
    pending: int
    rejected: int
    by_status: Annotated[dict[str, int], Meta(description="By status key.", examples=[{"sale": 12, "hold": 3}])]
    cr: Annotated[Percent, Meta(description="Conversions ÷ clicks, in percent.")]
    approval_rate: Annotated[
        Percent, Meta(description="Confirmed ÷ all conversions, rejected ones included, in percent.")
    ]
    revenue: Annotated[MoneyText, Meta(description="Of confirmed conversions.")]
    pending_revenue: MoneyText
    rejected_revenue: MoneyText
    average_payout: Annotated[Amount, Meta(description="Revenue ÷ confirmed conversions.")]
    cost: MoneyText
    profit: Annotated[MoneyText, Meta(description="Revenue − cost.")]
    roi: Annotated[Percent, Meta(description="Profit ÷ cost, in percent.")]
    epc: Annotated[Amount, Meta(description="Revenue ÷ clicks.")]
    cpc: Annotated[Amount, Meta(description="Cost ÷ clicks.")]
    not_converted: list[OtherMoneyView]


class KeyView(msgspec.Struct, kw_only=True):
    """What the clicks and conversions of a row have in common."""

    value: Annotated[str, Meta(description="For programs; empty or 0: none.", examples=["7"])]
    name: Annotated[str, Meta(description="For people.", examples=["My campaign"])]


class ReportRowView(msgspec.Struct, kw_only=True):
    """A row."""

    keys: Annotated[list[KeyView], Meta(description="In the order of group_by.")]
    figures: FiguresView


class ReportView(msgspec.Struct, kw_only=True):
    """A report."""

    since: Annotated[Moment, Meta(description="The period's first moment.")]
    until: Annotated[Moment, Meta(description="The first moment after it.")]
    zone: Annotated[str, Meta(description="The time zone of its days and hours.", examples=["Europe/Berlin"])]
    currency: Annotated[str, Meta(examples=["USD"])]
    group_by: list[Dimension]
    rows: list[ReportRowView]
    row_count: Annotated[int, Meta(description="How many rows there are in all.")]
    totals: Annotated[FiguresView, Meta(description="Of all rows, shown or not.")]


AsCsv = Annotated[str, QueryParameter(name="format", pattern="^(json|csv)$", description="json or csv.")]


Asked = NamedDependency[SkipValidation[AskedReport]]


def read_report(context: Context, asked: Asked, told_as: AsCsv = "json") -> Response[ReportView]:
    """Counts what happened in a period, by one or two dimensions. Conversions count at their own moment, with their click's dimensions.

    Test clicks and test conversions are left out. Money is converted at the rate of its day (see /rates); what no rate is known for
    is shown apart and guessed by nobody. Rows by day or hour make a series over time.
    """
    made, bounds = report_asked(context, asked)
    if told_as == "csv":
        return csv_response(made, bounds)
    return Response(_view(made))


def report_asked(context: ApiContext, asked: AskedReport) -> tuple[MadeReport, Bounds]:
    """The report that is asked for, and its period. Raises InvalidInputError."""
    bounds = bounds_of(asked, context.clock(), context.instance.time_zone)
    query = query_of(asked, bounds, context.currency)
    return make_report(context.ledger, context.facts, query), bounds


def csv_response(made: MadeReport, bounds: Bounds) -> Response[Any]:
    """A report as a file to download: all measures, the totals last."""
    query = made.query
    rows = [CsvRow(tuple(heading.name for heading in row.headings), row.sums) for row in made.rows]
    of_totals = ("Total", "")[: len(query.group_by)]
    rows.append(CsvRow(of_totals, made.totals.sums))
    text = b"".join(csv_lines(query.group_by, tuple(Measure), made.statuses, query.currency, iter(rows)))
    name = f"report-{bounds.days.first.isoformat()}-{bounds.days.last.isoformat()}.csv"
    return Response(text, media_type=CSV_TYPE, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _view(made: MadeReport) -> ReportView:
    query = made.query
    return ReportView(
        since=moment_text(query.from_at),
        until=moment_text(query.until_at),
        zone=query.zone,
        currency=query.currency,
        group_by=list(query.group_by),
        rows=[_row(row, query.currency) for row in made.rows],
        row_count=made.group_count,
        totals=_figures(made.totals.sums, query.currency),
    )


def _row(row: Row, currency: str) -> ReportRowView:
    keys = [KeyView(value=shown(heading.value), name=shown(heading.name)) for heading in row.headings]
    return ReportRowView(keys=keys, figures=_figures(row.sums, currency))


def _figures(sums: Sums, currency: str) -> FiguresView:
    figures: dict[str, object] = {measure.value: _figure(measure, sums, currency) for measure in Measure}
    figures["by_status"] = dict(sums.by_status)
    figures["not_converted"] = [
        OtherMoneyView(
            currency=other.currency,
            cost=money_text(other.cost_micros, other.currency),
            revenue=money_text(other.revenue_micros, other.currency),
            pending_revenue=money_text(other.pending_micros, other.currency),
            rejected_revenue=money_text(other.rejected_micros, other.currency),
        )
        for other in sums.not_converted
    ]
    return msgspec.convert(figures, FiguresView)


def _figure(measure: Measure, sums: Sums, currency: str) -> int | str | MoneyText | None:
    value = measure.of(sums)
    if value is None:
        return None
    if measure.is_money:
        return money_text(value, currency)
    return plain_text(measure, value) if measure.is_share else value


router = Router(
    "/reports",
    route_handlers=[get("/", summary="Read a report")(in_long_work(read_report))],
    dependencies={"asked": from_query(AskedReport)},
    tags=["Reports"],
)
