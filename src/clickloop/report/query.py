"""Report queries (period, grouping, filters, order) and their results. Engines of the facts compile them; nothing here is SQL."""

import enum

import msgspec

from clickloop.money import MICROS
from clickloop.report.column import Column, FormulaColumn
from clickloop.report.measure import Measure, Sums, quotient
from clickloop.setup.source_rows import V_ROWS

MAX_GROUPINGS = 5


class Dimension(enum.StrEnum):
    """A dimension to group and filter by. Conversions and page events have those of their click, but their own time.

    A landing click and what follows from it have the offer and network that its button led to.
    """

    CAMPAIGN = "campaign"
    SOURCE = "source"
    OFFER = "offer"
    NETWORK = "network"
    LANDING = "landing"
    FLOW = "flow"
    RULE = "rule"
    PATH = "path"
    COUNTRY = "country"
    REGION = "region"
    CITY = "city"
    ISP = "isp"
    ASN = "asn"
    CONNECTION = "connection"
    LANGUAGE = "language"
    DEVICE = "device"
    BRAND = "brand"
    MODEL = "model"
    OS = "os"
    OS_VERSION = "os_version"
    BROWSER = "browser"
    BROWSER_VERSION = "browser_version"
    DOMAIN = "domain"
    REFERRER = "referrer"
    """The host of the referrer."""
    UNIQUE = "unique"
    """``unique`` or ``returning``."""
    VISIT_NUMBER = "visit_number"
    """1 for the visitor's first visit to the campaign; 0 if visits were not counted."""
    MARK = "mark"
    """A click's marks, all of them together: a click is in one group. For filters see ``ANY_MARK`` and ``WITH_MARK``."""
    SCREENING = "screening"
    """The reason why clicks are not counted. They are among the clicks recorded."""
    STATUS = "status"
    """For conversions only: a report grouped by it has no clicks or cost; a filter on it applies to conversions alone."""
    COUNTS_AS = "counts_as"
    """For conversions only: confirmed, pending or rejected."""
    DELAY = "delay"
    """For conversions only: the class of the time since the click, by its first second (``DELAY_CLASSES``)."""
    DAY = "day"
    HOUR = "hour"
    WEEKDAY = "weekday"
    HOUR_OF_DAY = "hour_of_day"
    V1 = "v1"
    V2 = "v2"
    V3 = "v3"
    V4 = "v4"
    V5 = "v5"
    V6 = "v6"
    V7 = "v7"
    V8 = "v8"
    V9 = "v9"
    V10 = "v10"
    V11 = "v11"
    V12 = "v12"
    V13 = "v13"
    V14 = "v14"
    V15 = "v15"
    V16 = "v16"
    V17 = "v17"
    V18 = "v18"
    V19 = "v19"
    V20 = "v20"
    V21 = "v21"
    V22 = "v22"
    V23 = "v23"
    V24 = "v24"
    V25 = "v25"
    V26 = "v26"
    V27 = "v27"
    V28 = "v28"
    V29 = "v29"
    V30 = "v30"

    @property
    def key(self) -> str:
        """Return the name in addresses and the API."""
        return self.value

    @property
    def is_time(self) -> bool:
        """Return whether its values are moments or calendar parts, in the report's time zone."""
        return self in _TIMES

    @property
    def is_integer(self) -> bool:
        """Return whether its keys are integers, not texts."""
        return self.is_number or self.is_time or self in (Dimension.DELAY, Dimension.VISIT_NUMBER)

    @property
    def is_of_conversions(self) -> bool:
        """Return whether only conversions have it."""
        return self in (Dimension.STATUS, Dimension.COUNTS_AS, Dimension.DELAY)

    @property
    def is_number(self) -> bool:
        """Return whether its values are numbers of set-up records. 0 stands for none."""
        return self in _NUMBERS


_TIMES = frozenset({Dimension.DAY, Dimension.HOUR, Dimension.WEEKDAY, Dimension.HOUR_OF_DAY})
_NUMBERS = frozenset(
    {Dimension.CAMPAIGN, Dimension.SOURCE, Dimension.OFFER, Dimension.NETWORK, Dimension.LANDING}
    | {Dimension.FLOW, Dimension.RULE, Dimension.PATH}
)
PARAMETERS = tuple(Dimension(f"v{number}") for number in V_ROWS)
"""V1…V30 in order."""


MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
DELAY_CLASSES = (0, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY, 30 * DAY)
"""First second of each class of delays."""


class Parameter(msgspec.Struct, frozen=True):
    """A parameter by the name that the user gave it, as a dimension: which of V1…V30 it is depends on the traffic source."""

    name: str
    rows: tuple[tuple[int, int], ...]
    """Traffic source and number of its row, ascending."""

    @property
    def key(self) -> str:
        """Return the name in addresses and the API."""
        return self.name

    @property
    def is_time(self) -> bool:
        """Return False."""
        return False

    @property
    def is_number(self) -> bool:
        """Return False."""
        return False

    @property
    def is_integer(self) -> bool:
        """Return False."""
        return False

    @property
    def is_of_conversions(self) -> bool:
        """Return False."""
        return False


