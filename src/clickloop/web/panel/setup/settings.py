"""Settings: what the instance as a whole is set to; what nobody saved is as the tracker was started, and shown so."""

from typing import Any

import msgspec
from litestar import get, post

from clickloop.money import CURRENCIES
from clickloop.people.user import Right
from clickloop.setup.fault import Fault, InvalidInputError
from clickloop.setup.instance import IpStorage, time_zones
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.setup import settings as api
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.edit_conflict import RecordEdit, save_edit, seen_version
from clickloop.web.panel.frame.flash import Said
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer

PATH = "/panel/settings"
RESET = "as_started"
"""The button that gives a setting back to what the tracker was started with."""

_FIELDS = api.SettingsUpdate.__struct_fields__


def show(viewer: CurrentViewer, context: Context) -> PageResponse:
    """The page."""
    return _page(viewer, context, {})


def change(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Saves what differs from what holds, so that the rest goes on following the environment."""
    reset = form.text(RESET)
    try:
        if reset in api.SettingsUpdate.__struct_fields__:
            api.change_settings(context, api.SettingsUpdate(**{reset: None}))
        else:
            holds = api.read_settings(context)
            edited = RecordEdit(api.NOUN, api.RECORD, holds, _FIELDS, lambda: api.read_settings(context))
            save_edit(context, form, edited, api.SettingsUpdate, _save)
    except InvalidInputError as error:
        return _page(viewer, context, form.tree, error.faults)
    return viewer.go(PATH, Said.SAVED)


def _save(context: ApiContext, _record: str, wanted: api.SettingsUpdate) -> None:
    api.change_settings(context, _differing(context, wanted))


def _differing(context: ApiContext, wanted: api.SettingsUpdate) -> api.SettingsUpdate:
    holds = api.read_settings(context)
    changed: dict[str, Any] = {}
    for name in api.SettingsUpdate.__struct_fields__:
        value = getattr(wanted, name)
        # An empty field of the form is an empty text, never the wish to give the setting back: that is a button.
        value = "" if value is None and isinstance(getattr(holds, name), str) else value
        if value is not msgspec.UNSET and value != getattr(holds, name):
            changed[name] = value
    return api.SettingsUpdate(**changed)


def _page(viewer: Viewer, context: ApiContext, tree: dict[str, Any], faults: tuple[Fault, ...] = ()) -> PageResponse:
    holds = api.read_settings(context)
    return page(
        viewer,
        "settings.html",
        faults,
        v={**msgspec.to_builtins(holds), **tree},
        seen=seen_version(context, tree, holds, _FIELDS),
        saved=holds.saved,
        started=msgspec.to_builtins(api.started_view(context)),
        zones=[(zone, zone.replace("_", " ")) for zone in time_zones()],
        currencies=sorted(CURRENCIES),
        storages=[(one.value, f"{one.value} – {one.sentence}") for one in IpStorage],
    )


routes = [
    get("/settings", opt={NEEDS: Right.ADMINISTER}, sync_to_thread=True)(show),
    post("/settings", opt={NEEDS: Right.ADMINISTER}, sync_to_thread=True)(change),
]
