"""Pages that all setup records share: showing, archiving and restoring. Each record has its own for creating and changing."""

import dataclasses
from collections.abc import Callable, Collection, Iterable
from typing import Any, Generic, Protocol, TypeVar

from litestar import get, post
from litestar.handlers import HTTPRouteHandler

from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.record import RecordFields, Versioned
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Id
from clickloop.web.api.setup.records import Records
from clickloop.web.api.wire import json_value
from clickloop.web.panel.frame.edit_conflict import RecordEdit
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.page import PageResponse
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer

R = TypeVar("R", bound=RecordFields)
V = TypeVar("V", bound=Versioned)
Shown = TypeVar("Shown", bound=Versioned, contravariant=True)


class RecordEditor(Protocol[Shown]):
    """An editor: a form filled with ``tree``. ``view``: the saved record, None for a new one."""

    def __call__(
        self,
        viewer: Viewer,
        context: ApiContext,
        tree: dict[str, Any],
        view: Shown | None,
        faults: tuple[FieldFault, ...] = (),
    ) -> PageResponse: ...


def blank_tree(record: RecordFields, fields: Iterable[str]) -> dict[str, Any]:
    """Return these fields of a record as a form shows them."""
    values = json_value(record)
    return {name: values[name] for name in fields if name in values}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordPages(Generic[R, V]):
    """The shared pages of one kind of record, under ``path``."""

    path: str
    records: Records[R, V]
    editor: RecordEditor[V]
    tree: Callable[[V], dict[str, Any]]
    """Returns a view as its form shows it."""
    fields: Collection[str]
    """Fields that the form can change."""

    def show(
        self, viewer: Viewer, context: ApiContext, record_id: int, faults: tuple[FieldFault, ...] = ()
    ) -> PageResponse:
        """Return the editor of a saved record. ``faults``: why a requested action failed."""
        view = self.records.read(context, record_id)
        return self.editor(viewer, context, self.tree(view), view, faults)

    def edit_of(self, context: ApiContext, record_id: int, view: V) -> RecordEdit:
        """Return the record as ``save_edit`` needs it."""
        reread = self.records.read
        return RecordEdit(self.records.noun.name, record_id, view, self.fields, lambda: reread(context, record_id))

    def routes(self) -> list[HTTPRouteHandler]:
        """Return the routes of the shared pages."""

        def show(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
            return self.show(viewer, context, record_id)

        def archive(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
            try:
                self.records.archive(context, record_id)
            except InvalidInputError as error:
                return self.show(viewer, context, record_id, error.faults)
            return viewer.go(self.path, FlashMessage.ARCHIVED)

        def restore(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
            try:
                self.records.restore(context, record_id)
            except InvalidInputError as error:
                return self.show(viewer, context, record_id, error.faults)
            return viewer.go(f"{self.path}/{record_id}", FlashMessage.RESTORED)

        record = f"{self.path.removeprefix('/panel')}/{{record_id:int}}"
        return [
            get(record, sync_to_thread=True)(show),
            post(f"{record}/archive", sync_to_thread=True)(archive),
            post(f"{record}/restore", sync_to_thread=True)(restore),
        ]
