"""The commands for the day when the disk is lost: backup, restore and release."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from clickloop.cli.reaching import DEFAULT_DATA, REFUSED, UNUSABLE, Data, ask, stop

if TYPE_CHECKING:
    from clickloop.backup.manifest import Manifest


def backup(
    file: Annotated[Path, typer.Argument(help="Where to; - for standard output.", allow_dash=True)],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing unless it fails, for cron.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Copy a data folder into one file, while the tracker runs or not: nothing that was acknowledged before is missing from it."""
    from clickloop.backup.manifest import BackupError
    from clickloop.backup.progress import Progress
    from clickloop.backup.taking import take_backup

    to_stream = str(file) == "-"
    if to_stream and sys.stdout.isatty():
        raise stop("A backup is no text: redirect standard output to a file or a program.", UNUSABLE)
    _end_by_signals()
    folder, target = data.resolve(), sys.stdout.buffer if to_stream else file.absolute()
    try:
        manifest = take_backup(folder, target, Progress(silent=quiet), force=force)
    except BackupError as error:
        if to_stream:
            _close_stdout()
        raise stop(str(error), REFUSED) from None
    if not quiet:
        size = "" if to_stream else f", {file.stat().st_size / 2**20:,.1f} MiB"
        typer.echo(f"Backup of {folder}{size}. {_contents(manifest)}", err=True)


def restore(
    file: Annotated[Path, typer.Argument(help="What clickloop backup has written.")],
    hold_postbacks: Annotated[
        bool, typer.Option("--hold-postbacks", help="Send nothing until you release it: the original may have sent it.")
    ] = False,
    send_postbacks: Annotated[
        bool, typer.Option("--send-postbacks", help="Send what was queued as soon as the tracker is started.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Move what is in the folder aside; nothing is deleted.")
    ] = False,
    verify_only: Annotated[bool, typer.Option("--verify-only", help="Check the backup and restore nothing.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Make a data folder of a backup. The whole file is verified before anything is put in its place."""
    from clickloop.backup.manifest import BackupError
    from clickloop.backup.progress import Progress
    from clickloop.backup.restoring import restore as restore_folder
    from clickloop.backup.taking import verify_backup
    from clickloop.clock import wall_clock

    _end_by_signals()
    progress = Progress()
    try:
        if verify_only:
            typer.echo(f"{file} is whole. {_contents(verify_backup(file, progress))}")
            return
        hold = _is_to_hold(file, hold=hold_postbacks, send=send_postbacks)
        folder = data.resolve()
        restored = restore_folder(file, folder, progress, wall_clock(), hold=hold, force=force)
    except BackupError as error:
        raise stop(str(error), REFUSED) from None
    typer.echo(f"Restored into {folder}. {_contents(restored.manifest)}")
    if restored.aside is not None:
        typer.echo(f"What was there before is in {restored.aside}.")
    if hold:
        typer.echo("Postbacks are held. When it runs, see what waits, cancel what was sent, then: clickloop release")
    typer.echo(f"Start it with: clickloop serve --data {folder}")


def release(data: Data = DEFAULT_DATA) -> None:
    """Let all postbacks leave that a restore, or the start of a copy, has held. Cancel first what must not be sent."""
    import msgspec

    before = msgspec.json.decode(ask(data, "GET", "/api/v1/delivery").body)
    if not before["held"]:
        typer.echo("No postbacks are held.")
        return
    after = msgspec.json.decode(ask(data, "POST", "/api/v1/delivery/release").body)
    waiting = after["waiting"]
    typer.echo(f"Released: {waiting} postback{'' if waiting == 1 else 's'} will be sent when due.")


def _is_to_hold(file: Path, *, hold: bool, send: bool) -> bool:
    """Return whether postbacks are to be held; ask on a terminal where neither option was given."""
    from clickloop.backup.taking import open_archive

    if hold and send:
        raise stop("Give --hold-postbacks or --send-postbacks, not both.", UNUSABLE)
    if hold or send:
        return hold
    if not sys.stdin.isatty():
        raise stop(
            "Say whether queued postbacks may be sent when the restored tracker starts: --hold-postbacks keeps them until you release "
            "them, and is right unless the original has sent nothing since the backup; --send-postbacks sends them.",
            UNUSABLE,
        )
    with open_archive(file) as archive:
        waiting = archive.manifest.counts.postbacks_waiting
    typer.echo(
        f"{waiting} postback{' was' if waiting == 1 else 's were'} queued when the backup was made. If the original went on after that, it "
        "has sent them, and they would be sent twice."
    )
    return not typer.confirm("Send them when the restored tracker starts? No: they are held until you release them")


def _contents(manifest: "Manifest") -> str:
    """Return what a backup holds, and up to when, as sentences."""
    from clickloop.clock import iso_text

    counts = manifest.counts
    setup = (
        f"{counts.campaigns:,} campaigns, {counts.offers:,} offers, {counts.networks:,} networks, {counts.traffic_sources:,} "
        f"traffic sources, {counts.postback_rules:,} postback rules, {counts.users:,} users"
    )
    journal = ""
    if counts.clicks_in_journal or counts.notices_in_journal:
        journal = f" In its journal, settled at the start: {counts.clicks_in_journal:,} clicks, {counts.notices_in_journal:,} notices."
    return (
        f"It holds everything up to {iso_text(manifest.made_at)}: {counts.clicks:,} clicks, {counts.notices:,} notices, "
        f"{counts.conversions:,} conversions, {counts.postbacks:,} postbacks ({counts.postbacks_waiting:,} queued); {setup}.{journal}"
    )


def _end_by_signals() -> None:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does, so that what is half done is removed."""

    def end(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def _close_stdout() -> None:
    """Keep the interpreter from flushing to a reader that has gone, which it would report over our own words."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
