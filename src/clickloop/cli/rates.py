"""The command that imports exchange rates."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from clickloop.cli.connecting import DEFAULT_DATA, REFUSED, UNUSABLE, DataFolder, send_request, stop

RATES_PER_REQUEST = 10_000
"""``MAX_RATES`` of the API, not imported: that would load the web framework, a second for each command."""


def import_rates(
    file: Annotated[str, typer.Argument(help="The file to import, or - for standard input.")],
    source: Annotated[str, typer.Option(help="Source of the rates, such as ECB.")] = "",
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Import exchange rates. Each line has a currency, a day and the value of one unit in the instance's currency: EUR,2026-03-01,1.0823.

    A rate replaces the earlier one for the same currency and day. Nothing is fetched from the internet.
    """
    import msgspec

    from clickloop.plural import pluralize
    from clickloop.report.rate_text import read_rate_lines

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise stop(f"{file} cannot be read: {error.strerror or error}.", UNUSABLE) from None
    except UnicodeDecodeError:
        raise stop(f"{file} is not UTF-8: save it as CSV in UTF-8.", UNUSABLE) from None
    lines = read_rate_lines(text)
    if isinstance(lines, int):
        raise stop(f"Line {lines}: expected a currency, a day and a rate, such as EUR,2026-03-01,1.0823.", REFUSED)
    saved = 0
    for start in range(0, len(lines), RATES_PER_REQUEST):
        rates = [{**line._asdict(), "source": source} for line in lines[start : start + RATES_PER_REQUEST]]
        answer = send_request(data, "POST", "/api/v1/rates", msgspec.json.encode({"rates": rates}))
        saved += msgspec.json.decode(answer.body)["saved"]
    typer.echo(f"Saved {pluralize(saved, 'rate')}.")
