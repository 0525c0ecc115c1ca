"""/profile: your own user, password and sessions."""

from typing import Annotated

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.logs.view import view_of
from clickloop.people.user import Right, Role, User, Via
from clickloop.saving.access import change_password, is_live
from clickloop.saving.views import home_view_faults
from clickloop.setup.fault import InvalidInputError
from clickloop.setup.instance import zone_faults
from clickloop.setup.reading import value_or
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.people.sessions import delete_session, delete_sessions_of_user, sessions_of_user
from clickloop.store.ledger.people.users import find_user, save_user
from clickloop.text import readable
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Id
from clickloop.web.api.people.users import NOUN as USERS
from clickloop.web.api.people.users import TimeZone, user_view
from clickloop.web.api.problem import not_found
from clickloop.web.api.rights import RIGHT

NOUN = "profile"
MAX_SESSIONS = 100  # a person has a few; the oldest are of no interest


class ProfileUpdate(msgspec.Struct, kw_only=True):
    """Changes to your profile. Omitted fields stay unchanged."""

    time_zone: TimeZone | UnsetType = UNSET
    home_view_id: (
        Annotated[int | None, Meta(description="The saved view that your reports begin with. null: none.")] | UnsetType
    ) = UNSET


class PasswordChange(msgspec.Struct, kw_only=True):
    """A password change."""

    current: Annotated[str, Meta(description="Current password.", examples=["the old long words"])]
    password: Annotated[str, Meta(description="New password, at least 10 characters.", examples=["the new long words"])]


class ProfileView(msgspec.Struct, kw_only=True):
    """The user behind the request."""

    user_id: Annotated[int | None, Meta(description="null for a token without a user, or a command.")]
    name: str
    role: Role
    via: Via
    rights: Annotated[list[Right], Meta(description="What the user may do besides reading.")]
    time_zone: Annotated[str, Meta(description="Time zone of the user's pages, their own or the instance's.")]
    home_view_id: Annotated[int | None, Meta(description="The saved view that their reports begin with.")]


class SessionView(msgspec.Struct, kw_only=True):
    """A browser that is signed in."""

    id: Annotated[int, Meta(examples=[1])]
    created_at: Moment
    last_seen_at: Annotated[Moment, Meta(description="To the minute.")]
    expires_at: Moment
    address: str
    useragent: str


class SessionList(msgspec.Struct, kw_only=True):
    """The browsers in which you are signed in."""

    items: list[SessionView]


def read_profile(context: Context) -> ProfileView:
    """Return your user and rights."""
    actor = context.actor
    with context.ledger.read() as tx:
        user = find_user(tx, actor.user_id) if actor.user_id else None
    return ProfileView(
        user_id=actor.user_id or None,
        name=readable(actor.name),
        role=actor.role,
        via=actor.via,
        rights=[right for right in Right if actor.role.may(right)],
        time_zone=(user.time_zone if user else "") or context.instance.time_zone,
        home_view_id=user.home_view_id if user else None,
    )


def change_profile(context: Context, data: JSONBody[ProfileUpdate]) -> ProfileView:
    """Change your profile."""
    with context.ledger.write() as tx:
        before = _own_user(tx, context)
        zone = value_or(data.time_zone, before.time_zone)
        home_view_id = value_or(data.home_view_id, before.home_view_id)
        faults = zone_faults("time_zone", zone) if zone else []
        if home_view_id is not None and home_view_id != before.home_view_id:
            faults += home_view_faults(context, tx, home_view_id)
        if faults:
            raise InvalidInputError(tuple(faults))
        user = save_user(tx, replace(before, time_zone=zone, home_view_id=home_view_id), context.clock())
        record_change(tx, context, USERS, user.id, user_view(before), user_view(user))
    return read_profile(context)


async def change_own_password(context: Context, data: JSONBody[PasswordChange]) -> ProfileView:
    """Change your password. All your sessions end."""
    device = f"user {context.actor.user_id}"
    return await context.access.threads.run(_change_own_password, context, data, device=device)


def _change_own_password(context: ApiContext, data: PasswordChange) -> ProfileView:
    with context.ledger.read() as tx:
        user = _own_user(tx, context)
    change_password(context.access, user, data.current, data.password, context.actor)
    return read_profile(context)


def list_sessions(context: Context) -> SessionList:
    """List the browsers in which you are signed in, most recently used first."""
    with context.ledger.read() as tx:
        user = _own_user(tx, context)
        found = sessions_of_user(tx, user.id, MAX_SESSIONS)
    now_ms = context.clock()
    return SessionList(items=[view_of(SessionView, session) for session in found if is_live(session, now_ms)])


def end_session(context: Context, number: Id) -> SessionList:
    """End one of your sessions."""
    with context.ledger.write() as tx:
        user = _own_user(tx, context)
        if not delete_session(tx, user.id, number):
            raise not_found(f"session {number} of yours")
        record_change(tx, context, USERS, user.id, action=Action.SIGNED_OUT)
    return list_sessions(context)


def end_all_sessions(context: Context) -> SessionList:
    """End all your sessions."""
    with context.ledger.write() as tx:
        user = _own_user(tx, context)
        delete_sessions_of_user(tx, user.id)
        record_change(tx, context, USERS, user.id, action=Action.SIGNED_OUT)
    return list_sessions(context)


def _own_user(tx: Connection, context: ApiContext) -> User:
    user = find_user(tx, context.actor.user_id) if context.actor.user_id else None
    if user is None:
        raise not_found("user behind this token: it was created on the machine, without a user")
    return user


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="Get your profile")(read_profile),
        patch("/", sync_to_thread=True, summary="Change your profile")(change_profile),
        post("/password", status_code=200, summary="Change your password")(change_own_password),
        get("/sessions", sync_to_thread=True, summary="List your sessions")(list_sessions),
        delete("/sessions", status_code=200, sync_to_thread=True, summary="Sign out everywhere")(end_all_sessions),
        delete("/sessions/{number:int}", status_code=200, sync_to_thread=True, summary="End one of your sessions")(
            end_session
        ),
    ],
    opt={RIGHT: None},
    tags=["Users"],
)
