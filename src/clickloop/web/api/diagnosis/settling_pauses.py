"""/settling-pauses: ``clickloop backup`` stops settling while it copies the stores. Edges keep acknowledging."""

from typing import Annotated

import msgspec
from litestar import Router, delete, post, put
from litestar.exceptions import HTTPException
from litestar.params import PathParameter
from msgspec import Meta

from clickloop.people.user import Right
from clickloop.tracking.pausing import PauseError
from clickloop.web.api.context import Context
from clickloop.web.api.problem import not_found
from clickloop.web.api.rights import RIGHT

NOUN = "settling-pauses"

PausePath = Annotated[str, PathParameter(max_length=100, description="ID returned when the pause began.")]


class PauseView(msgspec.Struct, kw_only=True):
    """A pause of settling. It expires unless it is renewed."""

    pause_id: str
    lease_seconds: Annotated[float, Meta(description="Seconds until it expires, from its start or last renewal.")]


def begin_pause(context: Context) -> PauseView:
    """Pause settling. Clicks and incoming postbacks are acknowledged and stay in the journal. One pause at a time."""
    try:
        pause_id = context.settling_pauses.begin()
    except PauseError as error:
        raise HTTPException(status_code=409, detail=str(error)) from error
    return PauseView(pause_id=pause_id, lease_seconds=context.settling_pauses.lease_seconds)


def renew_pause(context: Context, pause_id: PausePath) -> PauseView:
    """Renew a pause for another lease."""
    if not context.settling_pauses.renew(pause_id):
        raise _ended(pause_id)
    return PauseView(pause_id=pause_id, lease_seconds=context.settling_pauses.lease_seconds)


def end_pause(context: Context, pause_id: PausePath) -> None:
    """End a pause. Returns 404 if it has already ended; what was copied meanwhile may be inconsistent."""
    if not context.settling_pauses.end(pause_id):
        raise _ended(pause_id)


def _ended(pause_id: str) -> HTTPException:
    return not_found(f"settling pause {pause_id}: it has ended")


_RIGHT = {RIGHT: Right.ADMINISTER}
router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/", sync_to_thread=True, opt=_RIGHT, summary="Pause settling")(begin_pause),
        put("/{pause_id:str}", sync_to_thread=True, opt=_RIGHT, summary="Renew a pause")(renew_pause),
        delete("/{pause_id:str}", sync_to_thread=True, opt=_RIGHT, summary="End a pause")(end_pause),
    ],
    tags=["Backup"],
)
