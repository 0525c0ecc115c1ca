"""``clickloop import conversions``: sends a file to the running server, shows how it gets on, and what came of its lines."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode

import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from clickloop.conversion.notice import NoticeFlag, RefusalReason
from clickloop.conversion.upload import HEAD_OCTETS, Layout, Unusable, detect
from clickloop.conversion.upload_table import LineFault
from clickloop.conversion.upload_text import WINDOWS_1252, Utf8
from clickloop.machine.core_client import Answer, NotRunningError, ask_core, fetch_from_core, send_to_core

DOOR = "/api/v1/conversions/uploads"
PIECE_OCTETS = 256 * 1024
LOOK_SECONDS = 0.3
PATIENCE_SECONDS = 60.0
"""How long a server that does not answer is waited for: it may be starting again, and then goes on."""
_MISSING = {
    "payout": "No payout column was found: each conversion gets the payout of its offer, or zero.",
    "txid": "No transaction id column was found: lines with the same click id update one conversion.",
}
_ENDED = ("finished", "failed", "stopped")
_SENTENCES = {reason.value: reason.sentence for reason in (*RefusalReason, *LineFault, *NoticeFlag)}


class ImportRefusedError(Exception):
    """The file was not taken; the text says why."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the command was asked for."""

    data: Path
    preview: bool = False
    postbacks: bool = True
    result: Path | None = None
    """Where to save what became of each line."""
    first_lines: int = 20
    """So many are shown of a preview."""
    strict: bool = False
    """Lines that were registered, but about which something is odd, are not good either; nor is a table without its payout."""
    incomplete: bool = False
    """Register a table too of which a column that may be the payout or the transaction id was not understood."""
    dates: str = ""
    """Order of dates such as 05/06/2026: a value of ``DateOrder``; empty: as other lines prove it."""


def import_conversions(source: BinaryIO, name: str, octets: int | None, wanted: Wanted, console: Console) -> bool:
    """Imports a file; answers whether every line of it was good. ``text`` None: its length is not known. Where the wish is
    strict, a line about which something is odd is not good.

    Raises ImportRefusedError, NotRunningError, OSError.
    """
    head = source.read(HEAD_OCTETS)
    found = detect(Utf8().take(head) or head)
    if isinstance(found, Unusable):
        raise ImportRefusedError(found.sentence)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        upload = _send(source, head, name, octets, wanted, progress)
        _tell_form(found, upload, console)
        upload = _follow(upload, wanted, progress, console)
    _tell(upload, wanted, console)
    if upload["state"] != "finished":
        raise ImportRefusedError(f"The upload {upload['state']}. {upload['error'] or ''}")
    if wanted.result is not None:
        _save_result(upload, wanted, console)
    is_odd = wanted.strict and (upload["flagged"] or upload["incomplete"])
    return not (upload["counts"]["refused"] or upload["counts"]["unreadable"] or is_odd)


def _send(
    source: BinaryIO, head: bytes, name: str, octets: int | None, wanted: Wanted, progress: Progress
) -> dict[str, Any]:
    """Sends the file; answers the upload as the API tells it."""
    task = progress.add_task("Sending", total=octets)
    options = {"preview": wanted.preview, "postbacks": wanted.postbacks, "incomplete": wanted.incomplete}
    given = {"name": name[:200], **{option: int(is_on) for option, is_on in options.items()}}
    query = urlencode(given | ({"dates": wanted.dates} if wanted.dates else {}))
    answer = send_to_core(wanted.data, f"{DOOR}?{query}", _pieces(source, head, progress, task), octets, "text/csv")
    return _good(answer)


def _pieces(source: BinaryIO, head: bytes, progress: Progress, task: TaskID) -> Iterator[bytes]:
    piece = head
    while piece:
        yield piece
        progress.advance(task, len(piece))
        piece = source.read(PIECE_OCTETS)


