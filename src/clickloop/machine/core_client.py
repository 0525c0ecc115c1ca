"""The client with which commands reach the running server: its address and local token are in ``<data>/run/core.json``."""

import contextlib
import http.client
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from clickloop.machine.replacing_file import replace_file

FILE_NAME = "run/core.json"
RESPONSE_SECONDS = 30  # longer than the core waits for the ledger's lock
SENDING_SECONDS = 300
"""Timeout without progress while a large body is sent or fetched."""
UNAUTHORIZED = 401


class CoreAddress(msgspec.Struct, frozen=True):
    """The API's scheme and host, without a trailing slash, and a secret that works like a token."""

    url: str
    token: str
    inode: int = 0
    """The inode of the data folder, 0 if unknown. A copy of the folder has another one, and still this file."""


class NotRunningError(Exception):
    """No server answers for this data folder; the message says what to do."""


class CoreResponse(msgspec.Struct, frozen=True):
    """A response of the API."""

    status: int
    body: bytes


def write_core_address(folder: Path, core: CoreAddress) -> None:
    """Write the address for commands of the same user (mode 0600)."""
    path = folder / FILE_NAME
    path.parent.mkdir(mode=0o700, exist_ok=True)
    address = msgspec.structs.replace(core, inode=folder.stat().st_ino)
    replace_file(path, msgspec.json.encode(address), durable=False)


def read_core_address(folder: Path) -> CoreAddress:
    """Return the address that the server wrote at its start. Raise NotRunningError.

    An address that was copied along with the folder is the original's, which a command for the copy must not reach.
    """
    path = folder / FILE_NAME
    never = f"No server has run on the data folder {folder}: start one with: clickloop serve --data {folder}"
    try:
        core = msgspec.json.decode(path.read_bytes(), type=CoreAddress)
        if core.inode and core.inode != folder.stat().st_ino:
            raise NotRunningError(f"{never}. It is a copy: {path} belongs to the original's server.")
        return core
    except FileNotFoundError:
        raise NotRunningError(never) from None
    except PermissionError:
        raise NotRunningError(f"{path} belongs to another user: run the command as the server's user.") from None
    except msgspec.DecodeError as error:
        raise NotRunningError(f"{path} cannot be read ({error}): restart the server.") from None


def call_core(folder: Path, method: str, path: str, body: bytes | None = None, key: str = "") -> CoreResponse:
    """Send a request to the API of the running server, and return the response. Raise NotRunningError.

    ``key``: idempotency key, with which a repeated request does nothing and gets the same response; empty for none.
    """
    core = read_core_address(folder)
    response = _request(folder, core, method, path, body, key=key)
    # A restarting core accepts requests before it has written its new token.
    if response.status == UNAUTHORIZED and (current := read_core_address(folder)) != core:
        return _request(folder, current, method, path, body, key=key)
    return response


def send_to_core(folder: Path, path: str, pieces: Iterable[bytes], size: int | None, kind: str) -> CoreResponse:
    """Post a body in pieces. ``size`` in bytes, None if unknown; ``kind``: its content type. Raise NotRunningError."""
    core = read_core_address(folder)
    address = urlsplit(core.url)
    headers = {"Authorization": f"Bearer {core.token}", "Content-Type": kind}
    headers |= {} if size is None else {"Content-Length": str(size)}
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=SENDING_SECONDS)
    try:
        # A server that refuses the body responds and closes while we are still sending; its response says why.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", path, pieces, headers, encode_chunked=size is None)
        response = connection.getresponse()
        return CoreResponse(response.status, response.read())
    except (OSError, http.client.HTTPException) as error:
        raise _not_running(folder, core, error) from None
    finally:
        connection.close()


def fetch_from_core(folder: Path, path: str, into: BinaryIO) -> CoreResponse:
    """Send a GET request, and write the body of a successful response to a file as it arrives. Raise NotRunningError."""
    return _request(folder, read_core_address(folder), "GET", path, None, into)


def _request(
    folder: Path,
    core: CoreAddress,
    method: str,
    path: str,
    body: bytes | None,
    into: BinaryIO | None = None,
    key: str = "",
) -> CoreResponse:
    headers = {"Authorization": f"Bearer {core.token}", "Content-Type": "application/json"}
    headers |= {"Idempotency-Key": key} if key else {}
    request = Request(core.url + path, body, headers, method=method)  # noqa: S310 – the address is our own server's
    # No proxy: a proxy from HTTP_PROXY must not see our token.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(request, timeout=RESPONSE_SECONDS if into is None else SENDING_SECONDS) as response:
            if into is None:
                return CoreResponse(response.status, response.read())
            shutil.copyfileobj(response, into)
            return CoreResponse(response.status, b"")
    except HTTPError as error:
        with error:
            return CoreResponse(error.code, error.read())
    except (URLError, OSError, http.client.HTTPException) as error:
        raise _not_running(folder, core, error) from None


def _not_running(folder: Path, core: CoreAddress, error: Exception) -> NotRunningError:
    return NotRunningError(
        f"The server of {folder} does not answer at {core.url} ({_why(error)}): start it with: clickloop serve --data {folder}"
    )


def _why(error: Exception) -> str:
    """Return the cause of a failed request, in the system's words if it has any."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return "it took too long"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror[0].lower() + cause.strerror[1:]
    return "it closed the connection" if isinstance(cause, http.client.HTTPException) else str(cause)
