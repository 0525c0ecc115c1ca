"""The core's workers beside the event loop: settling, uploads, exports, bulk jobs, self-audit and housekeeping."""

from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from clickloop.clock import DAY_MS, HOUR_MS, wall_clock
from clickloop.diagnosis.backtest.working import BacktestWorker, delete_old_backtests
from clickloop.diagnosis.page_audit import PageAudit
from clickloop.diagnosis.rollup_audit import RollupAudit
from clickloop.diagnosis.route.lookup import RouteSettings
from clickloop.diagnosis.self_audit import (
    audit_alarms,
    audit_rows_step,
    audit_step,
    held_alarms,
    paused_alarms,
    refused_alarms,
    refused_rules,
    rows_alarms,
)
from clickloop.learning.evidence import minute_of
from clickloop.machine.log import log
from clickloop.running.core import Core
from clickloop.running.worker import Worker
from clickloop.saving.access import delete_ended_sessions
from clickloop.store.damage_log import report_damages
from clickloop.store.journal.reader import JournalReader
from clickloop.tracking.caps.watching import CapWatch
from clickloop.tracking.costs.working import CostWorker
from clickloop.tracking.damage_isolation import damaged_record_alarms
from clickloop.tracking.jobs.bulk_work import delete_expired_responses, run_next_batch
from clickloop.tracking.jobs.export_work import ExportWorker, delete_old_export_files
from clickloop.tracking.jobs.exports import page_reader
from clickloop.tracking.jobs.upload_work import UploadWorker, tidy_uploads
from clickloop.tracking.judging import ClickJudge
from clickloop.tracking.learning.path_learner import PathLearner
from clickloop.tracking.marks.late_marks import LateMarks
from clickloop.tracking.marks.rerun_work import MarkRerunWorker, delete_old_previews
from clickloop.tracking.marks.rules import rules_reader
from clickloop.tracking.marks.settling import SettlingMarks
from clickloop.tracking.pages.settling_page_events import WaitingPageEvents, settle_page_events
from clickloop.tracking.retention import (
    Deletion,
    Retention,
    VisitorRetention,
    delete_old_unidentified_notices,
    sparing,
)
from clickloop.tracking.settle import settle_clicks, settle_facts, settle_notices
from clickloop.tracking.views.file import ViewSettings
from clickloop.tracking.views.sending import ViewSender
from clickloop.tracking.waiting import WaitingNotices, unknown_click_alarms
from clickloop.web.api.context import ApiContext

NOTICE_LOOK_SECONDS = 0.01  # postbacks wait for it; a look lists a few directories
CLICK_LOOK_SECONDS = 0.05  # nothing waits for it, and larger batches load faster
PAGE_EVENT_LOOK_SECONDS = (
    0.2  # a load costs some 20 ms, and conversions of visitors who came over a landing wait for it
)
UPLOAD_LOOK_SECONDS = 0.2  # a user has just sent the file; a look is one query
BACKTEST_LOOK_SECONDS = 0.5  # a user waits for it; a look is one query
RERUN_LOOK_SECONDS = 0.5  # a user waits for it; a look is one query
LATE_MARKS_SECONDS = 15.0  # they come minutes after the click anyway; each time is a commit
EXPORT_LOOK_SECONDS = 0.2  # a user waits for it; a look is one query
COST_LOOK_SECONDS = 0.5  # a user waits for it; a look is one query
VIEW_LOOK_SECONDS = 1.0  # they are due to the minute; a look is one query
BULK_LOOK_SECONDS = 0.5  # jobs take minutes; a look is one query
AUDIT_SECONDS = 10.0  # rare enough not to be noticed: a step reads a few thousand rows
CAP_LOOK_SECONDS = 0.1  # a reached cap is to be in force within a second; without changes a look is two short queries
PAUSED_LOOK_SECONDS = 2.0  # pausing by users, or after many failures, is never urgent
HOUSEKEEPING_SECONDS = 30.0  # expired data may stay half a minute longer
PUBLISHING_SECONDS = 1.0  # until then visitors follow the set-up before the change; a round is one comparison
LEARNING_LOOK_SECONDS = 1.0  # a comparison; weights are learned each minute and after a change of the set-up
MARKS_SECONDS = 10.0  # each time writes the ledger and four files; marks may lag

Step = Callable[[], bool]
"""A bounded round of a worker; returns whether there is more to do immediately."""


