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
import_app = typer.Typer(no_args_is_help=True, help="Bring files in.")
app.add_typer(import_app, name="import")

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


@import_app.command("conversions")
def import_conversions(
    file: Annotated[str, typer.Argument(help="The file; - for standard input.")],
    preview: Annotated[bool, typer.Option("--preview", help="Only tell what each line would do.")] = False,
    no_postbacks: Annotated[
        bool, typer.Option("--no-postbacks", help="Hold back the postbacks that its conversions owe.")
    ] = False,
    result: Annotated[Path | None, typer.Option(help="Save what became of each line there, as CSV.")] = None,
    lines: Annotated[int, typer.Option(min=0, max=500, help="How many lines of a preview to show.")] = 20,
    data: Data = DEFAULT_DATA,
) -> None:
    """Register the conversions of a file, each line as a network's postback would; those registered before come to repeats.

    A table with a header (comma, semicolon or tab; columns are named like a postback's parameters), or a conversion a line:
    clickid, clickid:payout:status, clickid:payout=5:cnv_status=Hold. Ends with 1 when a line is refused or unreadable.
    """
    from rich.console import Console

    from clickloop import importing
    from clickloop.running_core import NotRunningError

    wanted = importing.Wanted(
        data=data.resolve(), preview=preview, postbacks=not no_postbacks, result=result, first_lines=lines
    )
    try:
        source, name, octets = importing.open_source(file)
        with source:
            is_good = importing.import_conversions(source, name, octets, wanted, Console(markup=False, highlight=False))
    except importing.ImportRefusedError as refusal:
        raise _stop(str(refusal), REFUSED) from None
    except (NotRunningError, OSError) as error:
        raise _stop(str(error), UNUSABLE) from None
    if not is_good:
        raise typer.Exit(REFUSED)


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


