"""Statuses of conversions, the words that networks send for them, and unmapped words."""

from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.exceptions import HTTPException
from litestar.params import QueryParameter

from clickloop.conversion.status import OTHER, SALE, CountsAs
from clickloop.conversion.status_change import StatusCreation, StatusUpdate
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.tracking.jobs.reruns import RerunView
from clickloop.web.api.all_faults import save_or_report_faults
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.jobs import reruns
from clickloop.web.api.paging import KeyPath
from clickloop.web.api.setup import statuses as api
from clickloop.web.panel.frame.edit_conflict import RecordEdit, save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer

PATH = "/panel/statuses"
PERMANENT = (SALE.key, OTHER.key)
COUNTS = (
    (CountsAs.PENDING.value, "pending – not earned yet"),
    (CountsAs.CONFIRMED.value, "confirmed – revenue"),
    (CountsAs.REJECTED.value, "rejected – not earned"),
)

_FIELDS = api.StatusView.__struct_fields__
Mapped = Annotated[str, QueryParameter(max_length=200)]
RerunId = Annotated[str, QueryParameter(name="rerun", max_length=26)]


def show_list(viewer: CurrentViewer, context: Context, mapped: Mapped = "", rerun_id: RerunId = "") -> PageResponse:
    """Return the statuses and unmapped words. ``mapped``: the word that was just mapped."""
    return _list(viewer, context, mapped, rerun_id)


def show_new(viewer: CurrentViewer, context: Context) -> PageResponse:
    return _editor(viewer, context, {}, None)


def show(viewer: CurrentViewer, context: Context, key: KeyPath) -> PageResponse:
    view = api.read_status(context, key)
    return _editor(viewer, context, msgspec.to_builtins(view), view)


def create(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    try:
        save_or_report_faults(context, form.read_partly(StatusCreation), api.create_status)
    except InvalidInputError as error:
        return _editor(viewer, context, form.tree, None, error.faults)
    return viewer.go(PATH, FlashMessage.CREATED)


def change(viewer: CurrentViewer, context: Context, key: KeyPath, form: FormParameter) -> PageResponse:
    view = api.read_status(context, key)
    try:
        edit = RecordEdit(api.NOUN, key, view, _FIELDS, lambda: api.read_status(context, key))
        save_edit(context, form, edit, StatusUpdate, api.change_status)
    except InvalidInputError as error:
        return _editor(viewer, context, form.tree, view, error.faults)
    return viewer.go(PATH, FlashMessage.SAVED)


def remove(viewer: CurrentViewer, context: Context, key: KeyPath) -> PageResponse:
    """Remove a status that no conversion and no rule uses."""
    try:
        api.remove_status(context, key)
    except InvalidInputError as error:
        faults = tuple(FieldFault("", fault.code, fault.message) for fault in error.faults)
    except HTTPException as error:
        if error.status_code != 409:
            raise
        faults = (FieldFault("", FaultCode.IN_USE, error.detail),)
    else:
        return viewer.go(PATH, FlashMessage.REMOVED)
    view = api.read_status(context, key)
    return _editor(viewer, context, msgspec.to_builtins(view), view, faults)


def map_word(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Map a word to a status; the page then offers to reprocess its notices."""
    word, key = form.raw("word"), form.text("key")
    try:
        api.change_status(context, key, StatusUpdate(add_words=[word]))
    except InvalidInputError as error:
        return _list(viewer, context, faults=error.faults)
    return viewer.go(PATH, mapped=word)


def rerun(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Reprocess all notices with a word, as a background job."""
    word = form.raw("word")
    with context.ledger.write() as tx:
        started = reruns.start_rerun(tx, context, reruns.BulkRerun(status_word=word))
    return viewer.go(PATH, mapped=word, rerun=started.rerun_id or "")


def _list(
    viewer: Viewer, context: ApiContext, mapped: str = "", rerun_id: str = "", faults: tuple[FieldFault, ...] = ()
) -> PageResponse:
    found = api.list_statuses(context)
    job = _job(context, rerun_id) if rerun_id else None
    meaning = next((one.name for one in found.items if mapped.strip().lower() in one.words), "") if mapped else ""
    return page(
        viewer,
        "statuses.html",
        faults,
        found=found,
        names={one.key: one.name for one in found.items},
        mapped=mapped if meaning else "",
        meaning=meaning,
        job=job,
    )


def _job(context: ApiContext, rerun_id: str) -> RerunView | None:
    try:
        return reruns.read_rerun(context, rerun_id)
    except HTTPException:
        return None


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.StatusView | None,
    faults: tuple[FieldFault, ...] = (),
) -> PageResponse:
    return page(
        viewer,
        "status.html",
        faults,
        v={"key": "", "name": "", "counts_as": CountsAs.PENDING.value, "words": [], **tree},
        view=view,
        seen=seen_version(context, tree, view, _FIELDS),
        counts=COUNTS,
        permanent=PERMANENT,
    )


routes = [
    get("/statuses", sync_to_thread=True)(show_list),
    get("/statuses/new", sync_to_thread=False)(show_new),
    post("/statuses/new", sync_to_thread=True)(create),
    post("/statuses/map", sync_to_thread=True)(map_word),
    post("/statuses/rerun", sync_to_thread=True)(rerun),
    get("/statuses/{key:str}", sync_to_thread=True)(show),
    post("/statuses/{key:str}", sync_to_thread=True)(change),
    post("/statuses/{key:str}/remove", sync_to_thread=True)(remove),
]
