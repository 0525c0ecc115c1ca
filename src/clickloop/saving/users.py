"""Saving users, with their one-time links and sessions."""

from collections.abc import Callable

from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.people.user import NotPermittedError, Role, User
from clickloop.saving.access import make_link
from clickloop.saving.faults import raise_faults
from clickloop.saving.record import SavingContext, UnknownRecordError
from clickloop.setup.instance import zone_faults
from clickloop.store.ledger.logs.audit_entry import record_change
from clickloop.store.ledger.logs.audit_log import Action
from clickloop.store.ledger.people.sessions import delete_links_of_user, delete_sessions_of_user
from clickloop.store.ledger.people.users import find_user, save_user

NOUN = "users"

UserViewer = Callable[[User], object]
"""Returns the view of a user for the audit log."""


def get(tx: Connection, user_id: int) -> User:
    """Return a user, disabled or not. Raise UnknownRecordError."""
    user = find_user(tx, user_id)
    if user is None:
        raise UnknownRecordError(f"user {user_id}")
    return user


def create(context: SavingContext, new: User, view: UserViewer) -> tuple[User, str]:
    """Save a user and return them with the secret of a one-time link. Raise NotPermittedError, InvalidInputError."""
    _require_manager(context, new.role)
    _check_zone(new)
    now_ms = context.clock()
    with context.ledger.write() as tx:
        user = save_user(tx, new, now_ms)
        record_change(tx, context, NOUN, user.id, after=view(user))
        return user, make_link(tx, user.id, now_ms)


def change(context: SavingContext, user_id: int, changed: Callable[[User], User], view: UserViewer) -> User:
    """Save a user as changed by ``changed``.

    A disabled user loses their sessions and links. Raise UnknownRecordError, StaleRecordError, NotPermittedError,
    InvalidInputError.
    """
    with context.ledger.write() as tx:
        before = get(tx, user_id)
        context.expected.check(before.version)
        after = changed(before)
        _require_manager(context, before.role, after.role)
        _check_zone(after)
        return _save(tx, context, before, after, view)


def disable(context: SavingContext, user_id: int, view: UserViewer) -> User:
    """Disable a user, unless they are disabled. Raise as ``change`` does."""
    with context.ledger.write() as tx:
        before = get(tx, user_id)
        context.expected.check(before.version)
        _require_manager(context, before.role)
        if before.disabled_at is not None:
            return before
        return _save(tx, context, before, replace(before, disabled_at=context.clock()), view)


def make_password_link(context: SavingContext, user_id: int) -> str:
    """Save a one-time link for setting a password and return its secret. Raise UnknownRecordError, NotPermittedError."""
    with context.ledger.write() as tx:
        user = get(tx, user_id)
        _require_manager(context, user.role)
        record_change(tx, context, NOUN, user.id, action=Action.LINK_MADE)
        return make_link(tx, user.id, context.clock())


def end_sessions(context: SavingContext, user_id: int) -> User:
    """End all sessions of a user and return them. Raise UnknownRecordError, NotPermittedError."""
    with context.ledger.write() as tx:
        user = get(tx, user_id)
        _require_manager(context, user.role)
        delete_sessions_of_user(tx, user.id)
        record_change(tx, context, NOUN, user.id, action=Action.SIGNED_OUT)
    return user


def _save(tx: Connection, context: SavingContext, before: User, changed: User, view: UserViewer) -> User:
    user = save_user(tx, changed, context.clock())
    action = None
    if user.disabled_at is not None and before.disabled_at is None:
        action = Action.DISABLED
        delete_sessions_of_user(tx, user.id)
        delete_links_of_user(tx, user.id)
    elif user.disabled_at is None and before.disabled_at is not None:
        action = Action.ENABLED
    if Role.ADMIN.manages(before.role) and not Role.ADMIN.manages(user.role):
        # An admin may have created the link, and would become someone whom only an owner may sign in.
        delete_links_of_user(tx, user.id)
    record_change(tx, context, NOUN, user.id, view(before), view(user), action)
    return user


def _require_manager(context: SavingContext, *roles: Role) -> None:
    for role in roles:
        if not context.actor.role.manages(role):
            raise NotPermittedError(f"Only an owner can create, change or sign in users with the role {role}.")


def _check_zone(user: User) -> None:
    raise_faults(zone_faults("time_zone", user.time_zone) if user.time_zone else [])
