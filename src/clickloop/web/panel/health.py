"""Health: alarms, the journal's lag, the disk, workers, receivers with what was set for them, and what is under way."""

from typing import Annotated, Any

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation

from clickloop.campaign.fault import Fault, InvalidInputError
from clickloop.campaign.user import Right
from clickloop.postback.lane import LANE_CONNECTIONS
from clickloop.web.api import delivery, receivers
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.exportable import TITLES
from clickloop.web.api.health import read_health
from clickloop.web.api.paging import Cursor
from clickloop.web.api.rights import RIGHT
from clickloop.web.panel.form import Form
from clickloop.web.panel.page import Answer, page
from clickloop.web.panel.said import Said
from clickloop.web.panel.visit import Visit, VisitFacts

PATH = "/panel/health"
ROWS = 100

AskedReceiver = Annotated[str, QueryParameter(max_length=300)]
_FormParameter = NamedDependency[SkipValidation[Form]]


def show(visit: Visit, context: Context, cursor: Cursor = "") -> Answer:
    """How the tracker is, and every receiver that there is something to say of."""
    return page(
        visit,
        "health.html",
        health=read_health(context),
        delivery=delivery.read_delivery(context),
        export_titles=TITLES,
        receivers=receivers.list_receivers(context, ROWS, cursor),
        cursor=cursor,
        usual=LANE_CONNECTIONS,
    )


def show_receiver(visit: Visit, context: Context, receiver: receivers.ReceiverPath) -> Answer:
    """A receiver and how hard it may be asked."""
    return _show_receiver(visit, context, receiver)


def open_receiver(visit: Visit, context: Context, receiver: AskedReceiver) -> Answer:
    """The way to a receiver that was named."""
    return visit.go(f"{PATH}/receivers/{receivers.receiver_to_set(context, receiver).receiver}")


def change_receiver(visit: Visit, context: Context, receiver: receivers.ReceiverPath, form: _FormParameter) -> Answer:
    """Sets how hard a receiver may be asked."""
    try:
        view = receivers.change_receiver(context, receiver, form.read(receivers.ReceiverUpdate))
    except InvalidInputError as error:
        return _show_receiver(visit, context, receiver, error.faults, form.tree)
    return visit.go(f"{PATH}/receivers/{view.receiver}", Said.SAVED)


def probe_receiver(visit: Visit, context: Context, receiver: receivers.ReceiverPath) -> Answer:
    """Tries a paused receiver again."""
    view = receivers.probe_receiver(context, receiver)
    return visit.go(f"{PATH}/receivers/{view.receiver}", Said.PROBED)


def resume_receiver(visit: Visit, context: Context, receiver: receivers.ReceiverPath) -> Answer:
    """Asks a paused receiver as before."""
    view = receivers.resume_receiver(context, receiver)
    return visit.go(f"{PATH}/receivers/{view.receiver}", Said.RESUMED)


def release_delivery(visit: Visit, context: Context) -> Answer:
    """Let all postbacks leave that a restore has held."""
    delivery.release_delivery(context)
    return visit.go(PATH, Said.RELEASED)


def _show_receiver(
    visit: VisitFacts,
    context: ApiContext,
    receiver: str,
    faults: tuple[Fault, ...] = (),
    values: dict[str, Any] | None = None,
) -> Answer:
    view = receivers.receiver_to_set(context, receiver)
    asked = values or {"connections": view.connections, "per_minute": view.per_minute}
    return page(visit, "receiver.html", 422 if faults else 200, faults, view=view, v=asked, usual=LANE_CONNECTIONS)


routes = [
    get("/health", sync_to_thread=True)(show),
    post("/health/release", sync_to_thread=True, opt={RIGHT: Right.ADMINISTER})(release_delivery),
    get("/health/receivers", sync_to_thread=True)(open_receiver),
    get("/health/receivers/{receiver:str}", sync_to_thread=True)(show_receiver),
    post("/health/receivers/{receiver:str}", sync_to_thread=True)(change_receiver),
    post("/health/receivers/{receiver:str}/probe", sync_to_thread=True)(probe_receiver),
    post("/health/receivers/{receiver:str}/resume", sync_to_thread=True)(resume_receiver),
]
