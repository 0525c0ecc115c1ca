"""A request as a curl command for any POSIX shell (bash, dash, ash, zsh, ksh) that sends the same bytes."""

import re
import shlex

from clickloop.postback.rule import Header, Method, PostbackRequest
from clickloop.text import readable, unescape_bytes

_BULLET = "•"
"""Masks consist of it. Left as it is, so that users see that something is masked."""
_RUNS = re.compile(rb"((?:[\x20-\x7e\n]|\xe2\x80\xa2)+)|[^\x20-\x7e\n]")
_ONE_LINE = re.compile(rb"(?:[\x20-\x7e]|\xe2\x80\xa2)*")
_IN_FORMAT = {
    ord("\\"): "\\\\",
    ord("%"): "%%",
    ord("'"): "\\047",
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}


def curl_command(request: PostbackRequest) -> str:
    """Return the command, one option per line.

    It contains visitors' values and is pasted into a shell, so it avoids syntax that shells read differently: bash's ``$'…'`` is
    a dollar and a quoted text in dash and ash, where an escaped quote ends the text. Anything but a line of printable ASCII goes
    through ``printf``, whose octal escapes are POSIX: a body by a pipe, byte for byte; a header or URL as
    ``"$(printf '\\303\\251')"``.

    A header's value is text, as ``sending`` sends it. Only a body may contain NUL: it would end a shell argument.
    """
    parts = ["curl --globoff"]
    if request.method is not Method.GET:
        parts.append(f"--request {request.method.value}")
    parts += [f"--header {_quoted(_header_line(header))}" for header in request.headers]
    body = unescape_bytes(request.body)
    if body and _ONE_LINE.fullmatch(body):
        parts.append(f"--data-raw {_quoted(request.body)}")
    elif body:
        parts[0] = f"printf '{_format(body)}' | {parts[0]}"
        parts.append("--data-binary @-")
    parts.append(_quoted(request.url))
    return " \\\n  ".join(parts) + "\n"


def _header_line(header: Header) -> str:
    """Return a header in curl's notation: with nothing after the colon curl omits it, with a semicolon it sends it empty."""
    value = readable(header.value)
    return f"{header.name}: {value}" if value.strip(" \t\r\n\v\f") else f"{header.name};"


def _quoted(text: str) -> str:
    """Return a text as one shell word.

    Only octal escapes are inside the double quotes, so nothing there can be expanded. A newline is never among them, since
    command substitution would drop it at the end.
    """
    words = []
    escaped = ""
    for run in _RUNS.finditer(unescape_bytes(text)):
        if run[1] is None:
            escaped += f"\\{run[0][0]:03o}"
            continue
        if escaped:
            words.append(f"\"$(printf '{escaped}')\"")
            escaped = ""
        words.append(shlex.quote(run[1].decode()))
    if escaped:
        words.append(f"\"$(printf '{escaped}')\"")
    return "".join(words) or "''"


def _format(data: bytes) -> str:
    """Return a ``printf`` format for these bytes, without quotes."""
    text = _BULLET.join(
        "".join(_IN_FORMAT.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}") for byte in part)
        for part in data.split(_BULLET.encode())
    )
    # A format that starts with a dash would be taken for an option.
    return f"\\055{text[1:]}" if text.startswith("-") else text
