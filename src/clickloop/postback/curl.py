"""A request as a curl command, to be pasted into a shell: it sends the same bytes."""

import re
import shlex

from clickloop.octets import octets_of, readable
from clickloop.postback.rule import Method, Request

_BULLET = "•"
"""Masks are made of it: it stays as it is, so that people see that something is masked."""
_PLAIN = re.compile(rb"(?:[\x20-\x7e]|\xe2\x80\xa2)*")
_ESCAPES = {ord("\\"): "\\\\", ord("'"): "\\'", ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}


def curl_command(request: Request) -> str:
    """The command, one option a line. Texts with bytes beyond printable ASCII and the mask stand in ``$'…'``, as bash, ksh and zsh read it.

    A header's value is text, as ``sending`` sends it. A NUL cannot be written in a shell's argument: the text would end there.
    """
    parts = ["curl --globoff"]
    if request.method is not Method.GET:
        parts.append(f"--request {request.method.value}")
    parts += [f"--header {_quoted(f'{header.name}: {readable(header.value)}')}" for header in request.headers]
    if request.body:
        parts.append(f"--data-raw {_quoted(request.body)}")
    parts.append(_quoted(request.url))
    return " \\\n  ".join(parts) + "\n"


def _quoted(text: str) -> str:
    octets = octets_of(text)
    return shlex.quote(text) if _PLAIN.fullmatch(octets) else f"$'{_escaped(octets)}'"


def _escaped(octets: bytes) -> str:
    parts = octets.split(_BULLET.encode())
    return _BULLET.join(
        "".join(_ESCAPES.get(octet) or (chr(octet) if 0x20 <= octet < 0x7F else f"\\x{octet:02x}") for octet in part)
        for part in parts
    )
