"""The command that answers: what loses money, and what have I cut that still sends?"""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from clickloop.cli.connecting import DEFAULT_DATA, DataFolder, send_request
from clickloop.cli.reporting import USUAL_COLUMNS

RECORDS_PER_REQUEST = 100


def losers(
    dimension: Annotated[
        str, typer.Argument(help="Dimension to look at: a parameter's name such as Zone, country, offer and others.")
    ] = "Zone",
    period: Annotated[str, typer.Option(help="today, yesterday, 7d, 30d, 90d, this_month or last_month.")] = "7d",
    source: Annotated[str, typer.Option(help="Traffic source to look at, by its name or ID. Defaults to all.")] = "",
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help="dimension:value, such as country:DE. Of the losing rows only.")
    ] = None,
    grace_hours: Annotated[
        int, typer.Option(min=0, max=720, help="Hours that a traffic source may take to apply a list.")
    ] = 1,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of losing rows.")] = 100,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Print which values of a dimension lose money, and which ones on a black list still send clicks.

    A value that was cut counts from when it was added to the list, plus the grace.
    """
    from urllib.parse import urlencode

    from clickloop.cli.report_table import table_lines

    pairs = [("group_by", dimension), ("having", "profit < 0"), ("sort", "profit"), ("period", period)]
    pairs += [("target", "roi:0"), ("limit", str(limit))]
    pairs += [("filter", text) for text in (*([f"source:{source}"] if source else []), *(filters or ()))]
    pairs += [("column", name) for name in USUAL_COLUMNS]
    answer = send_request(data, "GET", f"/api/v1/reports?{urlencode(pairs)}")
    typer.echo("Losing money:")
    for line in table_lines(answer.body):
        typer.echo(line)
    typer.echo("\nCut, but still sending:")
    found = False
    for number in _black_lists(data, _name_in_reports(answer.body), source):
        arriving = _json(data, f"/api/v1/lists/{number}/arriving?grace_hours={grace_hours}")
        for row in arriving["rows"]:
            found = True
            cost = row["cost"]
            typer.echo(
                f"{row['value']}: {row['clicks']:,} clicks for {cost['amount']} {cost['currency']} since it was cut "
                f"({arriving['name']}, {row['added_at'][:16]}Z)"
            )
    if not found:
        typer.echo("Nothing.")


def _name_in_reports(report: bytes) -> str:
    """Return the name of the dimension that was asked for, as lists have it."""
    import msgspec

    return str(msgspec.json.decode(report)["group_by"][0])


def _black_lists(data: DataFolder, dimension: str, source: str) -> Iterator[int]:
    """Yield the numbers of the live black lists of a dimension, of all sources or one."""
    sources = {one["id"] for one in _items(data, "traffic-sources") if source.casefold() == one["name"].casefold()}
    sources |= {int(source)} if source.isascii() and source.isdecimal() else set()
    for one in _items(data, "lists"):
        if one["kind"] == "black" and one["dimension"] == dimension and (not source or one["source_id"] in sources):
            yield one["id"]


def _items(data: DataFolder, noun: str) -> Iterator[Any]:
    cursor = ""
    while True:
        page = _json(data, f"/api/v1/{noun}?limit={RECORDS_PER_REQUEST}&cursor={cursor}")
        yield from page["items"]
        cursor = page["next_cursor"] or ""
        if not cursor:
            return


def _json(data: DataFolder, path: str) -> Any:
    import msgspec

    return msgspec.json.decode(send_request(data, "GET", path).body)
