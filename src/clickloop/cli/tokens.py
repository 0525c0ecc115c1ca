"""The token commands: create, list and revoke API tokens."""

import os
from typing import Annotated

import typer

from clickloop.cli.connecting import DEFAULT_DATA, REFUSED, DataFolder, open_ledger, stop

token_app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API tokens.")


@token_app.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    role: Annotated[str, typer.Option(help="What the token may do: owner, admin, worker or viewer.")] = "owner",
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Create a token and print its secret, once. Standard output has nothing but the secret."""
    from clickloop.clock import wall_clock
    from clickloop.people.user import THIS_MACHINE, Role
    from clickloop.setup.fault import text_faults
    from clickloop.store.ledger.logs.audit_log import Action, insert_change
    from clickloop.store.ledger.people.tokens import SECRET_BYTES, insert_token, secret_of

    if role not in set(Role):
        raise stop(f"Unknown role {role!r}. Choose from {', '.join(Role)}.", REFUSED)
    faults = text_faults("name", name, 200, required=True)
    if faults:
        raise stop(f"Invalid name. {faults[0].message}", REFUSED)
    secret = secret_of(os.urandom(SECRET_BYTES))
    with open_ledger(data) as ledger, ledger.write() as tx:
        number = insert_token(tx, name, secret, wall_clock(), Role(role))
        note = {"name": name, "role": role}
        insert_change(
            tx, THIS_MACHINE, wall_clock(), noun="tokens", record_id=str(number), action=Action.CREATED, after=note
        )
    typer.echo(f"Created token {number}. Send it as Authorization: Bearer <secret>. It is shown only once:", err=True)
    typer.echo(secret)


@token_app.command("list")
def list_tokens(data: DataFolder = DEFAULT_DATA) -> None:
    """List all tokens, including revoked ones."""
    from rich.console import Console
    from rich.table import Table

    from clickloop.clock import iso_text
    from clickloop.store.ledger.people.tokens import tokens_after

    table = Table("Number", "Name", "Role", "Created, UTC", "Last used", "Revoked")
    after = 0
    with open_ledger(data) as ledger, ledger.read() as tx:
        while found := tokens_after(tx, after, 500):
            after = found[-1].id
            for token in found:
                moments = (token.created_at, token.last_used_at, token.revoked_at)
                texts = ["" if moment is None else iso_text(moment)[:16].replace("T", " ") for moment in moments]
                table.add_row(str(token.id), token.name, token.role, *texts)
    Console(markup=False, highlight=False).print(table)


@token_app.command("revoke")
def revoke_token(
    number: Annotated[int, typer.Argument(min=1, help="The token's number, from clickloop token list.")],
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Revoke a token immediately and permanently."""
    from clickloop.clock import wall_clock
    from clickloop.people.user import THIS_MACHINE
    from clickloop.store.ledger.logs.audit_log import Action, insert_change
    from clickloop.store.ledger.people import tokens

    with open_ledger(data) as ledger, ledger.write() as tx:
        revoked = tokens.revoke_token(tx, number, wall_clock())
        if revoked:
            insert_change(tx, THIS_MACHINE, wall_clock(), noun="tokens", record_id=str(number), action=Action.REVOKED)
    if not revoked:
        raise stop(f"There is no active token {number}. To see all tokens: clickloop token list", REFUSED)
    typer.echo(f"Revoked token {number}.")
