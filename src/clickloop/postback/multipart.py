"""Multipart bodies: written like a form, with files as fields that begin with @, as on the command line of curl."""

import hashlib
from urllib.parse import unquote_to_bytes

from clickloop.text import escape_bytes

_BOUNDARY_LENGTH = 32


def multipart_body(form: str, file_name: str) -> tuple[str, str]:
    """Return the Content-Type and body of a filled-in form, such as ``chat_id=1&document=@Campaign%2CClicks``.

    A value that begins with a literal @ is a file; in macros' values it is escaped. The boundary follows from the contents, so
    that the same values make the same request.
    """
    fields = [pair.partition("=") for pair in form.split("&") if pair]
    parts = [(_bytes(name), _bytes(value.removeprefix("@")), value.startswith("@")) for name, _, value in fields]
    digest = hashlib.sha256(b"\0".join(value for _, value, _ in parts)).hexdigest()[:_BOUNDARY_LENGTH]
    boundary = f"clickloop-{digest}".encode()
    lines: list[bytes] = []
    for name, value, is_file in parts:
        file = (
            b'; filename="%b"\r\nContent-Type: text/csv; charset=utf-8' % _quoted(file_name.encode())
            if is_file
            else b""
        )
        head = b'Content-Disposition: form-data; name="%b"%b' % (_quoted(name), file)
        lines += [b"--" + boundary, head, b"", value]
    body = b"\r\n".join([*lines, b"--" + boundary + b"--", b""])
    return f"multipart/form-data; boundary={boundary.decode()}", escape_bytes(body)


def _bytes(text: str) -> bytes:
    return unquote_to_bytes(text.strip().replace("+", " "))


def _quoted(name: bytes) -> bytes:
    return name.replace(b'"', b"%22").replace(b"\r", b"%0D").replace(b"\n", b"%0A")
