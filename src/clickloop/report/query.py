"""What a report is asked for: a period, groupings, filters, an order; and the groups that come back."""

import enum

import msgspec

from clickloop.report.measure import Measure, Sums
from clickloop.setup.source_rows import V_ROWS

MAX_GROUPINGS = 2  # a table on a page has no place for more


class Dimension(enum.StrEnum):
    """What a report can be grouped and filtered by. Conversions have the dimensions of their click, but their own moment."""

    CAMPAIGN = "campaign"
    SOURCE = "source"
    OFFER = "offer"
    NETWORK = "network"
    LANDING = "landing"
    COUNTRY = "country"
    LANGUAGE = "language"
    DEVICE = "device"
    BRAND = "brand"
    MODEL = "model"
    OS = "os"
    OS_VERSION = "os_version"
    BROWSER = "browser"
    BROWSER_VERSION = "browser_version"
    DOMAIN = "domain"
    STATUS = "status"
    """Of conversions: a report grouped by it has no clicks and no cost; a filter by it narrows the conversions alone."""
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
        """Whether its values are moments or parts of the calendar, in the report's time zone."""
        return self in _TIMES

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers of records that the user set up; 0: none."""
        return self in _NUMBERS


_TIMES = frozenset({Dimension.DAY, Dimension.HOUR, Dimension.WEEKDAY, Dimension.HOUR_OF_DAY})
_NUMBERS = frozenset({Dimension.CAMPAIGN, Dimension.SOURCE, Dimension.OFFER, Dimension.NETWORK, Dimension.LANDING})
PARAMETERS = tuple(Dimension(f"v{number}") for number in V_ROWS)
"""V1…V30 in order."""


class Filter(msgspec.Struct, frozen=True):
    """Only what has one of these values. Values are as in the groups' keys; numbers as decimal texts; an empty text is none."""

    dimension: Dimension
    values: tuple[str, ...]


class ReportQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the facts."""

    from_at: int
    until_at: int
    """Exclusive. Unix milliseconds, as the period's ends are in ``zone``."""
    zone: str = "UTC"
    """IANA name of the time zone that days and hours are of."""
    currency: str
    """Of the instance: what money is converted into."""
    group_by: tuple[Dimension, ...] = ()
    """At most two; none: only the totals."""
    filters: tuple[Filter, ...] = ()
    sort: Measure | None = Measure.CLICKS
    """None: by the groups' keys, in their order."""
    descending: bool = True
    limit: int = 100
    offset: int = 0
    statuses: tuple[str, ...] = ()
    """Keys of the statuses whose conversions are to be counted each by itself."""


class Rate(msgspec.Struct, frozen=True):
    """What one unit of a currency was worth from a day on, until the next rate."""

    currency: str
    day: int
    """Days since 1970-01-01, UTC."""
    rate_e12: int
    """Millionths of millionths of the instance's currency."""


Key = int | str
"""What a group has in common: a number, a text (empty: none), a weekday (1 Monday … 7), an hour of the day, or the first moment of
a day or hour in Unix milliseconds."""


class Group(msgspec.Struct, frozen=True):
    """A row of a report."""

    keys: tuple[Key, ...]
    sums: Sums


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The groups that were asked for, how many there are, and the sums of all of them."""

    groups: tuple[Group, ...]
    group_count: int
    totals: Sums
