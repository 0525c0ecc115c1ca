"""Named lists: the list of them, and the editor with one value per line."""

from typing import Any

from litestar import get, post

from clickloop.setup.condition import MAX_VALUES
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.named_list import ListChange, NamedList, NewList
from clickloop.web.api.all_faults import save_or_report_faults
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Words
from clickloop.web.api.setup import lists as api
from clickloop.web.api.wire import json_value
from clickloop.web.panel.frame.edit_conflict import save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.setup.record_pages import RecordPages, blank_tree
from clickloop.web.panel.setup.setup_choices import flow_uses

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
        view = save_or_report_faults(context, form.read_partly(NewList, **_submitted(form)), api.create_list)
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


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.ListView | None,
    faults: tuple[FieldFault, ...] = (),
) -> PageResponse:
    tree = {**_BLANK, **tree}
    return page(
        viewer,
        "named_list.html",
        faults,
        v=tree,
        view=view,
        seen=seen_version(context, tree, view, _BLANK),
        max_values=MAX_VALUES,
        uses=flow_uses(context, "list", view.id) if view else None,
    )


_BLANK: dict[str, Any] = blank_tree(NamedList(name=""), ListChange.__struct_fields__)


def _submitted(form: Form) -> dict[str, Any]:
    """Return the fields whose form differs from the API's: entries by line, and notes with the stored line ends."""
    return {
        "entries": [line.strip() for line in form.text("entries").splitlines() if line.strip()],
        "notes": form.text("notes").replace("\r\n", "\n"),
    }


PAGES = RecordPages(path=PATH, records=api.LISTS, editor=_editor, tree=json_value, fields=_BLANK)

routes = [
    get("/lists", sync_to_thread=True)(show_list),
    get("/lists/new", sync_to_thread=True)(show_new),
    post("/lists/new", sync_to_thread=True)(create),
    post("/lists/{record_id:int}", sync_to_thread=True)(change),
    *PAGES.routes(),
]
