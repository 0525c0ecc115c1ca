"""Sending again: one postback or all that match a filter, with the request as it was or built anew from today's rule.

A resend is a row of its own behind the original, in its order; its request goes on naming the original's ``{postback_id}``, and
its attempts are counted on from the original's, so that a receiver can tell that it is the same. What still waits can be asked
for too: the row that waits is cancelled in the transaction that makes the new one, which takes its place.
"""

import enum
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from clickloop.conversion.conversion import Change
from clickloop.conversion.notice import read_notice
from clickloop.explained import Explained
from clickloop.postback.due import Earlier, Finding, Owed, Skipped, SkipReason
from clickloop.postback.postback_log import NewPostback, PostbackFilter
from clickloop.postback.rule import Request, Rule
from clickloop.postback.state import PostbackState
from clickloop.postback.values import ready_request
from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, BulkJob, JobKind
from clickloop.store.ledger.logs.conversions import changes_of_conversions
from clickloop.store.ledger.logs.notices import notices_of_ids
from clickloop.store.ledger.logs.postbacks import Decided, decided_before, insert_postbacks
from clickloop.store.ledger.queue.holding import resume_rule
from clickloop.store.ledger.queue.resends import (
    Pool,
    Sent,
    attempts_made,
    count_sent,
    find_sent,
    newest_on_the_way,
    newest_postback,
    replace_all,
    sent_after,
)
from clickloop.store.ledger.setup.rules import LiveRule, count_shares, rules_of_ids
from clickloop.tracking.deciding import ChangeTexts, RuleHere, Surroundings, decide_rule, read_surroundings
from clickloop.tracking.notices import Desk

BATCH = 200
"""Postbacks per transaction: other writers get their turn in between."""

_read_request = msgspec.json.Decoder(Request).decode
_read_findings = msgspec.json.Decoder(tuple[Finding, ...]).decode
_encode = msgspec.json.Encoder().encode


class Mode(enum.StrEnum):
    """Which request is sent again."""

    AS_IT_WAS = "as_it_was"
    """The same, byte for byte."""
    ANEW = "anew"
    """Built from today's rule and set-up, for the conversion as it stood after that change."""


class NotResent(Explained):
    """Why a postback was not asked for again. A closed list."""

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
        "Its rule, change or request can no longer be read in the ledger.",
    )


class Refusal(msgspec.Struct, frozen=True):
    """A postback that was not asked for again. ``skipped``: by which condition, where it is still skipped.

    ``left_out``: the rule's share was counted for it and left it out; that is written down, so that it stays left out.
    """

    why: NotResent
    skipped: SkipReason | None = None
    left_out: Skipped | None = None

    @property
    def sentence(self) -> str:
        """The whole reason for people."""
        return f"{self.why.sentence} {self.skipped.sentence}" if self.skipped else self.why.sentence

    @property
    def word(self) -> str:
        """The reason for counting."""
        return f"{self.why}: {self.skipped}" if self.skipped else str(self.why)


class Asked(msgspec.Struct, frozen=True):
    """What a job was asked for."""

    wanted: PostbackFilter
    mode: Mode
    resumes_rule: int | None = None
    """The paused rule that goes on when the job has ended. Then each keeps its moment, also one that was tried."""

    @property
    def pool(self) -> Pool:
        """What is sent again where the filter names no state: of a rule that is resumed, what it has kept waiting."""
        return Pool.FINAL if self.resumes_rule is None else Pool.WAITING


class _Around(msgspec.Struct, frozen=True):
    """What it takes to ask for some postbacks again."""

    attempts: dict[tuple[str, int, int], int]
    newest: dict[tuple[str, int], int]
    """By conversion and rule: the newest version that is on its way or delivered."""
    changes: dict[tuple[str, int], Change]
    rules: dict[int, LiveRule]
    surroundings: Surroundings | None
    earlier: dict[tuple[str, int], list[Decided]]


class _How(msgspec.Struct, frozen=True):
    """How some are asked for again.

    ``releases``: also those whose notice asked that no postback be sent. ``keeps_moments``: one that was tried and replaced
    leaves when it would have been tried again.
    """

    mode: Mode
    force: bool = False
    releases: bool = False
    bulk_job_id: str | None = None
    keeps_moments: bool = False


def resend_one(
    tx: Connection, desk: Desk, postback_id: str, mode: Mode, now_ms: int, *, force: bool = False
) -> NewPostback | Refusal | None:
    """Asks for a postback again; given an older row of a change and rule, for the last one. None: there is none of that id.

    ``force``: also when a newer change was sent since, or its notice asked that no postback be sent.
    """
    sent = find_sent(tx, postback_id)
    if sent is None:
        return None
    (made,) = _resend(tx, desk, [sent], _How(mode, force, releases=force), now_ms)
    return made


