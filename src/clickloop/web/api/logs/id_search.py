"""/clicks/find: the records that an ID belongs to."""

from typing import Annotated

from litestar import Router, get
from litestar.params import QueryParameter

from clickloop.diagnosis import id_search
from clickloop.diagnosis.id_search import FoundList
from clickloop.web.api.context import Context

Wanted = Annotated[str, QueryParameter(name="id", max_length=1024, description="The ID to find.")]
Everything = Annotated[
    bool, QueryParameter(description="true to search old clicks for an external ID even if recent ones have it.")
]


def find_stories(context: Context, text: Wanted, everything: Everything = False) -> FoundList:
    """Find records by our click ID, the source's (exactly as sent), a transaction ID, or a conversion's, notice's or postback's ID."""
    return id_search.find_stories(context, text, everything)


router = Router(
    "/clicks/find",
    route_handlers=[get("/", sync_to_thread=True, summary="Find the story that an ID belongs to")(find_stories)],
    tags=["Clicks"],
)