@app.command()
def simulate(
    campaign: Annotated[int | None, typer.Argument(min=1, help="A campaign's number, for an invented visitor.")] = None,
    click_id: Annotated[str, typer.Option("--click", help="A recorded click instead: one more conversion of it.")] = "",
    conversion_id: Annotated[
        str, typer.Option("--conversion", help="A stored conversion instead: its last change by today's rules.")
    ] = "",
    param: Annotated[
        list[str] | None, typer.Option(help="What the link brings, name=value; left out: an example for each row.")
    ] = None,
    offer: Annotated[int | None, typer.Option(min=1, help="The offer that the visitor gets.")] = None,
    useragent: Annotated[str, typer.Option(help="The visitor's browser.")] = "",
    country: Annotated[str, typer.Option(help="The visitor's country, two letters.")] = "",
    payout: Annotated[str, typer.Option(help="Of the notice, as a network would send it.")] = "",
    status: Annotated[str, typer.Option(help="Of the notice.")] = "",
    txid: Annotated[str, typer.Option(help="Of the notice.")] = "",
    currency: Annotated[str, typer.Option(help="Of the notice.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As the API tells it.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Try a conversion without sending or storing anything: redirect, each rule's decision, the requests, where values come from."""
    import msgspec

    body: dict[str, object] = {"campaign_id": campaign, "click_id": click_id, "conversion_id": conversion_id}
    if param is not None:
        pairs = [pair.partition("=") for pair in param]
        if any(not equals for _, equals, _ in pairs):
            raise _stop("--param takes name=value.", REFUSED)
        body["parameters"] = {name: value for name, _, value in pairs}
    visitor = {"useragent": useragent, "country": country}
    notice = {"payout": payout, "status": status, "txid": txid, "currency": currency}
    if any(visitor.values()):
        body["visitor"] = visitor
    if any(notice.values()):
        body["conversion"] = notice
    if offer is not None:
        body["offer_id"] = offer
    told_as = "json" if as_json else "text"
    answer = _ask(data, "POST", f"/api/v1/simulate?format={told_as}", msgspec.json.encode(body))
    typer.echo(answer.body.decode().rstrip("\n"))


Since = Annotated[str, typer.Option(help="From this moment on, ISO 8601.")]
Until = Annotated[str, typer.Option(help="Before this moment.")]


@app.command()
def resend(
    postback_id: Annotated[str, typer.Argument(help="One postback; left out: all that match the options.")] = "",
    state: Annotated[str, typer.Option(help="delivered, failed, skipped or cancelled.")] = "",
    reason: Annotated[str, typer.Option(help="Only skipped for this reason.")] = "",
    status: Annotated[str, typer.Option(help="Only of conversions under this status.")] = "",
    source: Annotated[int | None, typer.Option(min=1, help="Only of this traffic source.")] = None,
    campaign: Annotated[int | None, typer.Option(min=1, help="Only of this campaign.")] = None,
    rule: Annotated[int | None, typer.Option(min=1, help="Only of this postback rule.")] = None,
    since: Since = "",
    until: Until = "",
    anew: Annotated[bool, typer.Option("--anew", help="Build the request from today's rule.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Only count.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Send a postback, or all that match, again: with the request as it was, or anew. {postback_id} stays the original's."""
    from urllib.parse import quote

    from clickloop import asking_again

    def ask(method: str, path: str, body: bytes | None) -> bytes:
        return _ask(data, method, path, body).body

    if postback_id:
        typer.echo(asking_again.resend_one(ask, quote(postback_id, safe=""), anew=anew))
        return
    owners = {"source_id": source, "campaign_id": campaign, "rule_id": rule}
    wanted = {"state": state, "reason": reason, "status": status, "since": since, "until": until}
    for line in asking_again.resend_many(ask, {**wanted, **owners}, anew=anew, preview=preview):
        typer.echo(line)


@app.command()
def rerun(
    notice_id: Annotated[str, typer.Argument(help="One notice; left out: all that match the options.")] = "",
    outcome: Annotated[str, typer.Option(help="waiting, new, changed, repeated or refused.")] = "",
    reason: Annotated[str, typer.Option(help="Only refused for this reason.")] = "",
    status_word: Annotated[str, typer.Option(help="Only with this status as it was sent.")] = "",
    network: Annotated[int | None, typer.Option(min=1, help="Only of this network.")] = None,
    campaign: Annotated[int | None, typer.Option(min=1, help="Only of this campaign.")] = None,
    since: Since = "",
    until: Until = "",
    preview: Annotated[bool, typer.Option("--preview", help="Only tell what would change.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Read a stored notice, or all that match, again by today's settings: after a status word was mapped, say."""
    from urllib.parse import quote

    from clickloop import asking_again

    def ask(method: str, path: str, body: bytes | None) -> bytes:
        return _ask(data, method, path, body).body

    if notice_id:
        typer.echo(asking_again.rerun_one(ask, quote(notice_id, safe="")))
        return
    wanted = {"outcome": outcome, "reason": reason, "status_word": status_word, "since": since, "until": until}
    owners = {"network_id": network, "campaign_id": campaign}
    for line in asking_again.rerun_many(ask, {**wanted, **owners}, preview=preview):
        typer.echo(line)


@app.command()
def doctor(data: Data = DEFAULT_DATA) -> None:
    """Look at a data folder as a whole: versions, disk, journal, ledger, facts, and whether every postback is accounted for."""
    from clickloop.clock import wall_clock
    from clickloop.doctor import Verdict, examine

    folder = data.resolve()
    if not (folder / "ledger.sqlite").exists():
        raise _stop(f"There is no ledger in {folder}: give the data folder with --data.", UNUSABLE)
    findings = examine(folder, wall_clock())
    for finding in findings:
        typer.echo(f"{finding.verdict:<8} {finding.place:<10} {finding.sentence}")
        if finding.remedy:
            typer.echo(f"{'':19} {finding.remedy}")
    if any(finding.verdict is Verdict.FAULT for finding in findings):
        raise typer.Exit(REFUSED)


@app.command()
def check(
    campaign: Annotated[int | None, typer.Option(min=1, help="Only what this campaign needs.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 for warnings too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As the API tells it.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Check the whole chain, source to tracker to network and back: what breaks it, where, and what to do. Ends with 1 for errors."""
    import msgspec

    from clickloop.report.check.told import ToldCheck, check_text

    query = f"?campaign_id={campaign}" if campaign is not None else ""
    answer = _ask(data, "GET", f"/api/v1/check{query}")
    told = msgspec.json.decode(answer.body, type=ToldCheck)
    typer.echo(answer.body.decode() if as_json else check_text(told).rstrip("\n"))
    if told.errors or (strict and told.warnings):
        raise typer.Exit(REFUSED)


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
