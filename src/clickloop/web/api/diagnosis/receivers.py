"""/receivers: the hosts that postbacks are sent to, with their state, queue and rate limits."""

import enum
from typing import Annotated

import msgspec
from litestar import Router, get, patch, post
from litestar.params import JSONBody, PathParameter
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection

from clickloop.clock import Moment, optional_iso_text
from clickloop.log_filter import MAX_ID
from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.postback.delivery.receiver_queue import (
    RECEIVER_CONNECTIONS,
    ReceiverCommand,
    ReceiverTerms,
    StoredReceiver,
)
from clickloop.postback.sending.target import TargetFault, target_of
from clickloop.postback.values import ready_request
from clickloop.setup.reading import value_or
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.queue.receivers import (
    find_receiver,
    request_command,
    set_receiver_terms,
    stored_receivers,
    waiting_counts,
    waiting_receivers,
)
from clickloop.store.ledger.setup.postback_rules import stored_rules_after
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor, Limit
from clickloop.web.api.problem import not_found

NOUN = "receivers"

ReceiverPath = Annotated[str, PathParameter(max_length=300, description="Host and port, such as source.example:443.")]
Connections = Annotated[
    Annotated[int, Meta(ge=1, le=1_000)] | None,
    Meta(description=f"Maximum number of concurrent requests; null for the default of {RECEIVER_CONNECTIONS}."),
]
PerMinute = Annotated[
    Annotated[int, Meta(ge=1, le=1_000_000)] | None,
    Meta(description="Maximum number of requests per minute, evenly spread; null for no limit."),
]


class ReceiverState(enum.StrEnum):
    """The state of a receiver."""

    OPEN = "open"
    PAUSED = "paused"


class ReceiverUpdate(msgspec.Struct, kw_only=True):
    """Changes to a receiver. Omitted fields stay unchanged."""

    connections: Connections | UnsetType = UNSET
    per_minute: PerMinute | UnsetType = UNSET


class ReceiverView(msgspec.Struct, kw_only=True):
    """A host that receives postbacks. While paused after repeated failures, it is probed and waiting postbacks lose no attempt."""

    receiver: Annotated[str, Meta(description="Host and port.", examples=["source.example:443"])]
    state: ReceiverState
    why: Annotated[str, Meta(description="Why it is paused. Empty if it isn't.")]
    paused_at: Moment | None
    next_probe_at: Annotated[Moment | None, Meta(description="When one postback is sent to test it.")]
    failed_probes: int
    held_until: Annotated[Moment | None, Meta(description="End of the wait it asked for with Retry-After.")]
    asked: Annotated[ReceiverCommand | None, Meta(description="Pending command; null if there is none.")]
    waiting: Annotated[int, Meta(description="Number of postbacks waiting for it, due or not.")]
    connections: Connections
    per_minute: PerMinute


