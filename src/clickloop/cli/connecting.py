"""Access of commands to the running server and the ledger, and their exit statuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clickloop.machine.core_client import CoreResponse
    from clickloop.store.ledger.ledger import Ledger

REFUSED = 1
"""Exit status when the tracker refused the request."""
UNUSABLE = 2
"""Exit status when the command could not be carried out at all."""

DataFolder = Annotated[Path, typer.Option("--data", envvar="CLICKLOOP_DATA", help="The data folder.")]
DEFAULT_DATA = Path("./data")


def send_request(data: Path, method: str, path: str, body: bytes | None = None, key: str = "") -> "CoreResponse":
    """Return the running server's response, or print its error and exit. ``key`` is an idempotency key; leave empty for none."""
    from clickloop.machine.core_client import NotRunningError, call_core

    try:
        answer = call_core(data.resolve(), method, path, body, key)
    except NotRunningError as error:
        raise stop(str(error), UNUSABLE) from None
    return _successful(answer)


def send_file(data: Path, path: str, body: bytes, kind: str) -> "CoreResponse":
    """Post a file to the running server and return the response, or print its error and exit. ``kind``: its content type."""
    from clickloop.machine.core_client import NotRunningError, send_to_core

    try:
        answer = send_to_core(data.resolve(), path, [body], len(body), kind)
    except NotRunningError as error:
        raise stop(str(error), UNUSABLE) from None
    return _successful(answer)


def _successful(answer: "CoreResponse") -> "CoreResponse":
    """Return a successful response, or print its error and exit."""
    import msgspec

    if answer.status < 300:
        return answer
    try:
        problem = msgspec.json.decode(answer.body)
        faults = problem.get("errors", ())
        lines = [f"{fault['field']}: {fault['message']}".removeprefix(": ") for fault in faults] or [problem["detail"]]
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        lines = [f"The server answered {answer.status} without a reason."]
    raise stop("\n".join(lines), REFUSED)


@contextmanager
def open_ledger(data: Path) -> "Iterator[Ledger]":
    """Open the ledger of a data folder, next to a running server if there is one. Exit with a message when there is no ledger."""
    from clickloop.machine.secret_box import secret_box_of
    from clickloop.store.identity import LEDGER_FILE
    from clickloop.store.ledger.ledger import Ledger, LedgerError

    folder = data.resolve()
    path = folder / LEDGER_FILE
    if not path.exists():
        raise unused(folder)
    try:
        ledger = Ledger.open(path, secret_box_of(folder))
    except LedgerError as error:
        raise stop(str(error), UNUSABLE) from None
    try:
        yield ledger
    finally:
        ledger.close()


def unused(folder: Path) -> typer.Exit:
    """Return the exit for a folder that no tracker has used: a ledger created there would issue tokens that open nothing."""
    return stop(
        f"No tracker has used the data folder {folder}. Choose another with --data, or start a tracker there first: "
        f"clickloop serve --data {folder}",
        UNUSABLE,
    )


def stop(text: str, status: int) -> typer.Exit:
    """Print why the command stops, and return the exception to raise."""
    typer.echo(text, err=True)
    return typer.Exit(status)
