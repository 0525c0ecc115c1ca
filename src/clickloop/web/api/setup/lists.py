"""/lists: values that conditions of several rules share."""

from collections.abc import Sequence
from functools import partial

from litestar import Router
from litestar.params import JSONBody
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.logs.page import Page
from clickloop.logs.view import view_of
from clickloop.saving import lists as saving
from clickloop.setup.named_list import ListChange, ListFields, NamedList, NewList, changed_list
from clickloop.store.ledger.setup.lists import lists_after
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Limit, Words
from clickloop.web.api.setup.records import Records, record_routes

NOUN = saving.NOUN.name


class ListView(ListFields, frozen=True, kw_only=True):
    """A list."""

    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


def create_list(context: Context, data: JSONBody[NewList]) -> ListView:
    """Create a list."""
    return LISTS.create(context, lambda _tx: changed_list(NamedList(name=data.name), data))


def list_lists(
    context: Context,
    limit: Limit = 50,
    cursor: Cursor = "",
    archived: Archived = False,
    words: Words = "",
) -> Page[ListView]:
    """List the lists in order of creation."""
    return LISTS.page(context, limit, cursor, partial(lists_after, archived=archived, words=words))


def read_list(context: Context, number: Id) -> ListView:
    """Return a list, archived or not."""
    return LISTS.read(context, number)


def change_list(context: Context, number: Id, data: JSONBody[ListChange]) -> ListView:
    """Change the given fields. Omitted fields stay unchanged."""
    return LISTS.change(context, number, lambda _tx, named: changed_list(named, data))


def remove_list(context: Context, number: Id) -> ListView:
    """Archive a list. Nothing is deleted. Fails while a live flow uses it."""
    return LISTS.archive(context, number)


def restore_list(context: Context, number: Id) -> ListView:
    """Restore an archived list."""
    return LISTS.restore(context, number)


def _views(_context: ApiContext, _tx: Connection, lists: Sequence[NamedList]) -> list[ListView]:
    return [view_of(ListView, named) for named in lists]


LISTS = Records(saving.NOUN, _views)


router = Router(
    f"/{NOUN}",
    route_handlers=record_routes(
        "a list",
        "lists",
        create=create_list,
        show_list=list_lists,
        read=read_list,
        change=change_list,
        archive=remove_list,
        restore=restore_list,
    ),
    tags=["Lists"],
)
