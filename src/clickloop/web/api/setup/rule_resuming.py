"""Resuming a postback rule that a receiver's 410 has paused."""

from typing import Annotated

import msgspec
from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Meta

from clickloop.store.ledger.logs.audit_entry import note_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.tracking.resending import Mode
from clickloop.tracking.resuming import resume
from clickloop.web.api.body import StrictBody
from clickloop.web.api.context import Context
from clickloop.web.api.paging import Id
from clickloop.web.api.setup.postback_rules import NOUN, RULES, RuleView, rule_view


class Resume(msgspec.Struct, kw_only=True):
    """How what a paused rule holds is to leave."""

    held: Annotated[
        Mode | None,
        Meta(
            description="as_it_was: each with its request as it was; anew: each is replaced by one that is built from the rule as it "
            "is now. null: anew when the request was changed since any of them was owed, else as_it_was."
        ),
    ] = None


class ResumedRuleView(RuleView, frozen=True, kw_only=True):
    """A rule that was resumed, and how what it held leaves."""

    held: Annotated[Mode | None, Meta(description="How; null: the rule was not paused.")] = None
    waiting: Annotated[int, Meta(description="How many postbacks wait for it.")] = 0
    resend_id: Annotated[
        str | None,
        Meta(
            description="The job that builds them anew, as at /postbacks/resends/{resend_id}; the rule goes on at its end."
        ),
    ] = None


def resume_paused_rule(context: Context, number: Id, data: JSONBody[Resume | None] = None) -> ResumedRuleView:
    """Lets a paused rule go on. What it holds leaves when it is due: delays and moments of later attempts stay.

    One is let through first; when that is answered with anything but 410 again, the others follow. `held` says whether they leave
    with their requests as they were or built anew; for that a job replaces each, and the rule goes on when the job has ended.
    A rule that is not paused stays as it is.
    """
    with context.ledger.write() as tx:
        kept = RULES.noun.get(tx, number)
        resumed = resume(tx, context.desk(), number, data.held if data else None, context.clock())
        view = rule_view(tx, RULES.noun.get(tx, number))
        if resumed is not None:
            note_change(tx, context, NOUN, number, rule_view(tx, kept), view, Action.RESUMED)
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
        post(
            "/{number:int}/resume",
            status_code=200,
            dto=StrictBody,
            return_dto=None,
            sync_to_thread=True,
            summary="Resume a paused postback rule",
        )(resume_paused_rule),
    ],
    tags=["Postback rules"],
)
