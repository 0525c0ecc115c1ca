"""The commands that run the tracker: serve and demo."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clickloop.cli.connecting import DEFAULT_DATA, UNUSABLE, DataFolder, stop

if TYPE_CHECKING:
    from clickloop.backup.place import FolderOrigin


def serve(
    data: DataFolder = DEFAULT_DATA,
    listen: Annotated[str | None, typer.Option(help="Address for visitors and networks, host:port.")] = None,
    panel_listen: Annotated[str | None, typer.Option(help="Address for panel and API, host:port.")] = None,
    public_url: Annotated[str | None, typer.Option(help="Public scheme and host, such as https://go.example.")] = None,
    edges: Annotated[int | None, typer.Option(help="Number of edge processes. 0 means one fewer than cores.")] = None,
    new: Annotated[
        bool,
        typer.Option(
            "--new",
            help="Start afresh when a store is lost, outdated, damaged or from another installation. Old files are moved aside, "
            "not deleted.",
        ),
    ] = False,
    moved: Annotated[
        bool,
        typer.Option("--moved", help="Confirm that the data folder was moved here, and that the old one is not used."),
    ] = False,
    as_copy: Annotated[
        bool,
        typer.Option(
            "--as-copy",
            help="Confirm that the data folder is a copy. Postbacks stay on hold until you run clickloop release.",
        ),
    ] = False,
) -> None:
    """Run the tracker. Every setting is also an environment variable, CLICKLOOP_<NAME>."""
    import sys

    import msgspec

    from clickloop.backup.place import FolderOrigin
    from clickloop.config import SettingError, read_settings
    from clickloop.setup.instance import startup_settings

    if moved and as_copy:
        raise stop("Give either --moved or --as-copy, not both.", UNUSABLE)
    origin = FolderOrigin.MOVED if moved else FolderOrigin.COPY if as_copy else FolderOrigin.UNSAID
    options = {"listen": listen, "panel_listen": panel_listen, "public_url": public_url, "edges": edges}
    try:
        settings = read_settings(os.environ, data=str(data), **options)
        startup_settings(settings)  # reports invalid settings here, before the supervisor starts
    except SettingError as fault:
        raise stop(str(fault), UNUSABLE) from None
    if new:
        _begin_anew(settings.folder(), origin)
    encoded = msgspec.json.encode(settings).decode()
    # Replaces this process, so that the command line's libraries do not stay in memory for as long as the tracker runs.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "clickloop.running.supervisor", encoded, origin])  # noqa: S606 – no shell is wanted


def _begin_anew(folder: Path, origin: "FolderOrigin") -> None:
    """Move aside the stores that do not belong together, and print what was done."""
    from clickloop.clock import wall_clock
    from clickloop.running.fresh_start import start_anew
    from clickloop.running.supervisor import CannotStartError, take_folder
    from clickloop.store.facts.facts import FactsError
    from clickloop.store.ledger.ledger import LedgerError
    from clickloop.stores import StoresRefusedError

    try:
        lock = take_folder(folder, origin)
        done = start_anew(folder, wall_clock())
    except (CannotStartError, StoresRefusedError, LedgerError, FactsError) as fault:
        raise stop(str(fault), UNUSABLE) from None
    os.close(lock)
    for sentence in done or ("All stores are fine. Nothing was changed.",):
        typer.echo(sentence)


def demo(
    visitors: Annotated[int, typer.Option(min=100, help="Number of visitors to send.")] = 3000,
    keep: Annotated[bool, typer.Option(help="Keep the tracker running afterwards.")] = False,
) -> None:
    """Play the whole loop with a simulated source and network, and check every figure."""
    from clickloop.demo import run

    raise typer.Exit(run(visitors=visitors, keep=keep))
