"""The command that prints a report as a table."""

from pathlib import Path
from typing import Annotated

import typer

from clickloop.cli.connecting import DEFAULT_DATA, REFUSED, DataFolder, send_request, stop

USUAL_COLUMNS = ("clicks", "conversions", "cost", "revenue", "profit", "roi")
USUAL_ROWS = 100
MAX_ROWS = 10_000
"""``MAX_GROUPS`` of the API, not imported: that would load all of the reports' code."""


PeriodName = Annotated[str, typer.Option(help="today, yesterday, 7d, 30d, 90d, this_month or last_month.")]
FirstDay = Annotated[str, typer.Option("--from", help="First day, such as 2026-03-01. Overrides --period.")]
LastDay = Annotated[str, typer.Option("--to", help="Last day, inclusive.")]
ViewName = Annotated[
    str, typer.Option(help="Saved view to start from, by its name or ID. Other options replace its own.")
]
Comparison = Annotated[str, typer.Option(help="Period to compare with: previous, week, or 2026-02-01..2026-02-28.")]
Basis = Annotated[str, typer.Option(help="Time at which conversions count: conversion or click.")]
TargetText = Annotated[
    str, typer.Option(help="Judge each row by a target: roi:20 (at least 20 %) or cpa:3.50 (at most, per conversion).")
]
SortText = Annotated[str, typer.Option(help="Column to sort by; prefix with - for descending.")]
ZoneName = Annotated[str, typer.Option(help="Time zone of days and hours. Defaults to the instance's.")]


def report(
    group_by: Annotated[
        list[str] | None,
        typer.Argument(
            help="Dimensions to group by, at most five: campaign, country, day, or a parameter's name such as Zone."
        ),
    ] = None,
    having: Annotated[
        str, typer.Option(help="Conditions on the figures of a row, such as: cost >= 20 and conversions = 0")
    ] = "",
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", help="dimension:value, such as country:DE or campaign:My campaign. Also !: ~: < >= and others."
        ),
    ] = None,
    column: Annotated[list[str] | None, typer.Option(help="Figure to show, such as epc. Can be repeated.")] = None,
    formula: Annotated[
        list[str] | None, typer.Option(help="Column of your own, such as: Margin = profit / revenue")
    ] = None,
    period: PeriodName = "",
    first: FirstDay = "",
    last: LastDay = "",
    view: ViewName = "",
    compare: Comparison = "",
    by: Basis = "",
    target: TargetText = "",
    sort: SortText = "",
    zone: ZoneName = "",
    limit: Annotated[int, typer.Option(min=1, max=MAX_ROWS, help="Maximum number of rows.")] = USUAL_ROWS,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all rows as CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's response as JSON.")] = False,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Report clicks, conversions and money, grouped as you like. Totals are of all rows.

    Which zones lose money, and how sure is it: clickloop report Zone --having "profit < 0" --sort profit --target roi:0
    """
    from urllib.parse import urlencode

    from clickloop.cli.report_table import table_lines

    saved = _address_of(data, view) if view else []
    several = {
        "group_by": group_by,
        "filter": filters,
        "column": column or _usual_columns(saved, as_csv),
        "formula": formula,
    }
    single = {"having": having, "period": period, "from": first, "to": last, "compare": compare, "by": by, "sort": sort}
    pairs = [(name, text) for name, texts in several.items() for text in texts or ()]
    pairs += [(name, text) for name, text in (single | {"zone": zone, "target": target}).items() if text]
    pairs.append(("format", "csv") if as_csv else ("limit", str(limit)))
    pairs = _over(saved, pairs, keeps_limit=limit == USUAL_ROWS)
    answer = send_request(data, "GET", f"/api/v1/reports?{urlencode(pairs)}")
    if as_csv or as_json:
        typer.echo(answer.body.decode().rstrip("\r\n"))
        return
    for line in table_lines(answer.body):
        typer.echo(line)


def _usual_columns(saved: list[tuple[str, str]], as_csv: bool) -> tuple[str, ...]:
    has_own = any(name in ("column", "formula") for name, _ in saved)
    return () if as_csv or has_own else USUAL_COLUMNS


_DAYS = ("period", "from", "to")


def _over(saved: list[tuple[str, str]], given: list[tuple[str, str]], *, keeps_limit: bool) -> list[tuple[str, str]]:
    """Return the parameters of a view with those that were given in their place; days and a named period replace each other."""
    if keeps_limit and any(name == "limit" for name, _ in saved):
        given = [pair for pair in given if pair[0] != "limit"]
    replaced = {name for name, _ in given}
    if replaced.intersection(_DAYS):
        replaced.update(_DAYS)
    return [pair for pair in saved if pair[0] not in replaced] + given


def _address_of(data: Path, wanted: str) -> list[tuple[str, str]]:
    """Return the parameters of the view with a name in any case, or an ID. Exit if there is none, or several."""
    from urllib.parse import parse_qsl, urlencode

    import msgspec

    found, cursor = [], ""
    while True:
        query = urlencode([("limit", 500), ("cursor", cursor)] if cursor else [("limit", 500)])
        page = msgspec.json.decode(send_request(data, "GET", f"/api/v1/views?{query}").body)
        found += [one for one in page["items"] if one["name"].casefold() == wanted.strip().casefold()]
        cursor = page["next_cursor"]
        if not cursor:
            break
    if len(found) > 1:
        owners = ", ".join(f"{one['id']} ({one['owner'] or 'no user'})" for one in found)
        raise stop(f"Several views are called “{wanted}”. Choose one by its ID: {owners}.", REFUSED)
    if not found and wanted.isdecimal() and wanted.isascii():
        found = [msgspec.json.decode(send_request(data, "GET", f"/api/v1/views/{wanted}").body)]
    if not found:
        raise stop(f"There is no view “{wanted}”.", REFUSED)
    return parse_qsl(found[0]["address"])
