"""Endpoints shared by all set-up records: reading, saving, views and routes."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from litestar import delete, get, patch, post
from litestar.handlers import HTTPRouteHandler
from sqlalchemy import Connection

from clickloop.logs.page import Page, page_of, read_number_cursor
from clickloop.saving import record as saving
from clickloop.saving.record import Noun
from clickloop.setup.record import RecordFields
from clickloop.web.api.all_faults import report_all_faults
from clickloop.web.api.body import CheckedBody
from clickloop.web.api.context import ApiContext

R = TypeVar("R", bound=RecordFields)
V = TypeVar("V", bound=msgspec.Struct)


@dataclasses.dataclass(frozen=True)
class Records(Generic[R, V]):
    """A kind of record and its views."""

    noun: Noun[R]
    views: Callable[[ApiContext, Connection, Sequence[R]], Sequence[V]]

    def read(self, context: ApiContext, record_id: int) -> V:
        """Return a record, archived or not. Raise UnknownRecordError."""
        with context.ledger.read() as tx:
            return self.view(context, tx, self.noun.get(tx, record_id))

    def page(
        self, context: ApiContext, limit: int, cursor: str, after: Callable[[Connection, int, int], list[R]]
    ) -> Page[V]:
        """Return a page of a list. ``after`` takes the ID that the page starts after, and the maximum number of records."""
        after_id = read_number_cursor(self.noun.name, cursor)
        with context.ledger.read() as tx:
            found = after(tx, after_id, limit + 1)
            views = dict(zip((record.id for record in found), self.views(context, tx, found), strict=True))
        return page_of(found, limit, self.noun.name, lambda record: record.id, lambda record: views[record.id])

    def create(self, context: ApiContext, new: Callable[[Connection], R]) -> V:
        """Save the record that ``new`` returns."""
        return self.answer(context, saving.create(context, self.noun, new, self.logged(context)))

    def change(self, context: ApiContext, record_id: int, changed: Callable[[Connection, R], R]) -> V:
        """Save a record as changed by ``changed``."""
        return self.answer(context, saving.change(context, self.noun, record_id, changed, self.logged(context)))

    def archive(self, context: ApiContext, record_id: int) -> V:
        """Archive a record."""
        return self.answer(context, saving.archive(context, self.noun, record_id, self.logged(context)))

    def restore(self, context: ApiContext, record_id: int) -> V:
        """Restore an archived record."""
        return self.answer(context, saving.restore(context, self.noun, record_id, self.logged(context)))

    def answer(self, context: ApiContext, record: R) -> V:
        """Return the view of a saved record."""
        with context.ledger.read() as tx:
            return self.view(context, tx, record)

    def view(self, context: ApiContext, tx: Connection, record: R) -> V:
        """Return the view of a record."""
        return self.views(context, tx, [record])[0]

    def logged(self, context: ApiContext) -> Callable[[Connection, R], V]:
        """Return a function that makes the views for the audit log."""
        for_log = dataclasses.replace(context, is_for_log=True)
        return lambda tx, record: self.view(for_log, tx, record)


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
    """Return the routes of a kind of record. ``one`` and ``many`` name it in summaries: ``a network``, ``networks``."""
    number = "/{number:int}"
    return [
        post("/", dto=CheckedBody, sync_to_thread=True, summary=f"Create {one}")(report_all_faults(create)),
        get("/", sync_to_thread=True, summary=f"List {many}")(show_list),
        get(number, sync_to_thread=True, summary=f"Get {one}")(read),
        patch(number, dto=CheckedBody, sync_to_thread=True, summary=f"Change {one}")(report_all_faults(change)),
        delete(number, status_code=200, sync_to_thread=True, summary=f"Archive {one}")(archive),
        post(f"{number}/restore", status_code=200, sync_to_thread=True, summary=f"Restore {one}")(restore),
    ]
