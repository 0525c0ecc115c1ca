"""Resuming a postback rule that was paused by a receiver's 410."""

from typing import Annotated

import msgspec
from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Meta

from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.tracking.resending import ResendMode
from clickloop.tracking.resuming import resume
from clickloop.web.api.context import Context
from clickloop.web.api.paging import Id
from clickloop.web.api.setup.postback_rules import NOUN, RULES, PostbackRuleView, rule_view


class Resume(msgspec.Struct, kw_only=True):
    """How to send the waiting postbacks of a paused rule."""

    held: Annotated[
        ResendMode | None,
        Meta(
            description="as_it_was: send the requests unchanged. anew: rebuild them from the current rule. null: anew if the "
            "request was changed since any of them was created, otherwise as_it_was."
        ),
    ] = None


class ResumedRuleView(PostbackRuleView, frozen=True, kw_only=True):
    """A resumed rule, and how its waiting postbacks are sent."""

    held: Annotated[ResendMode | None, Meta(description="How they are sent; null if the rule was not paused.")] = None
    waiting: Annotated[int, Meta(description="Number of waiting postbacks.")] = 0
    resend_id: Annotated[
        str | None,
        Meta(description="Job that rebuilds them, see /postbacks/resends/{resend_id}. The rule resumes when it ends."),
    ] = None


def resume_paused_rule(context: Context, number: Id, data: JSONBody[Resume | None] = None) -> ResumedRuleView:
    """Resume a paused rule. Its waiting postbacks are sent when due; delays and retry times stay the same.

    One postback is sent first. The others follow unless the answer is 410 again. `held` selects whether requests are sent
    unchanged or rebuilt; a job rebuilds them, and the rule resumes when the job ends. Does nothing if the rule is not paused.
    """
    with context.ledger.write() as tx:
        stored = RULES.noun.get(tx, number)
        resumed = resume(tx, context.intake(), number, data.held if data else None, context.clock())
        view = rule_view(tx, RULES.noun.get(tx, number))
        if resumed is not None:
            record_change(tx, context, NOUN, number, rule_view(tx, stored), view, Action.RESUMED)
    context.on_postbacks_owed()
    job = resumed.job if resumed else None
    return ResumedRuleView(
        **msgspec.structs.asdict(view),
        held=resumed.mode if resumed else None,
        waiting=resumed.waiting if resumed else 0,
        resend_id=job.bulk_job_id if job else None,
    )


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/{number:int}/resume", status_code=200, sync_to_thread=True, summary="Resume a paused postback rule")(
            resume_paused_rule
        ),
    ],
    tags=["Postback rules"],
)
