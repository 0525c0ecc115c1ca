"""The commands resend, cancel and rerun: resend or cancel postbacks, reprocess incoming ones."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from clickloop.cli.connecting import DEFAULT_DATA, REFUSED, DataFolder, send_request, stop
from clickloop.cli.filter_options import with_options_of
from clickloop.conversion.notice_log import NoticeFilter
from clickloop.postback.postback_log import CancelFilter, ResendFilter

if TYPE_CHECKING:
    from clickloop.cli.jobs import SendRequest

NOTHING: Mapping[str, object] = MappingProxyType({})
Key = Annotated[
    str, typer.Option("--key", help="Idempotency key: repeating the command with the same key does nothing more.")
]


@with_options_of(ResendFilter)
def resend(
    postback_id: Annotated[
        str, typer.Argument(help="A single postback. Leave out to resend all that match the options.")
    ] = "",
    filters: Mapping[str, object] = NOTHING,
    anew: Annotated[
        bool, typer.Option("--anew", help="Rebuild the request from the current rule. Waiting postbacks are replaced.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Resend a single postback even if a newer change has been sent, or its incoming postback set disable_postback.",
        ),
    ] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Count only. Send nothing.")] = False,
    key: Key = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's final response as JSON.")] = False,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Resend a postback, or all that match, unchanged or rebuilt from the current rule. {postback_id} stays the same."""
    from urllib.parse import quote

    from clickloop.cli import jobs

    send, postback = _sender(data, key), quote(postback_id, safe="")
    if postback and (preview or filters):
        raise stop("Give either a postback ID or filters, not both.", REFUSED)
    if force and not postback:
        raise stop(
            "--force works for a single postback only. In bulk, older changes are left out once a newer one has been sent.",
            REFUSED,
        )
    if as_json:
        typer.echo(jobs.resend_as_json(send, postback, filters, anew=anew, preview=preview, force=force))
    elif postback:
        typer.echo(jobs.resend_one(send, postback, anew=anew, force=force))
    else:
        for line in jobs.resend_many(send, filters, anew=anew, preview=preview):
            typer.echo(line)


@with_options_of(CancelFilter)
def cancel(
    postback_id: Annotated[
        str, typer.Argument(help="A single postback. Leave out to cancel all waiting ones that match the options.")
    ] = "",
    filters: Mapping[str, object] = NOTHING,
    preview: Annotated[bool, typer.Option("--preview", help="Count only. Cancel nothing.")] = False,
    key: Key = "",
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Cancel a waiting postback, or all that match. You can still send them later with clickloop resend."""
    from urllib.parse import quote

    from clickloop.cli import jobs

    if postback_id and (preview or filters):
        raise stop("Give either a postback ID or filters, not both.", REFUSED)
    if postback_id:
        typer.echo(jobs.cancel_one(_sender(data), quote(postback_id, safe="")))
        return
    for line in jobs.cancel_many(_sender(data, key), filters, preview=preview):
        typer.echo(line)


@with_options_of(NoticeFilter)
def rerun(
    notice_id: Annotated[
        str, typer.Argument(help="A single incoming postback. Leave out to reprocess all that match.")
    ] = "",
    filters: Mapping[str, object] = NOTHING,
    preview: Annotated[bool, typer.Option("--preview", help="Show what would change. Change nothing.")] = False,
    key: Key = "",
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Reprocess an incoming postback, or all that match, with the current settings, for example after mapping a status word."""
    from urllib.parse import quote

    from clickloop.cli import jobs

    if notice_id:
        typer.echo(jobs.rerun_one(_sender(data), quote(notice_id, safe="")))
        return
    for line in jobs.rerun_many(_sender(data, key), filters, preview=preview):
        typer.echo(line)


def _sender(data: Path, key: str = "") -> "SendRequest":
    """Return a function that sends requests to the running server. ``key`` is an idempotency key for POST."""
    if not (key.isascii() and key.isprintable()):
        raise stop("--key takes printable ASCII only.", REFUSED)
    return lambda method, path, body: send_request(data, method, path, body, key if method == "POST" else "").body
