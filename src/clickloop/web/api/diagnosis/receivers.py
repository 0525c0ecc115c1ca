"""/receivers: the hosts that postbacks go to: which of them are paused, what waits for them, and how hard they may be asked."""

import enum
from typing import Annotated

import msgspec
from litestar import Router, get, patch, post
from litestar.params import JSONBody, PathParameter
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.log_filter import MAX_ID
from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.postback.delivery.lane import LANE_CONNECTIONS, Asked, KeptLane, LaneTerms
from clickloop.postback.sending.target import TargetFault, target_of
from clickloop.postback.values import ready_request
from clickloop.setup.reading import given_or
from clickloop.store.ledger.logs.audit_entry import note_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.queue.lanes import (
    ask_of_lane,
    find_lane,
    kept_lanes,
    set_lane_terms,
    waiting_counts,
    waiting_lanes,
)
from clickloop.store.ledger.setup.postback_rules import kept_rules_after
from clickloop.web.api.body import StrictBody
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor, Limit
from clickloop.web.api.problem import not_found
from clickloop.web.api.wire import optional_moment_text

NOUN = "receivers"

ReceiverPath = Annotated[str, PathParameter(max_length=300, description="Host and port, such as source.example:443.")]
Connections = Annotated[
    Annotated[int, Meta(ge=1, le=1_000)] | None,
    Meta(description=f"Requests that may be under way to it at once; null: the usual {LANE_CONNECTIONS}."),
]
PerMinute = Annotated[
    Annotated[int, Meta(ge=1, le=1_000_000)] | None,
    Meta(description="Requests that may leave to it in a minute, evenly spread; null: no limit."),
]


class ReceiverState(enum.StrEnum):
    """Whether a receiver is asked."""

    OPEN = "open"
    PAUSED = "paused"


class ReceiverUpdate(msgspec.Struct, kw_only=True):
    """What to change of a receiver. What is left out stays."""

    connections: Connections | UnsetType = UNSET
    per_minute: PerMinute | UnsetType = UNSET


class ReceiverView(msgspec.Struct, kw_only=True):
    """A receiver of postbacks. Paused: it failed again and again; it is probed, and what waits for it costs no attempt."""

    receiver: Annotated[str, Meta(description="Host and port.", examples=["source.example:443"])]
    state: ReceiverState
    why: Annotated[str, Meta(description="Why it was paused; empty: it is not.")]
    paused_at: Moment | None
    next_probe_at: Annotated[Moment | None, Meta(description="When it is tried again with one postback.")]
    failed_probes: int
    held_until: Annotated[Moment | None, Meta(description="It asked us to wait until then (Retry-After).")]
    asked: Annotated[Asked | None, Meta(description="What somebody wants of it and is not done yet.")]
    waiting: Annotated[int, Meta(description="Postbacks that wait for it, due or not.")]
    connections: Connections
    per_minute: PerMinute


