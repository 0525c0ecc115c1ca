"""What happened on landings, as far as late marks depend on it. Pure."""

import msgspec

from clickloop.clock import DAY_MS

VIEW_DAYS = 7
"""A landing's script counts as reporting views if one came within this many days before the click."""

LandingDay = tuple[int, int]
"""A landing and a day, in days since 1970-01-01 UTC."""


class LandingWatch(msgspec.Struct, frozen=True, kw_only=True):
    """What happened on landings after ``since``, up to ``until``, that a late mark may be given for."""

    since: int
    until: int
    campaign_ids: tuple[int, ...] = ()
    wait_ms: tuple[int, ...] = ()
    """How long a view may take after the visit, in the same order; 0: nobody waits for one."""
    usual_wait_ms: int
    """How long it may take in other campaigns."""


class ReportedViews:
    """When the scripts of landings reported views: the first view of each landing on each day."""

    def __init__(self) -> None:
        self._first: dict[LandingDay, int] = {}

    def add(self, firsts: dict[LandingDay, int]) -> None:
        """Add the first views of landings on days."""
        for day, at in firsts.items():
            known = self._first.get(day)
            if known is None or at < known:
                self._first[day] = at

    def had_views(self, landing_id: int, at: int) -> bool:
        """Return whether the landing's script had reported a view within ``VIEW_DAYS`` before a moment."""
        today = at // DAY_MS
        first = self._first.get((landing_id, today))
        if first is not None and first < at:
            return True
        return any((landing_id, today - days) in self._first for days in range(1, VIEW_DAYS + 1))

    def forget(self, before: int) -> None:
        """Drop what no click after a moment can need."""
        oldest = before // DAY_MS - VIEW_DAYS
        self._first = {day: at for day, at in self._first.items() if day[1] >= oldest}
