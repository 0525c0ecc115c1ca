"""Reports: figures of a period by one or two dimensions. The URL has the whole report, so it can be bookmarked and shared."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from clickloop.report.column import Column, FormulaColumn
from clickloop.report.export import share_of_change
from clickloop.report.key_text import dimension_title, key_name
from clickloop.report.measure import USUAL, Measure
from clickloop.report.period import Preset
from clickloop.report.query import ANY_MARK, PARAMETERS, Dimension, Grouping, GroupKey, TimeBasis
from clickloop.report.query_input import BY_KEY, MAX_GROUPS, ReportPeriod, ReportRequest
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.ledger.setup.report_names import newest_record_names, parameter_names
from clickloop.tracking.costs.mix import CostMix, CostMixes, read_cost_mixes
from clickloop.tracking.reports.reporting import NamedReport, NamedReportRow
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.query import from_query
from clickloop.web.api.reports.reports import csv_response, requested_extras, requested_query, requested_report
from clickloop.web.long_work import in_long_work
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.reports.figures import change_text, figure_text, tone_of
from clickloop.web.panel.reports.opened_view import home_view, opened_view
from clickloop.web.panel.reports.report_address import ReportAddress, ReportPageQuery, address_of

PATH = "/panel/reports"
ROWS_PER_PAGE = 100
MAX_CHOICES = 500

PERIODS = {
    Preset.TODAY: "Today",
    Preset.YESTERDAY: "Yesterday",
    Preset.LAST_7_DAYS: "Last 7 days",
    Preset.LAST_30_DAYS: "Last 30 days",
    Preset.LAST_90_DAYS: "Last 90 days",
    Preset.THIS_MONTH: "This month",
    Preset.LAST_MONTH: "Last month",
}
GROUPS = (
    ("Setup", (Dimension.CAMPAIGN, Dimension.SOURCE, Dimension.OFFER, Dimension.NETWORK, Dimension.DOMAIN)),
    ("Routing", (Dimension.LANDING, Dimension.PATH, Dimension.RULE, Dimension.FLOW)),
    ("Time", (Dimension.DAY, Dimension.HOUR, Dimension.WEEKDAY, Dimension.HOUR_OF_DAY)),
    ("Place", (Dimension.COUNTRY, Dimension.REGION, Dimension.CITY)),
    ("Network", (Dimension.ISP, Dimension.ASN, Dimension.CONNECTION)),
    ("Visitor", (Dimension.LANGUAGE, Dimension.DEVICE, Dimension.BRAND, Dimension.MODEL)),
    ("Software", (Dimension.OS, Dimension.OS_VERSION, Dimension.BROWSER, Dimension.BROWSER_VERSION)),
    ("Quality", (Dimension.UNIQUE, Dimension.VISIT_NUMBER, Dimension.MARK, Dimension.SCREENING, Dimension.REFERRER)),
    ("Conversion", (Dimension.STATUS, Dimension.COUNTS_AS, Dimension.DELAY)),
    ("Parameters", PARAMETERS),
)
_OF_MARKS = f"{Dimension.MARK.value}:"
_NAMED = tuple(dimension for dimension in Dimension if dimension.is_number)
_DRILL_DOWN: dict[Grouping, Dimension] = {Dimension.CAMPAIGN: Dimension.DAY, Dimension.DAY: Dimension.CAMPAIGN}


class ReportFilterChip(msgspec.Struct, frozen=True):
    """An active filter, and the query of the report without it."""

    text: str
    filter: str
    without: str


class ReportColumn(msgspec.Struct, frozen=True):
    """A column of figures, and the query that sorts by it."""

    measure: Column
    title: str
    sort: str
    sorted_by: str
    """``descending``, ``ascending`` or empty, as in ``aria-sort``."""


class ReportCell(msgspec.Struct, frozen=True):
    """A figure. ``tone``: ``up`` or ``down`` for a profit or loss. ``change``: in a comparison, in percent."""

    text: str
    tone: str = ""
    change: str = ""
    origin: str = ""
    """The origin of a cost, in percent."""


class ReportRow(msgspec.Struct, frozen=True):
    """A row: its keys with drill-down queries, its figures, and its conversions by status."""

    keys: tuple[tuple[str, str], ...]
    cells: tuple[ReportCell, ...]
    statuses: tuple[str, ...]


def show(
    viewer: CurrentViewer, context: Context, page_query: NamedDependency[SkipValidation[ReportPageQuery]]
) -> PageResponse:
    """Return the report, or its CSV file with ``format=csv``. A just entered filter redirects to a URL that includes it."""
    query = address_of(page_query)
    if not viewer.query and (home := home_view(context)) is not None:
        return viewer.go(f"{PATH}?{home.address}&view={home.id}")
    if page_query.filter_by:
        entered = f"{page_query.filter_by}:{page_query.filter_value}"
        return viewer.go(f"{PATH}?{query.changed(filters=(*query.filters, entered))}")
    csv = page_query.output_format == "csv"
    offset = 0 if csv else page_query.offset
    try:
        report = _report_request(query, viewer, MAX_GROUPS if csv else ROWS_PER_PAGE, offset, of_all=csv)
        if csv:
            bounds, whole = requested_query(context, report)
            return csv_response(
                context,
                whole,
                bounds,
                is_whole=page_query.limit is None,
                extras=requested_extras(context, whole, origins=query.origins),
            )
        made, bounds = requested_report(context, report)
    except InvalidInputError as error:
        return _page(viewer, context, query, None, None, 0, error.faults)
    return _page(viewer, context, query, made, bounds, offset, ())


def _report_request(query: ReportAddress, viewer: Viewer, limit: int, offset: int, *, of_all: bool) -> ReportRequest:
    """Return the report to make, on a page or ``of_all`` figures. Raise InvalidInputError for unknown words."""
    try:
        preset = Preset(query.period) if query.period else None
    except ValueError:
        fault = FieldFault("period", FaultCode.NOT_ALLOWED, "The address contains an unknown period.")
        raise InvalidInputError((fault,)) from None
    measures = dict.fromkeys([*USUAL, *query.columns]) if of_all else query.columns
    by = query.of("by")
    if by and by not in set(TimeBasis):
        raise InvalidInputError((FieldFault("by", FaultCode.NOT_ALLOWED, "Choose conversion or click."),))
    most = int(query.of("limit") or MAX_GROUPS)
    return ReportRequest(
        having=query.of("having"),
        formulas=[text for name, text in query.more if name == "formula"] or None,
        by=TimeBasis(by) if by else None,
        compare=query.of("compare"),
        period=preset,
        first=query.first,
        last=query.last,
        zone=query.of("zone") or viewer.zone.key,
        group_by=list(query.group_by) or [Dimension.CAMPAIGN],
        filters=list(query.filters),
        columns=[measure.value for measure in measures],
        sort=query.sort,
        limit=min(limit, most),
        offset=offset,
    )


def _page(
    viewer: Viewer,
    context: ApiContext,
    query: ReportAddress,
    made: NamedReport | None,
    bounds: ReportPeriod | None,
    offset: int,
    faults: Sequence[FieldFault],
) -> PageResponse:
    with context.ledger.read() as tx:
        names = {dimension: newest_record_names(tx, dimension, MAX_CHOICES) for dimension in _NAMED}
        source = next((text[7:] for text in query.filters if text.startswith("source:") and text[7:].isdecimal()), "")
        rows = parameter_names(tx, int(source)) if source and len(source) < 10 else {}
    titles = {dimension: _title(dimension, rows) for dimension in Dimension}
    mixes = read_cost_mixes(context.ledger, context.facts.costs, made.query) if made and query.origins else None
    return page(
        viewer,
        "reports.html",
        tuple(faults),
        query=query,
        made=made,
        bounds=bounds,
        sentences=[fault.message for fault in faults],
        periods=PERIODS,
        groups=GROUPS,
        titles=titles,
        names=names,
        chips=_chips(query, viewer, names, titles),
        measures=[(measure, measure.label) for measure in Measure],
        chosen=frozenset(query.columns),
        columns=_columns(query, made),
        lines=[] if made is None else [_line(query, made, row, mixes) for row in made.rows],
        totals=None if made is None else _cells(_shown(query, made), made.totals, mixes.total if mixes else None),
        cost_origins=query.changed(origins=not query.origins) if Measure.COST in query.columns else "",
        view=opened_view(context, query.of("view")),
        save_as=urlencode({"address": query.changed(more=tuple(pair for pair in query.more if pair[0] != "view"))}),
        total_statuses=[] if made is None else _statuses(made, made.totals),
        key_columns=[] if made is None else _key_columns(query, made, titles),
        offset=offset,
        rows_per_page=ROWS_PER_PAGE,
        quality=_quality_links(query),
        figure_text=figure_text,
        Measure=Measure,
    )


def _quality_links(query: ReportAddress) -> list[tuple[str, str, bool]]:
    """Return the links to the same report of all, clean and marked clicks, and whether each is the one shown."""
    others = tuple(text for text in query.filters if not text.startswith(_OF_MARKS))
    shown = tuple(text for text in query.filters if text.startswith(_OF_MARKS))
    kinds = (("All clicks", ()), ("Clean only", (_OF_MARKS,)), ("Marked only", (f"{_OF_MARKS}{ANY_MARK}",)))
    return [(label, query.changed(filters=(*others, *chosen)), shown == chosen) for label, chosen in kinds]


def _title(dimension: Dimension, rows: Mapping[int, str]) -> str:
    if dimension in PARAMETERS and (name := rows.get(int(dimension.value[1:]))):
        return f"{dimension_title(dimension)} – {name}"
    return dimension_title(dimension)


def _chips(
    query: ReportAddress, viewer: Viewer, names: Mapping[Dimension, Mapping[int, str]], titles: Mapping[Dimension, str]
) -> list[ReportFilterChip]:
    """Return the active filters with display names."""
    chips = []
    for text in query.filters:
        word, _, value = text.partition(":")
        others = tuple(other for other in query.filters if other != text)
        try:
            dimension = Dimension(word)
            key = int(value) if dimension.is_integer else value
            known: dict[GroupKey, str] = {number: name for number, name in names.get(dimension, {}).items()}  # noqa: C416 – of a wider key
            name = key_name(dimension, key, viewer.zone, known)
            shown = f"{titles[dimension]}: {name}"
        except (ValueError, IndexError):
            shown = text
        chips.append(ReportFilterChip(shown, text, query.changed(filters=others)))
    return chips


def _columns(query: ReportAddress, made: NamedReport | None) -> list[ReportColumn]:
    columns = []
    for column in _shown(query, made):
        by_this = made is not None and made.query.sort == column
        descending = made is not None and made.query.descending
        sort = column.key if by_this and descending else f"-{column.key}"
        text = ("descending" if descending else "ascending") if by_this else ""
        columns.append(ReportColumn(column, column.label, query.changed(sort=sort), text))
    return columns


def _shown(query: ReportAddress, made: NamedReport | None) -> tuple[Column, ...]:
    """Return the columns of the page: figures in their usual order, then those of the user's own."""
    own = () if made is None else (column for column in made.query.columns or () if isinstance(column, FormulaColumn))
    return (*query.columns, *own)


