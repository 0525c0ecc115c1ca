"""/settings: the settings of the instance that can be changed while it runs."""

from typing import Annotated

from litestar import Router, get, patch
from litestar.params import JSONBody
from msgspec import Meta

from clickloop.logs.view import view_of
from clickloop.people.user import Right
from clickloop.saving import settings as saving
from clickloop.setup.instance import SavedSettings
from clickloop.setup.instance_change import (
    ClickIdParameters,
    Currency,
    Domains,
    FallbackUrl,
    IpLists,
    KeepDays,
    MarkSettings,
    PublicUrl,
    SettingsUpdate,
    Storage,
    UserAgentLists,
    Zone,
)
from clickloop.setup.record import Versioned
from clickloop.store.ledger.setup.settings import instance_version, read_instance
from clickloop.web.api.all_faults import report_all_faults
from clickloop.web.api.body import CheckedBody
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.rights import RIGHT

NOUN = saving.NOUN
RECORD = saving.RECORD


class SettingsView(Versioned, frozen=True, kw_only=True):
    """The settings of the instance."""

    public_url: PublicUrl
    domains: Domains
    currency: Currency
    fallback_url: FallbackUrl
    time_zone: Zone
    click_keep_days: KeepDays
    ip_storage: Storage
    click_id_parameters: ClickIdParameters
    marks: MarkSettings
    ip_lists: IpLists
    useragent_lists: UserAgentLists
    saved: Annotated[
        list[str],
        Meta(
            description="Settings that were saved here. The others come from the environment, the command line or the defaults.",
            examples=[["currency"]],
        ),
    ]


def read_settings(context: Context) -> SettingsView:
    """Return the current settings, and which of them were saved here."""
    with context.ledger.read() as tx:
        return _view(context, read_instance(tx), instance_version(tx))


def change_settings(context: Context, data: JSONBody[SettingsUpdate]) -> SettingsView:
    """Change the given settings. Changes apply within a second, without a restart."""
    return _view(context, *saving.change(context, data, lambda saved, version: _view(context, saved, version)))


def started_view(context: ApiContext) -> SettingsView:
    """Return the settings that would apply if none were saved."""
    return _view(context, SavedSettings())


def _view(context: ApiContext, saved: SavedSettings, version: int = 0) -> SettingsView:
    """Return the settings for JSON; ``version`` 0: never saved."""
    return view_of(SettingsView, saved.over(context.started), version=version, saved=list(saved.names()))


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="Get the settings")(read_settings),
        patch("/", dto=CheckedBody, sync_to_thread=True, opt={RIGHT: Right.ADMINISTER}, summary="Change settings")(
            report_all_faults(change_settings)
        ),
    ],
    tags=["Settings"],
)
