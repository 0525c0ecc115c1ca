"""What an address of the panel shows under which nothing is: a page that says so, inside the frame."""

from pathlib import Path
from typing import Annotated

from litestar import get
from litestar.exceptions import NotFoundException
from litestar.params import PathParameter


def show(rest: Annotated[Path, PathParameter(description="Whatever it is.")]) -> None:
    """Raises NotFoundException."""
    raise NotFoundException


routes = [get("/{rest:path}", sync_to_thread=False)(show)]
