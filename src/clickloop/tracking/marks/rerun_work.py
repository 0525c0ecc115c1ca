"""Run reruns of marks step by step: preview them, apply them in batches, undo them. What is applied is in the facts alone."""

from collections.abc import Callable, Generator
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from clickloop.click.marks.landing_views import VIEW_DAYS, ReportedViews
from clickloop.click.marks.mark_correction import MarkBatch, MarkChange
from clickloop.click.marks.marked_click import ClickSpan, MarkedClick
from clickloop.clock import DAY_MS, Clock, steady_seconds
from clickloop.machine.log import log
from clickloop.record_id import base32_time
from clickloop.setup.mark import Mark
from clickloop.store.facts.facts import FactsStore
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.jobs.mark_reruns import (
    MARK_RERUNS,
    MarkRerun,
    RerunStage,
    delete_previews_before,
    unfinished_rerun,
)
from clickloop.store.ledger.ledger import Ledger
from clickloop.tracking.marks.judging_anew import PastJudge
from clickloop.tracking.marks.result import RerunResult, RerunTally
from clickloop.tracking.marks.rules import MarkRules

KEEP_DAYS = 30
"""Days for which a preview that was not applied is kept."""
STEP_SECONDS = 0.5
"""Duration of a step, after which a stop takes effect."""
CLICKS_PER_BATCH = 20_000
"""Clicks judged, and corrected, in one transaction."""


class RerunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The clicks from ``since`` to before ``until`` of some campaigns, or of all, and the marks to judge anew."""

    since: int
    until: int
    campaign_ids: tuple[int, ...] = ()
    marks: tuple[Mark, ...]


class RulesChangedError(Exception):
    """The rules have changed since the preview. The message says what to do."""


class _Batch(NamedTuple):
    """Clicks of the request, in the order of their ids, each with its change."""

    clicks: list[MarkedClick]
    changes: list[MarkChange | None]


class _Run(NamedTuple):
    rerun_id: str
    stage: RerunStage
    steps: Generator[MarkRerun, None, None]
    """Yields the rerun as it is after each batch."""


class MarkRerunWorker:
    """Runs one rerun after the other. One per ledger and facts, in one thread.

    A preview starts again after a restart. Applying and undoing continue after the last batch that the facts have.
    """

    def __init__(
        self,
        ledger: Ledger,
        facts: FactsStore,
        rules: Callable[[], MarkRules],
        clock: Clock,
        clicks_per_batch: int = CLICKS_PER_BATCH,
    ) -> None:
        self._ledger = ledger
        self._facts = facts
        self._rules = rules
        self._clock = clock
        self._clicks_per_batch = clicks_per_batch
        self._run: _Run | None = None

    def step(self, seconds: float = STEP_SECONDS) -> bool:
        """Work on the rerun for a moment; return False if there is none. Errors of a store propagate: call again later."""
        with self._ledger.read() as tx:
            rerun = unfinished_rerun(tx)
        if rerun is None:
            self._run = None
            return False
        if self._run is None or (self._run.rerun_id, self._run.stage) != (rerun.rerun_id, rerun.stage):
            self._run = _Run(rerun.rerun_id, rerun.stage, self._steps(rerun))
        try:
            self._work(self._run, rerun, seconds)
        except RulesChangedError as error:
            self._end(replace(rerun, state=JobState.FAILED, error=str(error)))
        except BaseException:
            self._run = None
            raise
        return True

    def _work(self, run: _Run, rerun: MarkRerun, seconds: float) -> None:
        ends = steady_seconds() + seconds
        while True:
            after = next(run.steps, None)
            if after is None:
                return self._end(replace(rerun, state=JobState.FINISHED))
            rerun = after
            if steady_seconds() >= ends:
                break
        with self._ledger.write() as tx:
            if not MARK_RERUNS.keep(tx, rerun):  # stopped: what it has applied stays
                self._run = None
        return None

    def _end(self, rerun: MarkRerun) -> None:
        self._run = None
        now_ms = self._clock()
        ended = replace(rerun, finished_at=now_ms)
        if ended.state is JobState.FINISHED and ended.stage is RerunStage.UNDO:
            ended = replace(ended, undone_at=now_ms)
        with self._ledger.write() as tx:
            written = MARK_RERUNS.keep(tx, ended)
        if written:
            log("rerun of marks: stage ended", rerun_id=ended.rerun_id, stage=ended.stage, state=ended.state)

    def _steps(self, rerun: MarkRerun) -> Generator[MarkRerun, None, None]:
        match rerun.stage:
            case RerunStage.PREVIEW:
                return self._preview(rerun)
            case RerunStage.APPLY:
                return self._apply(rerun)
            case RerunStage.UNDO:
                return self._undo(rerun)

    def _preview(self, rerun: MarkRerun) -> Generator[MarkRerun, None, None]:
        request = request_of(rerun)
        rules = self._rules()
        rerun = replace(rerun, state=JobState.RUNNING, total=self._facts.marks.count(_span(request)), done=0)
        tally = RerunTally(request.marks)
        for batch in self._judged(request, rules, ""):
            earned = self._facts.marks.earned(batch.clicks[0].click_id, batch.clicks[-1].click_id)
            for click, change in zip(batch.clicks, batch.changes, strict=True):
                tally.add(click, change, earned.get(click.click_id, ()) if change else ())
            rerun = replace(rerun, done=tally.judged)
            yield rerun
        yield replace(rerun, total=tally.judged, result=msgspec.json.encode(tally.result(rules.digest())))

    def _apply(self, rerun: MarkRerun) -> Generator[MarkRerun, None, None]:
        request, rules = request_of(rerun), self._rules()
        preview = result_of(rerun)
        if preview is None or preview.rules != rules.digest():
            raise RulesChangedError(
                "The settings or lists of marks have changed since the preview. Start a new rerun to see what they change now."
            )
        # In the facts, not in the ledger: each batch is remembered in the transaction of its corrections.
        progress = self._facts.marks.progress(rerun.rerun_id)
        number, done = progress.batches, progress.judged
        rerun = replace(rerun, state=JobState.RUNNING, total=max(preview.judged, done), done=done)
        for batch in self._judged(request, rules, progress.last_click_id):
            number += 1
            done += len(batch.clicks)
            last_click_id = batch.clicks[-1].click_id
            self._facts.marks.correct(
                MarkBatch(
                    job_id=rerun.rerun_id,
                    number=number,
                    last_click_id=last_click_id,
                    judged=len(batch.clicks),
                    changes=tuple(change for change in batch.changes if change),
                ),
                self._clock(),
            )
            rerun = replace(rerun, total=max(rerun.total, done), done=done, next_cursor=last_click_id)
            yield rerun

    def _undo(self, rerun: MarkRerun) -> Generator[MarkRerun, None, None]:
        progress = self._facts.marks.progress(rerun.rerun_id)
        total = max(rerun.total, progress.judged)
        while progress.batches:
            progress = self._facts.marks.undo(rerun.rerun_id)
            yield replace(rerun, state=JobState.RUNNING, total=total, done=total - progress.judged)

    def _judged(self, request: RerunRequest, rules: MarkRules, after_click_id: str) -> Generator[_Batch, None, None]:
        """Yield batches of the request's clicks after an id."""
        views = ReportedViews()
        judge = PastJudge(rules, request.marks, views)
        if Mark.NO_VIEW in judge.marks:
            views.add(self._facts.marks.first_views(request.since - (VIEW_DAYS + 1) * DAY_MS, request.until))
        wanted = frozenset(request.campaign_ids)
        span = _span(request)
        begin_id = after_click_id
        if judge.has_rates:
            # Clicks before the first, and those of other campaigns, are only counted; after a restart also those judged before.
            first_at = max(0, request.since - judge.warm_up_ms)
            begin_id = base32_time(first_at)
            span = ClickSpan(since=first_at, until=request.until)
        while clicks := self._facts.marks.clicks(span, self._clicks_per_batch, begin_id, with_page=judge.has_late):
            begin_id = clicks[-1].click_id
            changes = [judge.judge(click) for click in clicks]
            pairs = [
                (click, change)
                for click, change in zip(clicks, changes, strict=True)
                if click.click_id > after_click_id
                and click.at >= request.since
                and (not wanted or click.campaign_id in wanted)
            ]
            if pairs:
                yield _Batch([click for click, _ in pairs], [change for _, change in pairs])


def request_of(rerun: MarkRerun) -> RerunRequest:
    """Return which clicks and marks a rerun judges."""
    return msgspec.json.decode(rerun.request, type=RerunRequest)


def result_of(rerun: MarkRerun) -> RerunResult | None:
    """Return the result of a rerun's preview, or None if there is none yet."""
    return None if rerun.result is None else msgspec.json.decode(rerun.result, type=RerunResult)


def delete_old_previews(ledger: Ledger, now_ms: int) -> None:
    """Delete previews that ended ``KEEP_DAYS`` ago and were never applied."""
    with ledger.write() as tx:
        delete_previews_before(tx, now_ms - KEEP_DAYS * DAY_MS)


def _span(request: RerunRequest) -> ClickSpan:
    return ClickSpan(since=request.since, until=request.until, campaign_ids=request.campaign_ids)
