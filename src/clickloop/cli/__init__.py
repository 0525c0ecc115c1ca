"""The command line. What a command needs is imported within it, so that ``--help`` is quick."""

import os

import typer

from clickloop.cli import again, backups, conversions, explaining, running
from clickloop.cli.conversions import import_app
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
for command in (
    running.serve,
    running.demo,
    conversions.convert,
    explaining.trace,
    explaining.simulate,
    again.resend,
    again.cancel,
    again.rerun,
    explaining.doctor,
    explaining.check,
    backups.backup,
    backups.restore,
    backups.release,
):
    app.command()(command)


def main() -> None:
    """Run the command line. What commands write into the data folder is for this user alone."""
    os.umask(PRIVATE_UMASK)
    app()