def _key_columns(query: ReportAddress, made: NamedReport, titles: Mapping[Dimension, str]) -> list[ReportColumn]:
    """Return the column heads of the groupings; the first one sorts by key."""
    by_key = made.query.sort is None
    sort = f"-{BY_KEY}" if by_key and not made.query.descending else BY_KEY
    text = ("descending" if made.query.descending else "ascending") if by_key else ""
    return [
        ReportColumn(
            Measure.CLICKS,
            titles[dimension] if isinstance(dimension, Dimension) else dimension_title(dimension),
            query.changed(sort=sort) if place == 0 else "",
            text if place == 0 else "",
        )
        for place, dimension in enumerate(made.query.group_by)
    ]


def _line(query: ReportAddress, made: NamedReport, row: NamedReportRow, mixes: CostMixes | None) -> ReportRow:
    keys = []
    for dimension, heading in zip(made.query.group_by, row.headings, strict=True):
        address = ""
        if dimension is Dimension.DAY:
            address = query.changed(period="", first=heading.value, last=heading.value, group_by=("hour",), sort="")
        elif dimension is not Dimension.HOUR:
            rest = [other.key for other in made.query.group_by if other != dimension]
            next_one = _DRILL_DOWN.get(dimension, Dimension.CAMPAIGN)
            filters = tuple(dict.fromkeys((*query.filters, f"{dimension.key}:{heading.key}")))
            group_by = tuple(rest) or (next_one.value,)
            address = query.changed(filters=filters, group_by=group_by, sort="")
        keys.append((heading.name, address))
    mix = mixes.of(heading.key for heading in row.headings) if mixes else None
    return ReportRow(tuple(keys), _cells(_shown(query, made), row, mix), tuple(_statuses(made, row)))


def _cells(measures: Sequence[Column], row: NamedReportRow, mix: CostMix | None) -> tuple[ReportCell, ...]:
    before = [None if row.before is None else measure.of(row.before) for measure in measures]
    values = [(measure, measure.of(row.sums)) for measure in measures]
    return tuple(
        ReportCell(
            figure_text(measure, value),
            tone_of(measure, value),
            change_text(share_of_change(value, earlier)),
            mix.sentence if mix is not None and measure is Measure.COST else "",
        )
        for (measure, value), earlier in zip(values, before, strict=True)
    )


def _statuses(made: NamedReport, row: NamedReportRow) -> list[str]:
    return [f"{row.sums.by_status.get(key, 0):,}" for key in made.statuses]


routes = [get("/reports", dependencies={"page_query": from_query(ReportPageQuery)})(in_long_work(show))]
