"""Start, show, apply, undo and stop reruns of marks, for the API and the panel."""

from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.clock import Moment, iso_text
from clickloop.conversion.moment import read_moment
from clickloop.log_filter import MAX_ID
from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.logs.view import view_of
from clickloop.money import amount_text
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.setup.instance import InstanceSettings
from clickloop.setup.mark import Mark
from clickloop.store.ledger.jobs.exports import requester_of
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.jobs.mark_reruns import (
    MARK_RERUNS,
    MarkRerun,
    RerunStage,
    newest_applied_rerun,
    reruns_before,
    resume_rerun,
    unfinished_rerun,
)
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.setup.names import RecordKind, names_of
from clickloop.store.period import MAX_MOMENT_MS
from clickloop.tracking.jobs.context import JobContext
from clickloop.tracking.marks.judging_anew import unjudgeable
from clickloop.tracking.marks.rerun_work import RerunRequest, request_of, result_of
from clickloop.tracking.marks.result import CampaignTally, RerunResult

NOUN = "marks/reruns"
MAX_CAMPAIGNS = 1_000


class RerunOrder(msgspec.Struct, kw_only=True):
    """Clicks, and the marks to judge anew on them."""

    since: Annotated[
        str, Meta(max_length=40, description="Start time, included: ISO 8601.", examples=["2026-03-01T00:00:00Z"])
    ]
    until: Annotated[str, Meta(max_length=40, description="End time, not included: ISO 8601. Leave empty for now.")] = (
        ""
    )
    campaign_ids: Annotated[
        list[Annotated[int, Meta(ge=1, le=MAX_ID)]],
        Meta(max_length=MAX_CAMPAIGNS, description="Only clicks of these campaigns. Empty for all."),
    ] = []
    marks: Annotated[
        list[Mark],
        Meta(min_length=1, description="The marks to judge by the settings in force. Others stay as they are."),
    ]


class MarkTallyView(msgspec.Struct, kw_only=True):
    """How many clicks gain and lose a mark."""

    mark: Mark
    before: Annotated[int, Meta(description="Clicks that have it before.")]
    gained: int
    lost: int


class RerunMoneyView(msgspec.Struct, kw_only=True):
    """Amounts of the changed clicks in one currency, as decimal texts."""

    currency: str
    cost: Annotated[str, Meta(examples=["12.5"])]
    revenue: Annotated[str, Meta(description="Confirmed.")]
    pending: str


class CampaignTallyView(msgspec.Struct, kw_only=True):
    """The clicks of a campaign whose marks change."""

    campaign_id: int
    campaign: Annotated[str, Meta(description="Its name.")]
    changed: int
    newly_marked: Annotated[int, Meta(description="Those that were clean.")]
    newly_clean: Annotated[int, Meta(description="Those that become clean.")]
    conversions: int
    money: Annotated[list[RerunMoneyView], Meta(description="Per currency. Amounts are not converted.")]


class RerunResultView(msgspec.Struct, kw_only=True):
    """What a rerun changes."""

    judged: int
    changed: int
    clean_before: Annotated[int, Meta(description="Clean clicks among those judged.")]
    clean_after: int
    marks: list[MarkTallyView]
    campaigns: Annotated[list[CampaignTallyView], Meta(description="The 50 with the most changed clicks.")]
    omitted: Annotated[int, Meta(description="Number of further campaigns with changed clicks.")]


class MarkRerunView(msgspec.Struct, kw_only=True):
    """A rerun of marks: a preview, which can be applied and then undone."""

    rerun_id: str
    since: Moment
    until: Moment
    campaign_ids: list[int]
    marks: list[Mark]
    asked_by: str
    stage: Annotated[RerunStage, Meta(description="What it does, or did last.")]
    state: Annotated[
        JobState,
        Meta(description="State of the stage. waiting or running until it ends. If it is failed, error says why."),
    ]
    total: Annotated[int, Meta(description="Clicks of the stage. 0 while it waits.")]
    done: int
    percent: int
    result: Annotated[RerunResultView | None, Meta(description="That of the preview. null until it is finished.")]
    can_apply: Annotated[bool, Meta(description="Whether it can be applied now, or applying it be continued.")]
    can_undo: bool
    why_not: Annotated[str, Meta(description="Why it can be neither applied nor undone now, if it could be later.")]
    created_at: Moment
    applied_at: Moment | None
    undone_at: Moment | None
    finished_at: Annotated[Moment | None, Meta(description="When the stage ended.")]
    error: str | None


class RerunRefusedError(Exception):
    """The rerun cannot do this now. The message says why; ``rerun_id``: the other rerun that must end or be undone first."""

    def __init__(self, sentence: str, rerun_id: str = "") -> None:
        super().__init__(sentence)
        self.rerun_id = rerun_id


