"""The tally behind marks that depend on other clicks: frequent addresses, repeated clicks, reused external ids. Pure.

Its memory is bounded, whatever strangers send: what was seen longest ago is forgotten first. Give it clicks in the order in which
they are settled; those that come a little late are counted where they belong.
"""

from array import array
from bisect import bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from clickloop.clock import DAY_MS, MINUTE_MS, SECOND_MS
from clickloop.setup.mark import Mark, MarkSetting

FREQUENT_WINDOW_MS = MINUTE_MS
REUSED_WINDOW_MS = DAY_MS
MAX_MOMENTS = 500_000
"""Clicks of the last minute that are remembered, for addresses and again for addresses with their campaign."""
MAX_VISITORS = 200_000
"""Visitors of campaigns whose last click is remembered."""
MAX_EXTERNAL_IDS = 1 << 20
"""External ids that are remembered, in 8 MiB. With more than about 10 a second of all campaigns, it is less than a day's."""


class RateThresholds(msgspec.Struct, frozen=True):
    """The thresholds of a campaign's marks that are on; 0: the mark is off."""

    frequent_ip: int = 0
    """Clicks per minute beyond which an address's clicks are marked."""
    frequent_campaign: int = 0
    repeat_ms: int = 0
    """A click so soon after the visitor's last one is marked."""
    reused_external_id: int = 0
    """The click of a day from which on clicks with the same external id are marked."""


def thresholds_of(settings: Iterable[MarkSetting]) -> RateThresholds:
    """Return the thresholds of the settings in force."""
    on = {setting.mark: setting.threshold or setting.mark.threshold for setting in settings if setting.on}
    return RateThresholds(
        on.get(Mark.FREQUENT_IP, 0),
        on.get(Mark.FREQUENT_CAMPAIGN, 0),
        on.get(Mark.REPEAT, 0),
        on.get(Mark.REUSED_EXTERNAL_ID, 0),
    )


class RatedClick(NamedTuple):
    """What the tally reads of a click. ``address`` and ``visitor`` are compared as they are; an empty one is not counted."""

    at: int
    campaign_id: int
    source_id: int
    external_id: str
    address: str
    """The whole address; where only a part is stored, the visitor's hash."""
    visitor: str
    """The visitor's hash, of address and user agent."""


class RateTally:
    """Counts clicks and returns their marks. Not thread-safe."""

    def __init__(
        self,
        max_moments: int = MAX_MOMENTS,
        max_visitors: int = MAX_VISITORS,
        max_external_ids: int = MAX_EXTERNAL_IDS,
    ) -> None:
        self._by_address = _Moments(max_moments)
        self._by_campaign = _Moments(max_moments)
        self._visitors = _LastClicks(max_visitors)
        self._external_ids = _SeenIds(max_external_ids)

    def count(self, click: RatedClick, on: RateThresholds) -> tuple[Mark, ...]:
        """Count a click and return its marks. Call it once per click that counts."""
        marks = []
        if click.address:
            if self._by_address.count(hash(click.address), click.at, on.frequent_ip) > on.frequent_ip > 0:
                marks.append(Mark.FREQUENT_IP)
            key = hash((click.address, click.campaign_id))
            if self._by_campaign.count(key, click.at, on.frequent_campaign) > on.frequent_campaign > 0:
                marks.append(Mark.FREQUENT_CAMPAIGN)
        if click.visitor:
            key = hash((click.visitor, click.campaign_id))
            since = self._visitors.milliseconds_since(key, click.at, on.repeat_ms)
            if since is not None and since < on.repeat_ms:
                marks.append(Mark.REPEAT)
        if click.external_id and self._count_external_id(click) >= on.reused_external_id > 0:
            marks.append(Mark.REUSED_EXTERNAL_ID)
        return tuple(marks)

    def remember(self, click: RatedClick) -> None:
        """Count the external id of a click of the last day."""
        if click.external_id:
            self._count_external_id(click)

    def _count_external_id(self, click: RatedClick) -> int:
        return self._external_ids.count(hash((click.external_id, click.source_id)), click.at)


