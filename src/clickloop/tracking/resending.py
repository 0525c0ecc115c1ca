"""Resend one postback or all that match a filter, with the request unchanged or rebuilt from today's rule.

A resend is a separate row that follows the original in order. Its request keeps the original's ``{postback_id}``, and its
attempts continue the original's numbers, so that a receiver can tell that it is the same postback. A waiting postback can be
resent, too: the transaction that creates the new row cancels the waiting one.
"""

import enum
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from clickloop.conversion.conversion import Change
from clickloop.explained import Explained
from clickloop.postback.due import ConditionResult, DuePostback, RuleContext, SkippedPostback, SkipReason
from clickloop.postback.postback_log import NewPostback, PostbackFilter
from clickloop.postback.rule import PostbackRequest, PostbackRule
from clickloop.postback.state import PostbackState
from clickloop.postback.values import ready_request
from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, BulkJob, JobKind
from clickloop.store.ledger.logs.conversions import changes_of_conversions
from clickloop.store.ledger.logs.notices import notices_of_ids
from clickloop.store.ledger.logs.postbacks import EarlierDecision, earlier_decisions, insert_postbacks
from clickloop.store.ledger.queue.holding import resume_rule
from clickloop.store.ledger.queue.resends import (
    LatestPostback,
    StateScope,
    attempts_made,
    count_matching,
    find_latest_postback,
    matching_after,
    newest_end,
    newest_on_the_way,
    newest_postback,
    replace_all,
)
from clickloop.store.ledger.setup.rules import LiveRule, count_shares, rules_of_ids
from clickloop.tracking.deciding import ChangeValues, PreparedRule, SetupContext, decide_rule, read_setup_context
from clickloop.tracking.notices import Intake

BATCH = 200
"""Postbacks per transaction: other writers may write in between."""

_read_request = msgspec.json.Decoder(PostbackRequest).decode
_read_findings = msgspec.json.Decoder(tuple[ConditionResult, ...]).decode
_encode = msgspec.json.Encoder().encode


class ResendMode(enum.StrEnum):
    """The request to resend."""

    AS_IT_WAS = "as_it_was"
    """The same request, byte for byte."""
    ANEW = "anew"
    """Rebuilt from today's rule and set-up, for the conversion as it was after that change."""


class NotResentReason(Explained):
    """Reasons why a postback was not resent. A closed list."""

    UNDER_WAY = "under_way", "It is being sent right now. Wait for the attempt to end."
    NOTHING_WAS_SENT = (
        "nothing_was_sent",
        "It was skipped, so there is no request to repeat. Correct the cause, then rebuild and resend it.",
    )
    STILL_SKIPPED = "still_skipped", "It was skipped, and with the current rule it would be skipped again."
    SUPERSEDED = (
        "superseded",
        (
            "A newer change of the conversion has been sent or is being sent, and the receiver would take the older one for "
            "the latest. Resend the newest one, or force it."
        ),
    )
    RECORD_GONE = (
        "record_gone",
        "Its rule, change or request can no longer be read from the ledger.",
    )


class ResendRefusal(msgspec.Struct, frozen=True):
    """The refusal to resend a postback. ``skipped``: the condition by which it would still be skipped.

    ``left_out``: the decision of the rule's share to skip it, which is stored so that it stays skipped.
    """

    why: NotResentReason
    skipped: SkipReason | None = None
    left_out: SkippedPostback | None = None

    @property
    def sentence(self) -> str:
        return f"{self.why.sentence} {self.skipped.sentence}" if self.skipped else self.why.sentence

    @property
    def word(self) -> str:
        """The reason as a key for counting."""
        return f"{self.why}: {self.skipped}" if self.skipped else str(self.why)


