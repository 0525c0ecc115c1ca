"""Report queries (period, grouping, filters, order) and their results."""

import enum

import msgspec

from clickloop.report.measure import Measure, Sums
from clickloop.setup.source_rows import V_ROWS

MAX_GROUPINGS = 2  # more do not fit into a table on a page


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
    MARK = "mark"
    """A click's marks, all of them together: a click is in one group. For filters see ``ANY_MARK`` and ``WITH_MARK``."""
    STATUS = "status"
    """For conversions only: a report grouped by it has no clicks or cost; a filter on it applies to conversions alone."""
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
    def is_time(self) -> bool:
        """Return whether its values are moments or calendar parts, in the report's time zone."""
        return self in _TIMES

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


ANY_MARK = "any"
"""The value of a filter on marks for clicks that have some. The empty value is for clean ones."""
WITH_MARK = "+"
"""Before a mark, in a filter: for clicks with it, whatever others they have. Otherwise a value stands for exactly these marks."""


class DimensionFilter(msgspec.Struct, frozen=True):
    """A filter that matches any of its values. Values are like group keys, numbers as decimal text. Empty: without a value."""

    dimension: Dimension
    values: tuple[str, ...]


class ReportQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query of the facts."""

    from_at: int
    until_at: int
    """End of the period, exclusive, Unix milliseconds; like ``from_at`` the start of a day in ``zone``."""
    zone: str = "UTC"
    """IANA name of the time zone of days and hours."""
    currency: str
    """The instance's currency, into which money is converted."""
    group_by: tuple[Dimension, ...] = ()
    """At most two. Empty: totals only."""
    filters: tuple[DimensionFilter, ...] = ()
    sort: Measure | None = Measure.CLICKS
    """None: by group key."""
    descending: bool = True
    limit: int = 100
    offset: int = 0
    statuses: tuple[str, ...] = ()
    """Keys of the statuses whose conversions are also counted separately."""


class ExchangeRate(msgspec.Struct, frozen=True):
    """The value of one unit of a currency from a day on, until the next rate."""

    currency: str
    day: int
    """Days since 1970-01-01, UTC."""
    rate_e12: int
    """Trillionths (10⁻¹²) of the instance's currency."""


GroupKey = int | str
"""The key of a group: a record's number, a text (empty if none), a weekday (1 for Monday … 7), an hour of the day, or the first
moment of a day or hour in Unix milliseconds."""


class ReportGroup(msgspec.Struct, frozen=True):
    """A row of a report."""

    keys: tuple[GroupKey, ...]
    sums: Sums


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One page of groups, the number of all groups, and the sums of all of them."""

    groups: tuple[ReportGroup, ...]
    group_count: int
    totals: Sums
