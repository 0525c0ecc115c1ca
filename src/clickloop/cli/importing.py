"""``clickloop import conversions``: sends a file to the running server, shows progress and prints the result of its lines."""

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
from clickloop.conversion.upload.lines import HEAD_BYTES, RejectedFile, UploadLayout, detect
from clickloop.conversion.upload.table import LineFault
from clickloop.conversion.upload.text import WINDOWS_1252, Utf8Decoder
from clickloop.machine.core_client import CoreResponse, NotRunningError, call_core, fetch_from_core, send_to_core

UPLOADS_PATH = "/api/v1/conversions/uploads"
CHUNK_BYTES = 256 * 1024  # bounds memory, regardless of file size
POLL_SECONDS = 0.3  # often enough for a person watching, rare enough for the API
PATIENCE_SECONDS = 60.0
"""Maximum wait for a server that does not answer. After a restart it continues the upload."""
_MISSING = {
    "payout": "No payout column found. Each conversion gets its offer's payout, or zero.",
    "txid": "No transaction ID column found. Lines with the same click ID update one conversion.",
}
_ENDED = ("finished", "failed", "stopped")
_SENTENCES = {reason.value: reason.sentence for reason in (*RefusalReason, *LineFault, *NoticeFlag)}


class ImportRefusedError(Exception):
    """The file was refused. The message says why."""


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The command's options."""

    data: Path
    preview: bool = False
    postbacks: bool = True
    result: Path | None = None
    """File for the result of each line."""
    first_lines: int = 20
    """Maximum number of lines to show in a preview."""
    strict: bool = False
    """Treat flagged lines as bad, too, and a table whose payout column was not recognised."""
    incomplete: bool = False
    """Register a table even if a possible payout or transaction ID column was not recognised."""
    dates: str = ""
    """Order of dates such as 05/06/2026: a value of ``DateOrder``. Leave empty to let other lines decide."""


def import_conversions(source: BinaryIO, name: str, size: int | None, options: ImportOptions, console: Console) -> bool:
    """Import a file and return whether every line is good. ``size`` is its length in bytes, or None if unknown.

    Raise ImportRefusedError, NotRunningError or OSError.
    """
    head = source.read(HEAD_BYTES)
    layout = detect(Utf8Decoder().take(head) or head)
    if isinstance(layout, RejectedFile):
        raise ImportRefusedError(layout.sentence)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        upload = _send(source, head, name, size, options, progress)
        _print_layout(layout, upload, console)
        upload = _follow(upload, options, progress, console)
    _print_result(upload, options, console)
    if upload["state"] != "finished":
        raise ImportRefusedError(f"The upload {upload['state']}. {upload['error'] or ''}")
    if options.result is not None:
        _save_result(upload, options, console)
    is_odd = options.strict and (upload["flagged"] or upload["incomplete"])
    return not (upload["counts"]["refused"] or upload["counts"]["unreadable"] or is_odd)


def _send(
    source: BinaryIO, head: bytes, name: str, size: int | None, options: ImportOptions, progress: Progress
) -> dict[str, Any]:
    """Send the file and return the upload from the API's response."""
    task = progress.add_task("Sending", total=size)
    flags = {"preview": options.preview, "postbacks": options.postbacks, "incomplete": options.incomplete}
    parameters = {"name": name[:200], **{flag: int(is_set) for flag, is_set in flags.items()}}
    query = urlencode(parameters | ({"dates": options.dates} if options.dates else {}))
    answer = send_to_core(
        options.data, f"{UPLOADS_PATH}?{query}", _chunks(source, head, progress, task), size, "text/csv"
    )
    return _body_of(answer)


def _chunks(source: BinaryIO, head: bytes, progress: Progress, task: TaskID) -> Iterator[bytes]:
    chunk = head
    while chunk:
        yield chunk
        progress.advance(task, len(chunk))
        chunk = source.read(CHUNK_BYTES)


