"""The address of a report page: its query, parsed, and the query with changes."""

from typing import Annotated
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from clickloop.log_filter import MAX_ID
from clickloop.report.measure import Measure
from clickloop.report.query_input import MAX_GROUPS, MAX_OFFSET

DEFAULT_MEASURES = (
    *(Measure.CLICKS, Measure.CLEAN_CLICKS, Measure.MARKED_CLICKS, Measure.CONVERSIONS, Measure.CR),
    *(Measure.REVENUE, Measure.COST, Measure.PROFIT, Measure.ROI, Measure.EPC, Measure.CPC),
)
Word = Annotated[str, Meta(max_length=40)]
Day = Annotated[str, Meta(max_length=10)]
Texts = list[str] | None
OptionalNumber = Annotated[int, Meta(ge=1, le=MAX_ID)] | None


class ReportPageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query of the page. ``filter_by`` and ``filter_value``: a filter that the user has just entered."""

    period: Word = ""
    first: Day = msgspec.field(default="", name="from")
    last: Day = msgspec.field(default="", name="to")
    group_by: Texts = None
    filters: Texts = msgspec.field(default=None, name="filter")
    filter_by: Word = ""
    filter_value: Annotated[str, Meta(max_length=1024)] = ""
    column: Texts = None
    sort: Word = ""
    having: Annotated[str, Meta(max_length=1_000)] = ""
    formulas: Texts = msgspec.field(default=None, name="formula")
    by: Word = ""
    compare: Word = ""
    zone: Annotated[str, Meta(max_length=64)] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_GROUPS)] | None = None
    view: OptionalNumber = None
    """The saved view that was opened."""
    offset: Annotated[int, Meta(ge=0, le=MAX_OFFSET)] = 0
    origins: bool = False
    """Show the origin of each row's cost."""
    output_format: Annotated[str, Meta(max_length=4)] = msgspec.field(default="", name="format")


class ReportAddress(msgspec.Struct, frozen=True):
    """The report that the URL describes."""

    period: str
    first: str
    last: str
    group_by: tuple[str, ...]
    filters: tuple[str, ...]
    columns: tuple[Measure, ...]
    sort: str
    origins: bool
    more: tuple[tuple[str, str], ...] = ()
    """Parameters that the page's form does not change: conditions, formulas, comparison, basis, zone, limit, and the view."""

    def of(self, name: str) -> str:
        """Return one of these parameters, empty if it is not given."""
        return dict(self.more).get(name, "")

    def changed(self, **changes: object) -> str:
        """Return the query with changes, without default values."""
        new = msgspec.structs.replace(self, **changes)
        pairs = [("period", new.period), ("from", new.first), ("to", new.last)]
        pairs += [("group_by", dimension) for dimension in new.group_by]
        pairs += [("filter", text) for text in new.filters]
        if new.columns != DEFAULT_MEASURES:
            pairs += [("column", measure.value) for measure in new.columns]
        pairs += [("sort", new.sort), ("origins", "true" if new.origins else ""), *new.more]
        return urlencode([(name, value) for name, value in pairs if value])


def address_of(page_query: ReportPageQuery) -> ReportAddress:
    """Return the report of a query. A named period overrides days; ``custom`` means the days."""
    period = "" if page_query.period == "custom" else page_query.period
    first, last = ("", "") if period else (page_query.first, page_query.last)
    return ReportAddress(
        period,
        first,
        last,
        without_empty(page_query.group_by),
        without_empty(page_query.filters),
        _measures(page_query.column),
        page_query.sort,
        page_query.origins,
        _more(page_query),
    )


def _more(page_query: ReportPageQuery) -> tuple[tuple[str, str], ...]:
    single = {
        name: str(getattr(page_query, name) or "") for name in ("having", "by", "compare", "zone", "limit", "view")
    }
    formulas = [("formula", text) for text in without_empty(page_query.formulas)]
    return (*formulas, *((name, text) for name, text in single.items() if text))


def without_empty(texts: Texts) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts or () if text))


def _measures(texts: Texts) -> tuple[Measure, ...]:
    """Return the chosen columns in their usual order; the default ones if none is chosen."""
    chosen = frozenset(without_empty(texts))
    return tuple(measure for measure in Measure if measure.value in chosen) or DEFAULT_MEASURES