class ResendRequest(msgspec.Struct, frozen=True):
    """The request for a resend job, as stored with the job."""

    wanted: PostbackFilter
    mode: ResendMode
    resumes_rule: int | None = None
    """The paused rule to resume when the job ends. Then each postback keeps its scheduled time, even if it was tried before."""
    ended_until: int | None = None
    """When the last of the matching postbacks had ended: what ended later is not resent. None: in jobs of older versions.

    By the rows' own clock, not the job's: it may have been set back in between, and some would be left out.
    """

    @property
    def pool(self) -> StateScope:
        """The postbacks to resend if the filter names no state: final ones, or a resumed rule's waiting ones."""
        return StateScope.FINAL if self.resumes_rule is None else StateScope.WAITING


class _ResendContext(msgspec.Struct, frozen=True):
    """The records needed to resend a batch."""

    attempts: dict[tuple[str, int, int], int]
    newest: dict[tuple[str, int], int]
    """By conversion and rule, the newest version that is queued, being sent or delivered."""
    changes: dict[tuple[str, int], Change]
    rules: dict[int, LiveRule]
    surroundings: SetupContext | None
    earlier: dict[tuple[str, int], list[EarlierDecision]]


class _ResendOptions(msgspec.Struct, frozen=True):
    """Options of a resend.

    ``releases``: include those whose notice requested that no postback be sent. ``keeps_moments``: a replaced postback that
    was tried before keeps the time of its next attempt.
    """

    mode: ResendMode
    force: bool = False
    releases: bool = False
    bulk_job_id: str | None = None
    keeps_moments: bool = False


def resend_one(
    tx: Connection, intake: Intake, postback_id: str, mode: ResendMode, now_ms: int, *, force: bool = False
) -> NewPostback | ResendRefusal | None:
    """Resend a postback; if the id is of an older row of the same change and rule, resend the last one. Return None if none exists.

    ``force``: even if a newer change was sent since, or its notice requested that no postback be sent.
    """
    sent = find_latest_postback(tx, postback_id)
    if sent is None:
        return None
    (result,) = _resend(tx, intake, [sent], _ResendOptions(mode, force, releases=force), now_ms)
    return result


def start_resend_job(
    tx: Connection,
    intake: Intake,
    wanted: PostbackFilter,
    mode: ResendMode,
    now_ms: int,
    resumes_rule: int | None = None,
) -> BulkJob:
    """Create a job over all postbacks that match now; ``run_resend_batch`` runs it. At its end ``resumes_rule`` is resumed."""
    request = ResendRequest(wanted, mode, resumes_rule)
    request = msgspec.structs.replace(request, ended_until=newest_end(tx, wanted, request.pool))
    job = BulkJob(
        bulk_job_id=intake.new_id(),
        kind=JobKind.RESEND,
        asked=_encode(request),
        last_id=newest_postback(tx),
        matched=sum(count_matching(tx, wanted, request.pool).values()),
        created_at=now_ms,
    )
    BULK_JOBS.insert(tx, job)
    return job


def run_resend_batch(tx: Connection, intake: Intake, job: BulkJob, now_ms: int) -> BulkJob:
    """Run the next batch of a job and record its progress in the caller's transaction; a crash neither skips nor repeats any."""
    request = msgspec.json.decode(job.asked, type=ResendRequest)
    batch = matching_after(tx, request.wanted, request.pool, job.done_id, job.last_id, BATCH, request.ended_until)
    options = _ResendOptions(
        request.mode,
        releases=request.wanted.reason is SkipReason.DISABLED_BY_NOTICE,
        bulk_job_id=job.bulk_job_id,
        keeps_moments=request.resumes_rule is not None,
    )
    results = _resend(tx, intake, batch, options, now_ms)
    left_out = dict(job.left_out)
    for refusal in results:
        if isinstance(refusal, ResendRefusal):
            left_out[refusal.word] = left_out.get(refusal.word, 0) + 1
    count = sum(isinstance(postback, NewPostback) for postback in results)
    job = msgspec.structs.replace(job, left_out=left_out)
    job = job.after([sent.postback_id for sent in batch], BATCH, count, now_ms)
    BULK_JOBS.keep(tx, job)
    if job.state.is_final and request.resumes_rule is not None:
        resume_rule(tx, request.resumes_rule, now_ms)
    return job


