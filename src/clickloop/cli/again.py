"""The commands that do something again: resend and rerun."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clickloop.cli.reaching import DEFAULT_DATA, Data, ask

if TYPE_CHECKING:
    from clickloop.asking_again import Ask

Since = Annotated[str, typer.Option(help="From this moment on, ISO 8601.")]
Until = Annotated[str, typer.Option(help="Before this moment.")]


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

    if postback_id:
        typer.echo(asking_again.resend_one(_asker(data), quote(postback_id, safe=""), anew=anew))
        return
    owners = {"source_id": source, "campaign_id": campaign, "rule_id": rule}
    wanted = {"state": state, "reason": reason, "status": status, "since": since, "until": until}
    for line in asking_again.resend_many(_asker(data), {**wanted, **owners}, anew=anew, preview=preview):
        typer.echo(line)


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

    if notice_id:
        typer.echo(asking_again.rerun_one(_asker(data), quote(notice_id, safe="")))
        return
    wanted = {"outcome": outcome, "reason": reason, "status_word": status_word, "since": since, "until": until}
    owners = {"network_id": network, "campaign_id": campaign}
    for line in asking_again.rerun_many(_asker(data), {**wanted, **owners}, preview=preview):
        typer.echo(line)


def _asker(data: Path) -> "Ask":
    """Asks the running server of a data folder."""
    return lambda method, path, body: ask(data, method, path, body).body
