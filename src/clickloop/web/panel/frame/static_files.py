"""Static files: style sheet, scripts, icon. Their URLs contain a hash of the contents, so browsers cache them forever."""

from typing import Annotated

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import PathParameter

from clickloop.web.panel.frame.auth_guard import OPEN
from clickloop.web.panel.frame.page import STATIC_FILES, VERSION

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}

_Part = Annotated[str, PathParameter(max_length=100)]


def read_file(version: _Part, name: _Part) -> Response[bytes]:
    """Return a file; under an outdated version it is sent without caching. Raise NotFoundException."""
    if name not in STATIC_FILES:
        raise NotFoundException
    caching = "public, max-age=31536000, immutable" if version == VERSION else "no-cache"
    return Response(STATIC_FILES[name], media_type=_TYPES[name.rpartition(".")[2]], headers={"cache-control": caching})


routes = [get("/static/{version:str}/{name:str}", sync_to_thread=False, opt={OPEN: True})(read_file)]
