"""/flows: flows that several campaigns share."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import msgspec
from litestar import Router, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.logs.page import Page
from clickloop.logs.view import view_of
from clickloop.saving import flows as saving
from clickloop.setup.flow import without_ids
from clickloop.setup.record import copied_name
from clickloop.setup.shared_flow import (
    DefaultPaths,
    Name,
    NewSharedFlow,
    Rules,
    SharedFlow,
    SharedFlowChange,
    SharedFlowFields,
    changed_flow,
)
from clickloop.store.ledger.setup.flows import campaigns_with_flow, shared_flows_after
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Limit, Tag, Words
from clickloop.web.api.setup.records import Records, record_routes

NOUN = saving.NOUN.name


class FlowView(SharedFlowFields, frozen=True, kw_only=True):
    """A shared flow."""

    rules: Rules
    default_paths: DefaultPaths
    campaign_ids: Annotated[list[int], Meta(description="Live campaigns that use the flow.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


class FlowCloning(msgspec.Struct, kw_only=True):
    """Options of a copy."""

    name: (
        Annotated[Name, Meta(description="Name of the copy. Omit to use the original name followed by (copy).")]
        | UnsetType
    ) = UNSET


def create_flow(context: Context, data: JSONBody[NewSharedFlow]) -> FlowView:
    """Create a shared flow."""
    return FLOWS.create(context, lambda _tx: changed_flow(SharedFlow(name=data.name), data))


def list_flows(
    context: Context,
    limit: Limit = 50,
    cursor: Cursor = "",
    archived: Archived = False,
    words: Words = "",
    tag: Tag = "",
) -> Page[FlowView]:
    """List shared flows in order of creation. Campaigns' own flows are part of the campaigns."""
    return FLOWS.page(context, limit, cursor, partial(shared_flows_after, archived=archived, words=words, tag=tag))


def read_flow(context: Context, number: Id) -> FlowView:
    """Return a shared flow, archived or not."""
    return FLOWS.read(context, number)


def change_flow(context: Context, number: Id, data: JSONBody[SharedFlowChange]) -> FlowView:
    """Change the given fields. Rules and paths keep the ids that are sent back; those left out are archived."""
    return FLOWS.change(context, number, lambda _tx, flow: changed_flow(flow, data))


def remove_flow(context: Context, number: Id) -> FlowView:
    """Archive a shared flow. Nothing is deleted. Fails while a live campaign uses it."""
    return FLOWS.archive(context, number)


def restore_flow(context: Context, number: Id) -> FlowView:
    """Restore an archived flow. Fails while a record that it names is archived."""
    return FLOWS.restore(context, number)


def clone_flow(context: Context, number: Id, data: JSONBody[FlowCloning]) -> FlowView:
    """Copy a shared flow. The copy's rules and paths get ids of their own, and no campaign uses it yet."""

    def copy(tx: Connection) -> SharedFlow:
        flow = saving.NOUN.get(tx, number)
        name = copied_name(flow.name) if data.name is UNSET else data.name
        return replace(flow, id=0, version=0, name=name, parts=without_ids(flow.parts), archived_at=None)

    return FLOWS.create(context, copy)


def _views(_context: ApiContext, tx: Connection, flows: Sequence[SharedFlow]) -> list[FlowView]:
    return [
        view_of(
            FlowView,
            flow,
            rules=flow.parts.rules,
            default_paths=flow.parts.default_paths,
            campaign_ids=campaigns_with_flow(tx, flow.id),
        )
        for flow in flows
    ]


FLOWS = Records(saving.NOUN, _views)


router = Router(
    f"/{NOUN}",
    route_handlers=[
        *record_routes(
            "a flow",
            "flows",
            create=create_flow,
            show_list=list_flows,
            read=read_flow,
            change=change_flow,
            archive=remove_flow,
            restore=restore_flow,
        ),
        post("/{number:int}/clone", sync_to_thread=True, summary="Clone a flow")(clone_flow),
    ],
    tags=["Flows"],
)
