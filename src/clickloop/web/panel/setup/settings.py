"""Settings of the instance. A setting that was never saved has the value that the tracker was started with."""

from typing import Any

import msgspec
from litestar import get, post

from clickloop.money import CURRENCIES
from clickloop.people.user import Right
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.instance import IpStorage
from clickloop.setup.instance_change import SettingsUpdate
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.setup import settings as api
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.edit_conflict import RecordEdit, save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.setup.setup_choices import zone_choices

PATH = "/panel/settings"
RESET = "as_started"
"""The button that resets a setting to the value that the tracker was started with."""

_FIELDS = SettingsUpdate.__struct_fields__


def show(viewer: CurrentViewer, context: Context) -> PageResponse:
    return _page(viewer, context, {})


def change(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Save the changed settings only, so that the others keep following the environment."""
    reset = form.text(RESET)
    try:
        if reset in SettingsUpdate.__struct_fields__:
            api.change_settings(context, SettingsUpdate(**{reset: None}))
        else:
            current = api.read_settings(context)
            edit = RecordEdit(api.NOUN, api.RECORD, current, _FIELDS, lambda: api.read_settings(context))
            save_edit(context, form, edit, SettingsUpdate, _save)
    except InvalidInputError as error:
        return _page(viewer, context, form.tree, error.faults)
    return viewer.go(PATH, FlashMessage.SAVED)


def _save(context: ApiContext, _record: str, update: SettingsUpdate) -> None:
    api.change_settings(context, _changed_settings(context, update))


def _changed_settings(context: ApiContext, update: SettingsUpdate) -> SettingsUpdate:
    current = api.read_settings(context)
    changed: dict[str, Any] = {}
    for name in SettingsUpdate.__struct_fields__:
        value = getattr(update, name)
        # An empty field is an empty text, not null: null resets a setting, which has its own button.
        value = "" if value is None and isinstance(getattr(current, name), str) else value
        if value is not msgspec.UNSET and value != getattr(current, name):
            changed[name] = value
    return SettingsUpdate(**changed)


def _page(
    viewer: Viewer, context: ApiContext, tree: dict[str, Any], faults: tuple[FieldFault, ...] = ()
) -> PageResponse:
    current = api.read_settings(context)
    return page(
        viewer,
        "settings.html",
        faults,
        v={**msgspec.to_builtins(current), **tree},
        seen=seen_version(context, tree, current, _FIELDS),
        saved=current.saved,
        started=msgspec.to_builtins(api.started_view(context)),
        zones=zone_choices(),
        currencies=sorted(CURRENCIES),
        storages=[(one.value, f"{one.value} – {one.sentence}") for one in IpStorage],
    )


routes = [
    get("/settings", opt={NEEDS: Right.ADMINISTER}, sync_to_thread=True)(show),
    post("/settings", opt={NEEDS: Right.ADMINISTER}, sync_to_thread=True)(change),
]