def workers_of(core: Core, context: ApiContext) -> list[Worker]:
    """Return the workers, not started yet."""
    journal, settled = core.folder / "journal", core.folder / "settled"
    # A reader per thread, since readers keep state.
    clicks, page_events, notices = (JournalReader(journal, settled) for _ in range(3))
    # Around every worker that moves or deletes segments, which must not happen during a backup.
    gate = core.pauses.gate
    visitors = VisitorRetention(core.facts)
    export_work = ExportWorker(core.ledger, core.exports, page_reader(context), wall_clock)
    backtest_work = BacktestWorker(core.ledger, core.facts, _route_settings(core), wall_clock)
    rules = rules_reader(core.ledger, core.started)
    mark_reruns = MarkRerunWorker(core.ledger, core.facts, rules, wall_clock)
    late_marks = LateMarks(
        core.facts,
        rules,
        (lambda: core.progress.settled_to, lambda: core.landing_clicks.progress.settled_to),
        wall_clock,
    )
    views = _views(core)
    cost_work = CostWorker(core.ledger, core.facts.costs, wall_clock)
    return [
        Worker("click processing", gate(_click_settling(core, clicks, visitors)), CLICK_LOOK_SECONDS),
        Worker("page event processing", gate(_page_event_settling(core, page_events)), PAGE_EVENT_LOOK_SECONDS),
        Worker("notice processing", gate(_notice_settling(core, notices)), NOTICE_LOOK_SECONDS),
        Worker("uploads", _uploads(core), UPLOAD_LOOK_SECONDS, drains=False),
        Worker("exports", export_work.step, EXPORT_LOOK_SECONDS, drains=False),
        Worker("backtests", backtest_work.step, BACKTEST_LOOK_SECONDS, drains=False),
        Worker("reruns of marks", gate(mark_reruns.step), RERUN_LOOK_SECONDS, drains=False),
        Worker("late marks", gate(late_marks.step), LATE_MARKS_SECONDS, drains=False),
        Worker("cost", cost_work.step, COST_LOOK_SECONDS, drains=False),
        Worker("scheduled views", views.step, VIEW_LOOK_SECONDS, drains=False),
        Worker("bulk jobs", _bulk_jobs(core), BULK_LOOK_SECONDS, drains=False),
        Worker("self-audit", _self_audit(core), AUDIT_SECONDS),
        Worker("pause alarms", _pause_alarms(core), PAUSED_LOOK_SECONDS),
        Worker("housekeeping", gate(_housekeeping(core, clicks, visitors)), HOUSEKEEPING_SECONDS),
        Worker("caps", _caps(core).step, CAP_LOOK_SECONDS, drains=False),
        Worker("publishing", core.publish_again, PUBLISHING_SECONDS, drains=False),
        Worker("learning", _learning(core), LEARNING_LOOK_SECONDS, drains=False),
        Worker("store marks", core.record_marks, MARKS_SECONDS),
    ]


def _views(core: Core) -> ViewSender:
    def settings() -> ViewSettings:
        instance = core.instance
        domain = urlsplit(instance.public_url).netloc
        return ViewSettings(zone=instance.time_zone, currency=instance.currency, domain=domain)

    return ViewSender(core.ledger, core.facts, core.guard, settings, core.record_ids, wall_clock, core.delivery.wake)


def _caps(core: Core) -> CapWatch:
    return CapWatch(core.ledger, core.facts, core.routing_states, lambda: core.instance.time_zone, wall_clock)


def _route_settings(core: Core) -> Callable[[], RouteSettings]:
    """Return a function that reads the settings in effect."""

    def read() -> RouteSettings:
        instance = core.instance
        own_hosts = tuple(instance.own_hosts() | {core.settings.listen})
        return RouteSettings(own_hosts=own_hosts, fallback_url=instance.fallback_url, ip_storage=instance.ip_storage)

    return read


def _learning(core: Core) -> Step:
    """Return the step that learns once a minute, and at once after a change of the set-up."""
    learner = PathLearner(core.ledger, core.facts, core.routing_states, lambda: core.instance.currency, wall_clock)
    learned: tuple[int, int] | None = None

    def step() -> bool:
        nonlocal learned
        due = (minute_of(wall_clock()), core.setup_change)
        if due != learned:
            learner.step()
            learned = due
        return False

    return step


def _click_settling(core: Core, reader: JournalReader, visitors: VisitorRetention) -> Step:
    judge = ClickJudge(core.facts, SettlingMarks(core.facts, lambda: core.campaign_marks))

    def step() -> bool:
        batch = settle_clicks(reader, core.facts, judge=judge)
        visitors.is_behind = batch.more
        if batch.clicks:
            core.progress.clicks_settled()
        report_damages(core.folder, batch.damages)
        # Clicks first: conversions that are handed over again after a loss take the marks of their clicks.
        if batch.more and core.facts.is_refilling():
            return True
        return settle_facts(core.ledger, core.facts) > 0 or batch.more

    return step


