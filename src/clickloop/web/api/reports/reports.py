"""/reports: clicks, conversions and money, grouped by dimension."""

from typing import Annotated, Any

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation
from msgspec import Meta

from clickloop.clock import Moment, iso_text
from clickloop.report.export import CsvRow, csv_lines, plain_text
from clickloop.report.measure import Measure, Sums
from clickloop.report.query import Dimension
from clickloop.report.query_input import ReportPeriod, ReportRequest, query_of, report_period
from clickloop.setup.money_text import MoneyText, money_text
from clickloop.text import readable
from clickloop.tracking.reporting import NamedReport, NamedReportRow, run_report
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.query import from_query
from clickloop.web.long_work import in_long_work

CSV_TYPE = "text/csv"


class OtherMoneyView(msgspec.Struct, kw_only=True):
    """Amounts in a currency without an exchange rate. No other figure includes them. Set rates with POST /rates."""

    currency: Annotated[str, Meta(description="Empty if the currency is unknown.")]
    cost: MoneyText
    revenue: MoneyText
    pending_revenue: MoneyText
    rejected_revenue: MoneyText


Percent = Annotated[
    str | None, Meta(description="Percentage as a decimal; null if the divisor is zero.", examples=["1.25"])
]
Amount = Annotated[MoneyText | None, Meta(description="In the instance's currency; null if the divisor is zero.")]


class FiguresView(msgspec.Struct, kw_only=True):
    """Figures of a group. Money is in the instance's currency. Ratios are calculated from the group's sums."""

    clicks: Annotated[int, Meta(description="Counted clicks, without screened clicks and tests.")]
    unique_clicks: Annotated[
        int,
        Meta(description="Clicks that are a visitor's first within the uniqueness of their campaign."),
    ]
    clicks_recorded: Annotated[int, Meta(description="Counted and screened clicks.")]
    clean_clicks: Annotated[int, Meta(description="Counted clicks without marks of suspicious traffic.")]
    landing_visits: Annotated[int, Meta(description="Counted clicks that were sent to a landing.")]
    landing_views: Annotated[
        int, Meta(description="Loads of pages with the script, reloads included. A view belongs to its click.")
    ]
    landing_clicks: Annotated[
        int, Meta(description="Buttons pressed on landings; the same button counts once per click.")
    ]
    lp_ctr: Annotated[Percent, Meta(description="Landing clicks ÷ landing visits, in percent.")]
    offer_visits: Annotated[
        int, Meta(description="Counted clicks that were sent directly to an offer, and landing clicks that were.")
    ]
    events: Annotated[int, Meta(description="Numbers that pages reported as event1 to event30.")]
    conversions: Annotated[int, Meta(description="Confirmed and pending conversions.")]
    confirmed: int
    pending: int
    rejected: int
    by_status: Annotated[
        dict[str, int], Meta(description="Number of conversions by status key.", examples=[{"sale": 12, "hold": 3}])
    ]
    cr: Annotated[Percent, Meta(description="Conversions ÷ clicks, in percent.")]
    cr_offer: Annotated[Percent, Meta(description="Conversions ÷ offer visits, in percent.")]
    approval_rate: Annotated[
        Percent, Meta(description="Confirmed ÷ all conversions, rejected ones included, in percent.")
    ]
    revenue: Annotated[MoneyText, Meta(description="Payouts of confirmed conversions.")]
    pending_revenue: MoneyText
    rejected_revenue: MoneyText
    average_payout: Annotated[Amount, Meta(description="Revenue ÷ confirmed conversions.")]
    cost: MoneyText
    profit: Annotated[MoneyText, Meta(description="Revenue − cost.")]
    roi: Annotated[Percent, Meta(description="Profit ÷ cost, in percent.")]
    epc: Annotated[Amount, Meta(description="Revenue ÷ clicks.")]
    epc_offer: Annotated[Amount, Meta(description="Revenue ÷ offer visits.")]
    cpc: Annotated[Amount, Meta(description="Cost ÷ clicks.")]
    not_converted: list[OtherMoneyView]


