"""The commands that enter, list and undo costs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clickloop.cli.connecting import DEFAULT_DATA, UNUSABLE, DataFolder, send_file, send_request, stop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_LINES_SHOWN = 20
"""Lines of a table that are named, those at fault first."""
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's response as JSON.")]

cost_app = typer.Typer(no_args_is_help=True, help="Enter what clicks cost, and undo it.")


@cost_app.command("add")
def add(
    amount: Annotated[str, typer.Argument(help="What the clicks cost together, such as 41.27.")],
    first: Annotated[str, typer.Option("--from", help="First day, or a time such as 2026-03-01 13:00.")],
    last: Annotated[str, typer.Option("--to", help="Last day, inclusive, or a time. Leave out for one day.")] = "",
    campaign: Annotated[int, typer.Option(min=0, help="Campaign ID.")] = 0,
    source: Annotated[int, typer.Option(min=0, help="Traffic source ID.")] = 0,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", help="dimension:value, such as zone:1234. Repeat for more values and dimensions."),
    ] = None,
    currency: Annotated[str, typer.Option(help="Leave out to use the instance's.")] = "",
    spread: Annotated[str, typer.Option(help="Which clicks bear it: clicks, unique or clean.")] = "clicks",
    key: Annotated[str, typer.Option(help="A later entry with the same key replaces this one.")] = "",
    note: Annotated[str, typer.Option(help="A note for people.")] = "",
    zone: Annotated[str, typer.Option(help="Time zone of --from and --to. Defaults to the instance's.")] = "",
    preview: Annotated[bool, typer.Option("--preview", help="Only show what it would do.")] = False,
    as_json: AsJson = False,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Enter what clicks cost. It counts like an entry of the API: after manual ones, before cost models and links.

    A day of a zone: clickloop cost add 41.27 --campaign 7 --from 2026-03-01 --filter zone:1234
    """
    import msgspec

    values: dict[str, list[str]] = {}
    for text in filters or ():
        name, colon, value = text.partition(":")
        if not colon:
            raise stop(f"--filter {text}: expected a dimension and a value, such as zone:1234.", UNUSABLE)
        values.setdefault(name.strip(), []).append(value)
    body: dict[str, Any] = {"from": first, "amount": {"amount": amount, "currency": currency}, "spread": spread}
    optional = {"to": last, "campaign_id": campaign, "source_id": source, "filters": values, "key": key, "note": note}
    body |= {name: value for name, value in (optional | {"zone": zone}).items() if value}
    path = "/api/v1/costs/preview" if preview else "/api/v1/costs"
    answer = send_request(data, "POST", path, msgspec.json.encode(body))
    if as_json:
        typer.echo(answer.body.decode())
        return
    found = msgspec.json.decode(answer.body)
    if not preview:
        typer.echo(f"Entered as {_entry_line(found)}")
        return
    typer.echo(f"{found['clicks_bearing']} of {found['clicks']} clicks would bear it.")
    if found["is_repeat"]:
        typer.echo("An equal entry with this key is in effect: nothing would change.")
    for one in found["overlaps"]:
        typer.echo(f"Overlaps with {_entry_line(one)}")


