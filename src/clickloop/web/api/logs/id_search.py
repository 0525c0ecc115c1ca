"""/clicks/find: the story that an id belongs to."""

from typing import Annotated

from litestar import Router, get
from litestar.params import QueryParameter

from clickloop.diagnosis import id_search
from clickloop.diagnosis.id_search import FoundList
from clickloop.web.api.context import Context

Wanted = Annotated[str, QueryParameter(name="id", max_length=1024, description="The id, as it was copied.")]
Everything = Annotated[
    bool, QueryParameter(description="true: also among old clicks, where newer ones have that external id already.")
]


def find_stories(context: Context, text: Wanted, everything: Everything = False) -> FoundList:
    """Finds by our click id, the source's (exactly as it came), a transaction id, or the id of a conversion, notice or postback."""
    return id_search.find_stories(context, text, everything)


router = Router(
    "/clicks/find",
    route_handlers=[get("/", sync_to_thread=True, summary="Find the story that an id belongs to")(find_stories)],
    tags=["Clicks"],
)