Grouping = Dimension | Parameter


ANY_MARK = "any"
"""The value of a filter on marks for clicks that have some. The empty value is for clean ones."""
WITH_MARK = "+"
"""Before a mark, in a filter: for clicks with it, whatever others they have. Otherwise a value stands for exactly these marks."""


class FilterOperator(enum.StrEnum):
    """The comparison of a filter. Its text is written between dimension and value."""

    IN = ":"
    NOT_IN = "!:"
    CONTAINS = "~:"
    NOT_CONTAINS = "!~:"
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="

    @property
    def is_numeric(self) -> bool:
        """Return whether values are compared as numbers; a value that is none does not match."""
        return self.value[0] in "<>"


class DimensionFilter(msgspec.Struct, frozen=True):
    """A filter that matches any of its values, or with ``NOT_…`` none of them.

    Values are like group keys, numbers as decimal text, days and hours as the first moment in Unix milliseconds. Empty: without a
    value. A numeric filter has one value, in millionths.
    """

    dimension: Grouping
    values: tuple[str, ...]
    operator: FilterOperator = FilterOperator.IN
    since: tuple[int, ...] = ()
    """For each value, with ``IN``: the moment before which rows with it do not match. Empty: none."""


class TimeBasis(enum.StrEnum):
    """The time at which conversions and page events count."""

    CONVERSION = "conversion"
    """Their own time."""
    CLICK = "click"
    """The time of their click."""


class MomentRange(msgspec.Struct, frozen=True):
    """A period in Unix milliseconds, the end exclusive. Both are starts of days in the query's time zone."""

    from_at: int
    until_at: int


class SortOf(enum.StrEnum):
    """The side of a column to sort by, in a comparison."""

    VALUE = ""
    BEFORE = "before"
    CHANGE = "change"
    CHANGE_SHARE = "change_percent"


class ReportQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query of the facts."""

    from_at: int
    until_at: int
    """End of the period, exclusive, Unix milliseconds; like ``from_at`` the start of a day in ``zone``."""
    compared: MomentRange | None = None
    """A period to compare with. Its days and hours take the place of those that are as far from the start of the period."""
    basis: TimeBasis = TimeBasis.CONVERSION
    zone: str = "UTC"
    """IANA name of the time zone of days and hours."""
    currency: str
    """The instance's currency, into which money is converted."""
    group_by: tuple[Grouping, ...] = ()
    """At most five. Empty: totals only. A level of a tree is a query with the keys of the levels above as filters."""
    filters: tuple[DimensionFilter, ...] = ()
    conditions: tuple[FormulaColumn, ...] = ()
    """Filters on figures, which must all have the value 1 in a group; see ``condition.conditions_of``."""
    columns: tuple[Column, ...] | None = None
    """The figures to compute; None: all usual ones."""
    sort: Column | None = Measure.CLICKS
    """None: by group key."""
    sort_of: SortOf = SortOf.VALUE
    descending: bool = True
    limit: int = 100
    offset: int = 0
    statuses: tuple[str, ...] = ()
    """Keys of the statuses whose conversions and payouts are also counted separately."""


class ExchangeRate(msgspec.Struct, frozen=True):
    """The value of one unit of a currency from a day on, until the next rate."""

    currency: str
    day: int
    """Days since 1970-01-01, UTC."""
    rate_e12: int
    """Trillionths (10⁻¹²) of the instance's currency; 0: no rate from this day on."""


class OfferApproval(msgspec.Struct, frozen=True):
    """The decided conversions of an offer, from which expected revenue is calculated. ``offer_id`` 0: conversions without an offer."""

    offer_id: int
    confirmed: int
    rejected: int

    @property
    def rate(self) -> int | None:
        """Return the approval rate in millionths; None if nothing was decided."""
        return quotient(self.confirmed * MICROS, self.confirmed + self.rejected)


GroupKey = int | str
"""The key of a group: a record's number, a text (empty if none), a weekday (1 for Monday … 7), an hour of the day, the first second of
a class of delays, or the first moment of a day or hour in Unix milliseconds."""


class ReportGroup(msgspec.Struct, frozen=True):
    """A row of a report."""

    keys: tuple[GroupKey, ...]
    sums: Sums
    before: Sums | None = None
    """Sums of the period that is compared with."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One page of groups, the number of all groups, and the sums of all of them: of those that meet the conditions."""

    groups: tuple[ReportGroup, ...]
    group_count: int
    totals: Sums
    totals_before: Sums | None = None
    approvals: tuple[OfferApproval, ...] = ()
    """The approval rates behind expected figures, by offer; empty if the query has none."""
