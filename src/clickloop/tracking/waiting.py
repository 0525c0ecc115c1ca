"""Recheck notices that wait for their click or for landing clicks: when they are due, and soon after some were settled."""

import time
from collections.abc import Callable

from clickloop.clock import DAY_MS
from clickloop.conversion.attribution import MAX_OVERDUE_RECHECK_MS
from clickloop.conversion.notice import RefusalReason
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.notices import count_refused_between, notices_due_too_late, waiting_click_ids
from clickloop.tracking.damage_isolation import recheck_isolating_damage
from clickloop.tracking.notices import BATCH, Intake, NoticeResult

CHECK_INTERVAL_SECONDS = 0.05
"""Pause between checks of the ledger: longer than for the journal, because a check costs eight times as much."""
CLOCK_CHECK_INTERVAL_SECONDS = 60.0  # clocks are rarely set back
MAX_CLICK_IDS = 5_000
"""Click ids per look-up after clicks were settled."""
LANDING_CLICK_CHECK_SECONDS = 1.0
"""Pause between checks after landing clicks were settled: notices that wait for them are due about then anyway."""
_PAUSE_FACTOR = 10
"""After a look-up of arrived clicks, pause for this many times its duration: it uses at most a tenth of the thread's time."""
USUAL_DAYS = 7  # a whole week, because weekends differ
MIN_REFUSALS = 10
"""Minimum number of refusals a day for an alarm."""
UNUSUAL_TIMES = 3  # a day may have twice the usual traffic
MAX_COUNTED = 100_000  # counting more takes longer and changes nothing


class WaitingNotices:
    """A worker that rechecks waiting notices. Call ``step`` from one thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._look_at = float("-inf")
        self._clock_look_at = float("-inf")
        self._arrived_at = float("-inf")
        self._batches = 0
        self._pass_of = 0
        self._landing_clicks_settled_to: int | None = None
        self._landing_clicks_at = float("-inf")
        self._checked_to = ""

    def step(self, intake: Intake, now_ms: int) -> list[NoticeResult]:
        """Run the checks that are due. Return the results of the rechecked notices."""
        now = self._monotonic()
        results = self._check_arrived(intake, now_ms) if now >= self._arrived_at else []
        if now >= self._look_at:
            self._look_at = now + CHECK_INTERVAL_SECONDS
            results += recheck_isolating_damage(intake, now_ms)
        if now >= self._clock_look_at:
            self._clock_look_at = now + CLOCK_CHECK_INTERVAL_SECONDS
            results += self._check_after_fast_clock(intake, now_ms)
        return results

    def _check_arrived(self, intake: Intake, now_ms: int) -> list[NoticeResult]:
        """Recheck the notices whose clicks, or whose landing clicks, were settled since the last check.

        Look up the waiting ids in the facts rather than the settled ids among the waiting notices: settling need not know
        the ids of its clicks, and most of the time no notice waits.
        """
        if not self._checked_to:
            self._pass_of = intake.progress.batches
        if self._pass_of == self._batches and not self._checked_to and not self._may_have_landing_clicks(intake):
            return []
        started = self._monotonic()
        with intake.ledger.read() as tx:
            click_ids = waiting_click_ids(tx, self._checked_to, MAX_CLICK_IDS)
        found = intake.progress.find(intake.clicks, click_ids, {}).clicks
        results = recheck_isolating_damage(intake, now_ms, list(found)) if found else []
        if len(click_ids) == MAX_CLICK_IDS:
            self._checked_to = click_ids[-1]
        else:
            self._checked_to = ""
            self._batches = self._pass_of
        self._arrived_at = self._monotonic() + _PAUSE_FACTOR * (self._monotonic() - started)
        return results

    def _may_have_landing_clicks(self, intake: Intake) -> bool:
        settled_to = intake.landing_clicks.progress.settled_to
        if settled_to == self._landing_clicks_settled_to or self._monotonic() < self._landing_clicks_at:
            return False
        self._landing_clicks_settled_to = settled_to
        self._landing_clicks_at = self._monotonic() + LANDING_CLICK_CHECK_SECONDS
        return True

    @staticmethod
    def _check_after_fast_clock(intake: Intake, now_ms: int) -> list[NoticeResult]:
        """Recheck notices that are due far in the future: they were scheduled by a clock that has been set back since."""
        with intake.ledger.read() as tx:
            late = notices_due_too_late(tx, now_ms + 2 * MAX_OVERDUE_RECHECK_MS, BATCH)
        return recheck_isolating_damage(intake, now_ms, notice_ids=[notice.raw.notice_id for notice in late])


def unknown_click_alarms(ledger: Ledger, now_ms: int) -> tuple[str, ...]:
    """Return the alarm if the last day's refusals as ``unknown_click`` are far above the average of the week before."""
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
        f"{count} incoming postbacks were refused as {reason.value} in the last 24 hours, compared with {usual:.0f} on an "
        f"average day: their clicks were not recorded here, or were lost. Once the clicks are restored, run "
        f"`clickloop rerun --reason {reason.value}` to register the conversions"
    )
    return (text,)