def _resend(
    tx: Connection, intake: Intake, batch: Sequence[LatestPostback], options: _ResendOptions, now_ms: int
) -> list[NewPostback | ResendRefusal]:
    """Create the resends of a batch and cancel the waiting postbacks that they replace. Return the result for each."""
    context = _read_context(tx, batch, anew=options.mode is ResendMode.ANEW)
    results: list[NewPostback | ResendRefusal] = []
    rows: list[NewPostback] = []
    replaced: list[str] = []
    counted: dict[int, int] = {}
    for sent in batch:
        decision = _decision(sent, options, context, intake, counted, now_ms)
        if isinstance(decision, ResendRefusal):
            results.append(decision)
            if decision.left_out is not None:
                rows.append(_row(sent, options, decision.left_out, intake.new_id()))
            continue
        request = msgspec.structs.replace(
            decision.request, earlier_attempts=context.attempts.get((sent.conversion_id, sent.version, sent.rule_id), 0)
        )
        if sent.state is PostbackState.WAITING:
            replaced.append(sent.postback_id)
        owed = DuePostback(request, _moment(sent, options, now_ms), decision.findings)
        receiver = (
            sent.receiver if options.mode is ResendMode.AS_IT_WAS else _receiver(context.rules[sent.rule_id].rule)
        )
        rows.append(_row(sent, options, owed, intake.new_id(), receiver))
        results.append(rows[-1])
    replace_all(tx, replaced, now_ms)
    insert_postbacks(tx, rows, now_ms)
    count_shares(tx, counted)
    return results


def _row(
    sent: LatestPostback,
    options: _ResendOptions,
    decision: DuePostback | SkippedPostback,
    postback_id: str,
    receiver: str = "",
) -> NewPostback:
    """Return the row that follows the resent one."""
    return NewPostback(
        postback_id=postback_id,
        conversion_id=sent.conversion_id,
        version=sent.version,
        rule_id=sent.rule_id,
        resend=sent.resend + 1,
        original_id=sent.original_id,
        bulk_job_id=options.bulk_job_id,
        click_id=sent.click_id,
        campaign_id=sent.campaign_id,
        source_id=sent.source_id,
        trigger="resend",
        decision=decision,
        receiver=receiver,
    )


def _moment(sent: LatestPostback, options: _ResendOptions, now_ms: int) -> int:
    """Return when to send it: at once, or when the waiting, untried postback that it replaces would have been sent."""
    if sent.next_attempt_at is None or (sent.attempts and not options.keeps_moments):
        return now_ms
    return sent.next_attempt_at if sent.held_from is None else sent.held_from


def _decision(
    sent: LatestPostback,
    options: _ResendOptions,
    context: _ResendContext,
    intake: Intake,
    counted: dict[int, int],
    now_ms: int,
) -> DuePostback | ResendRefusal:
    if sent.state is PostbackState.SENDING:
        return ResendRefusal(NotResentReason.UNDER_WAY)
    if (
        sent.state.is_final
        and not options.force
        and context.newest.get((sent.conversion_id, sent.rule_id), 0) > sent.version
    ):
        return ResendRefusal(NotResentReason.SUPERSEDED)
    if options.mode is ResendMode.AS_IT_WAS:
        if sent.request is None:
            return ResendRefusal(
                NotResentReason.NOTHING_WAS_SENT if sent.reason is not None else NotResentReason.RECORD_GONE
            )
        try:
            return DuePostback(_read_request(sent.request), now_ms, _read_findings(sent.findings))
        # Only the damaged record is refused; the job goes on.
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ResendRefusal(NotResentReason.RECORD_GONE)
    live = context.rules.get(sent.rule_id)
    change = context.changes.get((sent.conversion_id, sent.version))
    if live is None or change is None or context.surroundings is None:
        return ResendRefusal(NotResentReason.RECORD_GONE)
    if sent.reason is None:
        values = ChangeValues(change, context.surroundings)
        ready = ready_request(live.rule.request, context.surroundings.rows.get(sent.source_id, ()))
        request = ready.resolve(values.of(live.rule, sent.original_id, ready), now_ms, None)
        return DuePostback(request, now_ms, _read_findings(sent.findings))
    if options.releases:
        change = msgspec.structs.replace(change, disable_postback=False)
    return _decide_again(sent, live, change, context, intake, counted, now_ms)


