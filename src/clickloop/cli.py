"""The command line. What a command needs is imported within it, so that ``--help`` is quick."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clickloop.running_core import Answer
    from clickloop.store.ledger.ledger import Ledger

REFUSED = 1
"""Exit status when the tracker refused what was asked."""
UNUSABLE = 2
"""Exit status when the command could not be carried out at all."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Clickloop: a self-hosted ad and affiliate click tracker.",
)
token_app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the tokens that open the API.")
app.add_typer(token_app, name="token")

Data = Annotated[Path, typer.Option("--data", envvar="CLICKLOOP_DATA", help="The data folder.")]
DEFAULT_DATA = Path("./data")


def main() -> None:
    """Runs the command line."""
    app()


@app.command()
def serve(
    data: Data = DEFAULT_DATA,
    listen: Annotated[str | None, typer.Option(help="Where visitors and networks come in, host:port.")] = None,
    panel_listen: Annotated[str | None, typer.Option(help="Where the API answers, host:port.")] = None,
    public_url: Annotated[str | None, typer.Option(help="Scheme and host under which the world reaches us.")] = None,
    edges: Annotated[int | None, typer.Option(help="Edge processes; 0: cores - 1, at least 1.")] = None,
) -> None:
    """Run the tracker until SIGTERM. Every setting can also be given as CLICKLOOP_<NAME>."""
    import sys

    import msgspec

    from clickloop.config import SettingError, read_settings

    given = {"listen": listen, "panel_listen": panel_listen, "public_url": public_url, "edges": edges}
    try:
        settings = read_settings(os.environ, data=str(data), **given)
    except SettingError as fault:
        raise _stop(str(fault), UNUSABLE) from None
    told = msgspec.json.encode(settings).decode()
    # Takes this process over, so that the command line's libraries do not stay in memory for as long as the tracker runs.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "clickloop.supervisor", told])  # noqa: S606 – no shell is wanted


@app.command()
def demo(
    visitors: Annotated[int, typer.Option(min=100, help="How many visitors to send.")] = 3000,
    keep: Annotated[bool, typer.Option(help="Leave the tracker running afterwards.")] = False,
) -> None:
    """Show the whole loop with a stand-in source and network, and check the figures."""
    from clickloop.demo import run

    raise typer.Exit(run(visitors=visitors, keep=keep))


@token_app.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    data: Data = DEFAULT_DATA,
) -> None:
    """Make a token. Its secret is printed alone on standard output, this once."""
    from clickloop.campaign.fault import text_faults
    from clickloop.clock import wall_clock
    from clickloop.store.ledger.tokens import SECRET_BYTES, insert_token, secret_of

    faults = text_faults("name", name, 200, required=True)
    if faults:
        raise _stop(f"The name cannot be used. {faults[0].message}", REFUSED)
    secret = secret_of(os.urandom(SECRET_BYTES))
    with _ledger(data, create=True) as ledger, ledger.write() as tx:
        number = insert_token(tx, name, secret, wall_clock())
    typer.echo(f"Token {number}. Send it as: Authorization: Bearer <secret>. It is not shown again:", err=True)
    typer.echo(secret)


@token_app.command("list")
def list_tokens(data: Data = DEFAULT_DATA) -> None:
    """List all tokens, revoked ones too."""
    from rich.console import Console
    from rich.table import Table

    from clickloop.clock import iso_text
    from clickloop.store.ledger.tokens import tokens_after

    table = Table("Number", "Name", "Made", "Last used", "Revoked")
    after = 0
    with _ledger(data) as ledger, ledger.read() as tx:
        while found := tokens_after(tx, after, 500):
            after = found[-1].id
            for token in found:
                moments = (token.created_at, token.last_used_at, token.revoked_at)
                texts = ["" if moment is None else iso_text(moment) for moment in moments]
                table.add_row(str(token.id), token.name, *texts)
    Console(markup=False, highlight=False).print(table)


