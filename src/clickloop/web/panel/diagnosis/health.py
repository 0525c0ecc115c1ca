"""Health: alarms, the journal's lag, the disk, workers, receivers with what was set for them, and what is under way."""

from typing import Annotated, Any

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation

from clickloop.alarm.tracker import AlarmState
from clickloop.logs.log import TITLES
from clickloop.people.user import Right
from clickloop.postback.delivery.lane import LANE_CONNECTIONS
from clickloop.setup.fault import Fault, InvalidInputError
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis import alarms, delivery, health, receivers
from clickloop.web.api.paging import Cursor
from clickloop.web.long_work import waiting_for_others
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.flash import Said
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.page import Answer, page
from clickloop.web.panel.frame.viewer import Visit, VisitFacts
from clickloop.web.panel.setup.setup_choices import number_of

PATH = "/panel/health"
ROWS = 100
MESSAGE_STATES = {
    AlarmState.BEGUN: "begun",
    AlarmState.STANDING: "reminder",
    AlarmState.ENDED: "ended",
    AlarmState.TEST: "test",
}

AskedReceiver = Annotated[str, QueryParameter(max_length=300)]
_FormParameter = NamedDependency[SkipValidation[Form]]


def show(visit: Visit, context: Context, cursor: Cursor = "") -> Answer:
    """How the tracker is, and every receiver that there is something to say of."""
    return _show(visit, context, cursor)


def send_test(visit: Visit, context: Context, form: _FormParameter) -> Answer:
    """Send a test alarm to one rule, or to all that are on, and show what became of it."""
    rule_id = number_of(form.text("rule_id"))
    try:
        tested = alarms.send_test_alarm(context, alarms.AlarmTest(rule_id=rule_id))
    except InvalidInputError as error:
        return _show(visit, context, faults=error.faults)
    return _show(visit, context, tested=tested)


def _show(
    visit: VisitFacts,
    context: ApiContext,
    cursor: str = "",
    tested: alarms.AlarmTestView | None = None,
    faults: tuple[Fault, ...] = (),
) -> Answer:
    return page(
        visit,
        "health.html",
        422 if faults else 200,
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


def confirm_clock(visit: Visit, context: Context) -> Answer:
    """Trust the machine's clock as it is now."""
    health.confirm_clock(context)
    return visit.go(PATH, Said.CLOCK_CONFIRMED)


def confirm_damages(visit: Visit, context: Context) -> Answer:
    """End the alarm of the journal's damage."""
    health.confirm_damages(context)
    return visit.go(PATH, Said.DAMAGE_CONFIRMED)


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
