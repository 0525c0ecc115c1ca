"""Marks of suspicious traffic: switches, thresholds and lists of the instance, and what differs in a campaign."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import get, post

from clickloop.click.geo.check import provided_fields
from clickloop.click.geo.mmdb import GeoField
from clickloop.click.marks.datacenters import COMPILED_ON, HOSTING
from clickloop.people.user import Right
from clickloop.plural import pluralize
from clickloop.setup.campaign import CampaignChange
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.instance_change import SettingsUpdate
from clickloop.setup.mark import THRESHOLD_UNITS, THRESHOLDS, Mark, MarkMoment, MarkSetting, mark_name, marks_in_force
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Id
from clickloop.web.api.setup import campaigns, settings
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.edit_conflict import RecordEdit, save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.setup.setup_choices import choices, number_of

PATH = "/panel/marks"
_FIELDS = ("marks", "ip_lists", "useragent_lists")
_POSITION = re.compile(r"marks\[([0-9]+)\](?:\.(\w+))?")
_MOMENTS = {
    MarkMoment.REQUEST: "before the redirect; rules can use it",
    MarkMoment.SETTLING: "when the click is counted, within a second",
    MarkMoment.LATER: "later, by what the visitor does on the landing",
}


class MarkRow(msgspec.Struct, frozen=True, kw_only=True):
    """A mark in the form."""

    mark: Mark
    name: str
    moment: str
    unit: str
    """Empty: the mark has no threshold."""
    limits: tuple[int, int]
    switch: str
    """``on``, ``off``, or empty for the instance's."""
    threshold: str
    """Empty for the usual one."""
    usual_on: bool
    usual_threshold: int


def show(viewer: CurrentViewer, context: Context) -> PageResponse:
    view = settings.read_settings(context)
    return _instance_page(
        viewer, context, view, _rows((), view.marks, is_own=False), (view.ip_lists, view.useragent_lists)
    )