def start_resends(
    tx: Connection, desk: Desk, wanted: PostbackFilter, mode: Mode, now_ms: int, resumes_rule: int | None = None
) -> BulkJob:
    """Writes down a job over all that match now; ``work_off_resends`` does it. At its end ``resumes_rule`` goes on, if one is given."""
    asked = Asked(wanted, mode, resumes_rule)
    job = BulkJob(
        bulk_job_id=desk.new_id(),
        kind=JobKind.RESEND,
        asked=_encode(asked),
        last_id=newest_postback(tx),
        matched=sum(count_sent(tx, wanted, asked.pool).values()),
        created_at=now_ms,
    )
    BULK_JOBS.insert(tx, job)
    return job


def work_off_resends(tx: Connection, desk: Desk, job: BulkJob, now_ms: int) -> BulkJob:
    """Does the next batch of a job and writes down how far it is: one transaction, so a crash neither skips nor doubles any."""
    asked = msgspec.json.decode(job.asked, type=Asked)
    batch = sent_after(tx, asked.wanted, asked.pool, job.done_id, job.last_id, BATCH)
    how = _How(
        asked.mode,
        releases=asked.wanted.reason is SkipReason.DISABLED_BY_NOTICE,
        bulk_job_id=job.bulk_job_id,
        keeps_moments=asked.resumes_rule is not None,
    )
    made = _resend(tx, desk, batch, how, now_ms)
    left_out = dict(job.left_out)
    for refusal in made:
        if isinstance(refusal, Refusal):
            left_out[refusal.word] = left_out.get(refusal.word, 0) + 1
    count = sum(isinstance(postback, NewPostback) for postback in made)
    job = msgspec.structs.replace(job, left_out=left_out)
    job = job.after([sent.postback_id for sent in batch], BATCH, count, now_ms)
    BULK_JOBS.keep(tx, job)
    if job.state.is_final and asked.resumes_rule is not None:
        resume_rule(tx, asked.resumes_rule, now_ms)
    return job


def _resend(tx: Connection, desk: Desk, batch: Sequence[Sent], how: _How, now_ms: int) -> list[NewPostback | Refusal]:
    """What becomes of each; those that are made are written, and what they replace is cancelled."""
    around = _read_around(tx, batch, anew=how.mode is Mode.ANEW)
    made: list[NewPostback | Refusal] = []
    rows: list[NewPostback] = []
    replaced: list[str] = []
    counted: dict[int, int] = {}
    for sent in batch:
        decision = _decision(sent, how, around, desk, counted, now_ms)
        if isinstance(decision, Refusal):
            made.append(decision)
            if decision.left_out is not None:
                rows.append(_row(sent, how, decision.left_out, desk.new_id()))
            continue
        request = msgspec.structs.replace(
            decision.request, earlier_attempts=around.attempts.get((sent.conversion_id, sent.version, sent.rule_id), 0)
        )
        if sent.state is PostbackState.WAITING:
            replaced.append(sent.postback_id)
        owed = Owed(request, _moment(sent, how, now_ms), decision.findings)
        lane = sent.lane if how.mode is Mode.AS_IT_WAS else _lane(around.rules[sent.rule_id].rule)
        rows.append(_row(sent, how, owed, desk.new_id(), lane))
        made.append(rows[-1])
    replace_all(tx, replaced, now_ms)
    insert_postbacks(tx, rows, now_ms)
    count_shares(tx, counted)
    return made


def _row(sent: Sent, how: _How, decision: Owed | Skipped, postback_id: str, lane: str = "") -> NewPostback:
    """The row behind the one that is asked for again."""
    return NewPostback(
        postback_id=postback_id,
        conversion_id=sent.conversion_id,
        version=sent.version,
        rule_id=sent.rule_id,
        resend=sent.resend + 1,
        original_id=sent.original_id,
        bulk_job_id=how.bulk_job_id,
        click_id=sent.click_id,
        campaign_id=sent.campaign_id,
        source_id=sent.source_id,
        trigger="resend",
        decision=decision,
        lane=lane,
    )


def _moment(sent: Sent, how: _How, now_ms: int) -> int:
    """When it leaves: at once, or what takes the place of one that waits when that one would have, unless it had been tried."""
    if sent.next_attempt_at is None or (sent.attempts and not how.keeps_moments):
        return now_ms
    return sent.next_attempt_at if sent.held_from is None else sent.held_from