@token_app.command("revoke")
def revoke_token(
    number: Annotated[int, typer.Argument(min=1, help="The token's number, as list shows it.")],
    data: Data = DEFAULT_DATA,
) -> None:
    """Make a token invalid at once and for ever."""
    from clickloop.clock import wall_clock
    from clickloop.store.ledger import tokens

    with _ledger(data) as ledger, ledger.write() as tx:
        revoked = tokens.revoke_token(tx, number, wall_clock())
    if not revoked:
        raise _stop(f"There is no valid token {number}: clickloop token list shows them.", REFUSED)
    typer.echo(f"Token {number} is revoked.")


@app.command()
def convert(
    click_id: Annotated[str, typer.Argument(help="Our click id.")],
    payout: Annotated[str, typer.Option(help="Decimal; left out: the offer's.")] = "",
    status: Annotated[str, typer.Option(help="A status or one of its words; left out: sale.")] = "",
    txid: Annotated[str, typer.Option(help="Tells several conversions of one click apart.")] = "",
    currency: Annotated[str, typer.Option(help="ISO 4217; left out: that of offer or instance.")] = "",
    at: Annotated[str, typer.Option(help="When it happened: ISO 8601 or Unix seconds; left out: now.")] = "",
    no_postback: Annotated[bool, typer.Option("--no-postback", help="Send no postback for it.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Register a conversion by hand, as a network's postback would."""
    import msgspec

    report = {
        "click_id": click_id,
        "payout": payout,
        "status": status,
        "txid": txid,
        "currency": currency,
        "at": at,
        "disable_postback": no_postback,
        "by_hand": True,
    }
    reported = msgspec.json.decode(_ask(data, "POST", "/api/v1/conversions", msgspec.json.encode(report)).body)
    conversion = reported["conversion"]
    if conversion is None:
        typer.echo("waiting: the click has not arrived yet; it is looked for again for ten minutes")
        return
    money = conversion["payout"]
    typer.echo(
        f"{reported['outcome']}: conversion {conversion['conversion_id']}, {conversion['status']['name']}, "
        f"{money['amount']} {money['currency']}"
    )


@app.command()
def trace(
    click_id: Annotated[str, typer.Argument(help="Our click id.")],
    as_json: Annotated[bool, typer.Option("--json", help="As the API tells it.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Tell the whole story of a click: redirect, notices, conversions, postbacks and attempts in one time line."""
    from urllib.parse import quote

    told_as = "json" if as_json else "text"
    answer = _ask(data, "GET", f"/api/v1/clicks/{quote(click_id, safe='')}/trace?format={told_as}")
    typer.echo(answer.body.decode().rstrip("\n"))


def _ask(data: Path, method: str, path: str, body: bytes | None = None) -> "Answer":
    """The good answer of the running server; otherwise says why and exits."""
    import msgspec

    from clickloop.running_core import NotRunningError, ask_core

    try:
        answer = ask_core(data.resolve(), method, path, body)
    except NotRunningError as error:
        raise _stop(str(error), UNUSABLE) from None
    if answer.status < 300:
        return answer
    try:
        problem = msgspec.json.decode(answer.body)
        lines = [f"{fault['field']}: {fault['message']}" for fault in problem.get("errors", ())] or [problem["detail"]]
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        lines = [f"The server answered {answer.status} without a reason."]
    raise _stop("\n".join(lines), REFUSED)


@contextmanager
def _ledger(data: Path, *, create: bool = False) -> "Iterator[Ledger]":
    """The ledger of a data folder, opened beside the server if one runs; exits with a sentence when it cannot be."""
    from clickloop.store.ledger.ledger import Ledger, LedgerError

    folder = data.resolve()
    path = folder / "ledger.sqlite"
    if create:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    elif not path.exists():
        raise _stop(f"There is no ledger in {folder}: give the data folder with --data.", UNUSABLE)
    try:
        ledger = Ledger.open(path)
    except LedgerError as error:
        raise _stop(str(error), UNUSABLE) from None
    try:
        yield ledger
    finally:
        ledger.close()


def _stop(text: str, status: int) -> typer.Exit:
    """Says why; raise what it answers."""
    typer.echo(text, err=True)
    return typer.Exit(status)
