"""Health: alarms, the journal's lag, the disk, workers, receivers with what was set for them, and what is under way."""

from typing import Annotated, Any

from litestar import get, post
from litestar.params import QueryParameter

from clickloop.alarm.tracker import AlarmState
from clickloop.people.user import Right
from clickloop.postback.delivery.lane import LANE_CONNECTIONS
from clickloop.setup.fault import Fault, InvalidInputError
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis import alarms, delivery, health, receivers
from clickloop.web.api.logs.exportable import TITLES
from clickloop.web.api.paging import Cursor
from clickloop.web.long_work import waiting_for_others
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.flash import Said
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.setup.setup_choices import number_of

PATH = "/panel/health"
ROWS = 100
MESSAGE_STATES = {
    AlarmState.BEGUN: "begun",
    AlarmState.STANDING: "reminder",
    AlarmState.ENDED: "ended",
    AlarmState.TEST: "test",
}

ReceiverParameter = Annotated[str, QueryParameter(max_length=300)]


def show(viewer: CurrentViewer, context: Context, cursor: Cursor = "") -> PageResponse:
    """How the tracker is, and every receiver that there is something to say of."""
    return _show(viewer, context, cursor)


def send_test(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Send a test alarm to one rule, or to all that are on, and show what became of it."""
    rule_id = number_of(form.text("rule_id"))
    try:
        tested = alarms.send_test_alarm(context, alarms.AlarmTest(rule_id=rule_id))
    except InvalidInputError as error:
        return _show(viewer, context, faults=error.faults)
    return _show(viewer, context, tested=tested)


def _show(
    viewer: Viewer,
    context: ApiContext,
    cursor: str = "",
    tested: alarms.AlarmTestView | None = None,
    faults: tuple[Fault, ...] = (),
) -> PageResponse:
    return page(
        viewer,
        "health.html",
        faults,
        health=health.read_health(context),
        alarming=alarms.read_alarms(context),
        tested=tested,
        message_states=MESSAGE_STATES,
        damages=health.read_damages(context),
        delivery=delivery.read_delivery(context),
        export_titles=TITLES,
        receivers=receivers.list_receivers(context, ROWS, cursor),
        cursor=cursor,
        usual=LANE_CONNECTIONS,
        now=context.clock(),
    )


def show_receiver(viewer: CurrentViewer, context: Context, receiver: receivers.ReceiverPath) -> PageResponse:
    """A receiver and how hard it may be asked."""
    return _show_receiver(viewer, context, receiver)


def open_receiver(viewer: CurrentViewer, context: Context, receiver: ReceiverParameter) -> PageResponse:
    """The way to a receiver that was named."""
    return viewer.go(f"{PATH}/receivers/{receivers.receiver_to_set(context, receiver).receiver}")


def change_receiver(
    viewer: CurrentViewer, context: Context, receiver: receivers.ReceiverPath, form: FormParameter
) -> PageResponse:
    """Sets how hard a receiver may be asked."""
    try:
        view = receivers.change_receiver(context, receiver, form.read(receivers.ReceiverUpdate))
    except InvalidInputError as error:
        return _show_receiver(viewer, context, receiver, error.faults, form.tree)
    return viewer.go(f"{PATH}/receivers/{view.receiver}", Said.SAVED)


def probe_receiver(viewer: CurrentViewer, context: Context, receiver: receivers.ReceiverPath) -> PageResponse:
    """Tries a paused receiver again."""
    view = receivers.probe_receiver(context, receiver)
    return viewer.go(f"{PATH}/receivers/{view.receiver}", Said.PROBED)


def resume_receiver(viewer: CurrentViewer, context: Context, receiver: receivers.ReceiverPath) -> PageResponse:
    """Asks a paused receiver as before."""
    view = receivers.resume_receiver(context, receiver)
    return viewer.go(f"{PATH}/receivers/{view.receiver}", Said.RESUMED)


def confirm_clock(viewer: CurrentViewer, context: Context) -> PageResponse:
    """Trust the machine's clock as it is now."""
    health.confirm_clock(context)
    return viewer.go(PATH, Said.CLOCK_CONFIRMED)


def confirm_damages(viewer: CurrentViewer, context: Context) -> PageResponse:
    """End the alarm of the journal's damage."""
    health.confirm_damages(context)
    return viewer.go(PATH, Said.DAMAGE_CONFIRMED)


def release_delivery(viewer: CurrentViewer, context: Context) -> PageResponse:
    """Let all postbacks leave that a restore has held."""
    delivery.release_delivery(context)
    return viewer.go(PATH, Said.RELEASED)


def _show_receiver(
    viewer: Viewer,
    context: ApiContext,
    receiver: str,
    faults: tuple[Fault, ...] = (),
    values: dict[str, Any] | None = None,
) -> PageResponse:
    view = receivers.receiver_to_set(context, receiver)
    asked = values or {"connections": view.connections, "per_minute": view.per_minute}
    return page(viewer, "receiver.html", faults, view=view, v=asked, usual=LANE_CONNECTIONS)


routes = [
    get("/health", sync_to_thread=True)(show),
    post("/health/clock", opt={NEEDS: Right.ADMINISTER}, sync_to_thread=True)(confirm_clock),
    post("/health/damages/confirm", opt={NEEDS: Right.ADMINISTER}, sync_to_thread=True)(confirm_damages),
    post("/health/alarms/test", status_code=200)(waiting_for_others(send_test)),
    post("/health/release", sync_to_thread=True, opt={NEEDS: Right.ADMINISTER})(release_delivery),
    get("/health/receivers", sync_to_thread=True)(open_receiver),
    get("/health/receivers/{receiver:str}", sync_to_thread=True)(show_receiver),
    post("/health/receivers/{receiver:str}", sync_to_thread=True)(change_receiver),
    post("/health/receivers/{receiver:str}/probe", sync_to_thread=True)(probe_receiver),
    post("/health/receivers/{receiver:str}/resume", sync_to_thread=True)(resume_receiver),
]
