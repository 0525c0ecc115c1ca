"""Parse the form fields of a multipart body (RFC 7578) leniently: networks omit quotes, build them by hand, and truncate them.

Every function takes time linear in its input.
"""

from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from clickloop.text import escape_bytes

MAX_BOUNDARY = 70  # RFC 2046, 5.1.1
MAX_DEPTH = 2
"""Maximum nesting. A multipart body inside a part is parsed, but not another one inside that."""


def boundary_of(content_type: bytes, body: bytes) -> bytes:
    """Return the boundary from the header, or else from the first line of the body; empty if there is none."""
    boundary = header_parameters(content_type).get(b"boundary", b"")
    if 0 < len(boundary) <= MAX_BOUNDARY:
        return boundary
    first, _, rest = body.lstrip()[: MAX_BOUNDARY + 200].partition(b"\n")
    if first.startswith(b"--") and rest.lower().startswith(b"content-disposition:"):
        return first[2:].strip()[:MAX_BOUNDARY]
    return b""


def form_fields(body: bytes, boundary: bytes, depth: int = 1) -> Iterator[tuple[str, str]]:
    """Yield names and values in order, skipping parts without a name. The closing boundary may be missing."""
    for part in body.split(b"--" + boundary)[1:]:
        if part.startswith(b"--"):  # the closing boundary; what follows is an epilogue
            return
        head, value = _head_and_value(part)
        fields = _header_fields(head)
        disposition = header_parameters(fields.get(b"content-disposition", b""))
        name = disposition.get(b"name", b"")
        content_type = fields.get(b"content-type", b"")
        if content_type.lower().startswith(b"multipart/") and depth < MAX_DEPTH:
            inner = boundary_of(content_type, value)
            if inner and inner != boundary:
                yield from form_fields(value, inner, depth + 1)
                continue
        if name:
            yield escape_bytes(name), escape_bytes(value)


def header_parameters(value: bytes) -> dict[bytes, bytes]:
    """Return the parameters of a header such as Content-Disposition, names in lower case.

    Values are tokens, quoted strings (RFC 2183, RFC 9110 5.6.6), or extended (``name*=UTF-8''caf%C3%A9``, RFC 8187), which win.
    """
    plain: dict[bytes, bytes] = {}
    extended: dict[bytes, bytes] = {}
    at = value.find(b";")
    while 0 <= at < len(value):
        equals = value.find(b"=", at)
        if equals < 0:
            break
        name = value[at + 1 : equals].rpartition(b";")[2].strip().lower()
        start = equals + 1
        while value[start : start + 1] in (b" ", b"\t"):
            start += 1
        if value[start : start + 1] == b'"':
            text, at = _quoted(value, start + 1)
            at = _or_end(value.find(b";", at), value)
        else:
            at = _or_end(value.find(b";", start), value)
            text = value[start:at].strip()
            if len(text) > 1 and text[:1] == text[-1:] == b"'":
                text = text[1:-1]
        if name.endswith(b"*"):
            _, _, encoded = text.partition(b"'")
            extended.setdefault(name[:-1].strip(), unquote_to_bytes(encoded.partition(b"'")[2] or text))
        else:
            plain.setdefault(name, text)
    return plain | extended


def _or_end(at: int, value: bytes) -> int:
    return len(value) if at < 0 else at


def _quoted(value: bytes, start: int) -> tuple[bytes, int]:
    """Return the quoted string whose text begins at ``start``, and the position after it. An unclosed one ends with the header.

    ``\\"`` and ``%22`` mean a quotation mark (browsers write the latter); other backslashes stay, because old browsers send paths.
    """
    end = start
    while True:
        end = _or_end(value.find(b'"', end), value)
        if end == len(value) or value[end - 1 : end] != b"\\":
            break
        end += 1
    text = value[start:end].replace(b'\\"', b'"')
    return text.replace(b"%22", b'"').replace(b"%0D", b"\r").replace(b"%0A", b"\n"), end + 1


def _head_and_value(part: bytes) -> tuple[bytes, bytes]:
    """Split a part at its empty line; lines may end in LF alone."""
    strict, bare = part.find(b"\r\n\r\n"), part.find(b"\n\n")
    if strict >= 0 and (bare < 0 or strict < bare):
        head, value = part[:strict], part[strict + 4 :]
    elif bare >= 0:
        head, value = part[:bare], part[bare + 2 :]
    else:
        return part, b""
    return head, value[:-2] if value.endswith(b"\r\n") else value.removesuffix(b"\n")


def _header_fields(head: bytes) -> dict[bytes, bytes]:
    """Return the header fields of a part, names in lower case, folded lines joined."""
    fields: dict[bytes, list[bytes]] = {}
    lines: list[bytes] = []
    for line in head.splitlines():
        if line[:1] in (b" ", b"\t"):
            lines.append(line.strip())
            continue
        name, colon, value = line.partition(b":")
        if colon:
            lines = fields.setdefault(name.strip().lower(), [])
            lines.append(value.strip())
    return {name: b" ".join(lines) for name, lines in fields.items()}
