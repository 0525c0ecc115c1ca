"""The record of an ended attempt. Pure; time and chance are passed in."""

from collections.abc import Callable

import msgspec

from clickloop.postback.delivery.work import EndedAttempt, Job
from clickloop.postback.retry import (
    MAX_ERROR_LENGTH,
    AttemptOutcome,
    Delivered,
    PauseRule,
    Result,
    Retry,
    decide,
    fault_of,
)


def moved(ended: EndedAttempt, by_ms: int) -> EndedAttempt:
    """Return an unwritten record with its times shifted, because the clock was set back."""
    retry_at = None if ended.retry_at is None else ended.retry_at + by_ms
    return msgspec.structs.replace(ended, at=ended.at + by_ms, retry_at=retry_at)


def ended_of(job: Job, outcome: AttemptOutcome, now_ms: int, chance: Callable[[], float]) -> EndedAttempt:
    """Return the record to write for an attempt that ended at ``now_ms``."""
    decision = decide(outcome, job.tried, job.success, job.schedule, now_ms, chance)
    if isinstance(decision, Delivered):
        # A delivery can have remarks, too: a malformed response, or a body that a redirect dropped.
        remark = f"{outcome.trouble.sentence if outcome.trouble else ''} {outcome.error}".strip()
        return EndedAttempt(
            job=job, outcome=outcome, result=Result.DELIVERED, at=now_ms, error=remark[:MAX_ERROR_LENGTH]
        )
    why = [fault_of(outcome, job.success) or "", outcome.error]
    if isinstance(decision, Retry):
        result, retry_at = Result.AGAIN, decision.at
    else:
        result, retry_at = Result.FAILED, None
        why.append(decision.sentence)
    error = " ".join(dict.fromkeys(part for part in why if part))[:MAX_ERROR_LENGTH]
    pauses = isinstance(decision, PauseRule)
    return EndedAttempt(
        job=job, outcome=outcome, result=result, at=now_ms, retry_at=retry_at, pauses_rule=pauses, error=error
    )
