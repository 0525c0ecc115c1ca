"""The commands backup, restore and release."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from clickloop.cli.connecting import DEFAULT_DATA, REFUSED, UNUSABLE, DataFolder, send_request, stop

if TYPE_CHECKING:
    from clickloop.backup.manifest import Manifest


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write, or - for standard output.", allow_dash=True)],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only, for cron.")] = False,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Back up a data folder into one file, even while the tracker is running.

    It contains everything that was acknowledged before the backup started.
    Exits with 1 if no backup could be made, with 2 if the command was used incorrectly.
    """
    from clickloop.backup.manifest import BackupError
    from clickloop.backup.progress import ConsoleProgress
    from clickloop.backup.taking import take_backup

    to_stream = str(file) == "-"
    if to_stream and sys.stdout.isatty():
        raise stop("A backup is binary: redirect standard output to a file or a program.", UNUSABLE)
    _exit_on_signals()
    folder, target = data.resolve(), sys.stdout.buffer if to_stream else file.absolute()
    try:
        manifest = take_backup(folder, target, ConsoleProgress(silent=quiet), force=force)
    except BackupError as error:
        if to_stream:
            _close_stdout()
        raise stop(str(error), REFUSED) from None
    if not quiet:
        size = "" if to_stream else f", {file.stat().st_size / 2**20:,.1f} MiB"
        typer.echo(f"Backup of {folder}{size}. {_contents(manifest)}", err=True)


def restore(
    file: Annotated[Path, typer.Argument(help="A file written by clickloop backup.")],
    hold_postbacks: Annotated[
        bool,
        typer.Option(
            "--hold-postbacks",
            help="Hold queued postbacks until you release them, in case the original has already sent them.",
        ),
    ] = False,
    send_postbacks: Annotated[
        bool, typer.Option("--send-postbacks", help="Send queued postbacks as soon as the tracker starts.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Move the folder's current contents aside. Nothing is deleted.")
    ] = False,
    verify_only: Annotated[bool, typer.Option("--verify-only", help="Verify the backup without restoring it.")] = False,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Restore a backup into a data folder. The whole file is verified before anything is put in place.

    Asks whether to send queued postbacks, unless you give --hold-postbacks or --send-postbacks.
    Exits with 1 if nothing was restored, with 2 if the command was used incorrectly.
    """
    from clickloop.backup.manifest import BackupError
    from clickloop.backup.progress import ConsoleProgress
    from clickloop.backup.restoring import restore as restore_folder
    from clickloop.backup.taking import verify_backup
    from clickloop.clock import wall_clock

    _exit_on_signals()
    progress = ConsoleProgress()
    try:
        if verify_only:
            typer.echo(f"{file} is intact. {_contents(verify_backup(file, progress))}")
            return
        hold = _should_hold(file, hold=hold_postbacks, send=send_postbacks)
        folder = data.resolve()
        restored = restore_folder(file, folder, progress, wall_clock(), hold=hold, force=force)
    except BackupError as error:
        raise stop(str(error), REFUSED) from None
    typer.echo(f"Restored into {folder}. {_contents(restored.manifest)}")
    if restored.aside is not None:
        typer.echo(f"The previous contents are in {restored.aside}.")
    if hold:
        typer.echo(
            "Postbacks are on hold. After starting, cancel those that the original has sent, then run: clickloop release"
        )
    typer.echo(f"Start it with: clickloop serve --data {folder}")


def release(data: DataFolder = DEFAULT_DATA) -> None:
    """Release the postbacks held since a restore or since a copy was started. First cancel any that must not be sent."""
    import msgspec

    before = msgspec.json.decode(send_request(data, "GET", "/api/v1/delivery").body)
    if not before["held"]:
        typer.echo("No postbacks are on hold.")
        return
    after = msgspec.json.decode(send_request(data, "POST", "/api/v1/delivery/release").body)
    waiting = after["waiting"]
    typer.echo(f"Released: {waiting} postback{'' if waiting == 1 else 's'} will be sent when due.")


def _should_hold(file: Path, *, hold: bool, send: bool) -> bool:
    """Return whether to hold postbacks. Ask on a terminal if neither option was given."""
    from clickloop.backup.taking import open_archive

    if hold and send:
        raise stop("Give --hold-postbacks or --send-postbacks, not both.", UNUSABLE)
    if hold or send:
        return hold
    if not file.exists():
        raise stop(f"There is no file {file}.", UNUSABLE)
    if not sys.stdin.isatty():
        raise stop(
            "Choose what happens to queued postbacks when the restored tracker starts. --hold-postbacks holds them until you release "
            "them: use it unless the original has sent nothing since the backup. --send-postbacks sends them.",
            UNUSABLE,
        )
    with open_archive(file) as archive:
        waiting = archive.manifest.counts.postbacks_waiting
    typer.echo(
        f"{waiting} postback{' was' if waiting == 1 else 's were'} queued when the backup was made. If the original kept running after "
        "that, it has sent them, and they would be sent twice."
    )
    return not typer.confirm("Send them when the restored tracker starts? (No: hold them until you release them)")


def _contents(manifest: "Manifest") -> str:
    """Return a one-line summary of a backup: its cut-off time and its contents."""
    from clickloop.clock import iso_text
    from clickloop.plural import pluralize

    counts = manifest.counts
    setup = ", ".join(
        (
            pluralize(counts.campaigns, "campaign"),
            pluralize(counts.offers, "offer"),
            pluralize(counts.networks, "network"),
            pluralize(counts.traffic_sources, "traffic source"),
            pluralize(counts.postback_rules, "postback rule"),
            pluralize(counts.users, "user"),
        )
    )
    journal = ""
    if counts.clicks_in_journal or counts.page_events_in_journal or counts.notices_in_journal:
        parts = [
            pluralize(counts.clicks_in_journal, "click"),
            *([pluralize(counts.page_events_in_journal, "page event")] if counts.page_events_in_journal else []),
            pluralize(counts.notices_in_journal, "incoming postback"),
        ]
        journal = f" To be processed at the next start: {', '.join(parts)}."
    facts = ", ".join(
        (
            pluralize(counts.clicks, "click"),
            pluralize(counts.notices, "incoming postback"),
            pluralize(counts.conversions, "conversion"),
            pluralize(counts.postbacks, "postback"),
        )
    )
    queued = f"({counts.postbacks_waiting:,} queued)"
    return f"It contains everything up to {iso_text(manifest.made_at)}: {facts} {queued}; {setup}.{journal}"


def _exit_on_signals() -> None:
    """Exit on SIGTERM and SIGHUP as on Ctrl-C, so that incomplete files are removed."""

    def exit_command(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, exit_command)


def _close_stdout() -> None:
    """Keep the interpreter from flushing to a closed pipe at exit: that error would hide our own message."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