def _page_event_settling(core: Core, reader: JournalReader) -> Step:
    waiting = WaitingPageEvents()

    def step() -> bool:
        now_ms = wall_clock()
        batch = settle_page_events(reader, core.facts, now_ms)
        report_damages(core.folder, batch.damages)
        waiting.step(core.facts, core.progress, now_ms)
        return batch.more

    return step


def _notice_settling(core: Core, reader: JournalReader) -> Step:
    waiting = WaitingNotices()

    def step() -> bool:
        now_ms = wall_clock()
        batch = settle_notices(reader, core.intake, now_ms)
        report_damages(core.folder, batch.damages)
        core.progress.look()
        core.landing_clicks.progress.look()
        if waiting.step(core.intake, now_ms) or batch.results:
            core.delivery.wake()
        return batch.more

    return step


def _uploads(core: Core) -> Step:
    core.uploads.delete_unfinished()
    work = UploadWorker(core.intake, core.uploads, wall_clock)

    def step() -> bool:
        work.intake = core.intake
        done = work.step()
        if done.owed:
            core.delivery.wake()
        return done.more

    return step


def _bulk_jobs(core: Core) -> Step:
    def step() -> bool:
        more = run_next_batch(core.intake, wall_clock())
        if more:
            core.delivery.wake()
        return more

    return step


def _self_audit(core: Core) -> Step:
    pages = PageAudit(core.ledger)
    rollups = RollupAudit(core.facts.rollups, wall_clock)

    def step() -> bool:
        core.watch_files()
        core.update_damage_alarms()
        core.alarms.report("unreadable clicks", core.progress.alarms())
        core.alarms.report("geo base", core.geo_check.alarms())
        unreadable = pages.guarded(lambda: _audit_ledger(core))
        core.alarms.report("ledger", pages.step() or unreadable)
        core.alarms.report("roll ups", rollups.step())
        return False

    return step


def _audit_ledger(core: Core) -> None:
    mismatches = audit_step(core.ledger)
    if core.alarms.report("audit", audit_alarms(mismatches)) and mismatches:
        first = msgspec.to_builtins(mismatches[0])
        log("self-audit: postbacks do not add up", first=first, changes=len(mismatches))
    faulty = audit_rows_step(core.ledger)
    if core.alarms.report("audit of rows", rows_alarms(faulty)) and faulty:
        log("self-audit: rows do not add up", first=msgspec.to_builtins(faulty[0]), rows=len(faulty))
    core.alarms.report("held notices", damaged_record_alarms(core.ledger))
    core.alarms.report("unknown clicks", unknown_click_alarms(core.ledger, wall_clock()))
    refused = refused_rules(core.ledger, core.guard)
    if core.alarms.report("refused addresses", refused_alarms(refused)) and refused:
        log("live postback rules lead to refused addresses", rules=msgspec.to_builtins(refused))


def _pause_alarms(core: Core) -> Step:
    def step() -> bool:
        core.alarms.report("paused", paused_alarms(core.ledger))
        core.alarms.report("held", held_alarms(core.ledger, core.hold.current))
        return False

    return step


def _housekeeping(core: Core, reader: JournalReader, visitors: VisitorRetention) -> Step:
    retention = Retention(core.ledger, core.clock_guard, [*_deletions(core, reader), visitors])

    def step() -> bool:
        core.reserve.ensure()
        core.alarms.report("clock", retention.step())
        return False

    return step


def _deletions(core: Core, reader: JournalReader) -> list[Deletion]:
    """Return the deletions of old data."""
    keep_ms = core.settings.upload_keep_hours * HOUR_MS

    def delete_old_clicks(now_ms: int) -> None:
        if days := core.instance.click_keep_days:
            core.facts.delete_clicks(now_ms - days * DAY_MS)
            core.routing_states.forget(now_ms - days * DAY_MS)

    return [
        lambda now_ms: delete_expired_responses(core.intake, now_ms),
        lambda now_ms: tidy_uploads(core.ledger, core.uploads, now_ms, keep_ms),
        lambda now_ms: delete_old_export_files(core.ledger, core.exports, now_ms, keep_ms),
        sparing(lambda now_ms: reader.delete_settled(now_ms - core.settings.journal_keep_hours * HOUR_MS)),
        lambda _now_ms: delete_ended_sessions(core.access),
        delete_old_clicks,
        lambda now_ms: delete_old_backtests(core.ledger, now_ms),
        lambda now_ms: delete_old_previews(core.ledger, now_ms),
        lambda now_ms: delete_old_unidentified_notices(core.ledger, now_ms, core.settings.refused_notice_keep_days),
    ]