def change(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    view = settings.read_settings(context)
    chosen = [one for one in _chosen(form, ()) if one != _as_by_default(one)]
    lists = [
        [one if (number := number_of(one)) is None else number for one in form.all(field)] for field in _FIELDS[1:]
    ]
    edit = RecordEdit(settings.NOUN, settings.RECORD, view, _FIELDS, lambda: settings.read_settings(context))
    try:
        save_edit(
            context,
            form,
            edit,
            SettingsUpdate,
            _save_settings,
            marks=chosen,
            ip_lists=lists[0],
            useragent_lists=lists[1],
        )
    except InvalidInputError as error:
        faults = _named_by_mark(error.faults, chosen)
        return _instance_page(viewer, context, view, _typed(form, _rows((), (), is_own=False)), lists, faults)
    return viewer.go(PATH, FlashMessage.SAVED)


def show_campaign(viewer: CurrentViewer, context: Context, record_id: Id) -> PageResponse:
    view = campaigns.read_campaign(context, record_id)
    return _campaign_page(viewer, context, view, _rows(_instance_marks(context), view.marks, is_own=True))


def change_campaign(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    view = campaigns.read_campaign(context, record_id)
    of_instance = _instance_marks(context)
    chosen = _chosen(form, of_instance)
    edit = RecordEdit(campaigns.NOUN, record_id, view, _FIELDS[:1], lambda: campaigns.read_campaign(context, record_id))
    try:
        save_edit(context, form, edit, CampaignChange, campaigns.change_campaign, marks=chosen)
    except InvalidInputError as error:
        rows = _typed(form, _rows(of_instance, (), is_own=True))
        return _campaign_page(viewer, context, view, rows, _named_by_mark(error.faults, chosen))
    return viewer.go(f"/panel/campaigns/{record_id}/marks", FlashMessage.SAVED)


def _save_settings(context: ApiContext, _record: str, update: SettingsUpdate) -> None:
    settings.change_settings(context, update)


def _instance_marks(context: ApiContext) -> Sequence[MarkSetting]:
    return settings.read_settings(context).marks


def _chosen(form: Form, of_instance: Sequence[MarkSetting]) -> list[dict[str, Any]]:
    """Return the settings that a form sets, as JSON. A threshold alone leaves the switch as it is."""
    usual = {one.mark: one.on for one in marks_in_force(of_instance, ())}
    chosen: list[dict[str, Any]] = []
    for mark in Mark:
        switch, threshold = form.text(f"switch.{mark.value}"), form.text(f"threshold.{mark.value}")
        if switch or threshold:
            number: Any = int(threshold) if threshold.isdecimal() and len(threshold) < 10 else threshold or 0
            on = switch == "on" if switch else usual[mark]
            chosen.append({"mark": mark.value, "on": on, "threshold": number})
    return chosen


def _as_by_default(chosen: dict[str, Any]) -> dict[str, Any]:
    mark = Mark(chosen["mark"])
    return {"mark": mark.value, "on": mark.is_default, "threshold": 0}


def _rows(of_instance: Sequence[MarkSetting], shown: Sequence[MarkSetting], *, is_own: bool) -> list[MarkRow]:
    """Return the rows of the form. ``is_own``: a campaign's, whose empty fields stand for the instance's."""
    usual = {one.mark: one for one in marks_in_force(of_instance, ())}
    set_up = {one.mark: one for one in shown}
    rows = []
    for mark in Mark:
        one = set_up.get(mark)
        possible = THRESHOLDS.get(mark, range(2))
        switch = "" if is_own and one is None else "on" if (one or usual[mark]).on else "off"
        rows.append(
            MarkRow(
                mark=mark,
                name=mark_name(mark)[:1].upper() + mark_name(mark)[1:],
                moment=_MOMENTS[mark.moment],
                unit=THRESHOLD_UNITS.get(mark, ""),
                limits=(possible[0], possible[-1]),
                switch=switch,
                threshold=str(one.threshold) if one is not None and one.threshold else "",
                usual_on=usual[mark].on,
                usual_threshold=usual[mark].threshold,
            )
        )
    return rows


def _typed(form: Form, rows: Sequence[MarkRow]) -> list[MarkRow]:
    """Return the rows as the user filled them in."""
    return [
        msgspec.structs.replace(
            row, switch=form.text(f"switch.{row.mark.value}"), threshold=form.text(f"threshold.{row.mark.value}")
        )
        for row in rows
    ]


def _named_by_mark(faults: Sequence[FieldFault], chosen: Sequence[dict[str, Any]]) -> tuple[FieldFault, ...]:
    """Return faults with the paths of the form's fields. An edit conflict stays as it is."""
    return tuple(_named(fault, chosen) for fault in faults)


def _named(fault: FieldFault, chosen: Sequence[dict[str, Any]]) -> FieldFault:
    position = _POSITION.fullmatch(fault.field)
    if position is None or int(position[1]) >= len(chosen):
        return fault
    part = "threshold" if position[2] == "threshold" else "switch"
    return msgspec.structs.replace(fault, field=f"{part}.{chosen[int(position[1])]['mark']}")


def _instance_page(
    viewer: Viewer,
    context: ApiContext,
    view: settings.SettingsView,
    rows: Sequence[MarkRow],
    lists: Sequence[Sequence[object]],
    faults: tuple[FieldFault, ...] = (),
) -> PageResponse:
    # The core recognises bots for nothing else, so the patterns are loaded on first use.
    from clickloop.click.marks.bot_useragent import PACKAGE, package_version

    return page(
        viewer,
        "marks.html",
        faults,
        view=None,
        rows=rows,
        ip_lists={str(one) for one in lists[0]},
        useragent_lists={str(one) for one in lists[1]},
        lists=choices(context, RecordKind.LIST),
        seen=seen_version(context, {}, view, _FIELDS),
        package=f"{PACKAGE} {package_version()}",
        networks=len(HOSTING),
        compiled_on=COMPILED_ON.isoformat(),
        age=_age(context),
        has_networks=GeoField.ASN in provided_fields(context.geo_bases()),
    )


def _age(context: ApiContext) -> str:
    """Return how old the table of hosting networks is: ``today`` or ``12 days ago``."""
    days = (datetime.fromtimestamp(context.clock() / 1000, UTC).date() - COMPILED_ON).days
    return f"{pluralize(days, 'day')} ago" if days > 0 else "today"


def _campaign_page(
    viewer: Viewer,
    context: ApiContext,
    view: campaigns.CampaignView,
    rows: Sequence[MarkRow],
    faults: tuple[FieldFault, ...] = (),
) -> PageResponse:
    return page(
        viewer,
        "marks.html",
        faults,
        view=view,
        rows=rows,
        seen=seen_version(context, {}, view, _FIELDS[:1]),
    )


routes = [
    get("/marks", sync_to_thread=True)(show),
    post("/marks", opt={NEEDS: Right.ADMINISTER}, sync_to_thread=True)(change),
    get("/campaigns/{record_id:int}/marks", sync_to_thread=True)(show_campaign),
    post("/campaigns/{record_id:int}/marks", sync_to_thread=True)(change_campaign),
]
