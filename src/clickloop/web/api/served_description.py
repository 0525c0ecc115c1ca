"""Serve the API's description (OpenAPI), which a separate process generates on the first request.

Generating it takes half a second, which would slow down every start. Litestar generates a wrong one if it does so twice at once or
while it handles requests, so a serving core cannot generate it itself.
"""

import subprocess
import sys
from functools import cache
from threading import Lock

from litestar import Response, get

_SECONDS = 60  # enough on a busy machine; a process that hangs must not occupy a thread of the panel forever
_CREATE = "import sys; from clickloop.web.api.application import description; sys.stdout.buffer.write(description())"
_one_at_a_time = Lock()


@get("/api/openapi.json", include_in_schema=False, sync_to_thread=True, media_type="application/json")
def describe() -> Response[bytes]:
    """This description."""
    # ``cache`` does not lock: without this, concurrent first requests would each start a process.
    with _one_at_a_time:
        return Response(_created(), media_type="application/json")


@cache
def _created() -> bytes:
    """Return the description. Raise an error, and try again at the next call, if the process fails."""
    command = [sys.executable, "-P", "-c", _CREATE]
    return subprocess.run(  # noqa: S603 – our own interpreter and code
        command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_SECONDS
    ).stdout
