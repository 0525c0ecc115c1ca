"""The saved view: the parameters of a report under a name, its owner's or shared, and sent on a schedule if wanted."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clickloop.people.user import Actor, Right, Via, name_key
from clickloop.report.query_input import ReportRequest
from clickloop.report.view.schedule import ViewSchedule, schedule_faults
from clickloop.setup.fault import FaultCode, FieldFault
from clickloop.setup.record import OneLine, RecordFields, line_faults, with_changes

MAX_KEY_LENGTH = 200

Name = Annotated[
    str,
    OneLine(100, required=True),
    Meta(description="Name, unique among its owner's views in any case.", examples=["Zones that lose money"]),
]
Shared = Annotated[bool, Meta(description="Whether everyone may open it. Only its owner and admins may change it.")]
Query = Annotated[ReportRequest, Meta(description="The parameters of the report, named as in GET /reports.")]
Scheduled = Annotated[
    ViewSchedule | None, Meta(description="When it is sent as CSV, and through which postback rule. null: not at all.")
]


class ViewFields(RecordFields, frozen=True, kw_only=True):
    """The fields that a view's record and its API view share."""

    name: Name
    shared: Shared = False
    query: Query = ReportRequest()
    schedule: Scheduled = None


class SavedView(ViewFields, frozen=True, kw_only=True):
    """A saved view."""

    owner_id: int
    """The user whose view it is; 0: of a token without a user, or of a command."""
    name_key: str = ""
    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None


class ViewChange(msgspec.Struct, kw_only=True):
    """Changes of a view. Fields left out stay as they are."""

    name: Name | UnsetType = UNSET
    shared: Shared | UnsetType = UNSET
    query: Query | UnsetType = UNSET
    schedule: Scheduled | UnsetType = UNSET


class NewView(ViewChange, kw_only=True):
    """A view to save."""

    name: Name


def changed_view(view: SavedView, change: ViewChange) -> SavedView:
    """Return the view with a change."""
    others = {} if change.name is UNSET else {"name_key": name_key(change.name)}
    return with_changes(view, change, **others)


def view_faults(view: SavedView) -> list[FieldFault]:
    """Return what is wrong with a view, except its query."""
    faults = line_faults(view)
    if not faults and (not view.name_key or len(view.name_key) > MAX_KEY_LENGTH):
        faults.append(FieldFault("name", FaultCode.CHARACTER, "Remove unusual characters."))
    return faults + (schedule_faults(view.schedule) if view.schedule is not None else [])


def may_open(actor: Actor, view: SavedView) -> bool:
    """Return whether a user may open a view: shared ones, their own, and on this machine all."""
    return view.shared or view.owner_id == actor.user_id or actor.via is Via.COMMAND


def may_change(actor: Actor, view: SavedView) -> bool:
    """Return whether a user may change a view that they may open: their own, and as an admin shared ones of others."""
    if not actor.role.may(Right.WORK):
        return False
    return view.owner_id == actor.user_id or actor.via is Via.COMMAND or actor.role.may(Right.ADMINISTER)
