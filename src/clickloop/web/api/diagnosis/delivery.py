"""/delivery: whether postbacks are sent at all, and releasing them after a restore or in a running copy."""

from typing import Annotated

import msgspec
from litestar import Router, get, post
from msgspec import Meta

from clickloop.clock import Moment, optional_iso_text
from clickloop.people.user import Right
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.logs.postbacks import count_unfinished
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.rights import RIGHT

NOUN = "delivery"
RECORD = "all"


class DeliveryView(msgspec.Struct, kw_only=True):
    """Whether postbacks are sent. While they are held, they wait and everything else continues."""

    held: bool
    why: Annotated[str, Meta(description="Why postbacks are held. Empty if they aren't.")]
    held_since: Moment | None
    waiting: Annotated[int, Meta(description="Number of unfinished postbacks.")]


def read_delivery(context: Context) -> DeliveryView:
    """Return whether postbacks are held, and how many are unfinished."""
    with context.ledger.read() as tx:
        return _view(context, count_unfinished(tx))


def release_delivery(context: Context) -> DeliveryView:
    """Send all postbacks that a restore or the start of a copy has held. First cancel those that must not be sent.

    Does nothing if no postbacks are held.
    """
    with context.ledger.write() as tx:
        before = _view(context, count_unfinished(tx))
        # Deletes the hold file before the audit entry is committed: a release without an entry is better than the reverse.
        if context.hold.release():
            record_change(tx, context, NOUN, RECORD, before, _view(context, before.waiting), Action.RESUMED)
        view = _view(context, before.waiting)
    context.on_hold_released()
    return view


def _view(context: ApiContext, waiting: int) -> DeliveryView:
    hold = context.hold.current
    return DeliveryView(
        held=hold is not None,
        why=hold.why if hold else "",
        held_since=optional_iso_text(hold.since or None if hold else None),
        waiting=waiting,
    )


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="Get the delivery state")(read_delivery),
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
