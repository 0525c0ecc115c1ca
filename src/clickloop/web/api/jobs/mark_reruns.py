"""/marks/reruns: judging the marks of past clicks anew, with a preview, in the background; can be undone."""

from typing import NoReturn

from litestar import Response, Router, get, post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody

from clickloop.logs.page import Page
from clickloop.tracking.marks.reruns import (
    NOUN,
    MarkRerunView,
    RerunOrder,
    RerunRefusedError,
    apply_mark_rerun,
    find_mark_rerun,
    list_mark_reruns,
    start_mark_rerun,
    stop_mark_rerun,
    undo_mark_rerun,
)
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor, Limit, RecordIdPath
from clickloop.web.api.problem import expect_found

_WHAT = "rerun of marks with that ID"


def preview_marks(context: Context, data: JSONBody[RerunOrder]) -> Response[MarkRerunView]:
    """Judge marks of past clicks anew, in the background, and show what would change. Nothing changes until it is applied.

    Follow the progress at the address in Location. 409: another rerun is not finished; `detail` has its ID.
    """
    view = start_rerun(context, data)
    return Response(view, headers={"Location": f"/api/v1/{NOUN}/{view.rerun_id}"})


def start_rerun(context: ApiContext, order: RerunOrder) -> MarkRerunView:
    """Start a preview. Raise InvalidInputError, HTTPException 409."""
    try:
        return start_mark_rerun(context, order, context.instance)
    except RerunRefusedError as error:
        _refuse(error)


def list_marks_reruns(context: Context, limit: Limit = 50, cursor: Cursor = "") -> Page[MarkRerunView]:
    """List reruns of marks, newest first. Previews that were not applied are kept for 30 days."""
    return list_mark_reruns(context, limit, cursor)


def read_marks_rerun(context: Context, rerun_id: RecordIdPath) -> MarkRerunView:
    """Return a rerun of marks: its progress, and what it changes once its preview is finished."""
    return expect_found(find_mark_rerun(context, rerun_id.lower()), _WHAT)


def apply_marks(context: Context, rerun_id: RecordIdPath) -> MarkRerunView:
    """Give and take the marks of a finished preview, in the background. One that was stopped continues.

    Clicks are corrected, not changed: all reports show the new marks, and undo brings back the old ones.
    """
    try:
        return expect_found(apply_mark_rerun(context, rerun_id.lower()), _WHAT)
    except RerunRefusedError as error:
        _refuse(error)


def undo_marks(context: Context, rerun_id: RecordIdPath) -> MarkRerunView:
    """Undo a rerun of marks, in the background: every report is as it was before. The one applied last is undone first."""
    try:
        return expect_found(undo_mark_rerun(context, rerun_id.lower()), _WHAT)
    except RerunRefusedError as error:
        _refuse(error)


def stop_marks_rerun(context: Context, rerun_id: RecordIdPath) -> MarkRerunView:
    """Stop a rerun of marks. What it has applied stays and can be undone. One that has ended is left alone."""
    return expect_found(stop_mark_rerun(context, rerun_id.lower()), _WHAT)


def _refuse(error: RerunRefusedError) -> NoReturn:
    headers = {"Location": f"/api/v1/{NOUN}/{error.rerun_id}"} if error.rerun_id else None
    raise HTTPException(status_code=409, detail=str(error), headers=headers) from None


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/", status_code=202, sync_to_thread=True, summary="Preview marks judged anew")(preview_marks),
        get("/", sync_to_thread=True, summary="List reruns of marks")(list_marks_reruns),
        get("/{rerun_id:str}", sync_to_thread=True, summary="Read a rerun of marks and its progress")(read_marks_rerun),
        post("/{rerun_id:str}/apply", status_code=202, sync_to_thread=True, summary="Apply a rerun of marks")(
            apply_marks
        ),
        post("/{rerun_id:str}/undo", status_code=202, sync_to_thread=True, summary="Undo a rerun of marks")(undo_marks),
        post("/{rerun_id:str}/stop", status_code=200, sync_to_thread=True, summary="Stop a rerun of marks")(
            stop_marks_rerun
        ),
    ],
    tags=["Marks"],
)
