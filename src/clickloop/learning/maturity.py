"""The age at which a visit counts: when most of those that convert at all have converted. Pure."""

from collections.abc import Iterable

from clickloop.clock import HOUR_MS
from clickloop.learning.evidence import Delays
from clickloop.setup.learning import Goal, Learning

PERCENTILE = 0.8
"""Share of the conversions that have come by then."""
MIN_DELAYS = 20
"""Conversions from which an item's own delays are used."""
DEFAULT_DELAY_MS = 24 * HOUR_MS
"""Most networks report most conversions within a day."""
DEFAULT_LANDING_DELAY_MS = HOUR_MS
"""A visitor who presses the button of a landing does so while the page is open."""
DELAY_DAYS = 30
"""Days of conversions that delays are learned from."""


def delay_of(learning: Learning, own: Delays | None, others: Iterable[Delays] = ()) -> int:
    """Return the age in milliseconds at which an item's visits count.

    With too few conversions of its own it is the longest of the path's other items, and a default as long as they have too few, too.
    """
    if learning.delay_hours is not None:
        return learning.delay_hours * HOUR_MS
    if own is not None and own.count >= MIN_DELAYS:
        return own.delay_ms
    if known := [one.delay_ms for one in others if one.count >= MIN_DELAYS]:
        return max(known)
    return DEFAULT_LANDING_DELAY_MS if learning.goal is Goal.LANDING_CTR else DEFAULT_DELAY_MS


def learned_from(learning: Learning, delays: Delays | None) -> int:
    """Return the number of its own conversions that ``delay_of`` is learned from; 0: it was set, or is that of others."""
    if learning.delay_hours is not None or delays is None or delays.count < MIN_DELAYS:
        return 0
    return delays.count
