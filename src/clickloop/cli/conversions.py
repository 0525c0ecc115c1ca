"""The commands that bring conversions in: convert and import."""

from pathlib import Path
from typing import Annotated

import typer

from clickloop.cli.reaching import DEFAULT_DATA, REFUSED, UNUSABLE, Data, ask, stop

import_app = typer.Typer(no_args_is_help=True, help="Bring files in.")


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
    import shlex

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
    reported = msgspec.json.decode(ask(data, "POST", "/api/v1/conversions", msgspec.json.encode(report)).body)
    conversion = reported["conversion"]
    if conversion is None:
        typer.echo("waiting: the click has not arrived yet; it is looked for again for ten minutes")
        return
    money = conversion["payout"]
    typer.echo(
        f"{reported['outcome']}: conversion {conversion['conversion_id']}, {conversion['status']['name']}, "
        f"{money['amount']} {money['currency']}"
    )
    if "unknown_status" in conversion.get("flags", ()):
        typer.echo(
            f"No status claims the word {status!r}: it is registered under {conversion['status']['name']}, which is no confirmed "
            f"revenue. Add the word to a status (PATCH /api/v1/statuses/<key> with its words), then: "
            f"clickloop rerun --status-word {shlex.quote(status)}",
            err=True,
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
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 for lines about which something is odd too.")
    ] = False,
    incomplete: Annotated[
        bool,
        typer.Option(
            "--incomplete", help="Register the table even though no payout or transaction id column was understood."
        ),
    ] = False,
    dates: Annotated[
        str,
        typer.Option(
            help="Order of dates such as 05/06/2026: day_first or month_first; left out: as other lines prove it."
        ),
    ] = "",
    data: Data = DEFAULT_DATA,
) -> None:
    """Register the conversions of a file, each line as a network's postback would; those registered before come to repeats.

    A table with a header (comma, semicolon or tab; columns are named like a postback's parameters), or a conversion a line:
    clickid, clickid:payout:status, clickid:payout=5:cnv_status=Hold. Ends with 1 when a line is refused or unreadable, with --strict
    also when something is odd about a line, such as a payout that is no number, or when no column was taken as payout or txid and
    another was not understood. Such a table is registered only with --incomplete.
    """
    from rich.console import Console

    from clickloop.cli import importing
    from clickloop.machine.core_client import NotRunningError

    wanted = importing.Wanted(
        data=data.resolve(),
        preview=preview,
        postbacks=not no_postbacks,
        result=result,
        first_lines=lines,
        strict=strict,
        incomplete=incomplete,
        dates=dates,
    )
    try:
        source, name, octets = importing.open_source(file)
        with source:
            is_good = importing.import_conversions(source, name, octets, wanted, Console(markup=False, highlight=False))
    except importing.ImportRefusedError as refusal:
        raise stop(str(refusal), REFUSED) from None
    except NotRunningError as error:
        raise stop(str(error), UNUSABLE) from None
    except OSError as error:
        raise stop(f"{error.filename or file} cannot be used: {error.strerror or error}.", UNUSABLE) from None
    if not is_good:
        raise typer.Exit(REFUSED)
