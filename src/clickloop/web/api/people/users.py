"""/users: the users of the panel and their roles."""

from typing import Annotated

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from clickloop.clock import Moment, iso_text
from clickloop.logs.page import Page, page_of, read_number_cursor
from clickloop.logs.view import view_of
from clickloop.people.user import Right, Role, User
from clickloop.saving import users as saving
from clickloop.saving.access import LINK_MS, link_path
from clickloop.setup.record import Versioned, with_changes
from clickloop.store.ledger.people.users import users_after
from clickloop.web.api.all_faults import report_all_faults
from clickloop.web.api.body import CheckedBody
from clickloop.web.api.context import Context
from clickloop.web.api.paging import Cursor, Id, Limit
from clickloop.web.api.rights import RIGHT

NOUN = saving.NOUN

Name = Annotated[str, Meta(description="Name to sign in with. Case is ignored.", examples=["anna"])]
RoleField = Annotated[
    Role,
    Meta(
        description="owner: everything; admin: everything except owners and admins; worker: campaigns and conversions, without "
        "secrets, users and settings; viewer: read only.",
        examples=["worker"],
    ),
]
TimeZone = Annotated[
    str,
    Meta(description="Time zone of the user's pages. Leave empty to use the instance's.", examples=["Europe/Berlin"]),
]


class UserUpdate(msgspec.Struct, kw_only=True):
    """Changes to a user. Omitted fields stay unchanged."""

    name: Name | UnsetType = UNSET
    role: RoleField | UnsetType = UNSET
    time_zone: TimeZone | UnsetType = UNSET
    disabled: (
        Annotated[bool, Meta(description="true signs the user out at once and disables their tokens.")] | UnsetType
    ) = UNSET


class UserCreation(msgspec.Struct, kw_only=True):
    """A user to create."""

    name: Name
    role: RoleField
    time_zone: TimeZone = ""


class UserView(Versioned, frozen=True, kw_only=True):
    """A user."""

    id: Annotated[int, Meta(examples=[1])]
    name: Name
    role: RoleField
    time_zone: TimeZone
    home_view_id: Annotated[int | None, Meta(description="The view that their reports begin with.")]
    has_password: Annotated[bool, Meta(description="false if the user needs a one-time link first.")]
    created_at: Moment
    updated_at: Moment
    disabled_at: Annotated[Moment | None, Meta(description="null if the user may sign in.")]


class LinkView(msgspec.Struct, kw_only=True):
    """A one-time link for setting a password."""

    link: Annotated[str, Meta(description="Path on the host of this API.", examples=["/panel/welcome?key=Zb3x"])]
    expires_at: Moment


class NewUserView(UserView, frozen=True, kw_only=True):
    """A new user, with a link for setting their password."""

    link: Annotated[str, Meta(description="Path on the host of this API. Shown only once; valid once, for 24 hours.")]


def create_user(context: Context, data: JSONBody[UserCreation]) -> NewUserView:
    """Create a user without a password. Send them the link, which is valid once, for 24 hours."""
    new = User(name=data.name, role=data.role, time_zone=data.time_zone)
    user, secret = saving.create(context, new, user_view)
    return NewUserView(link=link_path(secret), **msgspec.structs.asdict(user_view(user)))


def list_users(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[UserView]:
    """List users in order of creation, including disabled ones."""
    after = read_number_cursor(NOUN, cursor)
    with context.ledger.read() as tx:
        found = users_after(tx, after, limit + 1)
    return page_of(found, limit, NOUN, lambda user: user.id, user_view)


def read_user(context: Context, number: Id) -> UserView:
    """Return a user, disabled or not."""
    with context.ledger.read() as tx:
        return user_view(saving.get(tx, number))


def change_user(context: Context, number: Id, data: JSONBody[UserUpdate]) -> UserView:
    """Change the given fields. Returns 422 if the last owner who can sign in would be lost."""
    now_ms = context.clock()

    def changed(user: User) -> User:
        disabled_at = user.disabled_at
        if data.disabled is not UNSET:
            disabled_at = (disabled_at or now_ms) if data.disabled else None
        return with_changes(user, data, disabled_at=disabled_at)

    return user_view(saving.change(context, number, changed, user_view))


def remove_user(context: Context, number: Id) -> UserView:
    """Disable a user. They are signed out at once and their tokens stop working. Nothing is deleted."""
    return user_view(saving.disable(context, number, user_view))


def make_user_link(context: Context, number: Id) -> LinkView:
    """Create a one-time link for setting a new or forgotten password. Earlier links stop working."""
    secret = saving.make_password_link(context, number)
    return LinkView(link=link_path(secret), expires_at=iso_text(context.clock() + LINK_MS))


def sign_user_out(context: Context, number: Id) -> UserView:
    """End all sessions of a user. They can sign in again."""
    return user_view(saving.end_sessions(context, number))


def user_view(user: User) -> UserView:
    """Return a user for JSON."""
    return view_of(UserView, user, has_password=user.password_hash is not None)


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/", dto=CheckedBody, sync_to_thread=True, summary="Create a user")(report_all_faults(create_user)),
        get("/", sync_to_thread=True, summary="List users")(list_users),
        get("/{number:int}", sync_to_thread=True, summary="Get a user")(read_user),
        patch("/{number:int}", dto=CheckedBody, sync_to_thread=True, summary="Change a user")(
            report_all_faults(change_user)
        ),
        delete("/{number:int}", status_code=200, sync_to_thread=True, summary="Disable a user")(remove_user),
        post("/{number:int}/link", status_code=201, sync_to_thread=True, summary="Create a link to set a password")(
            make_user_link
        ),
        post("/{number:int}/sign-out", status_code=200, sync_to_thread=True, summary="End all sessions of a user")(
            sign_user_out
        ),
    ],
    opt={RIGHT: Right.ADMINISTER},
    tags=["Users"],
)
