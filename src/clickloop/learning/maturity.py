"""The age at which a visit counts: when most of those that convert at all have converted. Pure."""

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


def delay_of(learning: Learning, delays: Delays | None) -> int:
    """Return the age in milliseconds at which an item's visits count."""
    if learning.delay_hours is not None:
        return learning.delay_hours * HOUR_MS
    if delays is not None and delays.count >= MIN_DELAYS:
        return delays.delay_ms
    return DEFAULT_LANDING_DELAY_MS if learning.goal is Goal.LANDING_CTR else DEFAULT_DELAY_MS


def learned_from(learning: Learning, delays: Delays | None) -> int:
    """Return the number of conversions that ``delay_of`` is learned from; 0: it was set, or is the default."""
    if learning.delay_hours is not None or delays is None or delays.count < MIN_DELAYS:
        return 0
    return delays.count
