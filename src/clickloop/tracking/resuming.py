"""Resuming a rule that a receiver's 410 has paused: what it held leaves as it was, or built anew from the rule as it is now."""

import msgspec
from sqlalchemy import Connection

from clickloop.postback.postback_log import PostbackFilter
from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, BulkJob, JobKind
from clickloop.store.ledger.queue.holding import count_waiting, is_paused, resume_rule, waits_from_before
from clickloop.tracking.notices import Desk
from clickloop.tracking.resending import Asked, Mode, start_resends

_MAX_JOBS = 1_000  # more than anybody starts; each is looked at


class Resumed(msgspec.Struct, frozen=True):
    """How a rule goes on. ``job``: it builds anew what waits, and the rule goes on at its end."""

    mode: Mode
    waiting: int
    job: BulkJob | None = None


def resume(tx: Connection, desk: Desk, rule_id: int, mode: Mode | None, now_ms: int) -> Resumed | None:
    """Lets a paused rule go on; None: it is not paused. Either way one is let through first, and the others follow its answer.

    ``mode`` None: anew where the request was changed since something that waits was owed, else as it was. Asked for again while
    a job builds it anew, that job is answered.
    """
    running = _running_job(tx, rule_id)
    waiting = count_waiting(tx, rule_id)
    if running is not None and mode is not Mode.AS_IT_WAS:
        return Resumed(Mode.ANEW, waiting, running)
    if mode is None:
        mode = Mode.ANEW if waits_from_before(tx, rule_id) else Mode.AS_IT_WAS
    if mode is Mode.ANEW and waiting and is_paused(tx, rule_id):
        wanted = PostbackFilter(rule_id=rule_id)
        return Resumed(mode, waiting, start_resends(tx, desk, wanted, mode, now_ms, rule_id))
    return Resumed(mode, waiting) if resume_rule(tx, rule_id, now_ms) else None


def _running_job(tx: Connection, rule_id: int) -> BulkJob | None:
    for job in BULK_JOBS.unfinished(tx, _MAX_JOBS):
        if job.kind is JobKind.RESEND and msgspec.json.decode(job.asked, type=Asked).resumes_rule == rule_id:
            return job
    return None
