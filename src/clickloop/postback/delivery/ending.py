"""Ending an attempt: what is to be written about it. Pure; the moment and the chance are passed in."""

from collections.abc import Callable

import msgspec

from clickloop.postback.delivery.work import Ended, Job
from clickloop.postback.retry import Again, Delivered, Outcome, PauseRule, Result, decide, fault_of

ERROR_CHARACTERS = 500  # it is kept with each attempt, and may quote the receiver


def moved(ended: Ended, by_ms: int) -> Ended:
    """An outcome that is not written yet, with its moments by a clock that was set back meanwhile."""
    again_at = None if ended.again_at is None else ended.again_at + by_ms
    return msgspec.structs.replace(ended, at=ended.at + by_ms, again_at=again_at)


def ended_of(job: Job, outcome: Outcome, now_ms: int, chance: Callable[[], float]) -> Ended:
    """What is to be written after an attempt that ended at ``now_ms``."""
    decision = decide(outcome, job.tried, job.success, job.schedule, now_ms, chance)
    if isinstance(decision, Delivered):
        # What could not be read of the answer is shown beside the delivery, and what a redirect left out of the request.
        beside = f"{outcome.trouble.sentence if outcome.trouble else ''} {outcome.error}".strip()
        return Ended(job=job, outcome=outcome, result=Result.DELIVERED, at=now_ms, error=beside[:ERROR_CHARACTERS])
    why = [fault_of(outcome, job.success) or "", outcome.error]
    if isinstance(decision, Again):
        result, again_at = Result.AGAIN, decision.at
    else:
        result, again_at = Result.FAILED, None
        why.append(decision.sentence)
    error = " ".join(dict.fromkeys(part for part in why if part))[:ERROR_CHARACTERS]
    pauses = isinstance(decision, PauseRule)
    return Ended(job=job, outcome=outcome, result=result, at=now_ms, again_at=again_at, pauses_rule=pauses, error=error)
