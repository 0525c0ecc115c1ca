"""Send scheduled views: each due run creates one postback, in the transaction that sets when the view is due next.

A kill before that transaction leaves the run due; after it, the postback is delivered like any other. Besides, a run has a number,
and the postbacks of a rule have each number once.
"""

from collections.abc import Callable, Sequence

import msgspec

from clickloop.clock import Clock
from clickloop.machine.log import log
from clickloop.postback.due import ConditionResult, DuePostback, SkippedPostback, SkipReason
from clickloop.postback.postback_log import NewPostback, subject_of_view
from clickloop.postback.rule import PostbackRequest, PostbackRule, Trigger
from clickloop.postback.sending.address_guard import AddressGuard, RefusedAddress
from clickloop.postback.values import ReadyRequest, ready_request
from clickloop.postback.view_rules import view_values
from clickloop.report.view.schedule import LATE_AFTER_MS, ViewSchedule, latest_due, next_due
from clickloop.report.view.view import SavedView
from clickloop.setup.fault import InvalidInputError
from clickloop.store.facts.facts import FactsError
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.postbacks import insert_postbacks
from clickloop.store.ledger.setup.rules import LiveRule, rules_of_ids
from clickloop.store.ledger.setup.views import ViewRuns, advance_run, due_views, runs_of
from clickloop.text import escape_bytes
from clickloop.tracking.reports.reporting import ReportSource
from clickloop.tracking.views.file import ViewFile, ViewSettings, make_file

MAX_DETAIL = 500


class ViewRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to decide: the view, its rule if there still is one, and the moment at which it was due."""

    view: SavedView
    rule: PostbackRule | None
    due_ms: int
    is_late: bool = False


class ViewSender:
    """Sends the views that are due. One thread runs it."""

    def __init__(
        self,
        ledger: Ledger,
        facts: ReportSource,
        guard: AddressGuard,
        settings: Callable[[], ViewSettings],
        new_id: Callable[[], str],
        clock: Clock,
        on_owed: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._facts = facts
        self._guard = guard
        self._settings = settings
        self._new_id = new_id
        self._clock = clock
        self._on_owed = on_owed

    def step(self) -> bool:
        """Send the view that is overdue longest. Return whether there may be more."""
        now_ms = self._clock()
        with self._ledger.read() as tx:
            found = due_views(tx, now_ms, 1)
            seen = runs_of(tx, [view.id for view in found])
        if not found:
            return False
        view = found[0]
        return self._send(view, seen[view.id], now_ms)

    def _send(self, view: SavedView, seen: ViewRuns, now_ms: int) -> bool:
        schedule = view.schedule
        if schedule is None or seen.next_run_at is None:  # as the table's constraints exclude
            return False
        due_ms = max(seen.next_run_at, latest_due(schedule, now_ms))
        with self._ledger.read() as tx:
            rule = rule_of_view(rules_of_ids(tx, [schedule.rule_id]))
        is_late = now_ms - seen.next_run_at > LATE_AFTER_MS
        run = ViewRun(view=view, rule=rule, due_ms=due_ms, is_late=is_late)
        try:
            postback = self._decided(run, schedule, seen.runs + 1, now_ms)
        except FactsError as error:
            # It stays due.
            log("a scheduled view waits for the facts", view=view.id, error=str(error))
            return False
        done = ViewRuns(
            next_run_at=next_due(schedule, max(now_ms, due_ms)),
            runs=seen.runs + 1,
            last_run_at=now_ms,
            last_due_at=seen.next_run_at,
            last_postback_id=postback.postback_id,
        )
        with self._ledger.write() as tx:
            # Changed or sent in the meantime: the next step looks again.
            if not advance_run(tx, view, seen, done):
                return True
            insert_postbacks(tx, [postback], now_ms)
        self._on_owed()
        return True

    def _decided(self, run: ViewRun, schedule: ViewSchedule, number: int, now_ms: int) -> NewPostback:
        postback_id = self._new_id()
        settings = self._settings()
        decision, receiver = decide_run(
            run,
            self._guard,
            lambda: make_file(self._ledger, self._facts, run.view, settings, run.due_ms, is_late=run.is_late),
            postback_id,
            settings.domain,
            now_ms,
        )
        return NewPostback(
            postback_id=postback_id,
            conversion_id=subject_of_view(run.view.id),
            version=number,
            rule_id=schedule.rule_id,
            click_id="",
            campaign_id=0,
            source_id=0,
            trigger=Trigger.VIEW.value,
            decision=decision,
            receiver=receiver,
        )


def rule_of_view(found: Sequence[LiveRule]) -> PostbackRule | None:
    """Return the rule among those found; archived ones count as off."""
    return found[0].rule if found else None


def decide_run(
    run: ViewRun,
    guard: AddressGuard,
    file_of: Callable[[], ViewFile],
    postback_id: str,
    domain: str,
    now_ms: int,
) -> tuple[DuePostback | SkippedPostback, str]:
    """Return the decision on a run, and the receiver if it is due. Writes nothing, so dry runs use it too."""
    rule = run.rule
    if rule is None or not rule.active:
        finding = ConditionResult(SkipReason.RULE_OFF, False, "the rule is off or archived")
        return SkippedPostback(SkipReason.RULE_OFF, (finding,)), ""
    findings = [ConditionResult(SkipReason.RULE_OFF, True)]
    ready = ready_request(rule.request)
    judgement = guard.judge_target(ready.target)
    if isinstance(judgement, RefusedAddress):
        findings.append(ConditionResult(SkipReason.ADDRESS_REFUSED, False, judgement.sentence))
        return SkippedPostback(SkipReason.ADDRESS_REFUSED, tuple(findings)), ""
    findings.append(ConditionResult(SkipReason.ADDRESS_REFUSED, True))
    try:
        file = file_of()
    except InvalidInputError as error:
        sentence = " ".join(fault.message for fault in error.faults)[:MAX_DETAIL]
        findings.append(ConditionResult(SkipReason.VIEW_FAULT, False, sentence))
        return SkippedPostback(SkipReason.VIEW_FAULT, tuple(findings)), ""
    findings.append(ConditionResult(SkipReason.VIEW_FAULT, True, file.remark))
    request = _request(run.view, rule, ready, file, postback_id, domain, now_ms)
    return DuePostback(request, now_ms, tuple(findings)), ready.receiver


def _request(
    view: SavedView,
    rule: PostbackRule,
    ready: ReadyRequest,
    file: ViewFile,
    postback_id: str,
    domain: str,
    now_ms: int,
) -> PostbackRequest:
    values = view_values(
        postback_id=postback_id,
        name=view.name,
        csv=escape_bytes(file.csv),
        file=file.name,
        remark=file.remark,
        rule_name=rule.name,
        domain=domain,
    )
    return ready.resolve(values, now_ms, None)
