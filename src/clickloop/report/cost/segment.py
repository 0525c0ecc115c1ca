"""The clicks that a cost entry covers, and how its amount is spread over them. Pure."""

import enum

import msgspec

from clickloop.clock import MINUTE_MS
from clickloop.report.query import PARAMETERS, Dimension

QUARTER_MS = 15 * MINUTE_MS
"""Spans begin and end at whole quarter-hours, as time zones and roll-ups do."""
_GENERATION_BITS = 16
_ENTRY_BITS = 40
MAX_GENERATION = (1 << _GENERATION_BITS) - 1

FILTERABLE = frozenset(
    {
        *PARAMETERS,
        *(Dimension.OFFER, Dimension.LANDING, Dimension.PATH, Dimension.COUNTRY, Dimension.REGION, Dimension.CITY),
        *(Dimension.DEVICE, Dimension.OS, Dimension.BROWSER, Dimension.CONNECTION, Dimension.ISP, Dimension.DOMAIN),
        *(Dimension.LANGUAGE,),
    }
)
"""The dimensions that an entry may be narrowed by."""


class CostKind(enum.StrEnum):
    """The channel of an entry. Manual entries count before the others."""

    MANUAL = "manual"
    UPLOAD = "upload"
    API = "api"


class SpreadOver(enum.StrEnum):
    """The clicks that an entry's amount is spread over. It covers the segment's other clicks, too: they cost nothing."""

    CLICKS = "clicks"
    UNIQUE = "unique"
    CLEAN = "clean"


class CostFilter(msgspec.Struct, frozen=True):
    """A filter of clicks: any of the values, written like a report's. Empty: without a value."""

    dimension: Dimension
    values: tuple[str, ...]


class CostSegment(msgspec.Struct, frozen=True, kw_only=True):
    """The clicks of a source or campaign in a span, perhaps narrowed by filters, which must all match."""

    source_id: int = 0
    """0: of any source, if there is a campaign."""
    campaign_id: int = 0
    """0: of any campaign of the source."""
    filters: tuple[CostFilter, ...] = ()
    from_at: int
    until_at: int
    """End of the span, exclusive. Unix milliseconds."""


class SpreadOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An amount to spread over the clicks of a segment."""

    rank: int
    entry_id: int
    segment: CostSegment
    over: SpreadOver = SpreadOver.CLICKS
    micros: int
    currency: str


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """An amount that was spread over clicks, and how many of them it counts for yet."""

    rank: int
    entry_id: int
    currency: str
    micros: int
    covered: int
    """Number of clicks that it covers."""
    shared: int
    """Number of those that have a part of the amount. 0: nothing is attributed."""
    active: int
    """Number of covered clicks, the first ones, for which it counts, unless another entry comes before it."""


class SegmentClicks(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of the clicks of a segment."""

    recorded: int = 0
    """Without test clicks."""
    clicks: int = 0
    unique: int = 0
    clean: int = 0

    def shared(self, over: SpreadOver) -> int:
        """Return the number of clicks that an amount would be spread over."""
        return {SpreadOver.CLICKS: self.clicks, SpreadOver.UNIQUE: self.unique, SpreadOver.CLEAN: self.clean}[over]


class CostPart(msgspec.Struct, frozen=True):
    """A part of a click's cost. ``entry_id``: where it comes from; 0: the link or the campaign's cost model."""

    entry_id: int
    micros: int
    currency: str


class ClickShare(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that a click's cost came from, or comes from."""

    entry_id: int
    micros: int | None
    """The click's share; None: it has none any more."""
    counts: bool
    """True if it is the click's cost now."""


def rank_of(kind: CostKind, entry_id: int, generation: int) -> int:
    """Return the rank of a spread: of two that cover a click, the one with the higher rank counts.

    Manual entries come before others, then newer ones before older ones, then an entry's newer spread before its older one.
    """
    place = 1 if kind is CostKind.MANUAL else 0
    return (((place << _ENTRY_BITS) | entry_id) << _GENERATION_BITS) | generation


def generation_of(rank: int) -> int:
    """Return the number of a spread among those of its entry, from 1."""
    return rank & MAX_GENERATION
