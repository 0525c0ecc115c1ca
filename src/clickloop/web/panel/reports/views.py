"""Saved views: the list, and the editor with name, sharing and schedule."""

from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec
from litestar import get, post
from litestar.params import QueryParameter
from msgspec.structs import replace

from clickloop.report.query_input import ReportRequest
from clickloop.report.view.address import request_of
from clickloop.report.view.schedule import Every
from clickloop.report.view.view import NewView, ViewChange
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.store.ledger.people.users import find_user
from clickloop.store.ledger.setup.postback_rules import live_view_rules
from clickloop.web.api.all_faults import save_or_report_faults
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Words
from clickloop.web.api.people.profile import ProfileUpdate, change_profile
from clickloop.web.api.reports import views as api
from clickloop.web.api.wire import json_value
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.edit_conflict import save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.setup.record_pages import RecordPages
from clickloop.web.panel.setup.setup_choices import zone_choices

PATH = "/panel/views"
ROWS_PER_PAGE = 100
EVERY = ((Every.DAY.value, "Every day"), (Every.WEEK.value, "Every week"), (Every.HOUR.value, "Every hour"))
WEEKDAYS = tuple(enumerate(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), 1))
AddressParameter = Annotated[str, QueryParameter(name="address", max_length=20_000)]

_BLANK: dict[str, Any] = {"name": "", "shared": False, "query": {}, "schedule": None}


_NO_SCHEDULE = {"rule_id": "", "every": Every.DAY.value, "at": "", "weekday": 1, "zone": "", "active": False}


def show_list(
    viewer: CurrentViewer, context: Context, cursor: Cursor = "", archived: Archived = False, words: Words = ""
) -> PageResponse:
    found = api.list_views(context, ROWS_PER_PAGE, cursor, archived, words)
    return page(viewer, "views.html", found=found, archived=archived, cursor=cursor, q=words, home=_home_of(context))


def show_new(viewer: CurrentViewer, context: Context, address: AddressParameter = "") -> PageResponse:
    return _editor(viewer, context, {**_BLANK, "address": address}, None)


def create(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    try:
        new = form.read_partly(NewView, **_submitted(form))
        view = save_or_report_faults(context, new, api.create_view)
    except InvalidInputError as error:
        return _editor(viewer, context, _redisplayed(form), None, error.faults)
    return viewer.go(f"{PATH}/{view.id}", FlashMessage.CREATED)


def change(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    view = api.read_view(context, record_id)
    try:
        edit = PAGES.edit_of(context, record_id, view)
        save_edit(context, form, edit, ViewChange, api.change_view, **_submitted(form))
    except InvalidInputError as error:
        return _editor(viewer, context, _redisplayed(form), view, error.faults)
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.SAVED)


def set_home(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    """Let the user's reports begin with a view, or no longer."""
    change_profile(context, ProfileUpdate(home_view_id=record_id if form.text("home") else None))
    return viewer.go(PATH, FlashMessage.SAVED)


def show_request(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    """Return what the view would send now."""
    view = api.read_view(context, record_id)
    try:
        told = api.show_request(context, record_id)
    except InvalidInputError as error:
        return _editor(viewer, context, _tree(view), view, error.faults)
    return page(viewer, "view_request.html", view=view, told=told)


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.ViewView | None,
    faults: tuple[FieldFault, ...] = (),
) -> PageResponse:
    tree = {**_BLANK, "address": view.address if view else "", **tree}
    with context.ledger.read() as tx:
        rules = [(stored.id, stored.rule.name) for stored in live_view_rules(tx)]
    return page(
        viewer,
        "view.html",
        faults,
        v=tree,
        schedule={**_NO_SCHEDULE, **(tree["schedule"] or {})},
        view=view,
        seen=seen_version(context, tree, view, _BLANK),
        rules=rules,
        every=EVERY,
        weekdays=WEEKDAYS,
        zones=zone_choices(),
        zone=viewer.zone.key,
        is_home=view is not None and _home_of(context) == view.id,
    )


def _home_of(context: ApiContext) -> int | None:
    with context.ledger.read() as tx:
        user = find_user(tx, context.actor.user_id)
    return None if user is None else user.home_view_id


def _submitted(form: Form) -> dict[str, Any]:
    """Return the query of the address, and the schedule: none without a rule. Raise InvalidInputError."""
    schedule = None
    if form.text("schedule.rule_id"):
        weekday = form.text("schedule.weekday")
        schedule = {
            "rule_id": _number(form.text("schedule.rule_id")),
            "every": form.text("schedule.every") or Every.DAY.value,
            "at": form.text("schedule.at") or "08:00",
            "weekday": _number(weekday) if weekday else 1,
            "zone": form.text("schedule.zone"),
            "active": form.text("schedule.active") == "on",
        }
    return {"query": json_value(_request_of(form)), "schedule": schedule}


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 10 else text


def _request_of(form: Form) -> ReportRequest:
    try:
        request = request_of(parse_qsl(form.raw("address").lstrip("?")))
    except (msgspec.ValidationError, ValueError):
        sentence = "This is not the address of a report. Open a report and choose Save as view."
        raise InvalidInputError((FieldFault("address", FaultCode.NOT_ALLOWED, sentence),)) from None
    return request if request.group_by else replace(request, group_by=["campaign"])


def _redisplayed(form: Form) -> dict[str, Any]:
    return {**form.redisplay_values(NewView), "address": form.raw("address"), "schedule": _schedule_of(form)}


def _schedule_of(form: Form) -> dict[str, str]:
    return {name: form.text(f"schedule.{name}") for name in ("rule_id", "every", "at", "weekday", "zone", "active")}


def _tree(view: api.ViewView) -> dict[str, Any]:
    return {**json_value(view), "address": view.address}


PAGES = RecordPages(path=PATH, records=api.VIEWS, editor=_editor, tree=_tree, fields=_BLANK)


def show(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    view = api.read_view(context, record_id)
    return _editor(viewer, context, _tree(view), view)


def archive(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    api.archive_view(context, record_id)
    return viewer.go(PATH, FlashMessage.ARCHIVED)


def restore(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    try:
        api.restore_view(context, record_id)
    except InvalidInputError as error:
        view = api.read_view(context, record_id)
        return _editor(viewer, context, _tree(view), view, error.faults)
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.RESTORED)


routes = [
    get("/views", sync_to_thread=True)(show_list),
    get("/views/new", sync_to_thread=True)(show_new),
    post("/views/new", sync_to_thread=True)(create),
    get("/views/{record_id:int}", sync_to_thread=True)(show),
    post("/views/{record_id:int}", sync_to_thread=True)(change),
    post("/views/{record_id:int}/archive", sync_to_thread=True)(archive),
    post("/views/{record_id:int}/restore", sync_to_thread=True)(restore),
    post("/views/{record_id:int}/home", opt={NEEDS: None}, sync_to_thread=True)(set_home),
    get("/views/{record_id:int}/request", sync_to_thread=True)(show_request),
]