def _follow(upload: dict[str, Any], options: ImportOptions, progress: Progress, console: Console) -> dict[str, Any]:
    """Wait for the upload to end. When interrupted, say how to follow it, since the server continues."""
    verb = "Checking" if options.preview else "Registering"
    task = progress.add_task(verb, total=upload["octets"])
    path = f"{UPLOADS_PATH}/{upload['upload_id']}"
    gives_up_at = time.monotonic() + PATIENCE_SECONDS
    try:
        while upload["state"] not in _ENDED:
            time.sleep(POLL_SECONDS)
            try:
                upload = _body_of(call_core(options.data, "GET", path))
            except NotRunningError:
                if time.monotonic() > gives_up_at:
                    raise
                continue
            gives_up_at = time.monotonic() + PATIENCE_SECONDS
            progress.update(task, completed=upload["octets_read"])
    except KeyboardInterrupt:
        console.print(f"The server continues the upload. To follow it: GET {path}. To stop it: POST {path}/cancel.")
        raise
    return upload


def _body_of(answer: CoreResponse) -> dict[str, Any]:
    """Return the body of a successful response. Raise ImportRefusedError with the server's message otherwise."""
    with contextlib.suppress(msgspec.DecodeError):
        body: dict[str, Any] = msgspec.json.decode(answer.body)
        if answer.status < 300:
            return body
        raise ImportRefusedError(body.get("detail") or f"The server answered {answer.status}.")
    raise ImportRefusedError(f"The server answered {answer.status} without a reason.")


def _print_layout(layout: UploadLayout, upload: dict[str, Any], console: Console) -> None:
    console.print(f"{layout.format.sentence} Upload {upload['upload_id']}.")
    if layout.columns:
        console.print(f"Columns: {', '.join(layout.columns)}")
    if upload["encoding"] == WINDOWS_1252:
        console.print("The file is not UTF-8. It is read as windows-1252.")
    if upload["unused_columns"]:
        console.print(f"Unused columns: {', '.join(upload['unused_columns'])}")
    for value in upload["missing_values"]:
        console.print(_MISSING[value])


def _print_result(upload: dict[str, Any], options: ImportOptions, console: Console) -> None:
    """Print the result of the lines, or of a preview."""
    if options.preview and options.first_lines:
        limit = min(options.first_lines, 500)
        lines = _body_of(call_core(options.data, "GET", f"{UPLOADS_PATH}/{upload['upload_id']}/lines?limit={limit}"))[
            "items"
        ]
        table = Table("Line", "Would be", "Text", "Reason", title=f"First {len(lines)} of {upload['lines']} lines")
        for line in lines:
            flags = ", ".join(line["flags"])
            reason = line["message"] if line["reason"] or line["verdict"] == "waiting" else flags
            table.add_row(str(line["line"]), line["verdict"], line["text"], reason)
        console.print(table)
    counts = Table("Lines", "Would be" if options.preview else "Result", "Reason")
    for verdict, count in upload["counts"].items():
        if count:
            counts.add_row(str(count), verdict, "")
    for reason, count in sorted(upload["reasons"].items()):
        counts.add_row(f"of these {count}", reason, _SENTENCES.get(reason, ""))
    if upload["flagged"]:
        counts.add_row(f"flagged {upload['flagged']}", "", "Lines to review, regardless of their result.")
    for flag, count in sorted(upload["flags"].items()):
        counts.add_row(f"of these {count}", flag, _SENTENCES.get(flag, ""))
    console.print(counts if upload["lines"] else "The file contains no conversions.")


def _save_result(upload: dict[str, Any], options: ImportOptions, console: Console) -> None:
    if options.result is None:
        return
    with options.result.open("wb") as file:
        answer = fetch_from_core(options.data, f"{UPLOADS_PATH}/{upload['upload_id']}/result", file)
    if answer.status >= 300:
        options.result.unlink()
        _body_of(answer)
    console.print(f"Saved the result of each line to {options.result}.")


def open_source(name: str) -> tuple[BinaryIO, str, int | None]:
    """Open a file to import, or standard input for ``-``. Return it with its name and length, if known. Raise OSError."""
    if name == "-":
        return sys.stdin.buffer, "standard input", None
    path = Path(name)
    file = path.open("rb")
    size = path.stat().st_size if path.is_file() else None
    return file, path.name, size
