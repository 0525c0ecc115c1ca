"""The user commands: list, add and disable users, and create one-time links to sign in."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clickloop.cli.connecting import DEFAULT_DATA, REFUSED, DataFolder, open_ledger, stop

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from clickloop.people.user import User

user_app = typer.Typer(no_args_is_help=True, help="List, add and disable panel users. Create links to set a password.")

Name = Annotated[str, typer.Argument(help="The name to sign in with.")]


@user_app.command("list")
def list_users(data: DataFolder = DEFAULT_DATA) -> None:
    """List all users, including disabled ones."""
    from rich.console import Console
    from rich.table import Table

    from clickloop.clock import iso_text
    from clickloop.store.ledger.people.users import users_after

    table = Table("Number", "Name", "Role", "Password", "Created, UTC", "Disabled")
    after = 0
    with open_ledger(data) as ledger, ledger.read() as tx:
        while found := users_after(tx, after, 500):
            after = found[-1].id
            for user in found:
                password = "set" if user.password_hash else "not set"
                disabled = iso_text(user.disabled_at)[:16].replace("T", " ") if user.disabled_at is not None else ""
                table.add_row(
                    str(user.id),
                    user.name,
                    user.role,
                    password,
                    iso_text(user.created_at)[:16].replace("T", " "),
                    disabled,
                )
    Console(markup=False, highlight=False).print(table)


@user_app.command("add")
def add_user(
    name: Name,
    role: Annotated[str, typer.Option(help="What the user may do: owner, admin, worker or viewer.")] = "worker",
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Add a user and print a one-time link to set a password. Standard output has nothing but the link."""
    from clickloop.clock import wall_clock
    from clickloop.people.user import Role, User
    from clickloop.setup.fault import InvalidInputError
    from clickloop.store.ledger.logs.audit_log import Action
    from clickloop.store.ledger.people.users import save_user

    if role not in set(Role):
        raise stop(f"Unknown role {role!r}. Choose from {', '.join(Role)}.", REFUSED)
    try:
        with open_ledger(data) as ledger, ledger.write() as tx:
            user = save_user(tx, User(name=name, role=Role(role)), wall_clock())
            _note(tx, user, Action.CREATED)
            link = _link(tx, data, user)
    except InvalidInputError as refusal:
        raise stop(f"The user cannot be added. {refusal.faults[0].message}", REFUSED) from None
    typer.echo(f"Added user {user.id} as {user.role}. One-time link to set a password, valid for 24 hours:", err=True)
    typer.echo(link)


@user_app.command("link")
def make_user_link(
    name: Annotated[str, typer.Argument(help="The user's name. Leave out for the only owner, or the first one.")] = "",
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Print a one-time link to set a new password, also for a forgotten one. Standard output has nothing but the link."""
    from clickloop.store.ledger.logs.audit_log import Action
    from clickloop.store.ledger.people.users import active_owners, find_user_named, has_owner_with_password

    with open_ledger(data) as ledger, ledger.write() as tx:
        user = find_user_named(tx, name) if name else None
        if name and (user is None or user.disabled_at is not None):
            raise stop(f"There is no active user {name!r}. To see all users: clickloop user list", REFUSED)
        if not name and has_owner_with_password(tx):
            owners = active_owners(tx)
            if len(owners) > 1:
                names = ", ".join(owner.name for owner in owners)
                raise stop(f"There is more than one owner. Choose from {names}.", REFUSED)
            user = owners[0]
        link = _link(tx, data, user)
        if user is not None:
            _note(tx, user, Action.LINK_MADE)
    recipient = user.name if user is not None else "the first owner"
    typer.echo(f"One-time link for {recipient}, valid for 24 hours. Earlier links no longer work:", err=True)
    typer.echo(link)


@user_app.command("disable")
def disable_user(name: Name, data: DataFolder = DEFAULT_DATA) -> None:
    """Disable a user. Their sessions and tokens stop working immediately. The last owner cannot be disabled."""
    from msgspec.structs import replace

    from clickloop.clock import wall_clock
    from clickloop.setup.fault import InvalidInputError
    from clickloop.store.ledger.logs.audit_log import Action
    from clickloop.store.ledger.people.sessions import delete_links_of_user, delete_sessions_of_user
    from clickloop.store.ledger.people.users import find_user_named, save_user

    now_ms = wall_clock()
    try:
        with open_ledger(data) as ledger, ledger.write() as tx:
            user = find_user_named(tx, name)
            if user is None or user.disabled_at is not None:
                raise stop(f"There is no active user {name!r}. To see all users: clickloop user list", REFUSED)
            save_user(tx, replace(user, disabled_at=now_ms), now_ms)
            delete_sessions_of_user(tx, user.id)
            delete_links_of_user(tx, user.id)
            _note(tx, user, Action.DISABLED)
    except InvalidInputError as refusal:
        raise stop(refusal.faults[0].message, REFUSED) from None
    typer.echo(f"Disabled user {user.id}, {user.name}.")


def _link(tx: "Connection", data: Path, user: "User | None") -> str:
    from clickloop.clock import wall_clock
    from clickloop.saving.access import link_path, make_link

    return f"{_panel(data)}{link_path(make_link(tx, user.id if user is not None else None, wall_clock()))}"


def _panel(data: Path) -> str:
    """Return the panel's scheme and host: of the server that last ran on the data folder, else from the settings."""
    from clickloop.config import Settings
    from clickloop.machine.core_client import NotRunningError, read_core_address

    try:
        return read_core_address(data.resolve()).url
    except NotRunningError:
        return f"http://{os.environ.get('CLICKLOOP_PANEL_LISTEN', Settings().panel_listen)}"


def _note(tx: "Connection", user: "User", action: str) -> None:
    from clickloop.clock import wall_clock
    from clickloop.people.user import THIS_MACHINE
    from clickloop.store.ledger.logs.audit_log import Action, insert_change

    after = {"name": user.name, "role": user.role}
    record_id = str(user.id)
    insert_change(tx, THIS_MACHINE, wall_clock(), noun="users", record_id=record_id, action=Action(action), after=after)