@cost_app.command("list")
def list_entries(
    campaign: Annotated[int, typer.Option(min=0, help="Only of this campaign ID.")] = 0,
    source: Annotated[int, typer.Option(min=0, help="Only of this traffic source ID.")] = 0,
    unattributed: Annotated[bool, typer.Option("--unattributed", help="Only amounts that no click bears.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Maximum number of entries.")] = 50,
    as_json: AsJson = False,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """List cost entries, newest first."""
    from urllib.parse import urlencode

    import msgspec

    wanted: dict[str, object] = {"campaign_id": campaign, "source_id": source, "limit": limit}
    wanted["unattributed"] = "true" if unattributed else ""
    query = urlencode({name: value for name, value in wanted.items() if value})
    answer = send_request(data, "GET", f"/api/v1/costs?{query}")
    if as_json:
        typer.echo(answer.body.decode())
        return
    page = msgspec.json.decode(answer.body)
    for one in page["items"]:
        typer.echo(_entry_line(one))
    if not page["items"]:
        typer.echo("No costs entered. Enter one: clickloop cost add")
    if page["next_cursor"]:
        typer.echo("There are older ones. Use --limit for more.")


@cost_app.command("undo")
def undo(
    entry: Annotated[int, typer.Argument(min=0, help="Number of the entry. 0 with --upload.")] = 0,
    upload: Annotated[str, typer.Option(help="Undo all entries of this upload.")] = "",
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Take an entry back, or all of an uploaded table. The cost beneath counts again."""
    import msgspec

    from clickloop.plural import pluralize

    if bool(entry) == bool(upload):
        raise stop("Name the number of an entry, or an upload with --upload.", UNUSABLE)
    if entry:
        answer = send_request(data, "POST", f"/api/v1/costs/{entry}/undo")
        typer.echo(_entry_line(msgspec.json.decode(answer.body)))
        return
    answer = send_request(data, "POST", f"/api/v1/costs/uploads/{upload}/undo")
    undone = [one for one in msgspec.json.decode(answer.body) if one["state"] in ("undoing", "undone")]
    typer.echo(f"{pluralize(len(undone), 'entry', 'entries')} of the upload undone.")


@cost_app.command("upload")
def upload(
    file: Annotated[str, typer.Argument(help="The CSV or TSV file, or - for standard input.")],
    zone: Annotated[str, typer.Option(help="Time zone of the table. Defaults to the instance's.")] = "",
    campaign: Annotated[int, typer.Option(min=0, help="Campaign ID of lines that name none.")] = 0,
    source: Annotated[int, typer.Option(min=0, help="Traffic source ID of lines that name none.")] = 0,
    spread: Annotated[str, typer.Option(help="Which clicks bear it: clicks, unique or clean.")] = "clicks",
    preview: Annotated[bool, typer.Option("--preview", help="Only show what each line would do.")] = False,
    partial: Annotated[bool, typer.Option("--partial", help="Skip lines that cannot be entered.")] = False,
    as_json: AsJson = False,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Upload a table of costs with a header: date and cost; campaign or source; perhaps hour, currency, clicks and filters.

    The same table again changes nothing; corrected amounts replace the earlier ones.
    """
    from urllib.parse import urlencode

    import msgspec

    try:
        table = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise stop(f"{file} cannot be read: {error.strerror or error}.", UNUSABLE) from None
    wanted: dict[str, object] = {"zone": zone, "campaign_id": campaign, "source_id": source, "spread": spread}
    wanted |= {"preview": int(preview), "partial": int(partial), "name": Path(file).name if file != "-" else ""}
    query = urlencode({name: value for name, value in wanted.items() if value})
    answer = send_file(data, f"/api/v1/costs/uploads?{query}", table, "text/csv")
    if as_json:
        typer.echo(answer.body.decode())
        return
    for line in _upload_lines(msgspec.json.decode(answer.body), is_preview=preview):
        typer.echo(line)


def _entry_line(entry: "Mapping[str, Any]") -> str:
    owners = [f"{name} {entry[f'{name}_id']}" for name in ("campaign", "source") if entry[f"{name}_id"]]
    filters = [f"{name}:{','.join(values)}" for name, values in entry["filters"].items()]
    span = f"{entry['since']} to {entry['until']}"
    amount = f"{entry['amount']['amount']} {entry['amount']['currency']}"
    state = "unattributed" if entry["unattributed"] else entry["state"]
    clicks = f"{entry['clicks_bearing']} clicks"
    return f"{entry['cost_id']}: {amount}, {' '.join([*owners, *filters])}, {span}, {entry['kind']}, {state}, {clicks}"


def _upload_lines(found: "Mapping[str, Any]", *, is_preview: bool) -> "Iterator[str]":
    counts = [f"{count} {verdict.replace('_', ' ')}" for verdict, count in found["counts"].items() if count]
    amounts = [f"{one['amount']} {one['currency']}" for one in found["amounts"]]
    yield f"Lines: {', '.join(counts)}."
    yield f"Entries: {found['entries']}, together {' + '.join(amounts) or '0'}."
    if found["repeated"]:
        yield f"{found['repeated']} of them are in effect already, so nothing changes for them."
    if found["replaced"]:
        yield f"{found['replaced']} of them replace an earlier amount."
    if found["overlapping"]:
        yield f"{found['overlapping']} lines overlap with other entries in effect."
    if found["unused_columns"]:
        yield f"Unused columns: {', '.join(found['unused_columns'])}."
    if found["zones"]:
        yield f"The clicks fit best in {found['zones'][0]['zone']} ({found['zones'][0]['offset']})."
    at_fault = [line for line in found["lines"] if line["message"]]
    for line in at_fault[:MAX_LINES_SHOWN]:
        yield f"Line {line['line']}: {line['message']}"
    if not is_preview:
        yield f"To undo it: clickloop cost undo --upload {found['upload_id']}"
