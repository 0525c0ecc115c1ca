"""/landings: pages of the user's between the ad and the offer."""

from collections.abc import Sequence
from functools import partial

from litestar import Router
from litestar.params import JSONBody
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.logs.page import Page
from clickloop.logs.view import view_of
from clickloop.saving import landings as saving
from clickloop.setup.landing import Landing, LandingChange, LandingFields, NewLanding, changed_landing
from clickloop.store.ledger.setup.landings import landings_after
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Limit, Tag, Words
from clickloop.web.api.setup.records import Records, record_routes

NOUN = saving.NOUN.name


class LandingView(LandingFields, frozen=True, kw_only=True):
    """A landing."""

    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


def create_landing(context: Context, data: JSONBody[NewLanding]) -> LandingView:
    """Create a landing."""
    return LANDINGS.create(context, lambda _tx: changed_landing(Landing(name=data.name, url=data.url), data))


def list_landings(
    context: Context,
    limit: Limit = 50,
    cursor: Cursor = "",
    archived: Archived = False,
    words: Words = "",
    tag: Tag = "",
) -> Page[LandingView]:
    """List landings in order of creation."""
    return LANDINGS.page(context, limit, cursor, partial(landings_after, archived=archived, words=words, tag=tag))


def read_landing(context: Context, number: Id) -> LandingView:
    """Return a landing, archived or not."""
    return LANDINGS.read(context, number)


def change_landing(context: Context, number: Id, data: JSONBody[LandingChange]) -> LandingView:
    """Change the given fields. Omitted fields stay unchanged."""
    return LANDINGS.change(context, number, lambda _tx, landing: changed_landing(landing, data))


def remove_landing(context: Context, number: Id) -> LandingView:
    """Archive a landing. Nothing is deleted. Fails while a live flow uses it."""
    return LANDINGS.archive(context, number)


def restore_landing(context: Context, number: Id) -> LandingView:
    """Restore an archived landing."""
    return LANDINGS.restore(context, number)


def _views(_context: ApiContext, _tx: Connection, landings: Sequence[Landing]) -> list[LandingView]:
    return [view_of(LandingView, landing) for landing in landings]


LANDINGS = Records(saving.NOUN, _views)


router = Router(
    f"/{NOUN}",
    route_handlers=record_routes(
        "a landing",
        "landings",
        create=create_landing,
        show_list=list_landings,
        read=read_landing,
        change=change_landing,
        archive=remove_landing,
        restore=restore_landing,
    ),
    tags=["Landings"],
)
