"""The API's description as it is served: created by a process of its own when somebody first asks for it.

Creating it takes half a second, which every start would pay. Litestar gets it wrong if it is created twice at once or while requests
are handled, so the core cannot create it while it serves.
"""

import subprocess
import sys
from functools import cache
from threading import Lock

from litestar import Response, get

_SECONDS = 60  # on a busy machine; a process that hangs must not hold a thread of the panel for good
_CREATE = "import sys; from clickloop.web.api.application import description; sys.stdout.buffer.write(description())"
_one_at_a_time = Lock()


@get("/api/openapi.json", include_in_schema=False, sync_to_thread=True, media_type="application/json")
def describe() -> Response[bytes]:
    """This description."""
    with _one_at_a_time:
        return Response(_created(), media_type="application/json")


@cache
def _created() -> bytes:
    """Return the description. Raise an error, and try again at the next call, if the process fails."""
    command = [sys.executable, "-P", "-c", _CREATE]
    return subprocess.run(  # noqa: S603 – our own interpreter and code
        command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_SECONDS
    ).stdout
