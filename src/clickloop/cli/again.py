"""The commands that do something with what was decided before: resend, cancel and rerun."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from clickloop.cli.filter_options import with_options_of
from clickloop.cli.reaching import DEFAULT_DATA, REFUSED, Data, ask, stop
from clickloop.conversion.notice_log import NoticeFilter
from clickloop.postback.postback_log import CancelFilter, ResendFilter

if TYPE_CHECKING:
    from clickloop.cli.resending import Ask

NOTHING: Mapping[str, object] = MappingProxyType({})
Key = Annotated[
    str, typer.Option("--key", help="A text of your own: the same command with the same key again does nothing more.")
]


@with_options_of(ResendFilter)
def resend(
    postback_id: Annotated[str, typer.Argument(help="One postback; left out: all that match the options.")] = "",
    wanted: Mapping[str, object] = NOTHING,
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

    from clickloop.cli import resending as asking_again

    asker, one = _asker(data, key), quote(postback_id, safe="")
    if one and (preview or wanted):
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


@with_options_of(CancelFilter)
def cancel(
    postback_id: Annotated[
        str, typer.Argument(help="One postback; left out: all that wait and match the options.")
    ] = "",
    wanted: Mapping[str, object] = NOTHING,
    preview: Annotated[bool, typer.Option("--preview", help="Only count.")] = False,
    key: Key = "",
    data: Data = DEFAULT_DATA,
) -> None:
    """Take a postback that waits, or all that match, out of delivery. They can be sent again later: clickloop resend."""
    from urllib.parse import quote

    from clickloop.cli import resending as asking_again

    if postback_id and (preview or wanted):
        raise stop("Name one postback, or give options that narrow it down, not both.", REFUSED)
    if postback_id:
        typer.echo(asking_again.cancel_one(_asker(data), quote(postback_id, safe="")))
        return
    for line in asking_again.cancel_many(_asker(data, key), wanted, preview=preview):
        typer.echo(line)


@with_options_of(NoticeFilter)
def rerun(
    notice_id: Annotated[str, typer.Argument(help="One notice; left out: all that match the options.")] = "",
    wanted: Mapping[str, object] = NOTHING,
    preview: Annotated[bool, typer.Option("--preview", help="Only tell what would change.")] = False,
    key: Key = "",
    data: Data = DEFAULT_DATA,
) -> None:
    """Read a stored notice, or all that match, again by today's settings: after a status word was mapped, say."""
    from urllib.parse import quote

    from clickloop.cli import resending as asking_again

    if notice_id:
        typer.echo(asking_again.rerun_one(_asker(data), quote(notice_id, safe="")))
        return
    for line in asking_again.rerun_many(_asker(data, key), wanted, preview=preview):
        typer.echo(line)


def _asker(data: Path, key: str = "") -> "Ask":
    """Asks the running server of a data folder. With a ``key`` a request that is sent once more does nothing a second time."""
    if not (key.isascii() and key.isprintable()):
        raise stop("The key may hold printable ASCII only.", REFUSED)
    return lambda method, path, body: ask(data, method, path, body, key if method == "POST" else "").body