def _decision(
    sent: Sent, how: _How, around: _Around, desk: Desk, counted: dict[int, int], now_ms: int
) -> Owed | Refusal:
    if sent.state is PostbackState.SENDING:
        return Refusal(NotResent.UNDER_WAY)
    if (
        sent.state.is_final
        and not how.force
        and around.newest.get((sent.conversion_id, sent.rule_id), 0) > sent.version
    ):
        return Refusal(NotResent.SUPERSEDED)
    if how.mode is Mode.AS_IT_WAS:
        if sent.request is None:
            return Refusal(NotResent.NOTHING_WAS_SENT if sent.reason is not None else NotResent.RECORD_GONE)
        try:
            return Owed(_read_request(sent.request), now_ms, _read_findings(sent.findings))
        # A damaged record is refused alone; the others of the job go on.
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Refusal(NotResent.RECORD_GONE)
    live = around.rules.get(sent.rule_id)
    change = around.changes.get((sent.conversion_id, sent.version))
    if live is None or change is None or around.surroundings is None:
        return Refusal(NotResent.RECORD_GONE)
    if sent.reason is None:
        texts = ChangeTexts(change, around.surroundings)
        ready = ready_request(live.rule.request, around.surroundings.rows.get(sent.source_id, ()))
        request = ready.resolve(texts.of(live.rule, sent.original_id, ready), now_ms, None)
        return Owed(request, now_ms, _read_findings(sent.findings))
    if how.releases:
        change = msgspec.structs.replace(change, disable_postback=False)
    return _decided_again(sent, live, change, around, desk, counted, now_ms)


def _decided_again(
    sent: Sent, live: LiveRule, change: Change, around: _Around, desk: Desk, counted: dict[int, int], now_ms: int
) -> Owed | Refusal:
    """A skipped one by today's rule. One that its share left out stays left out, while the rule has a share."""
    assert around.surroundings is not None
    campaign = around.surroundings.campaigns.get(sent.campaign_id)
    before = [
        decided
        for decided in around.earlier.get((sent.conversion_id, sent.rule_id), ())
        if decided.version < sent.version
    ]
    skipped = {decided.reason for decided in before if decided.reason is not None}
    if sent.reason is SkipReason.NOT_SAMPLED:
        skipped.add(SkipReason.NOT_SAMPLED)
    earlier = Earlier(
        owed=sum(decided.reason is None for decided in before),
        skipped=frozenset(skipped),
        counted=live.counted + counted.get(sent.rule_id, 0),
        source_rules_off=campaign is not None and campaign.source_rules_off,
    )
    here = RuleHere.of(live.rule, sent.source_id, around.surroundings, desk.guard)
    texts = ChangeTexts(change, around.surroundings)
    decided = decide_rule(texts, here, earlier, now_ms, sent.original_id).decision
    if decided.counted:
        counted[sent.rule_id] = counted.get(sent.rule_id, 0) + 1
    if isinstance(decided, Skipped):
        return Refusal(NotResent.STILL_SKIPPED, decided.reason, decided if decided.counted else None)
    return decided


def _read_around(tx: Connection, batch: Sequence[Sent], *, anew: bool) -> _Around:
    conversion_ids = sorted({sent.conversion_id for sent in batch})
    attempts = attempts_made(tx, {(sent.conversion_id, sent.version, sent.rule_id) for sent in batch})
    newest = newest_on_the_way(tx, conversion_ids)
    if not anew or not batch:
        return _Around(attempts, newest, {}, {}, None, {})
    wanted = {(sent.conversion_id, sent.version) for sent in batch}
    recorded = [
        change
        for change in changes_of_conversions(tx, conversion_ids)
        if (change.after.conversion_id, change.version) in wanted
    ]
    notices = {notice.raw.notice_id: notice for notice in notices_of_ids(tx, [change.notice_id for change in recorded])}
    changes = {}
    for change in recorded:
        notice = notices.get(change.notice_id)
        changes[change.after.conversion_id, change.version] = Change(
            before=change.before,
            after=change.after,
            at=change.at,
            notice_id=change.notice_id,
            disable_postback=notice is not None and read_notice(notice.raw).disable_postback,
        )
    rules = {live.rule.rule_id: live for live in rules_of_ids(tx, {sent.rule_id for sent in batch})}
    surroundings = read_surroundings(tx, list(changes.values()), list(rules.values())) if changes else None
    earlier: dict[tuple[str, int], list[Decided]] = {}
    for decided in decided_before(tx, conversion_ids):
        earlier.setdefault((decided.conversion_id, decided.rule_id), []).append(decided)
    return _Around(attempts, newest, changes, rules, surroundings, earlier)


def _lane(rule: Rule) -> str:
    return ready_request(rule.request).lane