def start_mark_rerun(context: JobContext, order: RerunOrder, instance: InstanceSettings) -> MarkRerunView:
    """Queue the preview of a rerun for ``MarkRerunWorker``. Raise InvalidInputError, RerunRefusedError."""
    user_id, asked_by = requester_of(context.actor)
    now_ms = context.clock()
    request = _request(order, instance, now_ms)
    with context.ledger.write() as tx:
        _refuse_second(tx)
        rerun = MarkRerun(
            rerun_id=context.record_ids(),
            request=msgspec.json.encode(request),
            user_id=user_id,
            asked_by=asked_by,
            created_at=now_ms,
        )
        MARK_RERUNS.insert(tx, rerun)
        return _view(tx, rerun)


def apply_mark_rerun(context: JobContext, rerun_id: str) -> MarkRerunView | None:
    """Queue a previewed rerun to be applied. Return None if there is none with that id. Raise RerunRefusedError."""
    now_ms = context.clock()
    with context.ledger.write() as tx:
        rerun = MARK_RERUNS.find(tx, rerun_id)
        if rerun is None:
            return None
        _refuse_second(tx)
        if why := _why_not_apply(rerun):
            raise RerunRefusedError(why)
        _refuse_older(tx, rerun)
        applied_at = rerun.applied_at or now_ms
        return _next_stage(tx, context, replace(rerun, stage=RerunStage.APPLY, applied_at=applied_at), Action.RERUN)


def undo_mark_rerun(context: JobContext, rerun_id: str) -> MarkRerunView | None:
    """Queue an applied rerun to be undone. Return None if there is none with that id. Raise RerunRefusedError."""
    with context.ledger.write() as tx:
        rerun = MARK_RERUNS.find(tx, rerun_id)
        if rerun is None:
            return None
        _refuse_second(tx)
        if why := _why_not_undo(rerun):
            raise RerunRefusedError(why)
        _refuse_older(tx, rerun)
        return _next_stage(tx, context, replace(rerun, stage=RerunStage.UNDO), Action.UNDONE)


def stop_mark_rerun(context: JobContext, rerun_id: str) -> MarkRerunView | None:
    """Stop what a rerun does, and return it. What it has applied or undone stays so. One that has ended stays unchanged."""
    with context.ledger.write() as tx:
        if MARK_RERUNS.stop(tx, rerun_id, context.clock()):
            rerun = MARK_RERUNS.find(tx, rerun_id)
            if rerun is not None and rerun.stage is not RerunStage.PREVIEW:
                record_change(tx, context, NOUN, rerun_id, after=_logged(rerun), action=Action.CHANGED)
        return _found_view(tx, MARK_RERUNS.find(tx, rerun_id))


def find_mark_rerun(context: JobContext, rerun_id: str) -> MarkRerunView | None:
    """Return the rerun with that id."""
    with context.ledger.read() as tx:
        return _found_view(tx, MARK_RERUNS.find(tx, rerun_id))


def list_mark_reruns(context: JobContext, limit: int, cursor: str = "") -> Page[MarkRerunView]:
    """Return a page of reruns, newest first."""
    before = read_cursor(NOUN, cursor) or None
    with context.ledger.read() as tx:
        found = reruns_before(tx, before, limit + 1)
        return page_of(found, limit, NOUN, lambda rerun: rerun.rerun_id, lambda rerun: _view(tx, rerun))


def _request(order: RerunOrder, instance: InstanceSettings, now_ms: int) -> RerunRequest:
    """Return a valid request. Raise InvalidInputError with all faults."""
    since, until = (read_moment(text, MAX_MOMENT_MS) if text else None for text in (order.since, order.until))
    faults = [
        FieldFault(
            field,
            FaultCode.NOT_A_MOMENT,
            "Enter a time in ISO 8601, from the year 2000 on, such as 2026-03-01T12:00:00Z.",
        )
        for field, text, moment in (("since", order.since, since), ("until", order.until, until))
        if moment is None and (text or field == "since")
    ]
    # Clicks that come meanwhile are judged by the same settings when they come.
    until = now_ms if until is None else min(until, now_ms)
    if not faults and since is not None and since >= until:
        faults.append(FieldFault("until", FaultCode.OUT_OF_RANGE, "The end must be later than the start."))
    if not order.marks:
        faults.append(FieldFault("marks", FaultCode.REQUIRED, "Choose at least one mark."))
    if lacking := unjudgeable(order.marks, instance.ip_storage):
        names = ", ".join(mark.value for mark in Mark if mark in lacking)
        sentence = f"Whole addresses are not stored, so these cannot be judged anew: {names}."
        faults.append(FieldFault("marks", FaultCode.CONFLICT, sentence))
    if faults or since is None:
        raise InvalidInputError(tuple(faults))
    return RerunRequest(
        since=since,
        until=until,
        campaign_ids=tuple(sorted({*order.campaign_ids})),
        marks=tuple(mark for mark in Mark if mark in order.marks),
    )


