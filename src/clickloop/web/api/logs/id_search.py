"""/clicks/find: the records that an id belongs to."""

from typing import Annotated

from litestar import Router, get
from litestar.params import QueryParameter

from clickloop.diagnosis import id_search
from clickloop.diagnosis.id_search import FoundList
from clickloop.web.api.context import Context

Wanted = Annotated[str, QueryParameter(name="id", max_length=1024, description="The id to find.")]
Everything = Annotated[
    bool, QueryParameter(description="true to search old clicks for an external id even if recent ones have it.")
]


def find_stories(context: Context, text: Wanted, everything: Everything = False) -> FoundList:
    """Find records by our click id, the source's (exactly as sent), a transaction id, or a conversion's, notice's or postback's id."""
    return id_search.find_stories(context, text, everything)


router = Router(
    "/clicks/find",
    route_handlers=[get("/", sync_to_thread=True, summary="Find the story that an id belongs to")(find_stories)],
    tags=["Clicks"],
)
