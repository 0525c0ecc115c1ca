"""The marks that a click gets by what its visitor does, or fails to do, on the landing. Pure."""

from collections.abc import Iterable

import msgspec

from clickloop.click.marks.marked_click import MarkedClick
from clickloop.clock import SECOND_MS
from clickloop.setup.mark import NO_MARKS, Mark, MarkSetting

LATE_MARKS = frozenset({Mark.FAST_CLICK, Mark.NO_VIEW})


class LateThresholds(msgspec.Struct, frozen=True):
    """The thresholds of a campaign's late marks that are on; 0: the mark is off."""

    fast_ms: int = 0
    """A button pressed in less time is marked."""
    view_wait_ms: int = 0
    """A click whose landing reports no view within this time is marked."""


def late_thresholds(settings: Iterable[MarkSetting]) -> LateThresholds:
    """Return the thresholds of the settings in force."""
    on = {setting.mark: setting.threshold or setting.mark.threshold for setting in settings if setting.on}
    return LateThresholds(on.get(Mark.FAST_CLICK, 0), on.get(Mark.NO_VIEW, 0) * SECOND_MS)


def late_marks(click: MarkedClick, on: LateThresholds, *, has_script: bool) -> frozenset[Mark]:
    """Return a click's late marks, once the time for a view is over. ``has_script``: its landing had reported views before."""
    is_fast = click.pressed_ms is not None and click.pressed_ms < on.fast_ms
    in_time = click.viewed_at is not None and click.viewed_at <= click.at + on.view_wait_ms
    is_unseen = bool(on.view_wait_ms and click.landing_id and has_script and not in_time)
    if not is_fast and not is_unseen:
        return NO_MARKS
    return frozenset(mark for mark, given in ((Mark.FAST_CLICK, is_fast), (Mark.NO_VIEW, is_unseen)) if given)