class _Moments:
    """The clicks of the last minute by key, latest keys last. Each key has as many as its highest threshold needs."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._total = 0
        self._newest = 0
        self._highest = 0
        # Not a plain dict, whose first key is found ever more slowly after deletions.
        self._moments: OrderedDict[int, list[int]] = OrderedDict()

    def count(self, key: int, at: int, threshold: int) -> int:
        """Add a click and return how many of the key's fall into the minute that ends with it; exact up to threshold + 1."""
        if threshold > self._highest:
            self._highest = threshold
        if at > self._newest:
            self._newest = at
        moments = self._moments.get(key)
        if moments is None:  # most addresses come once
            self._moments[key] = [at]
            self._total += 1
            self._forget()
            return 1
        self._moments.move_to_end(key)
        before = len(moments)
        insort(moments, at)  # at the end, but for clicks that come late
        del moments[: bisect_right(moments, moments[-1] - FREQUENT_WINDOW_MS)]
        if len(moments) > self._highest + 1:  # the highest, since thresholds differ by campaign
            del moments[0]
        self._total += len(moments) - before
        self._forget()
        return bisect_right(moments, at) - bisect_right(moments, at - FREQUENT_WINDOW_MS)

    def _forget(self) -> None:
        """Drop keys whose clicks are all older than the window, and the oldest beyond the limit."""
        while self._moments:
            moments = self._moments[next(iter(self._moments))]
            if self._total <= self._most and moments[-1] > self._newest - FREQUENT_WINDOW_MS:
                return
            self._moments.popitem(last=False)
            self._total -= len(moments)


class _LastClicks:
    """The moment of each key's last click, latest last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._longest = 0
        self._newest = 0
        self._last: OrderedDict[int, int] = OrderedDict()

    def milliseconds_since(self, key: int, at: int, window_ms: int) -> int | None:
        """Set a key's last click and return how long it is from the one before; None if that is unknown or long ago."""
        self._longest = max(self._longest, window_ms)
        self._newest = max(self._newest, at)
        before = self._last.get(key)
        self._last[key] = at if before is None else max(at, before)
        self._last.move_to_end(key)
        while len(self._last) > self._most or self._last[next(iter(self._last))] <= self._newest - self._longest:
            self._last.popitem(last=False)
            if not self._last:
                break
        return None if before is None else abs(at - before)


_WAYS = 8
_TAG_BITS, _SECONDS_BITS, _COUNT_BITS = 30, 28, 6
_MAX_COUNT = (1 << _COUNT_BITS) - 1
_SECONDS = (1 << _SECONDS_BITS) - 1


class _SeenIds:
    """External ids with the time and number of their clicks, in one array: buckets of eight, whose oldest gives way.

    An entry has 30 bits of the id's hash, the seconds of its last click modulo 8 years, and its clicks so far. With the bits that
    choose the bucket, two ids are taken for one in less than one of 100 million cases.
    """

    def __init__(self, most: int) -> None:
        self._buckets = max(1, most // _WAYS)
        self._entries = array("Q", bytes(8 * _WAYS * self._buckets))

    def count(self, key: int, at: int) -> int:
        """Add a click and return its number among those that follow each other within a day, up to the maximum count."""
        key &= (1 << 63) - 1
        tag = key & ((1 << _TAG_BITS) - 1)
        start = (key >> _TAG_BITS) % self._buckets * _WAYS
        seconds = at // SECOND_MS & _SECONDS
        chosen, oldest = start, -1
        for place in range(start, start + _WAYS):
            entry = self._entries[place]
            if not entry:
                chosen, oldest = place, _SECONDS + 1
                continue
            age = seconds - (entry >> _COUNT_BITS & _SECONDS) & _SECONDS
            if entry >> (_COUNT_BITS + _SECONDS_BITS) == tag:
                return self._counted_again(place, entry, age, seconds)
            if oldest < age <= _SECONDS >> 1:  # a later one is not older: its click came earlier
                chosen, oldest = place, age
        self._entries[chosen] = tag << (_COUNT_BITS + _SECONDS_BITS) | seconds << _COUNT_BITS | 1
        return 1

    def _counted_again(self, place: int, entry: int, age: int, seconds: int) -> int:
        is_late = age > _SECONDS >> 1
        distance = _SECONDS + 1 - age if is_late else age
        count = min((entry & _MAX_COUNT) + 1, _MAX_COUNT) if distance <= REUSED_WINDOW_MS // SECOND_MS else 1
        tag = entry >> (_COUNT_BITS + _SECONDS_BITS)
        last = entry >> _COUNT_BITS & _SECONDS if is_late else seconds
        self._entries[place] = tag << (_COUNT_BITS + _SECONDS_BITS) | last << _COUNT_BITS | count
        return count