def _decide_again(
    sent: LatestPostback,
    live: LiveRule,
    change: Change,
    context: _ResendContext,
    intake: Intake,
    counted: dict[int, int],
    now_ms: int,
) -> DuePostback | ResendRefusal:
    """Decide a skipped postback by today's rule. One that the rule's share skipped stays skipped while the rule has a share."""
    assert context.surroundings is not None
    campaign = context.surroundings.campaigns.get(sent.campaign_id)
    before = [
        decided
        for decided in context.earlier.get((sent.conversion_id, sent.rule_id), ())
        if decided.version < sent.version
    ]
    skipped = {decided.reason for decided in before if decided.reason is not None}
    if sent.reason is SkipReason.NOT_SAMPLED:
        skipped.add(SkipReason.NOT_SAMPLED)
    earlier = RuleContext(
        owed=sum(decided.reason is None for decided in before),
        skipped=frozenset(skipped),
        counted=live.counted + counted.get(sent.rule_id, 0),
        source_rules_off=campaign is not None and campaign.source_rules_off,
    )
    prepared = PreparedRule.of(live.rule, sent.source_id, context.surroundings, intake.guard)
    values = ChangeValues(change, context.surroundings)
    decided = decide_rule(values, prepared, earlier, now_ms, sent.original_id).decision
    if decided.counted:
        counted[sent.rule_id] = counted.get(sent.rule_id, 0) + 1
    if isinstance(decided, SkippedPostback):
        return ResendRefusal(NotResentReason.STILL_SKIPPED, decided.reason, decided if decided.counted else None)
    return decided


def _read_context(tx: Connection, batch: Sequence[LatestPostback], *, anew: bool) -> _ResendContext:
    conversion_ids = sorted({sent.conversion_id for sent in batch})
    attempts = attempts_made(tx, {(sent.conversion_id, sent.version, sent.rule_id) for sent in batch})
    newest = newest_on_the_way(tx, conversion_ids)
    if not anew or not batch:
        return _ResendContext(attempts, newest, {}, {}, None, {})
    wanted = {(sent.conversion_id, sent.version) for sent in batch}
    recorded = [
        change
        for change in changes_of_conversions(tx, conversion_ids)
        if (change.after.conversion_id, change.version) in wanted
    ]
    notices = {notice.raw.notice_id: notice for notice in notices_of_ids(tx, [change.notice_id for change in recorded])}
    changes = {
        (change.after.conversion_id, change.version): change.as_change(notices.get(change.notice_id))
        for change in recorded
    }
    rules = {live.rule.rule_id: live for live in rules_of_ids(tx, {sent.rule_id for sent in batch})}
    surroundings = read_setup_context(tx, list(changes.values()), list(rules.values())) if changes else None
    earlier: dict[tuple[str, int], list[EarlierDecision]] = {}
    for decided in earlier_decisions(tx, conversion_ids):
        earlier.setdefault((decided.conversion_id, decided.rule_id), []).append(decided)
    return _ResendContext(attempts, newest, changes, rules, surroundings, earlier)


def _receiver(rule: PostbackRule) -> str:
    return ready_request(rule.request).receiver
