"""Named lists: the list of them, and the editor with one value per line."""

from typing import Any

from litestar import get, post

from clickloop.setup.condition import MAX_VALUES
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.named_list import ListChange, ListKind, NamedList, NewList
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.web.api.all_faults import save_or_report_faults
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Words
from clickloop.web.api.setup import list_entries as entries_api
from clickloop.web.api.setup import lists as api
from clickloop.web.api.wire import json_value
from clickloop.web.long_work import in_long_work
from clickloop.web.panel.frame.edit_conflict import save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.setup.record_pages import RecordPages, blank_tree
from clickloop.web.panel.setup.setup_choices import choices, flow_uses

PATH = "/panel/lists"
ROWS_PER_PAGE = 100


def show_list(
    viewer: CurrentViewer, context: Context, cursor: Cursor = "", archived: Archived = False, words: Words = ""
) -> PageResponse:
    found = api.list_lists(context, ROWS_PER_PAGE, cursor, archived, words)
    return page(viewer, "named_lists.html", found=found, archived=archived, cursor=cursor, q=words)


def show_new(viewer: CurrentViewer, context: Context) -> PageResponse:
    return _editor(viewer, context, _BLANK, None)


def create(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    try:
        submitted = _submitted(form)
        if form.text("kind") not in ("", ListKind.PLAIN):
            # Its values are added on its page, with their figures.
            submitted["entries"] = []
        view = save_or_report_faults(context, form.read_partly(NewList, **submitted), api.create_list)
    except InvalidInputError as error:
        return _editor(viewer, context, form.redisplay_values(NewList), None, error.faults)
    return viewer.go(f"{PATH}/{view.id}", FlashMessage.CREATED)


def change(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    view = api.read_list(context, record_id)
    try:
        edit = PAGES.edit_of(context, record_id, view)
        save_edit(context, form, edit, ListChange, api.change_list, **_submitted(form))
    except InvalidInputError as error:
        return _editor(viewer, context, form.redisplay_values(NewList), view, error.faults)
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.SAVED)


def add_entries(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    """Add the values of the form, one per line, with their figures of the last 7 days."""
    try:
        entries_api.add_entries(context, record_id, entries_api.NewEntries(values=_lines(form, "values")))
    except InvalidInputError as error:
        return PAGES.show(viewer, context, record_id, error.faults)
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.SAVED)


def remove_entry(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    """Remove the value of the form."""
    try:
        entries_api.remove_entries(context, record_id, entries_api.OldEntries(values=[form.text("value")]))
    except InvalidInputError as error:
        return PAGES.show(viewer, context, record_id, error.faults)
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.SAVED)


def _arriving(context: ApiContext, view: api.ListView) -> entries_api.ArrivingView | None:
    """Return what arrives against a list, or None if its dimension is gone, which adding a value explains. Watched values may send."""
    if view.kind is ListKind.WATCH:
        return None
    try:
        return entries_api.read_arriving(context, view.id)
    except InvalidInputError:
        return None


def _lines(form: Form, name: str) -> list[str]:
    return [line.strip() for line in form.text(name).splitlines() if line.strip()]


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.ListView | None,
    faults: tuple[FieldFault, ...] = (),
) -> PageResponse:
    tree = {**_BLANK, **tree}
    keeps = view is not None and view.kind is not ListKind.PLAIN
    return page(
        viewer,
        "named_list.html",
        faults,
        kinds=[(kind.value, kind.value) for kind in ListKind],
        sources=choices(context, RecordKind.SOURCE, [view.source_id] if view and view.source_id else []),
        history=entries_api.list_entries(context, view.id, ROWS_PER_PAGE) if view and keeps else None,
        arriving=_arriving(context, view) if view and keeps else None,
        v=tree,
        view=view,
        seen=seen_version(context, tree, view, _BLANK),
        max_values=MAX_VALUES,
        uses=flow_uses(context, "list", view.id) if view else None,
    )


_BLANK: dict[str, Any] = blank_tree(NamedList(name=""), ListChange.__struct_fields__)


def _submitted(form: Form) -> dict[str, Any]:
    """Return the fields whose form differs from the API's: entries by line, and notes with the stored line ends."""
    entries = {"entries": _lines(form, "entries")} if any(name == "entries" for name, _ in form.pairs) else {}
    return {
        **entries,
        "notes": form.text("notes").replace("\r\n", "\n"),
    }


PAGES = RecordPages(path=PATH, records=api.LISTS, editor=_editor, tree=json_value, fields=_BLANK)

routes = [
    get("/lists", sync_to_thread=True)(show_list),
    get("/lists/new", sync_to_thread=True)(show_new),
    post("/lists/new", sync_to_thread=True)(create),
    post("/lists/{record_id:int}", sync_to_thread=True)(change),
    post("/lists/{record_id:int}/entries")(in_long_work(add_entries)),
    post("/lists/{record_id:int}/entries/remove", sync_to_thread=True)(remove_entry),
    *PAGES.routes(),
]
