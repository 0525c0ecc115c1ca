"""Give late marks: the worker that looks at what happened on landings, once it is settled. Each click is judged once."""

from collections.abc import Callable, Collection

from clickloop.click.marks.landing_views import VIEW_DAYS, LandingWatch, ReportedViews
from clickloop.click.marks.late_marks import LateThresholds, late_marks, late_thresholds
from clickloop.click.marks.mark_correction import MarkChange
from clickloop.click.marks.marked_click import MarkedClick
from clickloop.clock import DAY_MS, MINUTE_MS, Clock
from clickloop.conversion.attribution import SETTLED_SLACK_MS
from clickloop.machine.log import log
from clickloop.setup.mark import marks_of, marks_text
from clickloop.store.facts.facts import FactsStore
from clickloop.tracking.marks.rules import MarkRules

MAX_STEP_MS = 5 * MINUTE_MS
"""Longest time looked at per step: after a standstill, the ids of its clicks must fit into memory."""
CLICKS_PER_BATCH = 5_000
IDLE_MS = 10 * MINUTE_MS
"""While nothing happens, how far it has judged is stored this often: each time is a commit."""

CLOCK_AHEAD_MS = DAY_MS
"""How far back it judges anew once a clock that was ahead is right again. Judging a click a second time changes nothing."""

SettledTo = Callable[[], int | None]
"""Returns the moment up to which a stream is settled; None if unknown."""


class LateMarks:
    """Judges clicks by what happened on their landings. One per store, in one thread. What it has done is in the facts."""

    def __init__(
        self, facts: FactsStore, rules: Callable[[], MarkRules], settled_to: Collection[SettledTo], clock: Clock
    ) -> None:
        """``settled_to``: of clicks and of page events."""
        self._facts = facts
        self._rules = rules
        self._settled_to = settled_to
        self._clock = clock
        self._views = ReportedViews()
        self._views_from = self._views_to = 0

    def step(self) -> bool:
        """Judge what has happened since the last step. Return whether there is more. Errors of a store propagate: call again."""
        until = self._until()
        since = self._facts.marks.judged_to()
        if until is not None and since > self._clock():
            since = until - CLOCK_AHEAD_MS
        if until is None or until <= since:
            return False
        rules = self._rules()
        thresholds = {id_: late_thresholds(rules.in_force(id_)) for id_ in (0, *rules.campaigns)}
        longest = max(one.view_wait_ms for one in thresholds.values())
        oldest = self._facts.marks.oldest_at(since - longest)
        if oldest is None:
            return until - since >= IDLE_MS and self._end(until, ())
        # Nothing happened before it that could be late: a new store starts at 1970.
        since = max(since, oldest - 1)
        until = min(until, since + MAX_STEP_MS)
        click_ids = sorted(self._facts.marks.watched(_watch(since, until, thresholds)))
        changes: list[MarkChange] = []
        for start in range(0, len(click_ids), CLICKS_PER_BATCH):
            clicks = self._facts.marks.clicks_of(click_ids[start : start + CLICKS_PER_BATCH])
            waited = [click for click in clicks if _is_over(click, thresholds, since, until)]
            self._read_views(waited, until - longest)
            changes += self._changes(clicks, {click.click_id for click in waited}, thresholds)
        return self._end(until, changes)

    def _until(self) -> int | None:
        """Return the moment up to which everything is settled: a view that is on its way must not be missed."""
        now_ms = self._clock()
        settled = [moment() for moment in self._settled_to]
        if any(moment is None for moment in settled):
            return None
        return min(now_ms, *(moment for moment in settled if moment is not None)) - SETTLED_SLACK_MS

    def _end(self, until: int, changes: Collection[MarkChange]) -> bool:
        now_ms = self._clock()
        changed = self._facts.marks.correct_late(list(changes), until, now_ms)
        if changed:
            log("late marks given", clicks=changed)
        return until < now_ms - MAX_STEP_MS

    def _read_views(self, clicks: Collection[MarkedClick], oldest_at: int) -> None:
        """Read which landings had reported views before these clicks, and forget what none after ``oldest_at`` needs."""
        if not clicks:
            return
        moments = [click.at for click in clicks]
        needed_from, needed_to = min(moments) - (VIEW_DAYS + 1) * DAY_MS, max(moments)
        if needed_from < self._views_from or not self._views_to:
            self._views = ReportedViews()
            self._views_from = self._views_to = needed_from
        if needed_to > self._views_to:
            self._views.add(self._facts.marks.first_views(self._views_to, needed_to))
            self._views_to = needed_to
        self._views.forget(oldest_at)
        self._views_from = max(self._views_from, oldest_at - (VIEW_DAYS + 1) * DAY_MS)

    def _changes(
        self, clicks: Collection[MarkedClick], waited: Collection[str], thresholds: dict[int, LateThresholds]
    ) -> list[MarkChange]:
        """Return the marks that clicks get. ``waited``: those whose time for a view has ended; others only had a button pressed."""
        changes = []
        for click in clicks:
            on = thresholds.get(click.campaign_id, thresholds[0])
            has_script = click.click_id in waited and self._views.had_views(click.landing_id, click.at)
            gained = late_marks(click, on, has_script=has_script) - marks_of(click.marks)
            if gained:
                changes.append(MarkChange(click.click_id, marks_text(gained)))
        return changes


def _watch(since: int, until: int, thresholds: dict[int, LateThresholds]) -> LandingWatch:
    own = {id_: one.view_wait_ms for id_, one in thresholds.items() if id_}
    return LandingWatch(
        since=since,
        until=until,
        campaign_ids=tuple(own),
        wait_ms=tuple(own.values()),
        usual_wait_ms=thresholds[0].view_wait_ms,
    )


def _is_over(click: MarkedClick, thresholds: dict[int, LateThresholds], since: int, until: int) -> bool:
    """Return whether a click's time for a view ended after a moment, up to another."""
    wait_ms = thresholds.get(click.campaign_id, thresholds[0]).view_wait_ms
    return wait_ms > 0 and since < click.at + wait_ms <= until
