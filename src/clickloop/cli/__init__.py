"""The command line. Each command imports what it needs in its body, so that ``--help`` is fast."""

import os

import typer

from clickloop.cli import backups, conversions, diagnosing, losers, replaying, reporting, running
from clickloop.cli.conversions import import_app
from clickloop.cli.costs import cost_app
from clickloop.cli.geo import geo_app
from clickloop.cli.rates import import_rates
from clickloop.cli.tokens import token_app
from clickloop.cli.users import user_app
from clickloop.store.private_folder import PRIVATE_UMASK

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Clickloop: a self-hosted ad and affiliate click tracker.",
)
app.add_typer(token_app, name="token")
app.add_typer(user_app, name="user")
import_app.command("rates")(import_rates)
app.add_typer(import_app, name="import")
app.add_typer(geo_app, name="geo")
app.add_typer(cost_app, name="cost")
for command in (
    running.serve,
    running.demo,
    conversions.convert,
    reporting.report,
    losers.losers,
    diagnosing.trace,
    diagnosing.simulate,
    replaying.resend,
    replaying.cancel,
    replaying.rerun,
    diagnosing.doctor,
    diagnosing.rebuild,
    diagnosing.check,
    backups.backup,
    backups.restore,
    backups.release,
):
    app.command()(command)


def main() -> None:
    """Run the command line. Files that commands write are readable by this user only."""
    os.umask(PRIVATE_UMASK)
    app()
