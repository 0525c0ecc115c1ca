"""The commands that run the tracker: serve and demo."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clickloop.cli.reaching import DEFAULT_DATA, UNUSABLE, Data, stop

if TYPE_CHECKING:
    from clickloop.backup.place import Origin


def serve(
    data: Data = DEFAULT_DATA,
    listen: Annotated[str | None, typer.Option(help="Address for visitors and networks, host:port.")] = None,
    panel_listen: Annotated[str | None, typer.Option(help="Where panel and API answer, host:port.")] = None,
    public_url: Annotated[str | None, typer.Option(help="Scheme and host under which the world reaches us.")] = None,
    edges: Annotated[int | None, typer.Option(help="Edge processes; 0: cores - 1, at least 1.")] = None,
    new: Annotated[
        bool,
        typer.Option(
            "--new",
            help="Start afresh with a store that is lost, outdated, damaged or from another installation. Old files are moved "
            "aside, not deleted.",
        ),
    ] = False,
    moved: Annotated[
        bool, typer.Option("--moved", help="The data folder was moved here and is no longer used in its old place.")
    ] = False,
    as_copy: Annotated[
        bool,
        typer.Option(
            "--as-copy",
            help="The data folder is a copy. Postbacks are on hold until you release them (clickloop release).",
        ),
    ] = False,
) -> None:
    """Run the tracker until SIGTERM. Every setting can also be given as CLICKLOOP_<NAME>."""
    import sys

    import msgspec

    from clickloop.backup.place import Origin
    from clickloop.config import SettingError, read_settings
    from clickloop.setup.instance import started_with

    if moved and as_copy:
        raise stop("A folder was moved or is a copy: give --moved or --as-copy, not both.", UNUSABLE)
    origin = Origin.MOVED if moved else Origin.COPY if as_copy else Origin.UNSAID
    given = {"listen": listen, "panel_listen": panel_listen, "public_url": public_url, "edges": edges}
    try:
        settings = read_settings(os.environ, data=str(data), **given)
        started_with(settings)  # so that what is wrong with them is said here
    except SettingError as fault:
        raise stop(str(fault), UNUSABLE) from None
    if new:
        _begin_anew(settings.folder(), origin)
    told = msgspec.json.encode(settings).decode()
    # Takes this process over, so that the command line's libraries do not stay in memory for as long as the tracker runs.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "clickloop.running.supervisor", told, origin])  # noqa: S606 – no shell is wanted


def _begin_anew(folder: Path, origin: "Origin") -> None:
    """Put aside what does not belong together, and say what was done."""
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
    for sentence in done or ("Nothing is wrong with the stores, so nothing was changed.",):
        typer.echo(sentence)


def demo(
    visitors: Annotated[int, typer.Option(min=100, help="How many visitors to send.")] = 3000,
    keep: Annotated[bool, typer.Option(help="Leave the tracker running afterwards.")] = False,
) -> None:
    """Show the whole loop with a stand-in source and network, and check the figures."""
    from clickloop.demo import run

    raise typer.Exit(run(visitors=visitors, keep=keep))