def list_receivers(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[ReceiverView]:
    """List receivers by name: those that are paused, have limits set, or have postbacks waiting."""
    after = read_cursor(NOUN, cursor)
    with context.ledger.read() as tx:
        stored = {receiver.receiver: receiver for receiver in stored_receivers(tx)}
        names = stored.keys() | {receiver.receiver for receiver in waiting_receivers(tx)}
        found = sorted(name for name in names if name > after)[: limit + 1]
        waiting = waiting_counts(tx, found[:limit])
    views = {name: _view(stored.get(name) or StoredReceiver(receiver=name), waiting.get(name, 0)) for name in found}
    return page_of(found, limit, NOUN, lambda name: name, lambda name: views[name])


def read_receiver(context: Context, receiver: ReceiverPath) -> ReceiverView:
    """Return a receiver that a rule sends to, that is paused, that has limits set, or that has postbacks waiting."""
    name = _name_of(receiver)
    with context.ledger.read() as tx:
        view = _view_of(tx, name)
        known = view.waiting or find_receiver(tx, name) or name in _receivers_of_rules(tx)
    if not known:
        raise not_found(f"receiver {name}: no rule sends to it, it has no limits, and no postbacks are waiting")
    return view


def receiver_to_set(context: ApiContext, receiver: str) -> ReceiverView:
    """Return a receiver to set limits for, even one that is not known yet."""
    with context.ledger.read() as tx:
        return _view_of(tx, _name_of(receiver))


def change_receiver(context: Context, receiver: ReceiverPath, data: JSONBody[ReceiverUpdate]) -> ReceiverView:
    """Change a receiver's limits, even before anything is sent to it. Delivery applies them at once."""
    name = _name_of(receiver)
    with context.ledger.write() as tx:
        before = _view_of(tx, name)
        terms = (find_receiver(tx, name) or StoredReceiver(receiver=name)).terms
        terms = ReceiverTerms(
            connections=value_or(data.connections, terms.connections),
            per_minute=value_or(data.per_minute, terms.per_minute),
        )
        set_receiver_terms(tx, name, terms)
        view = _view_of(tx, name)
        record_change(tx, context, NOUN, name, before, view)
    context.on_receiver_command()
    return view


def probe_receiver(context: Context, receiver: ReceiverPath) -> ReceiverView:
    """Send the next due postback to a paused receiver at once. Once it is answered, the others follow.

    Ends a wait that the receiver asked for. Does nothing for a receiver that is neither paused nor waiting.
    """
    return _command(context, receiver, ReceiverCommand.PROBE)


def resume_receiver(context: Context, receiver: ReceiverPath) -> ReceiverView:
    """Resume a receiver that is paused or asked us to wait, without a probe. It is paused again if it keeps failing.

    Does nothing for any other receiver.
    """
    return _command(context, receiver, ReceiverCommand.RESUME)


def _command(context: ApiContext, receiver: str, command: ReceiverCommand) -> ReceiverView:
    name = _name_of(receiver)
    with context.ledger.write() as tx:
        before = _view_of(tx, name)
        if request_command(tx, name, command):
            action = Action.PROBED if command is ReceiverCommand.PROBE else Action.RESUMED
            record_change(tx, context, NOUN, name, before, _view_of(tx, name), action)
        view = _view_of(tx, name)
    context.on_receiver_command()
    return view


def _name_of(receiver: str) -> str:
    """Return the receiver that the user named, as host and port. Raise HTTPException 404 for anything else."""
    text = receiver.strip().lower()
    target = target_of(f"http://{text}/")
    if isinstance(target, TargetFault) or target.receiver != text:
        raise not_found(f"receiver {receiver[:100]!r}: use host and port, such as source.example:443")
    return target.receiver


def _receivers_of_rules(tx: Connection) -> set[str]:
    """Return the receivers that rules send to, including archived rules."""
    stored = [*stored_rules_after(tx, 0, MAX_ID), *stored_rules_after(tx, 0, MAX_ID, archived=True)]
    return {ready_request(one.rule.request).receiver for one in stored}


def _view_of(tx: Connection, name: str) -> ReceiverView:
    return _view(find_receiver(tx, name) or StoredReceiver(receiver=name), waiting_counts(tx, [name]).get(name, 0))


def _view(stored: StoredReceiver, waiting: int) -> ReceiverView:
    pause = stored.pause
    return ReceiverView(
        receiver=stored.receiver,
        state=ReceiverState.PAUSED if pause else ReceiverState.OPEN,
        why=pause.why if pause else "",
        paused_at=optional_iso_text(pause.opened_at if pause else None),
        next_probe_at=optional_iso_text(pause.probe_at if pause else None),
        failed_probes=pause.probes if pause else 0,
        held_until=optional_iso_text(stored.held_until),
        asked=stored.command,
        waiting=waiting,
        connections=stored.terms.connections,
        per_minute=stored.terms.per_minute,
    )


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List receivers")(list_receivers),
        get("/{receiver:str}", sync_to_thread=True, summary="Get a receiver")(read_receiver),
        post("/{receiver:str}/probe", status_code=200, sync_to_thread=True, summary="Probe a paused receiver")(
            probe_receiver
        ),
        post("/{receiver:str}/resume", status_code=200, sync_to_thread=True, summary="Resume a paused receiver")(
            resume_receiver
        ),
        patch("/{receiver:str}", sync_to_thread=True, summary="Change a receiver")(change_receiver),
    ],
    tags=["Receivers"],
)
