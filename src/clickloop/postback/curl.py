"""A request as a curl command, to be pasted into any POSIX shell (bash, dash, ash, zsh, ksh): it sends the same bytes."""

import re
import shlex

from clickloop.postback.rule import Header, Method, Request
from clickloop.text import octets_of, readable

_BULLET = "•"
"""Masks are made of it: it stays as it is, so that people see that something is masked."""
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


def curl_command(request: Request) -> str:
    """Return the command, one option a line.

    Visitors' values are in it, and it is pasted into a shell. So nothing is written that shells read differently: ``$'…'`` of bash is
    a dollar and a quoted text to dash and ash, in which a quote that was escaped ends the text. What is no line of printable ASCII goes
    through ``printf``, whose octal escapes are POSIX: a body by a pipe, byte for byte; a header or URL as ``"$(printf '\\303\\251')"``.

    A header's value is text, as ``sending`` sends it. A NUL can be in a body alone: a shell's argument would end there.
    """
    parts = ["curl --globoff"]
    if request.method is not Method.GET:
        parts.append(f"--request {request.method.value}")
    parts += [f"--header {_quoted(_header_line(header))}" for header in request.headers]
    body = octets_of(request.body)
    if body and _ONE_LINE.fullmatch(body):
        parts.append(f"--data-raw {_quoted(request.body)}")
    elif body:
        parts[0] = f"printf '{_format(body)}' | {parts[0]}"
        parts.append("--data-binary @-")
    parts.append(_quoted(request.url))
    return " \\\n  ".join(parts) + "\n"


def _header_line(header: Header) -> str:
    """Return a header as curl takes it: with nothing behind the colon it would be left out, with a semicolon it is sent empty."""
    value = readable(header.value)
    return f"{header.name}: {value}" if value.strip(" \t\r\n\v\f") else f"{header.name};"


def _quoted(text: str) -> str:
    """Return a text as one word of a shell.

    Within the double quotes are octal digits alone, so that nothing in them can be expanded, and no newline at whose end a
    substitution would drop it.
    """
    words = []
    escaped = ""
    for run in _RUNS.finditer(octets_of(text)):
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


def _format(octets: bytes) -> str:
    """Return a format of ``printf`` for these bytes, without a quote in it."""
    text = _BULLET.join(
        "".join(_IN_FORMAT.get(octet) or (chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:03o}") for octet in part)
        for part in octets.split(_BULLET.encode())
    )
    # A format that begins with a dash would be taken for an option.
    return f"\\055{text[1:]}" if text.startswith("-") else text
