"""Resume a rule paused by a receiver's 410: its waiting postbacks are sent unchanged, or rebuilt from the current rule."""

import msgspec
from sqlalchemy import Connection

from clickloop.postback.postback_log import PostbackFilter
from clickloop.store.ledger.jobs.bulk_jobs import BULK_JOBS, BulkJob, JobKind
from clickloop.store.ledger.queue.holding import count_waiting, is_older_request_waiting, is_rule_paused, resume_rule
from clickloop.tracking.notices import Intake
from clickloop.tracking.resending import ResendMode, ResendRequest, start_resend_job

_MAX_JOBS = 1_000  # more than are ever started at once; each is decoded


class RuleResumption(msgspec.Struct, frozen=True):
    """How a rule resumes. ``job``: it rebuilds the waiting postbacks, and the rule resumes when it ends."""

    mode: ResendMode
    waiting: int
    job: BulkJob | None = None


def resume(tx: Connection, intake: Intake, rule_id: int, mode: ResendMode | None, now_ms: int) -> RuleResumption | None:
    """Resume a paused rule; None: it is not paused. One postback is sent first, and the others depend on its response.

    ``mode`` None: rebuild if the request was changed after a waiting postback was created, else send unchanged. While a job is
    rebuilding them, that job is returned, unless the mode is AS_IT_WAS.
    """
    running = _running_job(tx, rule_id)
    waiting = count_waiting(tx, rule_id)
    if running is not None and mode is not ResendMode.AS_IT_WAS:
        return RuleResumption(ResendMode.ANEW, waiting, running)
    if mode is None:
        mode = ResendMode.ANEW if is_older_request_waiting(tx, rule_id) else ResendMode.AS_IT_WAS
    if mode is ResendMode.ANEW and waiting and is_rule_paused(tx, rule_id):
        wanted = PostbackFilter(rule_id=rule_id)
        return RuleResumption(mode, waiting, start_resend_job(tx, intake, wanted, mode, now_ms, rule_id))
    return RuleResumption(mode, waiting) if resume_rule(tx, rule_id, now_ms) else None


def _running_job(tx: Connection, rule_id: int) -> BulkJob | None:
    for job in BULK_JOBS.unfinished(tx, _MAX_JOBS):
        if job.kind is JobKind.RESEND and msgspec.json.decode(job.asked, type=ResendRequest).resumes_rule == rule_id:
            return job
    return None
