"""The commands that register conversions: convert and import."""

from pathlib import Path
from typing import Annotated

import typer

from clickloop.cli.connecting import DEFAULT_DATA, REFUSED, UNUSABLE, DataFolder, send_request, stop

import_app = typer.Typer(no_args_is_help=True, help="Import conversions or exchange rates from a file.")


def convert(
    click_id: Annotated[str, typer.Argument(help="Clickloop's click ID.")],
    payout: Annotated[str, typer.Option(help="A decimal number. Defaults to the offer's payout.")] = "",
    status: Annotated[str, typer.Option(help="A status or a word mapped to it. Defaults to sale.")] = "",
    txid: Annotated[str, typer.Option(help="Transaction ID. Needed if a click converts more than once.")] = "",
    currency: Annotated[str, typer.Option(help="Three-letter code. Defaults to the offer's, or the instance's.")] = "",
    at: Annotated[str, typer.Option(help="Time of the conversion, ISO 8601 or Unix seconds. Defaults to now.")] = "",
    no_postback: Annotated[bool, typer.Option("--no-postback", help="Send no postbacks for it.")] = False,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Register a conversion by hand, as if the network had sent a postback."""
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
    reported = msgspec.json.decode(send_request(data, "POST", "/api/v1/conversions", msgspec.json.encode(report)).body)
    conversion = reported["conversion"]
    if conversion is None:
        typer.echo("waiting: the click has not been recorded yet; Clickloop keeps looking for ten minutes")
        return
    money = conversion["payout"]
    typer.echo(
        f"{reported['outcome']}: conversion {conversion['conversion_id']}, {conversion['status']['name']}, "
        f"{money['amount']} {money['currency']}"
    )
    if "unknown_status" in conversion.get("flags", ()):
        typer.echo(
            f"{status!r} is not mapped to a status. The conversion is registered under {conversion['status']['name']} and does not "
            f"count as confirmed revenue. Add the word to a status (PATCH /api/v1/statuses/<key> with add_words), then run: "
            f"clickloop rerun --status-word {shlex.quote(status)}",
            err=True,
        )


@import_app.command("conversions")
def import_conversions(
    file: Annotated[str, typer.Argument(help="The file to import, or - for standard input.")],
    preview: Annotated[bool, typer.Option("--preview", help="Show what each line would do. Register nothing.")] = False,
    no_postbacks: Annotated[
        bool, typer.Option("--no-postbacks", help="Send no postbacks for these conversions. You can send them later.")
    ] = False,
    result: Annotated[Path | None, typer.Option(help="Save the result of each line to this CSV file.")] = None,
    lines: Annotated[int, typer.Option(min=0, max=500, help="Number of lines to show in a preview.")] = 20,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for flagged lines, too.")] = False,
    incomplete: Annotated[
        bool,
        typer.Option(
            "--incomplete", help="Register the table even if no payout or transaction ID column was recognised."
        ),
    ] = False,
    dates: Annotated[
        str,
        typer.Option(
            help="Order of dates such as 05/06/2026: day_first or month_first. By default other lines decide."
        ),
    ] = "",
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Import conversions from a file. Each line counts like a postback from the network, and repeats are recognised.

    The file is a table with a header, separated by comma, semicolon or tab,
    with columns named like a postback's parameters. Or it has one conversion
    per line: clickid, clickid:payout:status or clickid:payout=5:cnv_status=Hold.

    Exits with 1 if a line is refused or unreadable. With --strict, also if a
    line is flagged, or if no payout or txid column was found and another column
    was not recognised. Such a table is registered only with --incomplete.
    """
    from rich.console import Console

    from clickloop.cli import importing
    from clickloop.machine.core_client import NotRunningError

    options = importing.ImportOptions(
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
        source, name, size = importing.open_source(file)
        with source:
            is_good = importing.import_conversions(source, name, size, options, Console(markup=False, highlight=False))
    except importing.ImportRefusedError as refusal:
        raise stop(str(refusal), REFUSED) from None
    except NotRunningError as error:
        raise stop(str(error), UNUSABLE) from None
    except OSError as error:
        raise stop(f"Cannot use {error.filename or file}: {error.strerror or error}.", UNUSABLE) from None
    if not is_good:
        raise typer.Exit(REFUSED)
