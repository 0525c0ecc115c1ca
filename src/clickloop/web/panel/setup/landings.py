"""Landings: the list, and the editor with macros, and the links and code to paste into the page."""

from typing import Any

from litestar import get, post

from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.landing import MAX_BUTTONS, Landing, LandingChange, NewLanding
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.web.api.all_faults import save_or_report_faults
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Tag, Words
from clickloop.web.api.setup import landings as api
from clickloop.web.api.wire import json_value
from clickloop.web.panel.frame.edit_conflict import save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.setup.macro_fields import SourceRows, offered, preview_landing_url
from clickloop.web.panel.setup.record_pages import RecordPages, blank_tree
from clickloop.web.panel.setup.setup_choices import choices, flow_uses, number_of, tags_of, tags_to_choose

PATH = "/panel/landings"
ROWS_PER_PAGE = 100


def show_list(
    viewer: CurrentViewer,
    context: Context,
    cursor: Cursor = "",
    archived: Archived = False,
    words: Words = "",
    tag: Tag = "",
) -> PageResponse:
    return page(
        viewer,
        "landings.html",
        found=api.list_landings(context, ROWS_PER_PAGE, cursor, archived, words, tag),
        archived=archived,
        cursor=cursor,
        q=words,
        tag=tag,
        tags=tags_to_choose(context, RecordKind.LANDING),
    )


def show_new(viewer: CurrentViewer, context: Context) -> PageResponse:
    return _editor(viewer, context, _BLANK, None)


def create(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    try:
        view = save_or_report_faults(context, form.read_partly(NewLanding, **_submitted(form)), api.create_landing)
    except InvalidInputError as error:
        return _editor(viewer, context, form.redisplay_values(NewLanding), None, error.faults)
    return viewer.go(f"{PATH}/{view.id}", FlashMessage.CREATED)


def change(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    view = api.read_landing(context, record_id)
    try:
        edit = PAGES.edit_of(context, record_id, view)
        save_edit(context, form, edit, LandingChange, api.change_landing, **_submitted(form))
    except InvalidInputError as error:
        return _editor(viewer, context, form.redisplay_values(NewLanding), view, error.faults)
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.SAVED)


def clone(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    """Clone a landing and open the copy."""
    try:
        copy = api.clone_landing(context, record_id, api.LandingCloning())
    except InvalidInputError as error:
        return PAGES.show(viewer, context, record_id, error.faults)
    return viewer.go(f"{PATH}/{copy.id}", FlashMessage.COPIED)


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.LandingView | None,
    faults: tuple[FieldFault, ...] = (),
) -> PageResponse:
    """Return the editor. The query's campaign_id names the campaign whose domain and key the code uses."""
    tree = {**_BLANK, **tree}
    campaigns = choices(context, RecordKind.CAMPAIGN)
    campaign_id = number_of(viewer.parameter("campaign_id"))
    chosen = campaign_id if campaign_id in dict(campaigns) else None
    return page(
        viewer,
        "landing.html",
        faults,
        v={**tree, "tags": ", ".join(tags_of(tree["tags"]))},
        view=view,
        seen=seen_version(context, tree, view, _BLANK),
        tags=tags_to_choose(context, RecordKind.LANDING),
        preview=preview_landing_url(context, str(tree["url"]), faulty=bool(faults)),
        groups=offered(SourceRows(without_base=context.empty_macros()), at_click=True),
        max_buttons=MAX_BUTTONS,
        codes=api.read_landing_codes(context, view.id, chosen) if view else None,
        campaigns=campaigns,
        campaign_id=chosen,
        uses=flow_uses(context, "landing", view.id) if view else None,
    )


_BLANK: dict[str, Any] = blank_tree(Landing(name="", url=""), LandingChange.__struct_fields__)


def _tree(view: api.LandingView) -> dict[str, Any]:
    return {**_BLANK, **json_value(view)}


def _submitted(form: Form) -> dict[str, Any]:
    """Return the fields whose form differs from the API's: URL (without line ends) and tags."""
    return {"url": form.text("url"), "tags": tags_of(form.text("tags"))}


PAGES = RecordPages(path=PATH, records=api.LANDINGS, editor=_editor, tree=_tree, fields=_BLANK)

routes = [
    get("/landings", sync_to_thread=True)(show_list),
    get("/landings/new", sync_to_thread=True)(show_new),
    post("/landings/new", sync_to_thread=True)(create),
    post("/landings/{record_id:int}", sync_to_thread=True)(change),
    post("/landings/{record_id:int}/clone", sync_to_thread=True)(clone),
    *PAGES.routes(),
]
