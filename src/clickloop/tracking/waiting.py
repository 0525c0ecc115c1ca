"""Notices that wait for their click: look again when they are due, and at once when clicks were settled."""

import time
from collections.abc import Callable

from clickloop.clock import DAY_MS
from clickloop.conversion.attribution import MAX_OVERDUE_LOOK_MS
from clickloop.conversion.notice import RefusalReason
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.notices import count_refused_between, notices_due_too_late, waiting_click_ids
from clickloop.tracking.around_damage import look_again_around_damage
from clickloop.tracking.notices import BATCH, Desk, NoticeResult

LOOK_SECONDS = 0.05
"""Pause between looks at the ledger: longer than for the journal, because a look costs eight times as much."""
CLOCK_LOOK_SECONDS = 60.0  # the clock is set back seldom
MAX_CLICK_IDS = 5_000
"""Click ids in one look-up after clicks were settled."""
_PAUSE_PER_LOOK = 10
"""A look-up for arrived clicks is followed by a pause of this many times its duration: a tenth of the thread's time at most."""
USUAL_DAYS = 7  # a whole week: weekends differ
MIN_REFUSALS = 10
"""Fewer refusals a day than this are no alarm."""
UNUSUAL_TIMES = 3  # a day may have twice the usual traffic
MAX_COUNTED = 100_000  # counting more takes longer and changes nothing


class WaitingNotices:
    """Looks at waiting notices. ``step`` is for one thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._look_at = float("-inf")
        self._clock_look_at = float("-inf")
        self._arrived_at = float("-inf")
        self._batches = 0
        self._pass_of = 0
        self._looked_to = ""

    def step(self, desk: Desk, now_ms: int) -> list[NoticeResult]:
        """Do what is due: return the results of the notices that were looked at."""
        now = self._monotonic()
        results = self._look_for_arrived(desk, now_ms) if now >= self._arrived_at else []
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            results += look_again_around_damage(desk, now_ms)
        if now >= self._clock_look_at:
            self._clock_look_at = now + CLOCK_LOOK_SECONDS
            results += self._look_at_those_of_a_fast_clock(desk, now_ms)
        return results

    def _look_for_arrived(self, desk: Desk, now_ms: int) -> list[NoticeResult]:
        """Look at the notices whose clicks were settled since the last look.

        The waiting ids are looked up in the facts here, instead of the settled ids among the waiting: settling of clicks
        need not know its ids, and nothing waits most of the time.
        """
        if not self._looked_to:
            self._pass_of = desk.progress.batches
        if self._pass_of == self._batches:
            return []
        started = self._monotonic()
        with desk.ledger.read() as tx:
            click_ids = waiting_click_ids(tx, self._looked_to, MAX_CLICK_IDS)
        found = desk.progress.find(desk.clicks, click_ids, {}).clicks
        results = look_again_around_damage(desk, now_ms, list(found)) if found else []
        if len(click_ids) == MAX_CLICK_IDS:
            self._looked_to = click_ids[-1]
        else:
            self._looked_to = ""
            self._batches = self._pass_of
        self._arrived_at = self._monotonic() + _PAUSE_PER_LOOK * (self._monotonic() - started)
        return results

    @staticmethod
    def _look_at_those_of_a_fast_clock(desk: Desk, now_ms: int) -> list[NoticeResult]:
        with desk.ledger.read() as tx:
            late = notices_due_too_late(tx, now_ms + 2 * MAX_OVERDUE_LOOK_MS, BATCH)
        return look_again_around_damage(desk, now_ms, notice_ids=[notice.raw.notice_id for notice in late])


def unknown_click_alarms(ledger: Ledger, now_ms: int) -> tuple[str, ...]:
    """Return the alarm about refusals as ``unknown_click`` of the last day if they are above the rate of the week before."""
    reason = RefusalReason.UNKNOWN_CLICK
    with ledger.read() as tx:
        lately = count_refused_between(tx, reason, now_ms - DAY_MS, now_ms + DAY_MS, MAX_COUNTED)
        if lately < MIN_REFUSALS:
            return ()
        before = count_refused_between(tx, reason, now_ms - (USUAL_DAYS + 1) * DAY_MS, now_ms - DAY_MS, MAX_COUNTED)
    usual = before / USUAL_DAYS
    if lately <= UNUSUAL_TIMES * usual:
        return ()
    count = f"{MAX_COUNTED} or more" if lately >= MAX_COUNTED else str(lately)
    text = (
        f"{count} incoming postbacks were refused as {reason.value} in the last 24 hours, usually {usual:.0f} a day: their "
        f"clicks were not recorded here, or were lost. Once the clicks are back, `clickloop rerun --reason {reason.value}` "
        "registers the conversions"
    )
    return (text,)
