"""The catch-all route: paths that lead nowhere get an error page inside the layout."""

from pathlib import Path
from typing import Annotated

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import PathParameter


def show(rest: Annotated[Path, PathParameter(description="Any path.")]) -> None:
    raise NotFoundException


routes = [get("/{rest:path}", sync_to_thread=False)(show)]