class KeyView(msgspec.Struct, kw_only=True):
    """The value of a dimension that a row's clicks and conversions share."""

    value: Annotated[str, Meta(description="Value for programs. Empty or 0 if there is none.", examples=["7"])]
    name: Annotated[str, Meta(description="Display name.", examples=["My campaign"])]


class ReportRowView(msgspec.Struct, kw_only=True):
    """A row of a report."""

    keys: Annotated[list[KeyView], Meta(description="Dimension values, in the order of group_by.")]
    figures: FiguresView


class ReportView(msgspec.Struct, kw_only=True):
    """A report."""

    since: Annotated[Moment, Meta(description="Start of the period, inclusive.")]
    until: Annotated[Moment, Meta(description="End of the period, exclusive.")]
    zone: Annotated[str, Meta(description="Time zone of days and hours.", examples=["Europe/Berlin"])]
    currency: Annotated[str, Meta(examples=["USD"])]
    group_by: list[Dimension]
    rows: list[ReportRowView]
    row_count: Annotated[int, Meta(description="Total number of rows.")]
    totals: Annotated[FiguresView, Meta(description="Totals of all rows, including those not in this response.")]


AsCsv = Annotated[
    str, QueryParameter(name="format", pattern="^(json|csv)$", description="Response format: json or csv.")
]


Requested = NamedDependency[SkipValidation[ReportRequest]]


def read_report(context: Context, requested: Requested, output: AsCsv = "json") -> Response[ReportView]:
    """Report on a period, grouped by one or two dimensions.

    A conversion counts at its own time, with the dimensions of its click; so do landing views, landing clicks and events. After a
    landing click, offer and network are those that its button led to, while the click itself has none. Test clicks and test
    conversions are left out. Money is converted at the rate of its day (see /rates); amounts without a rate are listed separately.
    Group by day or hour for a time series.
    """
    made, bounds = requested_report(context, requested)
    if output == "csv":
        return csv_response(made, bounds)
    return Response(_view(made))


def requested_report(context: ApiContext, requested: ReportRequest) -> tuple[NamedReport, ReportPeriod]:
    """Return the requested report and its period. Raise InvalidInputError."""
    bounds = report_period(requested, context.clock(), context.instance.time_zone)
    query = query_of(requested, bounds, context.currency)
    return run_report(context.ledger, context.facts, query), bounds


def csv_response(made: NamedReport, bounds: ReportPeriod) -> Response[Any]:
    """Return a report as a CSV download: all measures, totals last."""
    query = made.query
    rows = [CsvRow(tuple(heading.name for heading in row.headings), row.sums) for row in made.rows]
    totals = ("Total", "")[: len(query.group_by)]
    rows.append(CsvRow(totals, made.totals.sums))
    text = b"".join(csv_lines(query.group_by, tuple(Measure), made.statuses, query.currency, iter(rows)))
    name = f"report-{bounds.days.first.isoformat()}-{bounds.days.last.isoformat()}.csv"
    return Response(text, media_type=CSV_TYPE, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _view(made: NamedReport) -> ReportView:
    query = made.query
    return ReportView(
        since=iso_text(query.from_at),
        until=iso_text(query.until_at),
        zone=query.zone,
        currency=query.currency,
        group_by=list(query.group_by),
        rows=[_row(row, query.currency) for row in made.rows],
        row_count=made.group_count,
        totals=_figures(made.totals.sums, query.currency),
    )


def _row(row: NamedReportRow, currency: str) -> ReportRowView:
    keys = [KeyView(value=readable(heading.value), name=readable(heading.name)) for heading in row.headings]
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
    route_handlers=[get("/", summary="Get a report")(in_long_work(read_report))],
    dependencies={"requested": from_query(ReportRequest)},
    tags=["Reports"],
)
