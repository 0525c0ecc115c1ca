"""Reruns of marks: judge past clicks anew, see what would change, then apply or undo it. Progress shows without JavaScript."""

from typing import Annotated

from litestar import get, post
from litestar.exceptions import HTTPException
from litestar.params import QueryParameter

from clickloop.clock import DAY_MS, iso_text
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.setup.mark import Mark, mark_name
from clickloop.setup.reading import read_input
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.tracking.marks.reruns import RerunOrder
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.jobs import mark_reruns as api
from clickloop.web.api.paging import Cursor, RecordIdPath
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.setup.setup_choices import choices, number_of

PATH = "/panel/marks/reruns"
ROWS_PER_PAGE = 20
DAYS = (1, 7, 30, 90, 365)
DEFAULT_DAYS = 7
ChosenCampaign = Annotated[str, QueryParameter(max_length=20)]
_NO_MARK = FieldFault("marks", FaultCode.REQUIRED, "Choose at least one mark.")


def show_list(
    viewer: CurrentViewer, context: Context, cursor: Cursor = "", campaign_id: ChosenCampaign = ""
) -> PageResponse:
    """Return the form that starts a preview, and all reruns, newest first."""
    return _list(viewer, context, cursor, campaign_id=campaign_id)


def start(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Start a preview of the marks that are ticked, over the last days."""
    if not form.all("marks"):
        return _list(viewer, context, form=form, faults=(_NO_MARK,))
    try:
        order = read_input(_order(form, context.clock()), RerunOrder)
        if order.faults:
            raise InvalidInputError(order.faults)
        view = api.start_rerun(context, order.value)
    except InvalidInputError as error:
        return _list(viewer, context, form=form, faults=error.faults)
    except HTTPException as error:
        return _list(viewer, context, form=form, refusal=error.detail)
    return viewer.go(f"{PATH}/{view.rerun_id}")


def show(viewer: CurrentViewer, context: Context, rerun_id: RecordIdPath) -> PageResponse:
    """Return a rerun: its progress, and what it changes."""
    return _show(viewer, context, rerun_id)


def apply(viewer: CurrentViewer, context: Context, rerun_id: RecordIdPath) -> PageResponse:
    try:
        view = api.apply_marks(context, rerun_id)
    except HTTPException as error:
        return _refused(viewer, context, rerun_id, error)
    return viewer.go(f"{PATH}/{view.rerun_id}")


def undo(viewer: CurrentViewer, context: Context, rerun_id: RecordIdPath) -> PageResponse:
    try:
        view = api.undo_marks(context, rerun_id)
    except HTTPException as error:
        return _refused(viewer, context, rerun_id, error)
    return viewer.go(f"{PATH}/{view.rerun_id}")


def stop(viewer: CurrentViewer, context: Context, rerun_id: RecordIdPath) -> PageResponse:
    view = api.stop_marks_rerun(context, rerun_id)
    return viewer.go(f"{PATH}/{view.rerun_id}", FlashMessage.MARKS_STOPPED)


def _order(form: Form, now_ms: int) -> dict[str, object]:
    """Return the request of the form, as JSON."""
    days, campaign_id = form.text("days"), form.text("campaign_id")
    campaign = number_of(campaign_id)
    number = int(days) if days in {str(one) for one in DAYS} else DEFAULT_DAYS
    return {
        "since": iso_text(now_ms - number * DAY_MS),
        "marks": form.all("marks"),
        "campaign_ids": [campaign_id if campaign is None else campaign] if campaign_id else [],
    }


def _list(
    viewer: Viewer,
    context: ApiContext,
    cursor: str = "",
    *,
    form: Form | None = None,
    campaign_id: str = "",
    faults: tuple[FieldFault, ...] = (),
    refusal: str = "",
) -> PageResponse:
    found = api.list_marks_reruns(context, ROWS_PER_PAGE, cursor)
    return page(
        viewer,
        "mark_reruns.html",
        faults,
        status=409 if refusal else None,
        found=found,
        cursor=cursor,
        refusal=refusal,
        all_marks=list(Mark),
        mark_name=mark_name,
        chosen=form.all("marks") if form is not None else [],
        days=DAYS,
        chosen_days=form.text("days") if form is not None else str(DEFAULT_DAYS),
        campaigns=choices(context, RecordKind.CAMPAIGN),
        campaign_id=form.text("campaign_id") if form is not None else campaign_id,
        is_busy=any(not view.state.is_final for view in found.items),
    )


def _show(viewer: Viewer, context: ApiContext, rerun_id: str, refusal: str = "") -> PageResponse:
    view = api.read_marks_rerun(context, rerun_id)
    names = dict(choices(context, RecordKind.CAMPAIGN)) if view.campaign_ids else {}
    return page(
        viewer,
        "mark_rerun.html",
        status=409 if refusal else None,
        view=view,
        refusal=refusal,
        mark_name=mark_name,
        campaigns=[names.get(id_, f"campaign {id_}") for id_ in view.campaign_ids],
        is_busy=not view.state.is_final,
    )


def _refused(viewer: Viewer, context: ApiContext, rerun_id: str, error: HTTPException) -> PageResponse:
    if error.status_code != 409:
        raise error
    return _show(viewer, context, rerun_id, error.detail)


routes = [
    get("/marks/reruns", sync_to_thread=True)(show_list),
    post("/marks/reruns", sync_to_thread=True)(start),
    get("/marks/reruns/{rerun_id:str}", sync_to_thread=True)(show),
    post("/marks/reruns/{rerun_id:str}/apply", sync_to_thread=True)(apply),
    post("/marks/reruns/{rerun_id:str}/undo", sync_to_thread=True)(undo),
    post("/marks/reruns/{rerun_id:str}/stop", sync_to_thread=True)(stop),
]
