"""Resume a rule paused by a receiver's 410: its waiting postbacks are sent unchanged, or rebuilt from the current rule."""

import msgspec
from sqlalchemy import Connection

from clickloop.postback.postback_log import PostbackFilter
from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, BulkJob, JobKind
from clickloop.store.ledger.queue.holding import count_waiting, is_paused, resume_rule, waits_from_before
from clickloop.tracking.notices import Desk
from clickloop.tracking.resending import Asked, Mode, start_resends

_MAX_JOBS = 1_000  # more than are ever started at once; each is decoded


class Resumed(msgspec.Struct, frozen=True):
    """How a rule resumes. ``job``: it rebuilds the waiting postbacks, and the rule resumes when it ends."""

    mode: Mode
    waiting: int
    job: BulkJob | None = None


def resume(tx: Connection, desk: Desk, rule_id: int, mode: Mode | None, now_ms: int) -> Resumed | None:
    """Resume a paused rule; None: it is not paused. One postback is sent first, and the others depend on its response.

    ``mode`` None: rebuild if the request was changed after a waiting postback was created, else send unchanged. While a job is
    rebuilding them, that job is returned, unless the mode is AS_IT_WAS.
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
