"""The commands that do something with what was decided before: resend, cancel and rerun."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clickloop.cli.reaching import DEFAULT_DATA, REFUSED, Data, ask, stop

if TYPE_CHECKING:
    from clickloop.asking_again import Ask

Since = Annotated[str, typer.Option(help="From this moment on, ISO 8601.")]
Until = Annotated[str, typer.Option(help="Before this moment.")]
Key = Annotated[
    str, typer.Option("--key", help="A text of your own: the same command with the same key again does nothing more.")
]


def resend(
    postback_id: Annotated[str, typer.Argument(help="One postback; left out: all that match the options.")] = "",
    state: Annotated[
        str,
        typer.Option(help="delivered, failed, skipped or cancelled; waiting or paused: what waits leaves at once."),
    ] = "",
    reason: Annotated[str, typer.Option(help="Only skipped for this reason.")] = "",
    status: Annotated[str, typer.Option(help="Only of conversions under this status.")] = "",
    source: Annotated[int | None, typer.Option(min=1, help="Only of this traffic source.")] = None,
    campaign: Annotated[int | None, typer.Option(min=1, help="Only of this campaign.")] = None,
    rule: Annotated[int | None, typer.Option(min=1, help="Only of this postback rule.")] = None,
    click: Annotated[str, typer.Option("--click", help="Only of this click.")] = "",
    since: Since = "",
    until: Until = "",
    anew: Annotated[
        bool, typer.Option("--anew", help="Build the request from today's rule; what waits is replaced.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Send a single postback even if a newer change was sent since, or its notice set disable_postback.",
        ),
    ] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Only count.")] = False,
    key: Key = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON when all is done.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Send a postback, or all that match, again: with the request as it was, or anew. {postback_id} stays the original's."""
    from urllib.parse import quote

    from clickloop import asking_again

    asker, one = _asker(data, key), quote(postback_id, safe="")
    owners = {"source_id": source, "campaign_id": campaign, "rule_id": rule, "click_id": click}
    wanted = {"state": state, "reason": reason, "status": status, "since": since, "until": until, **owners}
    if one and (preview or any(wanted.values())):
        raise stop("Name one postback, or give options that narrow it down, not both.", REFUSED)
    if force and not one:
        raise stop(
            "--force is for one postback: of many, an older change is left out when a newer one was sent.", REFUSED
        )
    if as_json:
        typer.echo(asking_again.resend_as_json(asker, one, wanted, anew=anew, preview=preview, force=force))
    elif one:
        typer.echo(asking_again.resend_one(asker, one, anew=anew, force=force))
    else:
        for line in asking_again.resend_many(asker, wanted, anew=anew, preview=preview):
            typer.echo(line)


def cancel(
    postback_id: Annotated[
        str, typer.Argument(help="One postback; left out: all that wait and match the options.")
    ] = "",
    state: Annotated[str, typer.Option(help="waiting, or paused by its rule or receiver; left out: both.")] = "",
    status: Annotated[str, typer.Option(help="Only of conversions under this status.")] = "",
    source: Annotated[int | None, typer.Option(min=1, help="Only of this traffic source.")] = None,
    campaign: Annotated[int | None, typer.Option(min=1, help="Only of this campaign.")] = None,
    rule: Annotated[int | None, typer.Option(min=1, help="Only of this postback rule.")] = None,
    click: Annotated[str, typer.Option("--click", help="Only of this click.")] = "",
    since: Since = "",
    until: Until = "",
    preview: Annotated[bool, typer.Option("--preview", help="Only count.")] = False,
    key: Key = "",
    data: Data = DEFAULT_DATA,
) -> None:
    """Take a postback that waits, or all that match, out of delivery. They can be sent again later: clickloop resend."""
    from urllib.parse import quote

    from clickloop import asking_again

    owners = {"source_id": source, "campaign_id": campaign, "rule_id": rule, "click_id": click}
    wanted = {"state": state, "status": status, "since": since, "until": until, **owners}
    if postback_id and (preview or any(wanted.values())):
        raise stop("Name one postback, or give options that narrow it down, not both.", REFUSED)
    if postback_id:
        typer.echo(asking_again.cancel_one(_asker(data), quote(postback_id, safe="")))
        return
    for line in asking_again.cancel_many(_asker(data, key), wanted, preview=preview):
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
    key: Key = "",
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
    for line in asking_again.rerun_many(_asker(data, key), {**wanted, **owners}, preview=preview):
        typer.echo(line)


def _asker(data: Path, key: str = "") -> "Ask":
    """Asks the running server of a data folder. With a ``key`` a request that is sent once more does nothing a second time."""
    if not (key.isascii() and key.isprintable()):
        raise stop("The key may hold printable ASCII only.", REFUSED)
    return lambda method, path, body: ask(data, method, path, body, key if method == "POST" else "").body
