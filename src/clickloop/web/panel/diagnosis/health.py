"""Health: alarms, journal lag, disk, workers, running jobs, and receivers with their limits."""

from typing import Annotated, Any

from litestar import get, post
from litestar.params import QueryParameter

from clickloop.alarm.tracker import AlarmState
from clickloop.logs.log import TITLES
from clickloop.people.user import Right
from clickloop.postback.delivery.receiver_queue import RECEIVER_CONNECTIONS
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis import alarms, delivery, health, receivers
from clickloop.web.api.paging import Cursor
from clickloop.web.long_work import waiting_for_others
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.setup.setup_choices import number_of

PATH = "/panel/health"
ROWS_PER_PAGE = 100
MESSAGE_STATES = {
    AlarmState.BEGUN: "begun",
    AlarmState.STANDING: "reminder",
    AlarmState.ENDED: "ended",
    AlarmState.TEST: "test",
}

ReceiverParameter = Annotated[str, QueryParameter(max_length=300)]


def show(viewer: CurrentViewer, context: Context, cursor: Cursor = "") -> PageResponse:
    """Return the health page; it lists receivers that are paused, have waiting postbacks, or have limits."""
    return _show(viewer, context, cursor)


def send_test_alarm(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Send a test alarm to one rule, or to all active ones, and show the result."""
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
    faults: tuple[FieldFault, ...] = (),
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
        receivers=receivers.list_receivers(context, ROWS_PER_PAGE, cursor),
        cursor=cursor,
        default_connections=RECEIVER_CONNECTIONS,
        now=context.clock(),
    )


def show_receiver(viewer: CurrentViewer, context: Context, receiver: receivers.ReceiverPath) -> PageResponse:
    return _show_receiver(viewer, context, receiver)


def open_receiver(viewer: CurrentViewer, context: Context, receiver: ReceiverParameter) -> PageResponse:
    return viewer.go(f"{PATH}/receivers/{receivers.receiver_to_set(context, receiver).receiver}")


def change_receiver(
    viewer: CurrentViewer, context: Context, receiver: receivers.ReceiverPath, form: FormParameter
) -> PageResponse:
    try:
        view = receivers.change_receiver(context, receiver, form.read(receivers.ReceiverUpdate))
    except InvalidInputError as error:
        return _show_receiver(viewer, context, receiver, error.faults, form.tree)
    return viewer.go(f"{PATH}/receivers/{view.receiver}", FlashMessage.SAVED)


def probe_receiver(viewer: CurrentViewer, context: Context, receiver: receivers.ReceiverPath) -> PageResponse:
    """Probe a paused receiver now."""
    view = receivers.probe_receiver(context, receiver)
    return viewer.go(f"{PATH}/receivers/{view.receiver}", FlashMessage.PROBED)


def resume_receiver(viewer: CurrentViewer, context: Context, receiver: receivers.ReceiverPath) -> PageResponse:
    """Resume a paused receiver without a probe."""
    view = receivers.resume_receiver(context, receiver)
    return viewer.go(f"{PATH}/receivers/{view.receiver}", FlashMessage.RESUMED)


def confirm_clock(viewer: CurrentViewer, context: Context) -> PageResponse:
    health.confirm_clock(context)
    return viewer.go(PATH, FlashMessage.CLOCK_CONFIRMED)


def confirm_damages(viewer: CurrentViewer, context: Context) -> PageResponse:
    """Confirm the known damage, which ends its alarm."""
    health.confirm_damages(context)
    return viewer.go(PATH, FlashMessage.DAMAGE_CONFIRMED)


def release_delivery(viewer: CurrentViewer, context: Context) -> PageResponse:
    """Release the postbacks that were put on hold after a restore."""
    delivery.release_delivery(context)
    return viewer.go(PATH, FlashMessage.RELEASED)


def _show_receiver(
    viewer: Viewer,
    context: ApiContext,
    receiver: str,
    faults: tuple[FieldFault, ...] = (),
    values: dict[str, Any] | None = None,
) -> PageResponse:
    view = receivers.receiver_to_set(context, receiver)
    limits = values or {"connections": view.connections, "per_minute": view.per_minute}
    return page(viewer, "receiver.html", faults, view=view, v=limits, default_connections=RECEIVER_CONNECTIONS)


routes = [
    get("/health", sync_to_thread=True)(show),
    post("/health/clock", opt={NEEDS: Right.ADMINISTER}, sync_to_thread=True)(confirm_clock),
    post("/health/damages/confirm", opt={NEEDS: Right.ADMINISTER}, sync_to_thread=True)(confirm_damages),
    post("/health/alarms/test", status_code=200)(waiting_for_others(send_test_alarm)),
    post("/health/release", sync_to_thread=True, opt={NEEDS: Right.ADMINISTER})(release_delivery),
    get("/health/receivers", sync_to_thread=True)(open_receiver),
    get("/health/receivers/{receiver:str}", sync_to_thread=True)(show_receiver),
    post("/health/receivers/{receiver:str}", sync_to_thread=True)(change_receiver),
    post("/health/receivers/{receiver:str}/probe", sync_to_thread=True)(probe_receiver),
    post("/health/receivers/{receiver:str}/resume", sync_to_thread=True)(resume_receiver),
]