def _next_stage(tx: Connection, context: JobContext, rerun: MarkRerun, action: Action) -> MarkRerunView:
    waiting = replace(rerun, state=JobState.WAITING, done=0, finished_at=None, error=None)
    resume_rerun(tx, waiting)
    record_change(tx, context, NOUN, rerun.rerun_id, after=_logged(waiting), action=action)
    return _view(tx, waiting)


def _logged(rerun: MarkRerun) -> dict[str, object]:
    """Return what the log of changes shows of a rerun."""
    request = request_of(rerun)
    return {
        "since": iso_text(request.since),
        "until": iso_text(request.until),
        "campaign_ids": request.campaign_ids,
        "marks": request.marks,
        "stage": rerun.stage,
        "state": rerun.state,
    }


def _refuse_second(tx: Connection) -> None:
    other = unfinished_rerun(tx)
    if other is not None:
        raise RerunRefusedError(
            f"The rerun {other.rerun_id} is not finished. Wait until it is, or stop it: one runs at a time.",
            other.rerun_id,
        )


def _refuse_older(tx: Connection, rerun: MarkRerun) -> None:
    """Refuse to change marks under a rerun that was applied later and started from them."""
    newest = newest_applied_rerun(tx)
    if newest is not None and rerun.applied_at is not None and newest.rerun_id != rerun.rerun_id:
        raise RerunRefusedError(_waits_for(newest), newest.rerun_id)


def _waits_for(newest: MarkRerun) -> str:
    applied_at = iso_text(newest.applied_at or 0)[:16].replace("T", " ")
    return f"Undo the rerun {newest.rerun_id} first: it was applied later, at {applied_at} UTC, to the marks that this one gave."


def _why_not_apply(rerun: MarkRerun) -> str:
    match rerun.stage, rerun.state:
        case RerunStage.PREVIEW, JobState.FINISHED:
            return ""
        case RerunStage.APPLY, JobState.STOPPED | JobState.FAILED:
            return ""
        case RerunStage.PREVIEW, _:
            return "Its preview is not finished, so there is nothing to apply. Start a new rerun."
        case RerunStage.APPLY, _:
            return "It has been applied already."
        case _:
            return "It has been undone. Start a new rerun."


def _why_not_undo(rerun: MarkRerun) -> str:
    if rerun.applied_at is None:
        return "It was not applied, so there is nothing to undo."
    return "It has been undone already." if rerun.undone_at is not None else ""


def _found_view(tx: Connection, rerun: MarkRerun | None) -> MarkRerunView | None:
    return None if rerun is None else _view(tx, rerun)


def _view(tx: Connection, rerun: MarkRerun) -> MarkRerunView:
    request, result = request_of(rerun), result_of(rerun)
    is_final = rerun.state.is_final
    newest = newest_applied_rerun(tx) if rerun.applied_at is not None and rerun.undone_at is None else None
    waits = newest is not None and newest.rerun_id != rerun.rerun_id
    is_free = is_final and not waits
    return view_of(
        MarkRerunView,
        rerun,
        request,
        marks=list(request.marks),
        percent=100 if rerun.state is JobState.FINISHED else 100 * rerun.done // max(1, rerun.total),
        result=None if result is None else _result_view(tx, result),
        can_apply=is_free and not _why_not_apply(rerun),
        can_undo=is_free and not _why_not_undo(rerun),
        why_not=_waits_for(newest) if newest is not None and waits else "",
    )


def _result_view(tx: Connection, result: RerunResult) -> RerunResultView:
    names = names_of(tx, RecordKind.CAMPAIGN, {one.campaign_id for one in result.campaigns})
    return RerunResultView(
        judged=result.judged,
        changed=result.changed,
        clean_before=result.clean_before,
        clean_after=result.clean_after,
        marks=[view_of(MarkTallyView, tally, mark=tally.mark) for tally in result.marks],
        campaigns=[_campaign_view(one, names.get(one.campaign_id, "")) for one in result.campaigns],
        omitted=result.omitted,
    )


def _campaign_view(tally: CampaignTally, name: str) -> CampaignTallyView:
    money = [
        RerunMoneyView(
            currency=one.currency,
            cost=amount_text(one.cost_micros),
            revenue=amount_text(one.revenue_micros),
            pending=amount_text(one.pending_micros),
        )
        for one in tally.money
    ]
    return view_of(CampaignTallyView, tally, campaign=name, money=money)