def _follow(upload: dict[str, Any], wanted: Wanted, progress: Progress, console: Console) -> dict[str, Any]:
    """Waits for the upload's end. Interrupted, it says how to go on: the server does."""
    verb = "Looking through" if wanted.preview else "Registering"
    task = progress.add_task(verb, total=upload["octets"])
    place = f"{DOOR}/{upload['upload_id']}"
    gives_up_at = time.monotonic() + PATIENCE_SECONDS
    try:
        while upload["state"] not in _ENDED:
            time.sleep(LOOK_SECONDS)
            try:
                upload = _good(ask_core(wanted.data, "GET", place))
            except NotRunningError:
                if time.monotonic() > gives_up_at:
                    raise
                continue
            gives_up_at = time.monotonic() + PATIENCE_SECONDS
            progress.update(task, completed=upload["octets_read"])
    except KeyboardInterrupt:
        console.print(f"The server goes on with it: GET {place} tells how far it is, POST {place}/cancel stops it.")
        raise
    return upload


def _good(answer: Answer) -> dict[str, Any]:
    """The body of a good answer. Raises ImportRefusedError with the problem's sentence."""
    with contextlib.suppress(msgspec.DecodeError):
        body: dict[str, Any] = msgspec.json.decode(answer.body)
        if answer.status < 300:
            return body
        raise ImportRefusedError(body.get("detail") or f"The server answered {answer.status}.")
    raise ImportRefusedError(f"The server answered {answer.status} without a reason.")


def _tell_form(found: Layout, upload: dict[str, Any], console: Console) -> None:
    console.print(f"{found.format.sentence} Upload {upload['upload_id']}.")
    if found.columns:
        console.print(f"Columns: {', '.join(found.columns)}")
    if upload["encoding"] == WINDOWS_1252:
        console.print("The file is no UTF-8: it is read as windows-1252.")
    if upload["unused_columns"]:
        console.print(f"Columns that are not used: {', '.join(upload['unused_columns'])}")
    for value in upload["missing_values"]:
        console.print(_MISSING[value])


def _tell(upload: dict[str, Any], wanted: Wanted, console: Console) -> None:
    """Prints what came of the lines, or would."""
    if wanted.preview and wanted.first_lines:
        limit = min(wanted.first_lines, 500)
        lines = _good(ask_core(wanted.data, "GET", f"{DOOR}/{upload['upload_id']}/lines?limit={limit}"))["items"]
        table = Table("Line", "Would be", "Text", "Why", title=f"The first {len(lines)} of {upload['lines']} lines")
        for line in lines:
            odd = ", ".join(line["flags"])
            why = line["message"] if line["reason"] or line["verdict"] == "waiting" else odd
            table.add_row(str(line["line"]), line["verdict"], line["text"], why)
        console.print(table)
    counts = Table("Lines", "Would be" if wanted.preview else "Came to", "Why")
    for verdict, count in upload["counts"].items():
        if count:
            counts.add_row(str(count), verdict, "")
    for reason, count in sorted(upload["reasons"].items()):
        counts.add_row(f"of these {count}", reason, _SENTENCES.get(reason, ""))
    if upload["flagged"]:
        counts.add_row(f"flagged {upload['flagged']}", "", "Lines with something odd, whatever their result.")
    for flag, count in sorted(upload["flags"].items()):
        counts.add_row(f"of these {count}", flag, _SENTENCES.get(flag, ""))
    console.print(counts if upload["lines"] else "The file holds no conversion.")


def _save_result(upload: dict[str, Any], wanted: Wanted, console: Console) -> None:
    if wanted.result is None:
        return
    with wanted.result.open("wb") as file:
        answer = fetch_from_core(wanted.data, f"{DOOR}/{upload['upload_id']}/result", file)
    if answer.status >= 300:
        wanted.result.unlink()
        _good(answer)
    console.print(f"The result of each line is in {wanted.result}.")


def open_source(name: str) -> tuple[BinaryIO, str, int | None]:
    """A file to import, what to call it, and its length; ``-``: standard input, of unknown length. Raises OSError."""
    if name == "-":
        return sys.stdin.buffer, "standard input", None
    path = Path(name)
    file = path.open("rb")
    octets = path.stat().st_size if path.is_file() else None
    return file, path.name, octets
