"""The commands that tell and change nothing: trace, simulate, doctor and check."""

from typing import Annotated

import typer

from clickloop.cli.reaching import DEFAULT_DATA, REFUSED, Data, ask, stop, unused


def trace(
    click_id: Annotated[str, typer.Argument(help="Our click id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Show the whole story of a click: redirect, notices, conversions, postbacks and attempts in one time line."""
    from urllib.parse import quote

    told_as = "json" if as_json else "text"
    answer = ask(data, "GET", f"/api/v1/clicks/{quote(click_id, safe='')}/trace?format={told_as}")
    typer.echo(answer.body.decode().rstrip("\n"))


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
    payout: Annotated[str, typer.Option(help="Payout, as a network would send it.")] = "",
    status: Annotated[str, typer.Option(help="Status, as a network would send it.")] = "",
    txid: Annotated[str, typer.Option(help="Transaction id, as a network would send it.")] = "",
    currency: Annotated[str, typer.Option(help="Currency, as a network would send it.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Try a conversion without sending or storing anything: redirect, each rule's decision, the requests, where values come from."""
    import msgspec

    body: dict[str, object] = {"campaign_id": campaign, "click_id": click_id, "conversion_id": conversion_id}
    if param is not None:
        pairs = [pair.partition("=") for pair in param]
        if any(not equals for _, equals, _ in pairs):
            raise stop("--param takes name=value.", REFUSED)
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
    answer = ask(data, "POST", f"/api/v1/simulate?format={told_as}", msgspec.json.encode(body))
    typer.echo(answer.body.decode().rstrip("\n"))


def doctor(
    data: Data = DEFAULT_DATA,
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm",
            help="Confirm the damage of the journal and of single rows found so far, once you have dealt with it. This ends its alarm.",
        ),
    ] = False,
) -> None:
    """Examine a data folder: versions, disk, journal, ledger, facts, and whether every postback is accounted for.

    Works with or without a running server. Ends with 1 when a fault is found.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from clickloop.clock import wall_clock
    from clickloop.diagnosis.doctor import Verdict, confirm_rows, examine
    from clickloop.plural import counted
    from clickloop.store.damage_log import confirm_damages
    from clickloop.store.identity import FILE_NAME, LEDGER_FILE, has_been_used
    from clickloop.store.ledger.ledger import LedgerError

    folder = data.resolve()
    if not ((folder / LEDGER_FILE).exists() or (folder / FILE_NAME).exists() or has_been_used(folder)):
        raise unused(folder)
    if confirm:
        typer.echo(f"Confirmed: {counted(confirm_damages(folder, wall_clock()), 'damage', 'damages')} of the journal.")
        try:
            rows = confirm_rows(folder, wall_clock())
        except (LedgerError, SQLAlchemyError):
            rows = 0  # what is wrong with the ledger is found below
        if rows:
            typer.echo(
                f"Accepted as they are now: {counted(rows, 'row', 'rows')} of the ledger. The change log names them."
            )
    findings = examine(folder, wall_clock())
    for finding in findings:
        typer.echo(f"{finding.verdict:<8} {finding.place:<10} {finding.sentence}")
        if finding.remedy:
            typer.echo(f"{'':19} {finding.remedy}")
    if any(finding.verdict is Verdict.FAULT for finding in findings):
        raise typer.Exit(REFUSED)


def check(
    campaign: Annotated[int | None, typer.Option(min=1, help="Only what this campaign needs.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 for warnings too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Check the whole chain, source to tracker to network and back: what breaks it, where, and what to do. Ends with 1 for errors."""
    import msgspec

    from clickloop.diagnosis.check.views import ToldCheck, check_text

    query = f"?campaign_id={campaign}" if campaign is not None else ""
    answer = ask(data, "GET", f"/api/v1/check{query}")
    told = msgspec.json.decode(answer.body, type=ToldCheck)
    typer.echo(answer.body.decode() if as_json else check_text(told).rstrip("\n"))
    if told.errors or (strict and told.warnings):
        raise typer.Exit(REFUSED)
