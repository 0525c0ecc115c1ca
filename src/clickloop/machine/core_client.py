"""The running server on this machine, as commands reach it: its address and local token stand in ``<data>/run/core.json``."""

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
ANSWER_SECONDS = 30  # longer than the core waits for the ledger's lock
SENDING_SECONDS = 300
"""How long nothing may move while something long is sent or fetched."""
UNAUTHORIZED = 401


class CoreAddress(msgspec.Struct, frozen=True):
    """Where the API answers, scheme and host without a slash at the end, and a secret that works like a token."""

    url: str
    token: str
    inode: int = 0
    """Of the data folder; 0: unknown. A copy of the folder has another one, and this file with it."""


class NotRunningError(Exception):
    """No server answers for this data folder; the text says what to do."""


class Answer(msgspec.Struct, frozen=True):
    """What the API answered."""

    status: int
    body: bytes


def write_core_address(folder: Path, core: CoreAddress) -> None:
    """Puts the address where commands of the same user, and nobody else, can read it (mode 0600)."""
    path = folder / FILE_NAME
    path.parent.mkdir(mode=0o700, exist_ok=True)
    here = msgspec.structs.replace(core, inode=folder.stat().st_ino)
    replace_file(path, msgspec.json.encode(here), durable=False)


def read_core_address(folder: Path) -> CoreAddress:
    """Return the address that the server wrote when it started. Raise NotRunningError.

    An address that was copied along with the folder is the original's: a command for the copy must not reach it.
    """
    path = folder / FILE_NAME
    never = f"No server has run on the data folder {folder}: start one with: clickloop serve --data {folder}"
    try:
        core = msgspec.json.decode(path.read_bytes(), type=CoreAddress)
        if core.inode and core.inode != folder.stat().st_ino:
            raise NotRunningError(f"{never}. It is a copy: {path} is of the server of its original.")
        return core
    except FileNotFoundError:
        raise NotRunningError(never) from None
    except PermissionError:
        raise NotRunningError(f"{path} belongs to another user: run this as the user that runs the server.") from None
    except msgspec.DecodeError as error:
        raise NotRunningError(f"{path} cannot be read ({error}): restart the server.") from None


def ask_core(folder: Path, method: str, path: str, body: bytes | None = None, key: str = "") -> Answer:
    """Asks the API of the running server. Raises NotRunningError when nobody answers.

    ``key``: the same request with the same key again does nothing and gets the same answer; empty: none.
    """
    core = read_core_address(folder)
    answer = _ask(folder, core, method, path, body, key=key)
    # A core that is starting again takes requests before it has written its new token.
    if answer.status == UNAUTHORIZED and (fresh := read_core_address(folder)) != core:
        return _ask(folder, fresh, method, path, body, key=key)
    return answer


def send_to_core(folder: Path, path: str, pieces: Iterable[bytes], octets: int | None, kind: str) -> Answer:
    """Posts a body that comes in pieces; ``text`` None: of a length that nobody knows. Raises NotRunningError.

    A server that refuses the body may answer and close while it is still being sent: its answer counts.
    """
    core = read_core_address(folder)
    place = urlsplit(core.url)
    headers = {"Authorization": f"Bearer {core.token}", "Content-Type": kind}
    headers |= {} if octets is None else {"Content-Length": str(octets)}
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=SENDING_SECONDS)
    try:
        # A server that refuses early closes while we still send: its answer says why, so read it.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", path, pieces, headers, encode_chunked=octets is None)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise _not_running(folder, core, error) from None
    finally:
        connection.close()


def fetch_from_core(folder: Path, path: str, into: BinaryIO) -> Answer:
    """Gets something long and writes a good answer's body away as it comes. Raises NotRunningError."""
    return _ask(folder, read_core_address(folder), "GET", path, None, into)


def _ask(
    folder: Path,
    core: CoreAddress,
    method: str,
    path: str,
    body: bytes | None,
    into: BinaryIO | None = None,
    key: str = "",
) -> Answer:
    headers = {"Authorization": f"Bearer {core.token}", "Content-Type": "application/json"}
    headers |= {"Idempotency-Key": key} if key else {}
    request = Request(core.url + path, body, headers, method=method)  # noqa: S310 – the address is our own server's
    # No proxy: HTTP_PROXY of the environment must not get a request with our token to this machine.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(request, timeout=ANSWER_SECONDS if into is None else SENDING_SECONDS) as answer:
            if into is None:
                return Answer(answer.status, answer.read())
            shutil.copyfileobj(answer, into)
            return Answer(answer.status, b"")
    except HTTPError as refused:
        with refused:
            return Answer(refused.code, refused.read())
    except (URLError, OSError, http.client.HTTPException) as error:
        raise _not_running(folder, core, error) from None


def _not_running(folder: Path, core: CoreAddress, error: Exception) -> NotRunningError:
    return NotRunningError(
        f"The server of {folder} does not answer at {core.url} ({_why(error)}): start it with: clickloop serve --data {folder}"
    )


def _why(error: Exception) -> str:
    """What went wrong, in the words of the operating system where it was its doing."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return "it took too long"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror[0].lower() + cause.strerror[1:]
    return "it closed the connection" if isinstance(cause, http.client.HTTPException) else str(cause)