def list_receivers(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[ReceiverView]:
    """Receivers by name: those that something waits for, that are paused, or that something was set for."""
    after = read_cursor(NOUN, cursor)
    with context.ledger.read() as tx:
        kept = {lane.lane: lane for lane in kept_lanes(tx)}
        names = kept.keys() | {lane.lane for lane in waiting_lanes(tx)}
        found = sorted(name for name in names if name > after)[: limit + 1]
        waiting = waiting_counts(tx, found[:limit])
    views = {name: _view(kept.get(name) or KeptLane(lane=name), waiting.get(name, 0)) for name in found}
    return page_of(found, limit, NOUN, lambda name: name, lambda name: views[name])


def read_receiver(context: Context, receiver: ReceiverPath) -> ReceiverView:
    """One receiver: one that a rule sends to, that something waits for, that is paused, or that something was set for."""
    lane = _lane(receiver)
    with context.ledger.read() as tx:
        view = _view_of(tx, lane)
        known = view.waiting or find_lane(tx, lane) or lane in lanes_of_rules(tx)
    if not known:
        raise not_found(f"receiver {lane}: no rule sends there, and nothing waits for it or was set for it")
    return view


def receiver_to_set(context: ApiContext, receiver: str) -> ReceiverView:
    """A receiver as it would be set up, also one that nobody has named so far."""
    with context.ledger.read() as tx:
        return _view_of(tx, _lane(receiver))


def change_receiver(context: Context, receiver: ReceiverPath, data: JSONBody[ReceiverUpdate]) -> ReceiverView:
    """Sets how hard a receiver may be asked, also one that nothing was ever sent to. Delivery follows at once."""
    lane = _lane(receiver)
    with context.ledger.write() as tx:
        was = _view_of(tx, lane)
        terms = (find_lane(tx, lane) or KeptLane(lane=lane)).terms
        terms = LaneTerms(
            connections=given_or(data.connections, terms.connections),
            per_minute=given_or(data.per_minute, terms.per_minute),
        )
        set_lane_terms(tx, lane, terms)
        view = _view_of(tx, lane)
        note_change(tx, context, NOUN, lane, was, view)
    context.on_receivers_asked()
    return view


def probe_receiver(context: Context, receiver: ReceiverPath) -> ReceiverView:
    """Tries a paused receiver at once, with the next postback that is due; when that is answered the others follow.

    One that asked us to wait is asked as before. Nothing changes for any other.
    """
    return _ask(context, receiver, Asked.PROBE)


def resume_receiver(context: Context, receiver: ReceiverPath) -> ReceiverView:
    """Asks a receiver that is paused, or asked us to wait, as before, without trying it first. One that goes on failing is paused again.

    Nothing changes for any other.
    """
    return _ask(context, receiver, Asked.RESUME)


def _ask(context: ApiContext, receiver: str, asked: Asked) -> ReceiverView:
    lane = _lane(receiver)
    with context.ledger.write() as tx:
        was = _view_of(tx, lane)
        if ask_of_lane(tx, lane, asked):
            action = Action.PROBED if asked is Asked.PROBE else Action.RESUMED
            note_change(tx, context, NOUN, lane, was, _view_of(tx, lane), action)
        view = _view_of(tx, lane)
    context.on_receivers_asked()
    return view


def _lane(receiver: str) -> str:
    """The lane of a receiver as somebody wrote it. Raises HTTPException 404 for what can be none."""
    text = receiver.strip().lower()
    target = target_of(f"http://{text}/")
    if isinstance(target, TargetFault) or target.lane != text:
        raise not_found(f"receiver {receiver[:100]!r}: host and port are expected, such as source.example:443")
    return target.lane


def lanes_of_rules(tx: Connection) -> set[str]:
    """The lanes that rules send to, archived ones too."""
    kept = [*kept_rules_after(tx, 0, MAX_ID), *kept_rules_after(tx, 0, MAX_ID, archived=True)]
    return {ready_request(one.rule.request).lane for one in kept}


def _view_of(tx: Connection, lane: str) -> ReceiverView:
    return _view(find_lane(tx, lane) or KeptLane(lane=lane), waiting_counts(tx, [lane]).get(lane, 0))


def _view(kept: KeptLane, waiting: int) -> ReceiverView:
    pause = kept.pause
    return ReceiverView(
        receiver=kept.lane,
        state=ReceiverState.PAUSED if pause else ReceiverState.OPEN,
        why=pause.why if pause else "",
        paused_at=optional_moment_text(pause.opened_at if pause else None),
        next_probe_at=optional_moment_text(pause.probe_at if pause else None),
        failed_probes=pause.probes if pause else 0,
        held_until=optional_moment_text(kept.held_until),
        asked=kept.asked,
        waiting=waiting,
        connections=kept.terms.connections,
        per_minute=kept.terms.per_minute,
    )


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="List receivers")(list_receivers),
        get("/{receiver:str}", sync_to_thread=True, summary="Read a receiver")(read_receiver),
        post("/{receiver:str}/probe", status_code=200, sync_to_thread=True, summary="Try a paused receiver now")(
            probe_receiver
        ),
        post("/{receiver:str}/resume", status_code=200, sync_to_thread=True, summary="Resume a paused receiver")(
            resume_receiver
        ),
        patch("/{receiver:str}", dto=StrictBody, return_dto=None, sync_to_thread=True, summary="Change a receiver")(
            change_receiver
        ),
    ],
    tags=["Receivers"],
)
