"""What the endpoints of all set-up records share: reading, saving, showing, and their routes."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from litestar import delete, get, patch, post
from litestar.handlers import HTTPRouteHandler
from sqlalchemy import Connection

from clickloop.logs.page import Page, page_of, read_number_cursor
from clickloop.saving import record as saving
from clickloop.saving.record import Noun
from clickloop.setup.record import RecordFields
from clickloop.web.api.all_faults import tells_all
from clickloop.web.api.body import CheckedBody
from clickloop.web.api.context import ApiContext
from clickloop.web.api.wire import moment_text, shown

R = TypeVar("R", bound=RecordFields)
V = TypeVar("V", bound=msgspec.Struct)

_DATES = frozenset({"created_at", "updated_at", "archived_at", "paused_at"})


@dataclasses.dataclass(frozen=True)
class Records(Generic[R, V]):
    """One kind of record, and how the API shows several of them."""

    noun: Noun[R]
    views: Callable[[ApiContext, Connection, Sequence[R]], Sequence[V]]

    def read(self, context: ApiContext, record_id: int) -> V:
        """Return a record, archived or not. Raise UnknownRecordError."""
        with context.ledger.read() as tx:
            return self.view(context, tx, self.noun.get(tx, record_id))

    def page(
        self, context: ApiContext, limit: int, cursor: str, after: Callable[[Connection, int, int], list[R]]
    ) -> Page[V]:
        """Return a page of a list. ``after`` is given the number that the page begins behind, and how many to find at most."""
        after_id = read_number_cursor(self.noun.name, cursor)
        with context.ledger.read() as tx:
            found = after(tx, after_id, limit + 1)
            views = dict(zip((record.id for record in found), self.views(context, tx, found), strict=True))
        return page_of(found, limit, self.noun.name, lambda record: record.id, lambda record: views[record.id])

    def create(self, context: ApiContext, new: Callable[[Connection], R]) -> V:
        """Save what ``new`` returns."""
        return self.answer(context, saving.create(context, self.noun, new, self.logged(context)))

    def change(self, context: ApiContext, record_id: int, changed: Callable[[Connection, R], R]) -> V:
        """Save a record as ``changed`` returns it."""
        return self.answer(context, saving.change(context, self.noun, record_id, changed, self.logged(context)))

    def archive(self, context: ApiContext, record_id: int) -> V:
        """Take a record out of use."""
        return self.answer(context, saving.archive(context, self.noun, record_id, self.logged(context)))

    def restore(self, context: ApiContext, record_id: int) -> V:
        """Take an archived record into use again."""
        return self.answer(context, saving.restore(context, self.noun, record_id, self.logged(context)))

    def answer(self, context: ApiContext, record: R) -> V:
        """Return what was saved as the API shows it."""
        with context.ledger.read() as tx:
            return self.view(context, tx, record)

    def view(self, context: ApiContext, tx: Connection, record: R) -> V:
        """Return a record as the API shows it."""
        return self.views(context, tx, [record])[0]

    def logged(self, context: ApiContext) -> Callable[[Connection, R], V]:
        """Return what shows a record to the log of changes."""
        for_log = dataclasses.replace(context, is_for_log=True)
        return lambda tx, record: self.view(for_log, tx, record)


def view_of(kind: type[V], record: msgspec.Struct, computed: Mapping[str, object]) -> V:
    """Return a record as the API shows it: its fields by their names, texts readable, dates as text, beside what is ``computed``."""
    names = [name for name in kind.__struct_fields__ if name not in computed]
    return kind(**{name: _shown(name, getattr(record, name)) for name in names}, **computed)


def _shown(name: str, value: object) -> object:
    if name in _DATES and isinstance(value, int):
        return moment_text(value)
    if type(value) is str:  # an enum stays one
        return shown(value)
    if isinstance(value, tuple):
        return tuple(_shown("", item) for item in value)
    if isinstance(value, dict):
        return {shown(key): _shown("", item) for key, item in value.items()}
    if isinstance(value, msgspec.Struct):
        return view_of(type(value), value, {})
    return value


Endpoint = Callable[..., Any]


def record_routes(
    one: str,
    many: str,
    *,
    create: Endpoint,
    show_list: Endpoint,
    read: Endpoint,
    change: Endpoint,
    archive: Endpoint,
    restore: Endpoint,
) -> list[HTTPRouteHandler]:
    """Return the routes that every kind of record has. ``one`` and ``many`` are its names in summaries: ``a network``, ``networks``."""
    number = "/{number:int}"
    return [
        post("/", dto=CheckedBody, return_dto=None, sync_to_thread=True, summary=f"Create {one}")(tells_all(create)),
        get("/", sync_to_thread=True, summary=f"List {many}")(show_list),
        get(number, sync_to_thread=True, summary=f"Read {one}")(read),
        patch(number, dto=CheckedBody, return_dto=None, sync_to_thread=True, summary=f"Change {one}")(
            tells_all(change)
        ),
        delete(number, status_code=200, sync_to_thread=True, summary=f"Archive {one}")(archive),
        post(f"{number}/restore", status_code=200, sync_to_thread=True, summary=f"Restore {one}")(restore),
    ]
