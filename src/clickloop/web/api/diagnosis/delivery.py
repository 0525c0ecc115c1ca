"""/delivery: whether postbacks leave at all, and letting them leave after a restore or in a started copy."""

from typing import Annotated

import msgspec
from litestar import Router, get, post
from msgspec import Meta

from clickloop.clock import Moment
from clickloop.people.user import Right
from clickloop.store.ledger.logs.audit_entry import note_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.logs.postbacks import count_unfinished
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.rights import RIGHT
from clickloop.web.api.wire import optional_moment_text

NOUN = "delivery"
RECORD = "all"


class DeliveryView(msgspec.Struct, kw_only=True):
    """Whether postbacks leave. Held: none is sent, everything else goes on, and what is owed waits."""

    held: bool
    why: Annotated[str, Meta(description="Why they are held; empty: they are not.")]
    held_since: Moment | None
    waiting: Annotated[int, Meta(description="Postbacks that are not final.")]


def read_delivery(context: Context) -> DeliveryView:
    """Tell whether postbacks are held, and how many are not final."""
    with context.ledger.read() as tx:
        return _view(context, count_unfinished(tx))


def release_delivery(context: Context) -> DeliveryView:
    """Let all postbacks leave that a restore, or the start of a copy, has held. Cancel first what must not be sent.

    Nothing happens when none are held.
    """
    with context.ledger.write() as tx:
        before = _view(context, count_unfinished(tx))
        # The file goes before the line of the log is committed: a release that is not logged is better than the reverse.
        if context.hold.release():
            note_change(tx, context, NOUN, RECORD, before, _view(context, before.waiting), Action.RESUMED)
        view = _view(context, before.waiting)
    context.on_hold_released()
    return view


def _view(context: ApiContext, waiting: int) -> DeliveryView:
    hold = context.hold.current
    return DeliveryView(
        held=hold is not None,
        why=hold.why if hold else "",
        held_since=optional_moment_text(hold.since or None if hold else None),
        waiting=waiting,
    )


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="Read whether postbacks are held")(read_delivery),
        post(
            "/release",
            status_code=200,
            sync_to_thread=True,
            opt={RIGHT: Right.ADMINISTER},
            summary="Release held postbacks",
        )(release_delivery),
    ],
    tags=["Postbacks"],
)
