"""Finds entries whose segments overlap, among thousands without comparing each with each. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from clickloop.clock import DAY_MS
from clickloop.report.cost.entry import CostEntry
from clickloop.report.cost.segment import CostSegment
from clickloop.report.query import Dimension

MAX_OVERLAPS = 20
"""Maximum number of overlapping entries that are named, the newest ones."""
MAX_PLACES = 10_000
"""Days times values of a segment up to which it is found by them. Larger ones are compared with each."""

_Owner = tuple[int, int, tuple[Dimension, ...]]
_Place = tuple[int, str]


def may_overlap(one: CostSegment, other: CostSegment) -> bool:
    """Return whether a click could be in both segments. Of a campaign and a source, only the clicks can tell: True."""
    if one.until_at <= other.from_at or other.until_at <= one.from_at:
        return False
    if one.campaign_id and other.campaign_id and one.campaign_id != other.campaign_id:
        return False
    if one.source_id and other.source_id and one.source_id != other.source_id:
        return False
    values = {each.dimension: set(each.values) for each in one.filters}
    return all(
        each.dimension not in values or not values[each.dimension].isdisjoint(each.values) for each in other.filters
    )


class EntryIndex:
    """Entries by owner, day and value of a filter."""

    def __init__(self, entries: Iterable[CostEntry]) -> None:
        self._groups: dict[_Owner, list[CostEntry]] = {}
        for entry in entries:
            segment = entry.segment
            owner = (segment.source_id, segment.campaign_id, tuple(one.dimension for one in segment.filters))
            self._groups.setdefault(owner, []).append(entry)
        self._places: dict[tuple[_Owner, Dimension | None], tuple[dict[_Place, list[CostEntry]], list[CostEntry]]] = {}

    def overlapping(self, entry: CostEntry) -> tuple[CostEntry, ...]:
        """Return the newest entries that may cover clicks of an entry's segment, too, except one with its key."""
        found: dict[int, CostEntry] = {}
        segment = entry.segment
        for owner in self._groups:
            source_id, campaign_id, dimensions = owner
            if campaign_id and segment.campaign_id and campaign_id != segment.campaign_id:
                continue
            if source_id and segment.source_id and source_id != segment.source_id:
                continue
            shared = next((one.dimension for one in segment.filters if one.dimension in dimensions), None)
            for one in self._near(owner, shared, segment):
                if (not entry.key or one.key != entry.key) and may_overlap(one.segment, segment):
                    found[one.entry_id] = one
        return tuple(found[entry_id] for entry_id in sorted(found)[-MAX_OVERLAPS:])

    def _near(self, owner: _Owner, shared: Dimension | None, segment: CostSegment) -> Iterator[CostEntry]:
        if (owner, shared) not in self._places:
            self._places[owner, shared] = _places(self._groups[owner], shared)
        by_place, large = self._places[owner, shared]
        yield from large
        for place in _places_of(segment, shared):
            yield from by_place.get(place, ())


def _places(
    entries: Sequence[CostEntry], shared: Dimension | None
) -> tuple[dict[_Place, list[CostEntry]], list[CostEntry]]:
    """Return entries by day and value of a dimension, and those that have too many."""
    found: dict[_Place, list[CostEntry]] = {}
    large: list[CostEntry] = []
    for entry in entries:
        places = list(_places_of(entry.segment, shared))
        if len(places) > MAX_PLACES:
            large.append(entry)
            continue
        for place in places:
            found.setdefault(place, []).append(entry)
    return found, large


def _places_of(segment: CostSegment, shared: Dimension | None) -> Iterator[_Place]:
    values = next((one.values for one in segment.filters if one.dimension is shared), ("",))
    for day in range(segment.from_at // DAY_MS, (segment.until_at - 1) // DAY_MS + 1):
        for value in values:
            yield day, value
